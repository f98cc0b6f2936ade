"""The native library: that it is there, is of this package's version, and belongs to this process."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import Any

_REMEDY = "install volary again, from where it came, with pip install --force-reinstall"


def _own_version() -> str | None:
    try:
        return metadata.version("volary")
    except metadata.PackageNotFoundError:
        # A copy without metadata, as programs that are frozen into one file have it.
        return None


version = _own_version()

try:
    from ._native import volary as generated
except Exception as error:
    # A missing file, or a library so different that functions are missing from it.
    raise ImportError(
        f"volary {version}: its native library is missing, damaged or of another version ({error}); {_REMEDY}"
    ) from error

#: The generated module, which has no types that could be checked.
native: Any = generated

if version is None:
    version = native.version()
elif native.version() != version:
    raise ImportError(f"this is volary {version}, but its native library is {native.version()}; {_REMEDY}")

#: The file of the demo model. It is a part of the package, not of the library.
demo_model = str(Path(__file__).with_name("demo.gguf"))

#: How many forks lie between the first process and this one. A fork has none of the threads that models work with.
process = 0


def _forked() -> None:
    global process
    process += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
