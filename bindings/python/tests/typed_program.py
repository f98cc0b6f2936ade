"""A program as a user writes it, for mypy --strict to check: that the public types say what they should."""

from __future__ import annotations

from pathlib import Path

import numpy
import numpy.typing
from typing_extensions import assert_type

import volary


async def main() -> None:
    model = volary.Model(Path("a.gguf"), threads=2, loras=[volary.Lora(Path("b.pth"), alpha=32)], progress=print)
    assert_type(model.info.architecture, str)
    stream = model.generate("a", max_tokens=3, temperature=None, stop=["b"], logit_bias={1: 0.5}, seed=None)
    for piece in stream:
        assert_type(piece, str)
    async for piece in stream:
        assert_type(piece, str)
    for full in model.generate([1, 2]).pieces():
        assert_type(full, volary.Piece)
    async for full in stream.pieces():
        assert_type(full.logprobs[0].top[0].logprob, float)
    assert_type(stream.finish_reason, str | None)
    assert_type(model.complete("a", seed=1), volary.Completion)
    assert_type(model.complete_batch(["a"]), list[volary.Completion])
    logits, state = model.eval(1, None)
    assert_type(logits, numpy.typing.NDArray[numpy.float32])
    assert_type(state, volary.State)
    state = model.prefill("a", state, progress=lambda fraction: fraction < 0.5)
    with model.chat(system="a") as chat, volary.Tokenizer("c") as tokenizer:
        assert_type(chat, volary.Chat)
        assert_type(chat.history[0].alternatives, list[str])
        assert_type(tokenizer.encode("a"), list[int])
    shared: volary.GenerateOptions = {"max_tokens": 3}
    chat.send("a", **shared)
    assert_type(volary.convert("a", Path("b"), tensor_types={"emb*": "F16"}, progress=True), volary.ConvertReport)
    assert_type(volary.State.from_bytes(memoryview(b"")), volary.State)
    model.generate("a", top_q=1)  # type: ignore[call-arg]
    model.generate("a", max_tokens="1")  # type: ignore[arg-type]
    model.generate("a", temperature="1")  # type: ignore[arg-type]
