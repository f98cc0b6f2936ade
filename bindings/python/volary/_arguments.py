"""Arguments on their way to the library.

The library itself checks what values mean. Here only what could not cross: other types, and what does not fit. The
generated code would say neither which argument it was, nor give back what it had already handed over by then.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable
from typing import Any, SupportsFloat, SupportsIndex, TypeVar

from ._errors import InvalidArgumentError

T = TypeVar("T")

#: A path as the standard library takes them.
Path = str | os.PathLike[str]

_INT64 = range(-(1 << 63), 1 << 63)
_SEED = range(1 << 64)


def text(name: str, value: str) -> str:
    """A text. Python's may hold halves of surrogate pairs, which no encoding has."""
    if not isinstance(value, str):
        raise _wrong_type(name, "a str", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"{name}: has half a surrogate pair at index {error.start}; decode what it comes from with errors='replace'"
        ) from None
    return value


def texts(name: str, values: Iterable[str]) -> list[str]:
    """Several texts. A single one is also iterable: it would be taken for its letters."""
    if isinstance(values, str):
        raise TypeError(f"{name}: must be a list of texts, not one text; put it in brackets")
    return _each(name, values, text)


def path(name: str, value: Path) -> str:
    """A path, which must be Unicode."""
    given = os.fspath(value)
    if not isinstance(given, str):
        raise _wrong_type(name, "a str or a path of str", given)
    try:
        given.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"{name}: {given!r} is not UTF-8; rename the file") from None
    return given


def whole(name: str, value: SupportsIndex) -> int:
    """A whole number, of numpy's kinds too."""
    return _within(_INT64, name, value, "it does not fit in 64 bits")


def seed(name: str, value: SupportsIndex) -> int:
    """A seed: all of an unsigned number."""
    return _within(_SEED, name, value, f"allowed: 0 to {_SEED[-1]}")


def wholes(name: str, values: Iterable[SupportsIndex]) -> list[int]:
    """Several whole numbers, such as token ids. Bytes are no ids of theirs, though they iterate as such."""
    if isinstance(values, (str, bytes, bytearray)):
        raise _wrong_type(name, "token ids", values)
    return _each(name, values, whole)


def number(name: str, value: SupportsFloat) -> float:
    """A number with a fraction, of numpy's kinds too."""
    try:
        return value.__float__()
    except AttributeError:
        raise _wrong_type(name, "a number", value) from None
    except OverflowError:
        raise InvalidArgumentError(f"{name}: {value} is out of range; it does not fit in 64 bits") from None


def data(name: str, value: Any) -> bytes:
    """Bytes, or whatever has some, such as arrays. (``bytes(3)`` would be three of them.)"""
    try:
        return memoryview(value).tobytes()
    except TypeError:
        raise _wrong_type(name, "bytes or a buffer", value) from None


def flag(name: str, value: bool) -> bool:
    """Yes or no."""
    if value not in (True, False):
        raise _wrong_type(name, "True or False", value)
    return bool(value)


def optional(convert: Callable[[str, Any], T]) -> Callable[[str, Any], T | None]:
    """The same, or ``None``."""
    return lambda name, value: None if value is None else convert(name, value)


def _each(name: str, values: Iterable[Any], convert: Callable[[str, Any], T]) -> list[T]:
    try:
        iterator = iter(values)
    except TypeError:
        raise _wrong_type(name, "a list", values) from None
    return [convert(name, value) for value in iterator]


def _within(bounds: range, name: str, value: SupportsIndex, allowed: str) -> int:
    try:
        index = operator.index(value)
    except TypeError:
        raise _wrong_type(name, "an int", value) from None
    if index not in bounds:
        raise InvalidArgumentError(f"{name}: {index} is out of range; {allowed}")
    return index


def _wrong_type(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name}: must be {wanted}, not {type(value).__name__}")
