"""Closing, dropping, threads, forks."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import volary
from volary._library import native

GREEDY: Any = {"max_tokens": 20, "temperature": 0}


def test_closing_a_model_ends_its_streams_and_keeps_its_states(own_model: volary.Model, model: volary.Model) -> None:
    chat = own_model.chat()
    stream, reply = own_model.generate("a", max_tokens=10**9), chat.send("a", max_tokens=10**9)
    state, tokenizer = own_model.prefill("Once"), own_model.tokenizer
    next(stream)
    next(reply)
    own_model.close()
    assert len(list(stream)) <= 1 and stream.finish_reason == "cancelled"
    assert len(list(reply)) <= 1 and reply.finish_reason == "cancelled"
    assert state.clone().to_bytes() == model.prefill("Once").to_bytes()
    assert tokenizer.encode("a") == [97]
    with pytest.raises(volary.ClosedError, match="model: is closed"):
        own_model.eval(1, state)


MODEL_CALLS: list[Callable[[volary.Model], object]] = [
    lambda model: model.info,
    lambda model: model.threads,
    lambda model: model.resident_bytes,
    lambda model: model.isa,
    lambda model: model.tokenizer,
    lambda model: model.new_state(),
    lambda model: model.eval(1),
    lambda model: model.decode(1, volary.State.from_bytes(STATE)),
    lambda model: model.eval_sequence([1]),
    lambda model: model.prefill("a"),
    lambda model: model.prefill([1]),
    lambda model: model.generate("a"),
    lambda model: model.generate([1]),
    lambda model: model.complete("a"),
    lambda model: model.chat(),
    lambda model: volary.perplexity(model, "abc"),
    lambda model: volary.bench(model),
    lambda model: volary.State.load(model, "a.state"),
    lambda model: volary.State.from_floats(model, b""),
    lambda model: volary.Chat.load(model, "a.chat"),
]
STATE = b""


def test_a_closed_object_is_an_error_not_a_crash(own_model: volary.Model) -> None:
    global STATE
    model = own_model
    state, tokenizer, chat, stream = model.new_state(), model.tokenizer, model.chat(), model.generate("a")
    STATE = state.to_bytes()
    for each in (stream, chat, state, tokenizer, model):
        each.close()
        each.close()
    calls: list[Callable[[], object]] = [
        *((lambda call=call: call(model)) for call in MODEL_CALLS),
        lambda: next(stream),
        lambda: next(stream.pieces()),
        lambda: stream.take_state(),
        lambda: state.clone(),
        lambda: state.to_bytes(),
        lambda: state.to_floats(),
        lambda: state.save("a.state"),
        lambda: state.__reduce_ex__(4),
        lambda: tokenizer.name,
        lambda: tokenizer.n_vocab,
        lambda: tokenizer.end_of_text,
        lambda: tokenizer.encode("a"),
        lambda: tokenizer.encode_bytes(b"a"),
        lambda: tokenizer.decode([1]),
        lambda: tokenizer.decode_bytes([1]),
        lambda: chat.send("a"),
        lambda: chat.retry(),
        lambda: chat.alternate(),
        lambda: chat.undo(),
        lambda: chat.reset(),
        lambda: chat.set_system("a"),
        lambda: chat.history,
        lambda: chat.format,
        lambda: chat.save("a.chat"),
    ]
    for call in calls:
        with pytest.raises(volary.ClosedError, match="is closed; open or make another one") as caught:
            call()
        assert isinstance(caught.value, ValueError)
    assert stream.finish_reason == "cancelled" and stream.stats.usage.generated_tokens == 0


def test_a_closed_state_is_refused(model: volary.Model) -> None:
    with model.new_state() as state:
        model.eval(1, state)
    for call in (model.eval, model.decode):
        with pytest.raises(volary.ClosedError, match="state: is closed"):
            call(1, state)
    with pytest.raises(volary.ClosedError, match="state: is closed"):
        model.generate("a", state=state)


def test_every_object_is_a_context_manager(golden: Path) -> None:
    with (
        volary.Model(golden / "v7.pth") as model,
        model.tokenizer as tokenizer,
        model.new_state() as state,
        model.chat() as chat,
        chat.send("a", **GREEDY) as reply,
        model.generate("a", **GREEDY) as stream,
    ):
        assert list(reply) is not None and list(stream) and tokenizer.encode("a") and state.to_bytes()


def test_what_a_model_gave_outlives_the_model_object(golden: Path, model: volary.Model) -> None:
    stream = volary.Model(golden / "v7.pth").generate("Once", **GREEDY)
    chat = volary.Model(golden / "v7.pth").chat()
    assert "".join(stream) == model.complete("Once", **GREEDY).text
    assert "".join(chat.send("a", **GREEDY)) == "".join(model.chat().send("a", **GREEDY))


def test_a_stream_in_a_cycle_of_garbage_is_ended_before_it_is_freed(
    model: volary.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cycle Python finalizes in any order, and what ends a stream must not use what has been freed."""
    happened: list[str] = []
    release, free = native.TokenStream.release, native.TokenStream.__del__
    monkeypatch.setattr(native.TokenStream, "release", lambda self: (happened.append("ended"), release(self)))
    monkeypatch.setattr(native.TokenStream, "__del__", lambda self: (happened.append("freed"), free(self)))
    gc.collect()
    happened.clear()
    for make in (model.generate, model.chat().send):
        stream: Any = make("a")
        stream.itself = stream
        del stream
        gc.collect()
    assert happened == ["ended", "freed"] * 2


def test_eight_threads_share_a_model(model: volary.Model) -> None:
    """Each with a state of its own gets the text that it gets alone."""
    states = [model.prefill(f"Thread {i}") for i in range(8)]
    expected = [model.complete("!", state=state, max_tokens=60, seed=i).text for i, state in enumerate(states)]
    found: list[list[str]] = [[] for _ in states]

    def work(i: int) -> None:
        for _ in range(5):
            found[i].append("".join(model.generate("!", state=states[i], max_tokens=60, seed=i)))
            own = states[i].clone()
            model.decode(i, own)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[text] * 5 for text in expected]


FORKED = """
import multiprocessing, sys, volary
path = sys.argv[1]
model = volary.Model(path)
chat, stream, state = model.chat(), model.generate("a"), model.prefill("Once")

def child(queue):
    said = []
    for call in (lambda: model.complete("a"), lambda: next(chat.send("a")), lambda: next(stream)):
        try:
            call()
        except volary.UnsupportedError as error:
            said.append(str(error))
    own = volary.Model(path)
    said.append(own.complete("!", state=state, max_tokens=5, temperature=0).text)
    queue.put(said)

context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
process = context.Process(target=child, args=(queue,))
process.start()
*errors, text = queue.get()
process.join()
assert process.exitcode == 0
assert [error.split(":")[0] for error in errors] == ["Model", "Chat", "TokenStream"], errors
assert "open the model in this process" in errors[0]
assert text == model.complete("!", state=state, max_tokens=5, temperature=0).text
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_process_gets_an_error_instead_of_waiting_for_ever(golden: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, golden / "v7.pth"], timeout=60, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
