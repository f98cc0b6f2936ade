"""Measures llama.cpp, in a process of its own: prints one JSON object.

python benches/peers/llama.py MODEL PREFILL DECODE REPEATS THREADS
"""

import json
import statistics
import sys
import time

from llama_cpp import Llama


def main() -> None:
    """Measures the model that the command line names."""
    path, *numbers = sys.argv[1:]
    prefill, decode, repeats, threads = map(int, numbers)
    options = {"n_threads": threads, "n_threads_batch": threads, "verbose": False}
    model = Llama(path, n_ctx=prefill + decode + 8, n_batch=512, **options)
    n_vocab = model.n_vocab()
    prompt = [(i * 7919 + 13) % n_vocab for i in range(prefill)]
    reading, writing = [], []
    for _ in range(repeats):
        model.reset()
        # The state of a recurrent model stays in the context otherwise.
        model._ctx.memory_clear(True) if hasattr(model._ctx, "memory_clear") else model._ctx.kv_cache_clear()
        started = time.perf_counter()
        model.eval(prompt)
        reading.append(prefill / (time.perf_counter() - started))
        started = time.perf_counter()
        for i in range(decode):
            model.eval([(i * 31 + 7) % n_vocab])
        writing.append(decode / (time.perf_counter() - started))
    print(json.dumps({"prefill": statistics.median(reading), "decode": statistics.median(writing)}))


if __name__ == "__main__":
    main()
