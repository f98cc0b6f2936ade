"""Muon for the layers' matrices, AdamW for everything else."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


def orthogonalized(gradients: Tensor) -> Tensor:
    """For each of [any, rows, columns] the nearest matrix whose singular values are about 1.

    Five steps of Jordan's quintic Newton-Schulz iteration; coefficients from Keller Jordan, "Muon: An optimizer for
    hidden layers in neural networks" (2024).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = gradients.size(1) > gradients.size(2)
    x = gradients.mT if tall else gradients
    # Half the time of float32, and what it loses the iteration forgives.
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(gradients.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized, so that every direction of a matrix learns at the same pace."""

    def __init__(self, parameters: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": 0.95})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameters in same_shapes(group["params"]):
                self.step_together(parameters, **{name: group[name] for name in ("lr", "weight_decay", "momentum")})

    def step_together(self, parameters: list[nn.Parameter], lr: float, weight_decay: float, momentum: float) -> None:
        gradients = torch.stack([p.grad for p in parameters])
        momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
        stacked = torch.stack(momenta).lerp_(gradients, 1 - momentum)
        torch._foreach_copy_(momenta, list(stacked))
        updates = orthogonalized(gradients.lerp(stacked, momentum))
        rows, columns = parameters[0].shape
        torch._foreach_mul_(parameters, 1 - lr * weight_decay)
        torch._foreach_add_(parameters, list(updates), alpha=-lr * max(1.0, rows / columns) ** 0.5)


def same_shapes(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """What one batch of products can do at once: a GPU would wait for each small one to be started."""
    groups: dict[torch.Size, list[nn.Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(parameter.shape, []).append(parameter)
    return list(groups.values())


@dataclass
class Rates:
    # Of all learning rates.
    factor: float = 1.0
    # Of the layers' matrices, and of the embedding and the head; in one step, so much times the learning rate.
    decay: float = 0.1
    embedding_decay: float = 0.0


def optimizers(model: nn.Module, rates: Rates) -> list[torch.optim.Optimizer]:
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
    groups = [
        {"params": embeddings, "lr": 3e-3, "weight_decay": rates.embedding_decay},
        {"params": decays, "lr": 4e-3},
        {"params": others, "lr": 2e-3},
    ]
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-12, weight_decay=0.0, fused=True)
    muon = Muon(matrices, lr=0.01, weight_decay=rates.decay)
    for group in muon.param_groups + adam.param_groups:
        group["peak"] = rates.factor * group["lr"]
    return [muon, adam]
