"""Volary's and llama.cpp's quantizers on the same GGUF file: seconds and memory.

    target/peers/bin/python benches/peers/quantize.py                  # after the preparations of compare.py

Each takes its turn several times, on as many threads, with the plain encoder that both have.
"""

import argparse
import ctypes
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from compare import SHAPES, file_of

#: llama.cpp's numbers of the file types (`llama_ftype`).
LLAMA_TYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K": 14, "Q5_K": 16, "Q6_K": 18}


def llama(source: str, target: str, format: str, threads: str) -> None:
    """llama.cpp's quantizer, in this process."""
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.nthread, parameters.ftype = int(threads), LLAMA_TYPES[format]
    llama_cpp.llama_log_set(ctypes.cast(None, llama_cpp.llama_log_callback), None)
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), parameters) != 0:
        sys.exit(f"llama.cpp could not quantize {source}")


def measure(command: list[str | Path]) -> tuple[float, float]:
    """How long a program takes, in seconds, and the most memory that it has resident, in GB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, usage.ru_maxrss * unit / 1e9


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1.5B", choices=SHAPES)
    parser.add_argument("--formats", nargs="+", default=["Q4_0"], choices=LLAMA_TYPES)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=Path, default=Path("target/peers/models"))
    parser.add_argument("--volary", default="target/release/volary")
    arguments = parser.parse_args()
    arguments.models.mkdir(parents=True, exist_ok=True)
    # In a process of its own: Linux counts what the parent had resident for what it starts.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        source = pool.apply(file_of, (arguments.size, "F16", arguments.models, arguments.volary))
    print("| model | format | volary, s | llama.cpp, s | ratio | volary, peak GB | llama.cpp, peak GB |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for format in arguments.formats:
        target = arguments.models / "quantized.gguf"
        options = ["--type", format, "--policy", "llamacpp", "--encoder", "reference", "--threads", arguments.threads]
        ours = [arguments.volary, "convert", source, target, *options]
        theirs = [sys.executable, __file__, "llama", source, target, format, arguments.threads]
        rounds = [(*measure(ours), *measure(theirs)) for _ in range(arguments.rounds)]
        a, a_peak, b, b_peak = (statistics.median(column) for column in zip(*rounds, strict=True))
        memory = f"{a_peak:.2f} | {b_peak:.2f}"
        print(f"| {arguments.size} | {format} | {a:.1f} | {b:.1f} | {b / a:.2f} | {memory} |", flush=True)
        target.unlink()


if __name__ == "__main__":
    llama(*sys.argv[2:]) if sys.argv[1:2] == ["llama"] else main()
