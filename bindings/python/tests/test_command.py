"""The `volary` command, which is the Rust one."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import select
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import volary

SCRIPT = str(Path(sysconfig.get_path("scripts")) / "volary")
COMMANDS = pytest.mark.parametrize("command", [[SCRIPT], [sys.executable, "-m", "volary"]], ids=["script", "module"])


def run(command: list[str], *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, timeout=60, check=False)


@COMMANDS
def test_it_completes_as_the_package_does(command: list[str], golden: Path, model: volary.Model) -> None:
    done = run(command, "complete", golden / "v7.pth", "Once", "--seed", "1", "--max-tokens", "20")
    assert done.returncode == 0, done.stderr
    assert model.complete("Once", seed=1, max_tokens=20).text in done.stdout.decode()


@COMMANDS
def test_without_a_model_the_demo_of_the_package_writes(command: list[str]) -> None:
    done = run(command, "complete", "Once upon a time", "--seed", "1", "--max-tokens", "20")
    assert done.returncode == 0 and b"demo" in done.stderr and done.stderr.count(b"\n") == 1, done.stderr
    with volary.Model.demo() as demo:
        assert demo.complete("Once upon a time", seed=1, max_tokens=20).text in done.stdout.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_prompt_comes_before_the_text(golden: Path) -> None:
    arguments = ["complete", str(golden / "v7.pth"), "Once", "--seed", "1", "--max-tokens", "3"]
    ours, theirs = os.openpty()
    subprocess.run([SCRIPT, *arguments], stdout=theirs, timeout=60, check=True)
    os.close(theirs)
    assert os.read(ours, 100).startswith(b"Once")
    os.close(ours)
    assert not run([SCRIPT], *arguments).stdout.startswith(b"Once")


@COMMANDS
def test_it_says_its_version_and_explains_itself(command: list[str]) -> None:
    assert run(command, "--version").stdout.decode().split() == ["volary", importlib.metadata.version("volary")]
    assert run(command, "--help").stdout.startswith(b"RWKV language models on the CPU")


@COMMANDS
def test_failures_are_one_line_and_a_status(command: list[str], tmp_path: Path) -> None:
    failed = run(command, "info", tmp_path / "none.pth")
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert failed.stderr.decode() == f"volary: {tmp_path / 'none.pth'}: no such file; check the path\n"
    assert run(command, "fly").returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@COMMANDS
@pytest.mark.parametrize("verb", ["complete", "chat"])
def test_ctrl_c_ends_it_with_130_and_no_traceback(command: list[str], verb: str, golden: Path) -> None:
    words = ["Hello"] if verb == "complete" else []
    arguments = [verb, str(golden / "v7.pth"), *words, "--ignore-eos", "-n", "1000000000"]
    child = subprocess.Popen(
        [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdin and child.stdout
    child.stdin.write(b"Hello\n")
    child.stdin.flush()
    assert child.stdout.read(1)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr) == (130, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has only Unicode there")
def test_an_argument_that_is_not_unicode_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "volary", "info", os.fsencode(tmp_path) + b"/\xff.pth"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"volary: arguments: has half a surrogate pair")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_ctrl_c_stops_an_answer_and_not_those_after_it(golden: Path, tmp_path: Path) -> None:
    # A model whose likeliest tokens never are a blank line, which would end the reply.
    model, talk = golden / "v4.pth", tmp_path / "talk.volary"
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        [SCRIPT, "chat", model, "--ignore-eos", "-n", "1000000", "--temperature", "0"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""

    def read_until(text: bytes) -> None:
        nonlocal shown
        while text not in shown:
            assert select.select([ours], [], [], 60)[0], shown
            shown += os.read(ours, 1000)
        shown = shown[shown.index(text) + len(text) :]

    def enter(line: str) -> None:
        # What the line editor writes last before it takes a line, and after.
        read_until(b"\x1b[?2026l")
        os.write(ours, line.encode() + b"\r")
        read_until(b"\x1b[?2004l\r\n")

    enter("Hello")
    while not shown:
        shown = os.read(ours, 1000)
    child.send_signal(signal.SIGINT)
    for line in ["/set max_tokens 3", "More", f"/save {talk}", "/quit"]:
        enter(line)
    with contextlib.suppress(OSError):
        while os.read(ours, 1000):
            pass
    assert child.wait(timeout=60) == 0
    os.close(ours)
    with volary.Model(model) as loaded, volary.Chat.load(loaded, talk) as chat:
        assert [message.role for message in chat.history] == ["user", "assistant", "user", "assistant"]
        assert all(message.content for message in chat.history)
