"""Muon for the layers' matrices, AdamW for everything else."""

import torch
from torch import Tensor, nn


def orthogonalized(gradient: Tensor) -> Tensor:
    """The nearest matrix whose singular values are about 1: five steps of Jordan's quintic Newton-Schulz iteration.

    Coefficients from Keller Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = gradient.size(0) > gradient.size(1)
    x = gradient.T if tall else gradient
    # Half the time of float32, and what it loses the iteration forgives.
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized, so that every direction of a matrix learns at the same pace."""

    def __init__(self, parameters: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": 0.95})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonalized(parameter.grad.lerp(momentum, group["momentum"]))
                scale = max(1.0, parameter.size(0) / parameter.size(1)) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * scale)


def optimizers(model: nn.Module) -> list[torch.optim.Optimizer]:
    """Each group's `peak` is its learning rate at the top of the schedule."""
    matrices, embeddings, decays, others = [], [], [], []
    for name, parameter in model.named_parameters():
        if name.startswith("blocks.") and name.endswith(".weight") and parameter.dim() == 2:
            matrices.append(parameter)
        elif name in ("emb.weight", "head.weight"):
            embeddings.append(parameter)
        elif name.endswith("att.w0"):
            decays.append(parameter)
        else:
            others.append(parameter)
    # As RWKV-LM does: the decay learns twice as fast.
    groups = [(embeddings, 3e-3), (decays, 4e-3), (others, 2e-3)]
    groups = [{"params": parameters, "lr": lr, "peak": lr} for parameters, lr in groups]
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-12, weight_decay=0.0, fused=True)
    muon = Muon(matrices, lr=0.01, weight_decay=0.1)
    for group in muon.param_groups:
        group["peak"] = group["lr"]
    return [muon, adam]
