"""Volary and llama.cpp on the same GGUF files, side by side, as a Markdown table.

    python -m venv target/peers
    target/peers/bin/pip install -r benches/peers/requirements.txt     # builds llama.cpp, for this processor
    cargo build --release
    target/peers/bin/python benches/peers/compare.py

Each file is measured by one program and then by the other, several times in turn; the ratios are those of the medians.
Models are made and quantized in `target/peers/models`, some 12 GB with the largest.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import random_model

HERE = Path(__file__).parent
#: Layers and width of the shapes that BlinkDL publishes.
SHAPES = {"0.1B": (12, 768), "0.4B": (24, 1024), "1.5B": (24, 2048)}
FORMATS = ["Q4_0", "Q4_K", "Q5_1", "Q8_0", "F16"]


def file_of(size: str, format: str, folder: Path, volary: str) -> Path:
    """The model in a format, with llama.cpp's choice of which tensors get it; made if it is not there."""
    source, path = folder / f"{size}.safetensors", folder / f"{size}-{format}.gguf"
    if not path.exists():
        if not source.exists():
            random_model.write(source, *SHAPES[size])
        options = ["--type", format, "--policy", "llamacpp", "--encoder", "reference"]
        subprocess.run([volary, "convert", source, path, *options], check=True, stdout=subprocess.DEVNULL)
    return path


def run(command: list[str | Path]) -> dict[str, float]:
    """The JSON object that a program prints."""
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(path: Path, arguments: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Tokens per second of either program, a number for each round."""
    p, n, t = (str(x) for x in (arguments.prefill, arguments.decode, arguments.threads))
    rates = {name: {"prefill": [], "decode": []} for name in ("volary", "llama")}
    for _ in range(arguments.rounds):
        ours = run([arguments.volary, "bench", path, "-p", p, "-n", n, "-t", t, "-r", "3", "--json"])
        theirs = run([sys.executable, HERE / "llama.py", path, p, n, "3", t])
        for kind in ("prefill", "decode"):
            rates["volary"][kind].append(ours[f"{kind}_tokens_per_second"])
            rates["llama"][kind].append(theirs[kind])
    return rates


def main() -> None:
    """Prints the table, a line as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["0.1B", "0.4B", "1.5B"], choices=SHAPES)
    parser.add_argument("--formats", nargs="+", default=FORMATS)
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--models", type=Path, default=Path("target/peers/models"))
    parser.add_argument("--volary", default="target/release/volary")
    arguments = parser.parse_args()
    arguments.models.mkdir(parents=True, exist_ok=True)
    print("| model | format | decode, tokens/s | llama.cpp | ratio | prefill, tokens/s | llama.cpp | ratio |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for size in arguments.sizes:
        for format in arguments.formats:
            rates = measure(file_of(size, format, arguments.models, arguments.volary), arguments)
            cells = []
            for kind in ("decode", "prefill"):
                ours, theirs = (statistics.median(rates[name][kind]) for name in ("volary", "llama"))
                cells += [f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}"]
            print(f"| {size} | {format} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
