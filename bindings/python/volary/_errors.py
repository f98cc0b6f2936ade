"""The errors of the package: one class per kind, with the library's message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ._library import native

T = TypeVar("T")


class VolaryError(Exception):
    """Base of every error that Volary raises. Its text is one line: what was wrong, where, and what to do.

    >>> import volary
    >>> try:
    ...     volary.Model("none.gguf")
    ... except volary.VolaryError as error:
    ...     print(error)
    none.gguf: no such file; check the path
    """


class IoError(VolaryError, OSError):
    """A file could not be opened, read or written."""


class NotFoundError(IoError, FileNotFoundError):
    """There is no such file."""


class FormatError(VolaryError, ValueError):
    """A file is damaged, or is not what it was given as."""


class UnsupportedError(VolaryError):
    """The input is sound, but this version of Volary cannot use it."""


class MismatchError(VolaryError, ValueError):
    """Two things that must belong together do not: a model and a tokenizer, a model and a state."""


class InvalidArgumentError(VolaryError, ValueError):
    """An argument or option is outside what it may be."""


class CancelledError(VolaryError):
    """The work was cancelled."""


class ClosedError(VolaryError, ValueError):
    """The object was closed."""


class BusyError(VolaryError, RuntimeError):
    """Another call is using the object."""


class InternalError(VolaryError, RuntimeError):
    """A fault of Volary itself."""


_KINDS: dict[str, type[VolaryError]] = {
    "NotFound": NotFoundError,
    "Io": IoError,
    "Format": FormatError,
    "Unsupported": UnsupportedError,
    "Mismatch": MismatchError,
    "InvalidArgument": InvalidArgumentError,
    "Cancelled": CancelledError,
    "Closed": ClosedError,
    "Busy": BusyError,
    "Internal": InternalError,
}

#: What the generated module raises: an error of the library, or a panic in it.
NATIVE_ERRORS = (native.VolaryError, native.InternalError)


def translated(error: Exception) -> VolaryError:
    """The package's error for one of the generated module's."""
    if isinstance(error, native.VolaryError):
        return _KINDS.get(type(error).__name__, InternalError)(str(error))
    return InternalError(f"volary: a fault of its own, please report it: {error}")


def call(function: Callable[..., T], *arguments: Any) -> T:
    """Calls the library; its errors become the package's."""
    try:
        return function(*arguments)
    except NATIVE_ERRORS as error:
        raise translated(error) from None
