"""Conversations with a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _arguments as arguments
from ._arguments import Path
from ._errors import call
from ._handle import ThreadedHandle
from ._library import native
from ._options import GenerateOptions, generate_options
from ._records import Message, lifted
from ._stream import TokenStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._model import Model


class Chat(ThreadedHandle):
    """A conversation: roles, prompt formats, retry, alternate replies, undo, save. It comes from ``Model.chat``.

    One reply runs at a time. A reply that is dropped or closed ends where it was shown, and the next call works.

    >>> import volary
    >>> model = volary.Model("tests/golden/v7.pth")
    >>> chat = model.chat(system="You are brief.")
    >>> for piece in chat.send("Hello!", max_tokens=5, seed=1):
    ...     pass
    >>> [message.role for message in chat.history]
    ['system', 'user', 'assistant']
    >>> chat.undo()
    >>> [message.role for message in chat.history]
    ['system']
    """

    _comes_from = "Model.chat or Chat.load"

    @classmethod
    def load(cls, model: Model, path: Path) -> Chat:
        """Load a conversation that :meth:`save` wrote, to go on with the same model."""
        return cls._of(call(native.Chat.load, model._native, arguments.path("path", path)))

    def send(self, text: str, **options: Unpack[GenerateOptions]) -> TokenStream:
        """Say ``text`` and stream the reply."""
        return TokenStream._of(call(self._native.send, arguments.text("text", text), generate_options(options)))

    def retry(self, **options: Unpack[GenerateOptions]) -> TokenStream:
        """Replace the last reply by another one to the same message."""
        return TokenStream._of(call(self._native.retry, generate_options(options)))

    def alternate(self, **options: Unpack[GenerateOptions]) -> TokenStream:
        """As :meth:`retry`, but keep the former reply among the new one's alternatives."""
        return TokenStream._of(call(self._native.alternate, generate_options(options)))

    def undo(self) -> None:
        """Take back the last message and its reply."""
        call(self._native.undo)

    def reset(self) -> None:
        """Forget the conversation, but not the system message."""
        call(self._native.reset)

    def set_system(self, text: str | None) -> None:
        """Set, change or (``None``) remove the system message."""
        call(self._native.set_system, arguments.optional(arguments.text)("text", text))

    @property
    def history(self) -> list[Message]:
        """All messages, oldest first, the system message among them."""
        messages: list[Message] = lifted(call(self._native.history))
        return messages

    @property
    def format(self) -> str:
        """The name of the chat format."""
        name: str = call(self._native.format)
        return name

    def save(self, path: Path) -> None:
        """Save the conversation. The file appears under its name only when it is complete."""
        call(self._native.save, arguments.path("path", path))

    def close(self) -> None:
        """Close the chat: a running reply ends, and every later call is an error. Closing twice is fine."""
        super().close()
