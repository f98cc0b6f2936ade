"""The examples, as users start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import volary
from conftest import ROOT

FOLDER = ROOT / "examples" / "python"
#: Python would write what the terminal's encoding cannot hold as an error.
ENVIRONMENT = {**os.environ, "PYTHONIOENCODING": "utf-8"}


def start(name: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, FOLDER / name, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )


def run(name: str, *arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
    child = start(name, *arguments)
    stdout, stderr = child.communicate(stdin.encode(), timeout=60)
    # Not in text mode, which would change the line breaks that the model writes.
    return child.returncode, stdout.decode(), stderr.decode()


def test_completion_streams_the_text(golden: Path, model: volary.Model) -> None:
    options = ["--max-tokens", "20", "--temperature", "1.5", "--top-p", "0.9", "--seed", "7"]
    status, stdout, stderr = run("completion.py", golden / "v7.pth", "Once", *options)
    expected = model.complete("Once", max_tokens=20, temperature=1.5, top_p=0.9, seed=7).text
    assert (status, stdout) == (0, f"Once{expected}{os.linesep}"), stderr
    assert stderr.startswith("20 tokens, ") and stderr.rstrip().endswith("seed 7")


def test_chat_answers_every_line(golden: Path, model: volary.Model) -> None:
    lines = "Hello!\n/retry\n\n/undo\n/undo\n/reset\nBye\n"
    options = ["--system", "You are brief.", "--max-tokens", "8", "--temperature", "1", "--seed", "7"]
    status, stdout, stderr = run("chat.py", golden / "v7.pth", *options, stdin=lines)
    assert status == 0, stderr
    chat = model.chat(system="You are brief.")
    replies = ["".join(chat.send(text, max_tokens=8, temperature=1, seed=7)) for text in ("Hello!", "Bye")]
    assert stdout.startswith(f"> {replies[0]}") and stdout.count("> ") >= 8
    # There is nothing to undo the second time.
    assert stderr.startswith("undo: there is no message") and stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "stdin"), [("completion.py", ""), ("chat.py", "Hello!\n")])
def test_without_a_model_the_demo_writes(name: str, stdin: str) -> None:
    status, stdout, stderr = run(name, "--max-tokens", "20", "--temperature", "0", stdin=stdin)
    assert status == 0, stderr
    assert stderr.startswith("This is the demo") and "`volary models`" in stderr
    assert len(stdout.split()) > 8


@pytest.mark.parametrize("name", ["completion.py", "chat.py"])
def test_a_missing_model_is_a_helpful_message(name: str, tmp_path: Path) -> None:
    status, stdout, stderr = run(name, tmp_path / "none.pth")
    assert (status, stdout) == (1, "")
    assert "none.pth: no such file; check the path" in stderr and "https://huggingface.co/BlinkDL" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize("name", ["completion.py", "chat.py"])
def test_a_file_that_is_no_model_is_one_line(name: str, golden: Path) -> None:
    status, _, stderr = run(name, golden / "not-rwkv.pth")
    assert status == 1 and stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_ends_a_completion(golden: Path) -> None:
    child = start("completion.py", golden / "v7.pth", "Once", "--max-tokens", "1000000000")
    assert child.stdout and child.stdout.read(6)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr) == (130, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_ends_a_reply_and_the_chat_goes_on(golden: Path) -> None:
    child = start("chat.py", golden / "v7.pth", "--max-tokens", "1000000000")
    assert child.stdin and child.stdout
    child.stdin.write(b"Hello!\n")
    child.stdin.flush()
    assert child.stdout.read(4)
    child.send_signal(signal.SIGINT)
    shown = b""
    while not shown.endswith(f" …{os.linesep}> ".encode()):
        shown += child.stdout.read(1) or pytest.fail(f"ended after {shown!r}")
    child.stdin.write(b"/undo\n")
    _, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr) == (0, b"")
