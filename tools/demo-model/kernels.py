"""What is slow in PyTorch on a processor, in C++, with its gradients. `reference.py` says what is computed."""

import functools
import platform
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor
from torch.utils.cpp_extension import load


@functools.cache
def _native() -> ModuleType:
    """Compiled on first use."""
    folder = Path(__file__).parent / "native"
    # GCC prefers vectors of 256 bits on processors that it does not know.
    wide = ["-mprefer-vector-width=512"] if platform.machine() == "x86_64" else []
    return load(
        name="demo_model_native",
        sources=[str(path) for path in sorted(folder.glob("*.cpp"))],
        # Without -fopenmp PyTorch's parallel_for runs on one thread.
        extra_cflags=["-std=c++20", "-O3", "-march=native", *wide, "-ffast-math", "-fopenmp"],
        extra_ldflags=["-fopenmp"],
    )


class _TimeMix(torch.autograd.Function):
    @staticmethod
    def forward(ctx, n_inputs: int, *tensors: Tensor) -> Tensor:
        # One type for all of them; autocast leaves some in float32.
        inputs = [x.to(tensors[0].dtype).contiguous() for x in tensors[:n_inputs]]
        weights = [x.detach().contiguous() for x in tensors[n_inputs:]]
        out, *saved = _native().time_mix_forward(inputs, weights)
        ctx.n_inputs = n_inputs
        ctx.types = [x.dtype for x in tensors[:n_inputs]]
        ctx.save_for_backward(*inputs, *weights, *saved)
        return out

    @staticmethod
    def backward(ctx, dout: Tensor) -> tuple[Tensor | None, ...]:
        tensors, n = ctx.saved_tensors, ctx.n_inputs
        inputs, weights, saved = tensors[:n], tensors[n:-3], tensors[-3:]
        *dinputs, dweights = _native().time_mix_backward(inputs, weights, saved, dout.to(inputs[0].dtype).contiguous())
        dinputs = [d.to(dtype) for d, dtype in zip(dinputs, ctx.types, strict=True)]
        return None, *dinputs, *(d.view_as(w) for d, w in zip(dweights, weights, strict=True))


def time_mix(inputs: list[Tensor], weights: list[Tensor]) -> Tensor:
    """As `reference.time_mix`, for heads of 64 channels and times that are multiples of 16."""
    return _TimeMix.apply(len(inputs), *inputs, *weights)


class _TokenShift(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, half: bool, *weights: Tensor) -> tuple[Tensor, ...]:
        x, stacked = x.float().contiguous(), torch.stack([weight.view(-1) for weight in weights])
        ctx.save_for_backward(x, stacked)
        ctx.shape = weights[0].shape
        return _native().token_shift_forward(x, stacked, half).unbind()

    @staticmethod
    def backward(ctx, *dout: Tensor) -> tuple[Tensor | None, ...]:
        dx, dweights = _native().token_shift_backward(*ctx.saved_tensors, [d.contiguous() for d in dout])
        return dx, None, *(d.view(ctx.shape) for d in dweights)


def token_shift(x: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """As `reference.token_shift`; the results are bfloat16 under autocast."""
    return _TokenShift.apply(x, torch.is_autocast_enabled("cpu"), *weights)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits: Tensor, targets: Tensor) -> Tensor:
        loss, gradient = _native().cross_entropy(logits.contiguous(), targets.contiguous())
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx, dloss: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient if dloss == 1 else gradient * dloss), None


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over rows of logits [rows, n_vocab] and targets [rows]."""
    return _CrossEntropy.apply(logits, targets)
