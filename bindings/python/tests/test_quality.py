"""Types and style: mypy in its strict mode and ruff find nothing, in the package and in programs that use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import volary
from conftest import ROOT

FILES = ["bindings/python", "examples/python"]


def tool(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_mypy_on_the_package() -> None:
    tool("mypy")


def test_mypy_on_programs_that_use_the_installed_package() -> None:
    """Without the settings that find the sources: as the programs' users see it."""
    strict = ["--config-file", "", "--strict", "--cache-dir", "target/mypy-programs"]
    tool(
        "mypy",
        *strict,
        *sorted((ROOT / "examples" / "python").glob("*.py")),
        Path(__file__).with_name("typed_program.py"),
    )


def test_ruff() -> None:
    tool("ruff", "check", *FILES)
    tool("ruff", "format", "--check", *FILES)


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(volary.__file__).with_name("py.typed").exists()


def test_no_file_is_too_long() -> None:
    for folder in FILES:
        for file in (ROOT / folder).rglob("*.py"):
            if "_native" not in file.parts:
                assert len(file.read_text(encoding="utf-8").splitlines()) <= 500, file
