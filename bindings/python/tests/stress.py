"""Threads for a minute, then ten thousand objects made and closed, with the memory measured. Run on demand:

    python bindings/python/tests/stress.py [SECONDS] [CYCLES]

Exit status 1 if a text differs from the single-threaded one, or if memory grows.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
from pathlib import Path

import volary

MODEL = Path(__file__).resolve().parents[3] / "tests" / "golden" / "v7.pth"
THREADS = 8
#: What 10,000 cycles may add: a leak of 400 bytes a cycle would show. A leaked model or state is far more than that.
ALLOWED_MEGABYTES = 4.0


def threads(seconds: float) -> int:
    """Eight threads share a model, each with a state of its own. Returns how many texts were wrong."""
    model = volary.Model(MODEL)
    states = [model.prefill(f"Thread {i}") for i in range(THREADS)]
    expected = [model.complete("!", state=states[i], max_tokens=100, seed=i).text for i in range(THREADS)]
    texts, wrong = [0] * THREADS, [0] * THREADS
    until = time.monotonic() + seconds

    def work(i: int) -> None:
        while time.monotonic() < until:
            own = states[i].clone()
            text = "".join(model.generate("!", state=own, max_tokens=100, seed=i))
            model.decode(i, own)
            texts[i] += 1
            wrong[i] += text != expected[i]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"{THREADS} threads, {seconds:.0f} s: {sum(texts)} texts, {sum(wrong)} of them wrong")
    return sum(wrong)


def resident_megabytes() -> float:
    """Of this process. Linux tells; elsewhere the memory is not measured."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return 0.0
    return pages * 4096 / 1e6


def cycle(number: int, shared: volary.Model) -> None:
    """Makes one of everything; every second one is closed, the others are dropped."""
    model = volary.Model(MODEL, threads=1) if number % 20 in (0, 11) else shared
    state = model.prefill("a")
    copy = volary.State.from_bytes(state.to_bytes())
    stream = model.generate("b", state=copy, max_tokens=3)
    next(stream, None)
    chat = model.chat(system="c")
    next(chat.send("d", max_tokens=2), None)
    _, after = model.eval(1, state)
    tokenizer = model.tokenizer
    for wrong in ({"prompt": "e", "max_tokens": -1}, {"prompt": "\ud800"}):
        with contextlib.suppress(volary.InvalidArgumentError):
            model.generate(**wrong)
    if number % 2:
        for each in (stream, chat, state, copy, after, tokenizer):
            each.close()
        if model is not shared:
            model.close()


def cycles(count: int) -> float:
    """Returns by how many megabytes the process grew, its beginning left out."""
    shared = volary.Model(MODEL, threads=1)
    for number in range(count // 5):
        cycle(number, shared)
    gc.collect()
    before = resident_megabytes()
    for number in range(count):
        cycle(number, shared)
    gc.collect()
    grown = resident_megabytes() - before
    print(f"{count} cycles: from {before:.1f} MB by {grown:+.1f} MB")
    return grown


def main() -> None:
    """Runs both, and exits with what came of them."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    wrong = threads(seconds)
    grown = cycles(count)
    sys.exit(1 if wrong or grown > ALLOWED_MEGABYTES else 0)


if __name__ == "__main__":
    main()
