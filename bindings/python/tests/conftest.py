"""What all tests share. They run against the installed package, and need nothing but the files of the checkout."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import volary

ROOT = Path(__file__).resolve().parents[3]

# What a script starts in the background ignores Ctrl-C, and so would the programs that the tests interrupt, for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def golden() -> Path:
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def model(golden: Path) -> Iterator[volary.Model]:
    """An RWKV-7 of 100,000 random weights, whose tokens are bytes. Nobody may close it."""
    with volary.Model(golden / "v7.pth") as model:
        yield model


@pytest.fixture
def own_model(golden: Path) -> Iterator[volary.Model]:
    """The same, for a test to close."""
    with volary.Model(golden / "v7.pth") as model:
        yield model


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run in which no test passed, because all were skipped, is a failure, too."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    only_listed = session.config.option.collectonly
    if session.exitstatus == pytest.ExitCode.OK and not only_listed and not reporter.stats.get("passed"):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
