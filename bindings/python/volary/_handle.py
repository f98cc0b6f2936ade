"""What all objects of the library have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from . import _library
from ._errors import ClosedError, UnsupportedError

if TYPE_CHECKING:
    from typing_extensions import Self


class Handle:
    """Holds an object of the library. It can be closed, and is closed when it is dropped."""

    #: What to say to someone who would construct one, where it comes from elsewhere.
    _comes_from: str
    _object: Any
    _process: int

    def __init__(self) -> None:
        raise TypeError(f"a {type(self).__name__} comes from {self._comes_from}")

    @classmethod
    def _of(cls, native_object: Any) -> Self:
        self = cls.__new__(cls)
        self._hold(native_object)
        return self

    def _hold(self, native_object: Any) -> None:
        self._object, self._process = native_object, _library.process

    @property
    def _native(self) -> Any:
        return self._object

    def close(self) -> None:
        """Close it: every later call is an error. Closing twice is fine."""
        self._object.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, _: object) -> NoReturn:
        # A copy of the number inside would free the native object a second time.
        raise TypeError(f"a {type(self).__name__} cannot be copied or pickled")


def shown(kind: str, described: Callable[[], str]) -> str:
    """What a person is told of an object: what ``described`` gives, unless it is closed."""
    try:
        return f"{kind}({described()})"
    except ClosedError:
        return f"{kind}(closed)"


class ThreadedHandle(Handle):
    """An object that works with threads, which a process that is forked off does not get: a call would never end."""

    @property
    def _native(self) -> Any:
        if self._process != _library.process:
            raise UnsupportedError(
                f"{type(self).__name__}: belongs to the process that this one was forked from; "
                "open the model in this process, or start processes by multiprocessing's method 'spawn'"
            )
        return self._object


class SharedHandle(Handle):
    """An object that never changes: a copy is the same object."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self
