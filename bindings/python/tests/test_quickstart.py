"""The chat bot that docs/quickstart.md has a newcomer write. Its code is in the page only, and runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
BOT, AFTERWARDS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def run(folder: Path, script: str, *arguments: str, stdin: str = "") -> str:
    (folder / "bot.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "bot.py", *arguments],
        input=stdin.encode(),
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("model", [[], [str(ROOT / "tests" / "golden" / "v7.pth")]], ids=["demo", "file"])
def test_the_bot_answers_again_and_remembers(model: list[str], tmp_path: Path) -> None:
    shown = run(tmp_path, BOT, *model, stdin="Who are you?\nagain\nTell me of a king.\n")
    assert shown.count("You: ") == 4 and shown.count("Bot: ") == 3
    assert (tmp_path / "talk.volary").stat().st_size > 0


def test_the_conversation_can_be_read_afterwards(tmp_path: Path) -> None:
    run(tmp_path, BOT, stdin="Who are you?\n")
    lines = run(tmp_path, AFTERWARDS).splitlines()
    assert lines[0] == "system: You are a friendly storyteller." and lines[1] == "user: Who are you?"
    assert lines[2].startswith("assistant: ")
