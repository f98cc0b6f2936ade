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
REPEATS = 15


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
    print(f"{TOKENS} tokens, medians of {REPEATS} runs, microseconds a token")
    for name, way in WAYS.items():
        runs = [microseconds(model, way) for _ in range(REPEATS)]
        overhead, native = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:30} {overhead:7.1f} over {native:7.1f} of native work")


if __name__ == "__main__":
    main()
