"""Text to token ids and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import _arguments as arguments
from ._arguments import Path
from ._errors import call
from ._handle import SharedHandle, shown
from ._library import native

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Tokenizer(SharedHandle):
    """Turns text into token ids and back. It comes with a model, or from a file.

    >>> import volary
    >>> tokenizer = volary.Tokenizer.world()
    >>> tokenizer.encode("Hello, world!")
    [33155, 45, 40213, 34]
    >>> tokenizer.decode([33155, 45, 40213, 34])
    'Hello, world!'
    """

    def __init__(self, path: Path) -> None:
        """Open a Hugging Face ``tokenizer.json`` or a World vocabulary; which it is, the content tells."""
        self._hold(call(native.Tokenizer.open, arguments.path("path", path)))

    @classmethod
    def world(cls) -> Tokenizer:
        """Return the RWKV World vocabulary, which is built in."""
        return cls._of(native.Tokenizer.world())

    @classmethod
    def raw_bytes(cls) -> Tokenizer:
        """Return the tokenizer of raw bytes: 256 ids, each its byte."""
        return cls._of(native.Tokenizer.raw_bytes())

    @classmethod
    def of_model(cls, path: Path) -> Tokenizer:
        """Return the tokenizer of the model in a file, without loading the model."""
        return cls._of(call(native.Tokenizer.of_model, arguments.path("path", path)))

    def __repr__(self) -> str:
        return shown("Tokenizer", lambda: f"{self.name}, {self.n_vocab} ids")

    @property
    def name(self) -> str:
        """What kind it is: ``world``, ``bytes``, ``hugging-face`` or ``vocabulary``."""
        name: str = call(self._native.name)
        return name

    @property
    def n_vocab(self) -> int:
        """One more than the highest id."""
        n_vocab: int = call(self._native.n_vocab)
        return n_vocab

    @property
    def end_of_text(self) -> int | None:
        """The token that ends a text, if there is one."""
        token: int | None = call(self._native.end_of_text)
        return token

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text. Text never turns into control tokens, whatever it says."""
        ids: list[int] = call(self._native.encode, arguments.text("text", text))
        return ids

    def encode_bytes(self, data: Buffer) -> list[int]:
        """Return the ids of bytes that need not be UTF-8."""
        ids: list[int] = call(self._native.encode_bytes, arguments.data("data", data))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of some ids. Bytes that are not UTF-8 become U+FFFD."""
        text: str = call(self._native.decode, arguments.wholes("ids", ids))
        return text

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes that some ids stand for."""
        data: bytes = call(self._native.decode_bytes, arguments.wholes("ids", ids))
        return data
