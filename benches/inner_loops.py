"""What LLVM's models of ARM processors make of the kernels' inner loops.

    python benches/inner_loops.py [ASSEMBLY]

Compiles the library for ARM (`rustup target add aarch64-unknown-linux-gnu`), unless given what came of that, and asks
`llvm-mca` (`$LLVM_MCA`, or that of Debian's llvm-19) how many cycles a turn of each loop takes if all it loads
is in the nearest cache. A share is that of the most products of bytes a cycle that the model can do.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

TARGET = "aarch64-unknown-linux-gnu"
MCA = os.environ.get("LLVM_MCA", "llvm-mca-19")
# What each instruction adds up, in products of bytes.
PRODUCTS = {"sdot": 16, "smmla": 32}
PEAKS = {
    "sdot": [f"sdot v{i}.4s, v30.16b, v31.4b[0]" for i in range(24)],
    "smmla": [f"smmla v{i}.4s, v30.16b, v31.16b" for i in range(24)],
}
# Kernels, their format, the bytes of a block of 16 rows, and what tells its loop from others of that size.
ROWS: list[tuple[str, int, Callable[[Counter[str]], bool]]] = [
    ("Q4_0", 288, lambda ops: ops["fmla"] == 4 and not ops["tbl"]),
    ("Q4_K", 288, lambda ops: ops["fmla"] == 8),
    ("Q5_1", 384, lambda ops: ops["fmla"] == 8),
    ("Q8_0", 544, lambda _: True),
]
PROCESSORS = {"dots": ["cortex-a76", "neoverse-n2", "apple-m1"], "matrices": ["neoverse-n2"]}
COLUMNS = ["processor", "loop", "cycles", "products a cycle", "share of the peak", "bytes a cycle"]


def assembly() -> Path:
    """What the library is compiled to."""
    path = Path("target/inner_loops.s").resolve()
    command = ["cargo", "rustc", "--package", "volary", "--lib", "--crate-type", "rlib", "--release"]
    options = ["--no-default-features", "--target", TARGET, "--", "-C", "codegen-units=1", f"--emit=asm={path}"]
    subprocess.run(command + options, check=True)
    return path


def functions(path: Path) -> dict[str, list[str]]:
    """The lines of each instruction set's products."""
    name, sets = "", dict[str, list[str]]()
    for line in path.read_text().splitlines():
        if found := re.match(r"_\S*neon\S*9vectorize\d+([a-z]+)\S*:", line):
            name = found[1]
        elif line.strip().startswith(".cfi_endproc"):
            name = ""
        elif name:
            sets.setdefault(name, []).append(line)
    return sets


def loops(lines: list[str]) -> Iterator[list[str]]:
    """The instructions of the innermost loops."""
    labels, ranges = dict[str, int](), list[tuple[int, int]]()
    for index, line in enumerate(lines):
        if found := re.match(r"(\.LBB\w+):", line):
            labels[found[1]] = index
        found = re.match(r"\s+(?:b\.\w+|cbn?z|tbn?z|b)\s+(?:.*,\s*)?(\.LBB\w+)", line)
        if found and found[1] in labels:
            ranges.append((labels[found[1]], index))
    for first, last in ranges:
        if not any(first <= a and b <= last for a, b in ranges if (a, b) != (first, last)):
            yield [line for line in lines[first : last + 1] if re.match(r"\s+[a-z]", line)]


def count(instructions: list[str]) -> Counter[str]:
    """How often there is each instruction."""
    return Counter(line.split()[0] for line in instructions)


def steps(loop: list[str], size: int) -> bool:
    """Whether a turn goes on by so many bytes."""
    return any(re.match(rf"\s+add\s+x\d+, x\d+, #{size}$", line) for line in loop)


def cycles(instructions: list[str], processor: str) -> float:
    """Of one turn."""
    turns = 200
    source = "\n".join(line for line in instructions if not re.match(r"\s*(b\.|cb|tb|b\s)", line))
    command = [MCA, "-mtriple=aarch64", f"-mcpu={processor}", "-mattr=+dotprod,+i8mm", f"-iterations={turns}"]
    report = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout
    if found := re.search(r"Total Cycles:\s+(\d+)", report):
        return int(found[1]) / turns
    raise SystemExit(f"{MCA} gave no cycles")


def wanted(name: str, instruction: str, lines: list[str]) -> Iterator[tuple[str, list[str], int]]:
    """The loops to be looked at: for what, the instructions, the bytes of weights in a turn."""
    found = [(loop, count(loop)) for loop in loops(lines)]
    many = [loop for loop, ops in found if ops[instruction] >= 32 and not ops["fmla"]]
    yield f"{instruction}, many rows", min(many, key=len), 0
    for format, size, belongs in ROWS if name == "dots" else []:
        one = [loop for loop, ops in found if ops["sdot"] == 32 and belongs(ops) and steps(loop, size)]
        yield f"{instruction}, {format}, one row", min(one, key=len), size


def main() -> None:
    """Prints the table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else assembly()
    print("|", " | ".join(COLUMNS), "|\n|---|---|--:|--:|--:|--:|")
    for name, lines in functions(path).items():
        instruction = "smmla" if name == "matrices" else "sdot"
        for processor in PROCESSORS.get(name, []):
            best = len(PEAKS[instruction]) / cycles(PEAKS[instruction], processor)
            for what, loop, size in wanted(name, instruction, lines):
                turn = cycles(loop, processor)
                dots = count(loop)[instruction] / turn
                width = f"{size / turn:.1f}" if size else ""
                row = [
                    processor,
                    what,
                    f"{turn:.0f}",
                    f"{PRODUCTS[instruction] * dots:.0f}",
                    f"{dots / best:.0%}",
                    width,
                ]
                print("|", " | ".join(row), "|")


if __name__ == "__main__":
    main()
