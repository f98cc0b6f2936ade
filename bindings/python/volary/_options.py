"""Options of generations and models, on their way to the library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from . import _arguments as arguments
from ._arguments import Path, number, optional, path, text, whole, wholes
from ._library import native
from ._records import Lora

if TYPE_CHECKING:
    from ._state import State


class GenerateOptions(TypedDict, total=False):
    """Options of a generation. What is left out or ``None`` is what RWKV's author recommends for the kind of model."""

    #: At most so many tokens; 256.
    max_tokens: int
    #: 0 or more; 0 always takes the likeliest token.
    temperature: float | None
    #: 0 to 1; 1 keeps all tokens.
    top_p: float | None
    #: Keeps at most so many tokens; 0 for no limit.
    top_k: int | None
    #: 0 to 1; drops tokens less likely than this fraction of the likeliest.
    min_p: float | None
    #: Taken from the logit of each token generated before.
    presence_penalty: float | None
    #: Taken from a token's logit for each time it was generated.
    frequency_penalty: float | None
    #: 0 to 1; what the counts of the frequency penalty are multiplied by at each step.
    penalty_decay: float | None
    #: Above 0; divides positive logits, and multiplies negative ones, of tokens generated before. 1: off.
    repetition_penalty: float | None
    #: 0 to 2**64 - 1. The same seed gives the same text; without one each is fresh, to be read from the statistics.
    seed: int | None
    #: Texts that end the generation and are not part of it.
    stop: Sequence[str]
    #: Tokens that end the generation and are not part of it, beside the end-of-text token.
    stop_tokens: Sequence[int]
    #: Never generates the end-of-text token.
    ignore_eos: bool
    #: Tokens never to generate.
    banned_tokens: Sequence[int]
    #: Added to the logits of these tokens.
    logit_bias: Mapping[int, float]
    #: Reports each token's log-probability and those of so many likeliest alternatives (0 to 100).
    logprobs: int | None
    #: Goes on from this state instead of from nothing. It stays as it is.
    state: State | None


def _biases(name: str, values: Mapping[int, float]) -> list[Any]:
    if not isinstance(values, Mapping):
        raise TypeError(f"{name}: must be a dict of tokens and numbers, not {type(values).__name__}")
    return [native.TokenBias(token=whole(name, token), bias=number(name, bias)) for token, bias in values.items()]


_CONVERTED: dict[str, Callable[[str, Any], Any]] = {
    "max_tokens": whole,
    "temperature": optional(number),
    "top_p": optional(number),
    "top_k": optional(whole),
    "min_p": optional(number),
    "presence_penalty": optional(number),
    "frequency_penalty": optional(number),
    "penalty_decay": optional(number),
    "repetition_penalty": optional(number),
    "seed": optional(arguments.seed),
    "stop": arguments.texts,
    "stop_tokens": wholes,
    "ignore_eos": arguments.flag,
    "banned_tokens": wholes,
    "logit_bias": _biases,
    "logprobs": optional(whole),
    "state": lambda _, value: native_state(value),
}


def generate_options(options: Mapping[str, Any]) -> Any:
    """The generated form of the options. An unknown name is a ``TypeError``."""
    for name in options:
        if name not in _CONVERTED:
            raise TypeError(f"{name!r} is no option of a generation; there are {', '.join(_CONVERTED)}")
    return native.GenerateOptions(**{name: _CONVERTED[name](name, value) for name, value in options.items()})


def native_state(state: State | None) -> Any:
    """The library's object of a state."""
    from ._state import State

    if state is None:
        return None
    if not isinstance(state, State):
        raise TypeError(f"state: must be a State or None, not {type(state).__name__}")
    return state._native


def model_options(
    threads: int | None,
    tokenizer: Path | None,
    group_norm_eps: float | None,
    type: str | None,
    initial_state: Path | None,
    loras: Iterable[Lora],
) -> Any:
    """The generated form of what opens a model."""
    return native.ModelOptions(
        threads=optional(whole)("threads", threads),
        tokenizer=optional(path)("tokenizer", tokenizer),
        group_norm_eps=optional(number)("group_norm_eps", group_norm_eps),
        type=optional(text)("type", type),
        initial_state=optional(path)("initial_state", initial_state),
        loras=[lora_file(lora) for lora in loras],
    )


def lora_file(lora: Lora) -> Any:
    """The generated form of a LoRA."""
    if not isinstance(lora, Lora):
        raise TypeError(f"loras: must be volary.Lora objects, not {type(lora).__name__}")
    return native.LoraFile(
        path=path("lora", lora.path),
        alpha=optional(number)("alpha", lora.alpha),
        pissa_init=optional(path)("pissa_init", lora.pissa_init),
    )


def perplexity_options(skip: int, limit: int | None, chunk: int | None) -> Any:
    """The generated form of which part of a text to measure."""
    return native.PerplexityOptions(
        skip=whole("skip", skip), limit=optional(whole)("limit", limit), chunk=optional(whole)("chunk", chunk)
    )
