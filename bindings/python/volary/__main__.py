"""The ``volary`` command: the same as the Rust one."""

from __future__ import annotations

import signal
import sys

from . import _arguments as arguments
from ._errors import VolaryError, call
from ._library import demo_model, native


def main() -> None:
    """Run the command with the process's arguments, and exit with its status."""
    # The command handles Ctrl-C by itself; Python's handler would only hear of it afterwards.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        status = call(native.run_command, arguments.texts("arguments", sys.argv[1:]), demo_model)
    except VolaryError as error:
        print(f"volary: {error}", file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
