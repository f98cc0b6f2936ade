"""Ctrl-C: at once, with nothing left at work."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import volary

#: Without line breaks, which the ends of replies have.
ENDLESS: Any = {"max_tokens": 10**9, "ignore_eos": True, "banned_tokens": [10]}
#: Takes seconds to read.
LONG_PROMPT = "long " * 200_000


@pytest.fixture
def ctrl_c_soon() -> Iterator[None]:
    """Sends the signal in a moment. What the test does must take longer than that, however fast the machine."""
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    yield
    timer.join()


def ctrl_c_now(fraction: float) -> None:
    """Of a `progress`: when the work has begun."""
    if fraction > 0:
        signal.raise_signal(signal.SIGINT)


def test_a_generation(model: volary.Model, ctrl_c_soon: None) -> None:
    stream = model.generate("Once", **ENDLESS)
    with pytest.raises(KeyboardInterrupt):
        for _ in stream:
            pass
    # It has ended, although this test still holds it.
    generated = stream.stats.usage.generated_tokens
    time.sleep(0.05)
    assert stream.stats.usage.generated_tokens == generated
    # None if the signal came in the few instructions between two pieces, where nothing runs that could be ended.
    assert stream.finish_reason in ("cancelled", None)


def native_calls_have_ended(stream: volary.TokenStream) -> bool:
    """Otherwise the call would be a `BusyError`."""
    try:
        next(stream)
    except volary.ClosedError:
        return True
    return False


def test_the_reading_of_a_prompt(model: volary.Model, ctrl_c_soon: None) -> None:
    stream = model.generate(LONG_PROMPT, **ENDLESS)
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    assert stream.finish_reason == "cancelled" and stream.stats.usage.generated_tokens == 0
    assert native_calls_have_ended(stream)


def test_a_reply_after_which_the_chat_goes_on(model: volary.Model, ctrl_c_soon: None) -> None:
    chat = model.chat()
    shown = ""
    try:
        with chat.send("Hello", **ENDLESS) as reply:
            for piece in reply:
                shown += piece
    except KeyboardInterrupt:
        # In here the traceback still refers to the stream.
        "".join(chat.send("And now?", max_tokens=3))
    assert [message.role for message in chat.history] == ["user", "assistant"] * 2
    assert shown.strip()[:20] == chat.history[1].content[:20]


def test_a_completion(model: volary.Model, ctrl_c_soon: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        model.complete("Once", **ENDLESS)


def test_measuring(model: volary.Model, ctrl_c_soon: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        volary.bench(model, repeats=10**6)


@pytest.mark.parametrize(
    "work",
    [
        lambda golden, tmp: volary.Model(golden / "v7.pth", progress=ctrl_c_now),
        lambda golden, tmp: volary.convert(golden / "v7.pth", tmp / "a.gguf", type="Q4_K", progress=ctrl_c_now),
        lambda golden, tmp: volary.merge_lora(
            golden / "v7.pth", golden / "lora" / "v7-lora.pth", tmp / "a.pth", alpha=32, progress=ctrl_c_now
        ),
        lambda golden, tmp: volary.compare_formats(golden / "v7.pth", "abc" * 9, ["Q8_0"], progress=ctrl_c_now),
    ],
    ids=["load", "convert", "merge_lora", "compare_formats"],
)
def test_work_with_progress(work: Callable[[Path, Path], Any], golden: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        work(golden, tmp_path)
    # Work so small may have been done by then; but never half, and with nothing left beside it.
    for file in tmp_path.iterdir():
        assert file.stem == "a" and volary.Model(file).info.architecture == "RWKV-7"


def test_reading(model: volary.Model) -> None:
    with pytest.raises(KeyboardInterrupt):
        model.prefill(LONG_PROMPT, progress=ctrl_c_now)
    with pytest.raises(KeyboardInterrupt):
        model.eval_sequence([1] * 100_000, progress=ctrl_c_now)
