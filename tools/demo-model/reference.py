"""What the kernels compute, as the equations of RWKV-7 read. (Peng et al. 2025, arXiv:2503.14456)"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

HEAD_SIZE = 64
# exp(-0.5), as training and inference of RWKV-7 have it.
FASTEST_DECAY = 0.606531


def token_shift(x: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """For each weight [1, 1, n_embd] a mixture of each token, [batch, time, n_embd], with the one before it."""
    change = F.pad(x, (0, 0, 1, -1)) - x
    return tuple(x + change * weight for weight in weights)


def recurrence(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """All [batch, time, head, 64]."""
    batch, time, heads, n = r.shape
    state = torch.zeros(batch, heads, n, n, dtype=r.dtype, device=r.device)  # [batch, head, value, key]
    rows = []
    for t in range(time):
        rt, wt, kt, at, bt = (x[:, t].unsqueeze(-2) for x in (r, w, k, a, b))
        removed = (state * at).sum(-1, keepdim=True)
        state = state * wt + removed * bt + v[:, t].unsqueeze(-1) * kt
        rows.append((state * rt).sum(-1))
    return torch.stack(rows, 1)


def time_mix(inputs: list[Tensor], weights: list[Tensor], recurrence: Callable[..., Tensor] = recurrence) -> Tensor:
    """From what the matrices and low-rank maps gave, [batch, time, n_embd] each, to the input of `output`.

    Inputs: r, w, k, v, a, g and, but in the first layer, value_mix and first_value. Weights: w0, a0, k_k, k_a, r_k,
    ln_x.weight, ln_x.bias and, but in the first layer, v0.
    """
    r, w, k, v, a, g, *mixing = inputs
    w0, a0, k_k, k_a, r_k, ln_weight, ln_bias, *v0 = weights
    batch, time, width = r.shape
    heads = (batch, time, width // HEAD_SIZE, HEAD_SIZE)
    w = torch.exp(-FASTEST_DECAY * torch.sigmoid(w0 + w))
    a = torch.sigmoid(a0 + a)
    if mixing:
        value_mix, first_value = mixing
        v = v + (first_value - v) * torch.sigmoid(v0[0] + value_mix)
    kk = F.normalize((k * k_k).view(heads), dim=-1)
    k = k * (1 + (a - 1) * k_a)
    r, w, k, v, a = (x.view(heads) for x in (r, w, k, v, a))
    y = recurrence(r, w, k, v, -kk, kk * a)
    # A normalization of each head, with weights of its own.
    y = F.layer_norm(y, [HEAD_SIZE], eps=64e-5) * ln_weight.view(heads[2:]) + ln_bias.view(heads[2:])
    y = y + (r * k * r_k).sum(-1, keepdim=True) * v
    return y.view(batch, time, width) * g
