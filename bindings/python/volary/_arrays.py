"""Numbers in bulk: numpy arrays where numpy is there, otherwise buffers that anything can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    # Without numpy it is a memoryview of float. A type checker that does not find numpy either takes it for Any, so
    # that both kinds of program check without casts.
    Floats: TypeAlias = numpy.typing.NDArray[numpy.float32]
else:
    Floats = Any


def floats(data: bytes, rows: int | None = None) -> Floats:
    """The float32 numbers of some bytes, writable: ``[n]``, or ``[rows, n]``."""
    try:
        import numpy
    except ImportError:
        view: Any = memoryview(bytearray(data))
        return view.cast("f") if rows is None else view.cast("f", (rows, len(data) // 4 // rows))
    array = numpy.frombuffer(bytearray(data), dtype="<f4")
    return array if rows is None else array.reshape(rows, -1)
