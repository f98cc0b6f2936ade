"""The kernels for a GPU: in PyTorch, by chunks of tokens. `reference.py` says what is computed.

The recurrence of RWKV-7 is one step for each token. Within a chunk it is a triangular system of equations instead, and
from chunk to chunk the state S [value, key] becomes S A + D, with an A and a D that are the same for every S. So all
chunks' A and D come from a few large batches of products, and only the steps from chunk to chunk follow each other.
(The form is that of Yang et al. 2024, arXiv:2406.06484, with a decay for each channel of the key.)
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

import reference

# A decay is exp(-0.607) at least: over a chunk 6e-5 at least, whose inverse float32 holds without loss.
CHUNK = 16


def token_shift(x: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """As `reference.token_shift`; the results are bfloat16 under autocast."""
    change = F.pad(x, (0, 0, 1, -1)) - x
    # All at once: fewer kernels to start.
    mixed = torch.addcmul(x, change, torch.stack(weights))  # [mixtures, batch, time, n_embd]
    return (mixed.bfloat16() if torch.is_autocast_enabled(x.device.type) else mixed).unbind()


def time_mix(inputs: list[Tensor], weights: list[Tensor]) -> Tensor:
    """As `reference.time_mix`, in float32, for times that are multiples of 16."""
    with torch.autocast(inputs[0].device.type, enabled=False):
        mixed = reference.time_mix([x.float() for x in inputs], weights, recurrence)
    return mixed.to(inputs[0].dtype)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over rows of logits [rows, n_vocab] and targets [rows]."""
    return F.cross_entropy(logits.float(), targets)


def recurrence(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """As `reference.recurrence`.

    With p the product of the decays from the chunk's first token on and S the state before the chunk, the state after a
    token is (S + the sum of u b/p and v k/p over the tokens so far) p, where u is the state before the token, times a.
    """
    batch, time, heads, n = r.shape

    def in_chunks(x: Tensor) -> Tensor:  # [chunks, batch, heads, CHUNK, n]
        return x.unflatten(1, (-1, CHUNK)).permute(1, 0, 3, 2, 4)

    w, r, v = in_chunks(w), in_chunks(r), in_chunks(v)
    p = w.log().cumsum(-2).exp()
    queries = torch.cat([in_chunks(a) * (p / w), r * p], -2).flatten(0, 2)  # [all, 2 CHUNK, n]
    keys = torch.cat([in_chunks(b) / p, in_chunks(k) / p], -2).flatten(0, 2)
    end = p[..., -1:, :].flatten(0, 2)
    v = v.flatten(0, 2)

    # A token asks with a for the tokens before it, and with r for itself too.
    scores = queries @ keys.mT * _visible(r.device, r.dtype)  # [all, 2 CHUNK, 2 CHUNK]
    of_b, of_k = scores.split(CHUNK, -1)
    # What multiplies the transpose of S, and beside it what comes without S: for a and r, then for u.
    asked = torch.cat([queries, of_k @ v], -1)  # [all, 2 CHUNK, 2 n]
    u = inverse(of_b[:, :CHUNK]) @ asked[:, :CHUNK]
    b_end, k_end = (keys * end).split(CHUNK, -2)
    factor, addend = (u.mT @ b_end).split(n, -2)
    factor = factor + torch.diag_embed(end.squeeze(-2))
    addend = torch.baddbmm(addend, v.mT, k_end)
    by_chunk = (time // CHUNK, batch * heads, n, n)
    states = scan(factor.view(by_chunk), addend.view(by_chunk)).flatten(0, 1)

    of_state, of_chunk = torch.baddbmm(asked[:, CHUNK:], of_b[:, CHUNK:], u).split(n, -1)
    y = torch.baddbmm(of_chunk, of_state, states.mT)
    return y.view(-1, batch, heads, CHUNK, n).permute(1, 0, 3, 2, 4).reshape(batch, time, heads, n)


@functools.cache
def _visible(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Ones where a query looks at a key, [2 CHUNK, 2 CHUNK]."""
    ones = torch.ones(CHUNK, CHUNK, dtype=dtype)
    return torch.cat([ones.tril(-1), ones.tril()]).repeat(1, 2).to(device)


@functools.cache
def _halves(device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """For blocks of 1, 2, 4 … on the diagonal, ones in what joins two of them, [CHUNK, CHUNK] each."""
    index = torch.arange(CHUNK)
    blocks = [index // size for size in (1, 2, 4, 8)]
    return [((b[:, None] - b == 1) & (b[:, None] % 2 == 1)).to(device, dtype) for b in blocks]


class _Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, below: Tensor) -> Tensor:
        # From the inverses of two blocks on the diagonal to that of the block that they are in, and so on. As exact as
        # forward substitution, while the sum of the powers of `below` may have large terms that cancel.
        result = torch.eye(CHUNK, device=below.device, dtype=below.dtype).expand_as(below)
        for half in _halves(below.device, below.dtype):
            result = torch.baddbmm(result, result @ (below * half), result)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, dresult: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return result.mT @ dresult @ result.mT


def inverse(below: Tensor) -> Tensor:
    """The inverse of 1 - below, [any, CHUNK, CHUNK], which has nothing on the diagonal and above it."""
    return _Inverse.apply(below)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, factor: Tensor, addend: Tensor) -> Tensor:
        chunks = len(factor)
        states = factor.new_zeros(chunks + 1, *factor.shape[1:])
        for c in range(chunks):
            torch.baddbmm(addend[c], states[c], factor[c], out=states[c + 1])
        ctx.save_for_backward(factor, states)
        return states[:-1]

    @staticmethod
    def backward(ctx, dstates: Tensor) -> tuple[Tensor, Tensor]:
        factor, states = ctx.saved_tensors
        d = torch.cat([dstates, torch.zeros_like(dstates[:1])])
        for c in reversed(range(len(factor))):
            d[c].baddbmm_(d[c + 1], factor[c].mT)
        return states[:-1].mT @ d[1:], d[1:]


# Its loop would make a compiled program long, and has nothing to fuse.
@torch.compiler.disable
def scan(factor: Tensor, addend: Tensor) -> Tensor:
    """The states before each chunk, all [chunks, any, value, key]: S of a chunk times its factor, plus its addend."""
    return _Scan.apply(factor, addend)


def compile() -> None:
    """From now on, the small operations around the products are joined to fewer."""
    global token_shift, time_mix
    token_shift, time_mix = torch.compile(token_shift), torch.compile(time_mix)
