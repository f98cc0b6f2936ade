"""What takes long: progress, and Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from ._errors import call

#: ``True`` shows a bar on stderr if that is a terminal. A function is called with the fraction done, from 0 to 1; if it
#: returns ``False`` (not just nothing), the work is cancelled, and the call raises ``CancelledError``.
Progress = bool | Callable[[float], object] | None

# Python looks at signals between two waits.
_WAIT_MILLISECONDS = 50


def run(what: str, progress: Progress, start: Callable[..., Any], *arguments: Any) -> Any:
    """Starts a job, waits for it and returns its outcome. An exception meanwhile, such as Ctrl-C, cancels it first."""
    tell = _teller(what, progress)
    # Told before the start: whoever cancels at the first report is in time, however small the work.
    go_on = tell(0.0)
    job = call(start, *arguments)
    try:
        if go_on is False:
            job.cancel()
        while (fraction := job.progress(_WAIT_MILLISECONDS)) is not None:
            if tell(fraction) is False:
                job.cancel()
    except BaseException:
        job.cancel()
        # It has ended when this returns: no thread is left at work, no file half written.
        while job.progress(1000) is not None:
            pass
        raise
    finally:
        if isinstance(tell, _Bar):
            tell.clear()
    outcome = call(job.result)
    tell(1.0)
    return outcome


def _teller(what: str, progress: Progress) -> Callable[[float], object]:
    if callable(progress):
        return progress
    if progress and sys.stderr is not None and sys.stderr.isatty():
        return _Bar(what)
    return lambda fraction: None


class _Bar:
    """A bar on stderr, once the work has taken a second."""

    WIDTH = 40
    PATIENCE_SECONDS = 1.0

    def __init__(self, what: str) -> None:
        self.what, self.started, self.shown = what, time.monotonic(), False

    def __call__(self, fraction: float) -> None:
        elapsed = time.monotonic() - self.started
        if elapsed < self.PATIENCE_SECONDS or fraction >= 1.0:
            return
        self.shown = True
        done = int(fraction * self.WIDTH)
        left = f"{elapsed / fraction - elapsed:.0f} s left" if fraction > 0.01 else ""
        bar = "#" * done + "." * (self.WIDTH - done)
        print(f"\r{self.what} [{bar}] {fraction:4.0%} {left:12}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
