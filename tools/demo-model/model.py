"""RWKV-7, with BlinkDL's names, shapes and initial values (RWKV-LM, RWKV-v7/train_temp)."""

import math
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn

import chunked
import kernels
from reference import HEAD_SIZE


@dataclass
class Config:
    n_layer: int = 6
    n_embd: int = 256
    n_vocab: int = 4096
    # Inner widths of the low-rank maps: decay, in-context learning rate, value residual, gate.
    rank_w: int = 32
    rank_a: int = 32
    rank_v: int = 16
    rank_g: int = 64
    # The share of what goes into the sum of the layers that is left out in training.
    dropout: float = 0.0


def form_for(x: Tensor) -> ModuleType:
    """What computes the parts that are not matrices."""
    return chunked if x.is_cuda else kernels


def low_rank(inner: int, outer: int) -> tuple[nn.Parameter, nn.Parameter]:
    second = torch.empty(inner, outer)
    nn.init.orthogonal_(second, gain=0.1 * max(1.0, math.sqrt(inner / outer)))
    return nn.Parameter(torch.zeros(outer, inner)), nn.Parameter(second)


class TimeMix(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        c, last = config.n_embd, max(config.n_layer - 1, 1)
        self.layer, self.n_head = layer, c // HEAD_SIZE
        depth, rest = layer / last, 1 - layer / config.n_layer
        channel = torch.arange(c) / c
        for name, power in {"x_r": 0.2, "x_w": 0.9, "x_k": 0.7, "x_v": 0.7, "x_a": 0.9, "x_g": 0.2}.items():
            setattr(self, name, nn.Parameter((1 - channel ** (power * rest)).view(1, 1, c)))

        index = torch.arange(c)
        linear = index / (c - 1) - 0.5
        zigzag = ((index % HEAD_SIZE) - (HEAD_SIZE - 1) / 2) / ((HEAD_SIZE - 1) / 2)
        zigzag = zigzag * zigzag.abs()
        decay = -6 + 6 * (index / (c - 1)) ** (1 + depth**0.3)
        self.w0 = nn.Parameter((decay + 0.5 + zigzag * 2.5).view(1, 1, c))
        self.w1, self.w2 = low_rank(config.rank_w, c)
        self.a0 = nn.Parameter((-0.19 + zigzag * 0.3 + linear * 0.4).view(1, 1, c))
        self.a1, self.a2 = low_rank(config.rank_a, c)
        if layer > 0:
            self.v0 = nn.Parameter((0.73 - linear * 0.4).view(1, 1, c))
            self.v1, self.v2 = low_rank(config.rank_v, c)
        self.g1, self.g2 = low_rank(config.rank_g, c)
        self.k_k = nn.Parameter((0.71 - linear * 0.1).view(1, 1, c))
        self.k_a = nn.Parameter(torch.full((1, 1, c), 1.02))
        self.r_k = nn.Parameter(torch.full((self.n_head, HEAD_SIZE), -0.04))

        self.receptance, self.key, self.value, self.output = (nn.Linear(c, c, bias=False) for _ in range(4))
        bound = 0.5 / math.sqrt(c)
        nn.init.uniform_(self.receptance.weight, -bound, bound)
        nn.init.uniform_(self.key.weight, -0.1 * bound, 0.1 * bound)
        nn.init.uniform_(self.value.weight, -bound, bound)
        nn.init.zeros_(self.output.weight)
        self.ln_x = nn.GroupNorm(self.n_head, c, eps=64e-5)

    def forward(self, x: Tensor, first_value: Tensor | None) -> tuple[Tensor, Tensor]:
        xr, xw, xk, xv, xa, xg = form_for(x).token_shift(x, [getattr(self, f"x_{name}") for name in "rwkvag"])
        r, k, v = self.receptance(xr), self.key(xk), self.value(xv)
        w = torch.tanh(xw @ self.w1) @ self.w2
        a = (xa @ self.a1) @ self.a2
        g = torch.sigmoid(xg @ self.g1) @ self.g2
        inputs = [r, w, k, v, a, g]
        weights = [self.w0, self.a0, self.k_k, self.k_a, self.r_k, self.ln_x.weight, self.ln_x.bias]
        if first_value is None:
            first_value = v
        else:
            inputs += [(xv @ self.v1) @ self.v2, first_value]
            weights.append(self.v0)
        return self.output(form_for(x).time_mix(inputs, weights)), first_value


class ChannelMix(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        c = config.n_embd
        self.x_k = nn.Parameter((1 - (torch.arange(c) / c) ** ((1 - layer / config.n_layer) ** 4)).view(1, 1, c))
        self.key, self.value = nn.Linear(c, 4 * c, bias=False), nn.Linear(4 * c, c, bias=False)
        bound = 0.5 / math.sqrt(c)
        nn.init.uniform_(self.key.weight, -bound, bound)
        nn.init.zeros_(self.value.weight)

    def forward(self, x: Tensor) -> Tensor:
        (xk,) = form_for(x).token_shift(x, [self.x_k])
        hidden = torch.relu(self.key(xk))
        # On a GPU, autocast would take the square in float32.
        return self.value(hidden * hidden)


class Block(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        if layer == 0:
            self.ln0 = nn.LayerNorm(config.n_embd)
        self.ln1, self.ln2 = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd)
        self.att, self.ffn = TimeMix(config, layer), ChannelMix(config, layer)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, first_value: Tensor | None) -> tuple[Tensor, Tensor]:
        if hasattr(self, "ln0"):
            x = self.dropout(self.ln0(x))
        mixed, first_value = self.att(self.ln1(x), first_value)
        x = x + self.dropout(mixed)
        return x + self.dropout(self.ffn(self.ln2(x))), first_value


class Rwkv7(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.emb = nn.Embedding(config.n_vocab, config.n_embd)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_out = nn.LayerNorm(config.n_embd)
        self.head = nn.Linear(config.n_embd, config.n_vocab, bias=False)
        nn.init.uniform_(self.emb.weight, -1e-4, 1e-4)
        nn.init.orthogonal_(self.head.weight, gain=0.5 * math.sqrt(max(1.0, config.n_vocab / config.n_embd)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [batch, time, n_vocab] after each token of [batch, time]."""
        x, first_value = self.emb(tokens), None
        for block in self.blocks:
            x, first_value = block(x, first_value)
        return self.head(self.ln_out(x))
