"""RWKV language models on the CPU.

>>> import volary
>>> model = volary.Model("tests/golden/v7.pth")
>>> for piece in model.generate("Once upon a time", max_tokens=3, temperature=0):
...     text = piece  # print(piece, end="", flush=True)
"""

from ._chat import Chat
from ._errors import (
    BusyError,
    CancelledError,
    ClosedError,
    FormatError,
    InternalError,
    InvalidArgumentError,
    IoError,
    MismatchError,
    NotFoundError,
    UnsupportedError,
    VolaryError,
)
from ._library import version as __version__
from ._model import Model
from ._options import GenerateOptions
from ._records import (
    Alternative,
    BenchReport,
    Completion,
    ConvertReport,
    FormatReport,
    FormatShare,
    Lora,
    MergeSummary,
    Message,
    ModelInfo,
    PerplexityReport,
    Piece,
    Stats,
    TensorInfo,
    Timings,
    TokenLogprob,
    Usage,
)
from ._state import State
from ._stream import TokenStream
from ._tokenizer import Tokenizer
from ._tools import bench, compare_formats, convert, memory_bandwidth, merge_lora, perplexity, read_info

__all__ = [
    "Alternative",
    "BenchReport",
    "BusyError",
    "CancelledError",
    "Chat",
    "ClosedError",
    "Completion",
    "ConvertReport",
    "FormatError",
    "FormatReport",
    "FormatShare",
    "GenerateOptions",
    "InternalError",
    "InvalidArgumentError",
    "IoError",
    "Lora",
    "MergeSummary",
    "Message",
    "MismatchError",
    "Model",
    "ModelInfo",
    "NotFoundError",
    "PerplexityReport",
    "Piece",
    "State",
    "Stats",
    "TensorInfo",
    "Timings",
    "TokenLogprob",
    "TokenStream",
    "Tokenizer",
    "UnsupportedError",
    "Usage",
    "VolaryError",
    "__version__",
    "bench",
    "compare_formats",
    "convert",
    "memory_bandwidth",
    "merge_lora",
    "perplexity",
    "read_info",
]

# Tracebacks name the classes as programs do, and what was pickled does not depend on this package's files.
for _name in __all__:
    if _name != "__version__":
        globals()[_name].__module__ = "volary"
del _name
