"""Records a terminal session of the demo model, from the command itself, as an SVG.

pip install pyte
cargo build --release
python tools/terminal.py docs/images/terminal.svg
"""

import os
import pty
import select
import sys
import time
from html import escape
from pathlib import Path

import pyte

COLUMNS, ROWS = 92, 22
#: What is typed, line by line; each waits until the one before has had its answer.
TYPED = [
    'volary complete "Once upon a time" --seed 15 -n 64',
    "volary chat --seed 4 -n 60",
    "Who are you?",
    "Tell me about a king.",
]
CELL, LINE, MARGIN = 8.43, 19, 18
BACKGROUND, TEXT, TYPED_COLOUR = "#1b1f27", "#d7dae0", "#8fd0a0"


def record() -> list[str]:
    """The lines of the screen after the session."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    program, terminal = pty.fork()
    if program == 0:
        path = f"{Path('target/release').resolve()}:{os.environ['PATH']}"
        environment = {"PATH": path, "TERM": "xterm", "PS1": "$ ", "LANG": "C.UTF-8", "HOME": "/"}
        environment |= {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "BASH_SILENCE_DEPRECATION_WARNING": "1"}
        os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)
    settle(terminal, stream)
    for line in TYPED:
        os.write(terminal, f"{line}\r".encode())
        settle(terminal, stream)
    os.close(terminal)
    os.waitpid(program, 0)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1].strip("> "):
        lines.pop()
    return lines


def settle(terminal: int, stream: pyte.ByteStream) -> None:
    """Reads until nothing has come for a second."""
    deadline = time.monotonic() + 1
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            stream.feed(os.read(terminal, 4096))
            deadline = time.monotonic() + 1


def drawn(lines: list[str]) -> str:
    """The lines as a picture of a terminal."""
    width, height = MARGIN * 2 + CELL * COLUMNS, MARGIN * 2 + LINE * len(lines)
    font = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    style = f"font-family: {font}; font-size: 14px; white-space: pre"
    size = f'width="{width:.0f}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" {size}>',
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        f'<g style="{style}" fill="{TEXT}">',
    ]
    for row, line in enumerate(lines):
        if not line:
            continue
        y = MARGIN + LINE * (row + 0.75)
        colour = f' fill="{TYPED_COLOUR}"' if line.startswith(("$ ", "> ")) else ""
        length = f'textLength="{CELL * len(line):.1f}"'
        parts.append(f'<text x="{MARGIN}" y="{y:.1f}" {length}{colour} xml:space="preserve">{escape(line)}</text>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(drawn(record()), encoding="utf-8")
