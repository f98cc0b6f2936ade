"""What streaming through Python adds to a token, in microseconds. Run on demand:

    python bindings/python/tests/overhead.py [MODEL]

It is the time that a loop over a stream takes, less what the native side reports for its work.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import volary

TOKENS = 500
REPEATS = 45


async def _drain(stream: volary.TokenStream) -> None:
    async for _ in stream:
        pass


def _pieces(stream: volary.TokenStream) -> None:
    for _ in stream.pieces():
        pass


def _strings(stream: volary.TokenStream) -> None:
    for _ in stream:
        pass


WAYS: dict[str, Callable[[volary.TokenStream], None]] = {
    "for piece in stream": _strings,
    "for piece in stream.pieces()": _pieces,
    "async for piece in stream": lambda stream: asyncio.run(_drain(stream)),
}


def microseconds(model: volary.Model, way: Callable[[volary.TokenStream], None]) -> tuple[float, float]:
    """Overhead and native work for each token."""
    stream = model.generate("Once upon a time", max_tokens=TOKENS, ignore_eos=True, seed=1)
    began = time.perf_counter()
    way(stream)
    wall = time.perf_counter() - began
    stats = stream.stats
    native = stats.timings.prefill_seconds + stats.timings.decode_seconds
    assert stats.usage.generated_tokens == TOKENS
    return (wall - native) / TOKENS * 1e6, native / TOKENS * 1e6


def main() -> None:
    """Prints a line for each way to stream."""
    golden = Path(__file__).resolve().parents[3] / "tests" / "golden"
    model = volary.Model(sys.argv[1] if len(sys.argv) > 1 else golden / "v7.pth")
    print(f"{TOKENS} tokens, microseconds a token, least and median of {REPEATS} runs")
    # By turns, so that what else the machine does falls on all.
    turns = [[microseconds(model, way) for way in WAYS.values()] for _ in range(REPEATS)]
    for name, runs in zip(WAYS, zip(*turns, strict=True), strict=True):
        overhead, native = zip(*runs, strict=True)
        print(
            f"{name:30} {min(overhead):7.1f} {statistics.median(overhead):7.1f}"
            f"   over {statistics.median(native):7.1f} of native work"
        )


if __name__ == "__main__":
    main()
