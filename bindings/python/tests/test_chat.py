"""Conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import volary

FEW: Any = {"max_tokens": 8, "seed": 1}
#: Without line breaks, which the ends of replies have.
ENDLESS: Any = {"max_tokens": 10**9, "ignore_eos": True, "banned_tokens": [10]}


def roles(chat: volary.Chat) -> list[str]:
    return [message.role for message in chat.history]


def test_a_conversation(model: volary.Model, tmp_path: Path) -> None:
    chat = model.chat(system="You are brief.")
    first = "".join(chat.send("Hello!", **FEW))
    assert roles(chat) == ["system", "user", "assistant"]
    assert chat.history[0].content == "You are brief."
    assert chat.history[2].content.strip() == first.strip()
    "".join(chat.alternate(max_tokens=8, seed=2))
    assert chat.history[2].alternatives == [_history_text(model, 1)]
    "".join(chat.retry(max_tokens=8, seed=3))
    assert len(chat.history) == 3

    chat.save(tmp_path / "talk.volary")
    loaded = volary.Chat.load(model, tmp_path / "talk.volary")
    assert loaded.history == chat.history and loaded.format == chat.format
    assert "".join(loaded.send("And?", **FEW)) == "".join(chat.send("And?", **FEW))

    chat.undo()
    assert len(chat.history) == 3
    chat.reset()
    assert roles(chat) == ["system"]
    chat.set_system(None)
    assert chat.history == []


def _history_text(model: volary.Model, seed: int) -> str:
    chat = model.chat(system="You are brief.")
    "".join(chat.send("Hello!", max_tokens=8, seed=seed))
    return chat.history[-1].content


def test_a_format_by_name(model: volary.Model) -> None:
    assert model.chat(format="raven").format == "raven"
    with pytest.raises(volary.InvalidArgumentError):
        model.chat(format="no such format")


def test_thoughts_are_pieces_but_no_text(model: volary.Model) -> None:
    chat = model.chat(format="g1-think")
    # The first ends the tag that begins a thought; none ends the thought.
    thinking: Any = {"max_tokens": 5, "logit_bias": {ord(">"): 1000}}
    assert list(chat.send("Hello!", **thinking)) == []
    assert [(piece.text, piece.thinking) for piece in chat.retry(**thinking).pieces()] == 4 * [(">", True)]
    assert (chat.history[-1].content, chat.history[-1].thought) == ("", ">>>>")


def test_a_reply_that_is_dropped_ends(model: volary.Model) -> None:
    chat = model.chat()
    chat.send("a", **ENDLESS)
    chat.retry(**ENDLESS)
    chat.undo()
    for _ in chat.send("b", **ENDLESS):
        break
    shown = chat.history[-1].content
    with chat.retry(**ENDLESS) as reply:
        next(reply)
    pieces = chat.alternate(**ENDLESS).pieces()
    next(pieces)
    del pieces
    chat.send("c", **FEW).close()
    assert [message.content for message in chat.history if message.role == "user"] == ["b", "c"]
    assert isinstance(shown, str)


def test_a_dropped_reply_ends_although_a_thread_still_holds_the_native_object(model: volary.Model) -> None:
    """Asyncio's threads do, for a moment after they pulled a piece."""
    chat = model.chat()
    reply = chat.send("a", **ENDLESS)
    held = reply._object
    next(reply)
    del reply
    chat.undo()
    assert held.stats().finish_reason == "cancelled"


def test_while_a_reply_runs_other_calls_are_errors(model: volary.Model) -> None:
    chat = model.chat()
    reply = chat.send("a", **ENDLESS)
    next(reply)
    with pytest.raises(volary.VolaryError, match="chat: a reply is still running; read it to its end or end it first"):
        chat.send("b")
    reply.cancel()
    list(reply)
    "".join(chat.send("b", **FEW))


def test_a_chat_has_no_state_to_take(model: volary.Model) -> None:
    reply = model.chat().send("a", **FEW)
    with pytest.raises(volary.UnsupportedError, match="a chat keeps it for itself"):
        reply.take_state()
