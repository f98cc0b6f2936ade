"""The bar on a terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest

from volary import _jobs


class Terminal(io.StringIO):
    def __init__(self, is_one: bool) -> None:
        super().__init__()
        self.is_one = is_one

    def isatty(self) -> bool:
        return self.is_one


class Job:
    """Of two reports."""

    def __init__(self, *fractions: float) -> None:
        self.fractions = list(fractions)

    def progress(self, milliseconds: int) -> float | None:
        return self.fractions.pop(0) if self.fractions else None

    def result(self) -> str:
        return "done"

    def cancel(self) -> None:
        self.fractions.append(-1.0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_jobs._Bar, "PATIENCE_SECONDS", 0.0)


def shown(monkeypatch: pytest.MonkeyPatch, progress: Any, terminal: bool = True) -> str:
    stderr = Terminal(terminal)
    monkeypatch.setattr("sys.stderr", stderr)
    assert _jobs.run("Working", progress, Job, 0.25, 0.5) == "done"
    return stderr.getvalue()


def test_a_bar_shows_and_goes(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:
    lines = shown(monkeypatch, True).split("\r")
    assert lines[1].rstrip() == "Working [" + "." * 40 + "]   0%"
    assert lines[2].startswith("Working [" + "#" * 10 + "." * 30 + "]  25% ") and "s left" in lines[2]
    assert lines[3].startswith("Working [" + "#" * 20 + "." * 20 + "]  50% ") and "s left" in lines[3]
    assert lines[4:] == ["\033[K"]


def test_no_bar_for_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, True) == ""


def test_no_bar_where_nobody_asked_or_nobody_looks(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:
    assert shown(monkeypatch, None) == shown(monkeypatch, False) == shown(monkeypatch, True, terminal=False) == ""
    monkeypatch.setattr("sys.stderr", None)
    assert _jobs.run("Working", True, Job, 0.5) == "done"


def test_a_function_hears_everything_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    fractions: list[float] = []
    assert shown(monkeypatch, fractions.append) == ""
    assert fractions == [0.0, 0.25, 0.5, 1.0]


def test_what_is_cancelled_at_the_first_report_has_not_begun() -> None:
    begun = []
    with pytest.raises(ZeroDivisionError):
        _jobs.run("Working", lambda _: 1 / 0, begun.append, 1)
    assert not begun


@pytest.mark.parametrize("stop", ["by_false", "by_exception"])
def test_a_job_that_is_cancelled_has_ended_when_the_call_does(stop: str) -> None:
    job = Job(0.25, 0.5, 0.75)
    heard: list[float] = []

    def progress(fraction: float) -> bool:
        heard.append(fraction)
        if fraction == 0.5 and stop == "by_exception":
            raise KeyboardInterrupt
        return fraction != 0.5

    if stop == "by_exception":
        with pytest.raises(KeyboardInterrupt):
            _jobs.run("Working", progress, lambda: job)
        assert heard == [0.0, 0.25, 0.5]
    else:
        _jobs.run("Working", progress, lambda: job)
        assert heard == [0.0, 0.25, 0.5, 0.75, -1.0, 1.0]
    assert not job.fractions
