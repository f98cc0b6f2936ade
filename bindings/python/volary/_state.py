"""States: what a model remembers of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _arguments as arguments
from ._arguments import Path
from ._arrays import Floats, floats
from ._errors import call
from ._handle import Handle
from ._library import native

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from ._model import Model


class State(Handle):
    """What a model remembers of a text: of fixed size, however long the text.

    It belongs to the model's weights. It can be cloned, copied, pickled and saved. One call uses it at a time; a second
    one meanwhile is a :class:`BusyError`.

    >>> import pickle, volary
    >>> model = volary.Model("tests/golden/v7.pth")
    >>> state = model.prefill("Once upon")
    >>> same = pickle.loads(pickle.dumps(state))
    >>> same.to_bytes() == state.to_bytes()
    True
    """

    _comes_from = "Model.new_state, Model.prefill, Model.eval, State.load or State.from_bytes"

    @classmethod
    def load(cls, model: Model, path: Path) -> State:
        """Load a state of ``model`` that :meth:`save` wrote."""
        return cls._of(call(native.State.load, model._native, arguments.path("path", path)))

    @classmethod
    def from_bytes(cls, data: Buffer) -> State:
        """Make a state of what :meth:`to_bytes` gave. Whether it is of the right model is checked when it is used."""
        return cls._of(call(native.State.from_bytes, arguments.data("data", data)))

    @classmethod
    def from_floats(cls, model: Model, floats: Buffer) -> State:
        """Make a state of ``model`` from float32 numbers in rwkv.cpp's layout."""
        return cls._of(call(native.State.from_floats, model._native, arguments.data("floats", floats)))

    def clone(self) -> State:
        """Return a copy that goes its own way."""
        return State._of(call(self._native.duplicate))

    def save(self, path: Path) -> None:
        """Save the state. The file appears under its name only when it is complete."""
        call(self._native.save, arguments.path("path", path))

    def to_bytes(self) -> bytes:
        """Return the state in Volary's file form."""
        data: bytes = call(self._native.to_bytes)
        return data

    def to_floats(self) -> Floats:
        """Return the state as float32 numbers in rwkv.cpp's layout."""
        return floats(call(self._native.to_floats))

    def __copy__(self) -> State:
        return self.clone()

    def __deepcopy__(self, _: object) -> State:
        return self.clone()

    def __reduce_ex__(self, _: object) -> tuple[Callable[[bytes], State], tuple[bytes]]:  # type: ignore[override]
        return State.from_bytes, (self.to_bytes(),)
