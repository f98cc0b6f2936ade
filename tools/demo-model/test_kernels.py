"""The kernels and their chunked form against what they stand for: values and gradients, in double precision."""

from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import chunked
import kernels
import reference

WIDTH = 3 * reference.HEAD_SIZE


@pytest.fixture(params=[kernels, chunked], ids=["kernels", "chunked"])
def form(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def device(form: ModuleType) -> str:
    return "cuda" if form is chunked and torch.cuda.is_available() else "cpu"


def compare(fast: list[Tensor], exact: list[Tensor], tolerance: float) -> None:
    for index, (x, y) in enumerate(zip(fast, exact, strict=True)):
        error = (x - y).abs().max() / y.abs().max()
        assert error < tolerance, f"number {index} is off by {error} of the largest"


def both(form: ModuleType, shape: tuple[int, ...], scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """The same random numbers twice: for the form under test, and in double precision for the reference."""
    x = torch.randn(shape, device=device(form)) * scale
    return x.requires_grad_(), x.detach().double().requires_grad_()


@pytest.mark.parametrize(("n_inputs", "n_weights"), [(6, 7), (8, 8)], ids=["first layer", "other layers"])
@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-4), (True, 2e-2)])
def test_time_mix(form: ModuleType, n_inputs: int, n_weights: int, half: bool, tolerance: float) -> None:
    torch.manual_seed(0)
    inputs = [both(form, (2, 48, WIDTH)) for _ in range(n_inputs)]
    if half:
        rounded = [x.detach().bfloat16() for x, _ in inputs]
        inputs = [(x.requires_grad_(), x.detach().double().requires_grad_()) for x in rounded]
    weights = [both(form, (3, 64) if index == 4 else (WIDTH,)) for index in range(n_weights)]
    inputs, exact_inputs = map(list, zip(*inputs, strict=True))
    weights, exact_weights = map(list, zip(*weights, strict=True))
    y = form.time_mix(inputs, weights)
    expected = reference.time_mix(exact_inputs, exact_weights)
    compare([y], [expected], tolerance)
    direction = torch.randn_like(expected)
    (y * direction).sum().backward()
    (expected * direction).sum().backward()
    compare([x.grad for x in inputs + weights], [x.grad for x in exact_inputs + exact_weights], tolerance)


def test_token_shift(form: ModuleType) -> None:
    torch.manual_seed(0)
    x, exact_x = both(form, (2, 20, WIDTH))
    weights, exact_weights = map(list, zip(*[both(form, (1, 1, WIDTH)) for _ in range(6)], strict=True))
    mixed = torch.stack(form.token_shift(x, weights))
    expected = torch.stack(reference.token_shift(exact_x, exact_weights))
    compare([mixed], [expected], 1e-5)
    direction = torch.randn_like(expected)
    (mixed * direction).sum().backward()
    (expected * direction).sum().backward()
    compare([x.grad, *(w.grad for w in weights)], [exact_x.grad, *(w.grad for w in exact_weights)], 1e-5)


def test_cross_entropy(form: ModuleType) -> None:
    torch.manual_seed(0)
    logits, exact = both(form, (50, 333), scale=5.0)
    targets = torch.randint(333, (50,), device=device(form))
    loss, expected = form.cross_entropy(logits, targets), F.cross_entropy(exact, targets)
    compare([loss], [expected], 1e-5)
    (3 * loss).backward()
    (3 * expected).backward()
    compare([logits.grad], [exact.grad], 1e-5)


@pytest.mark.parametrize("decay", [1.0, 0.999, 0.546])
def test_recurrence_of_keys_that_repeat(decay: float) -> None:
    """What is removed and written at each token is the same, which is the hardest for the system of a chunk."""
    torch.manual_seed(0)
    shape = (1, 64, 2, reference.HEAD_SIZE)
    r, k, v = (both(chunked, shape) for _ in range(3))
    direction = F.normalize(torch.randn(shape[-1], device=device(chunked)), dim=0).expand(shape)
    w = torch.full_like(direction, decay)
    fixed = [(x, x.double()) for x in (w, -direction, direction)]
    fast, exact = zip(r, fixed[0], k, v, *fixed[1:], strict=True)
    y, expected = chunked.recurrence(*fast), reference.recurrence(*exact)
    compare([y], [expected], 1e-5)
    y.sum().backward()
    expected.sum().backward()
    compare([x.grad for x, _ in (r, k, v)], [x.grad for _, x in (r, k, v)], 1e-5)
