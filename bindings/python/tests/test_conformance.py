"""The scenarios that every language's suite runs, and that this runner of them can fail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import conformance
from conftest import ROOT

FOLDER = ROOT / "tests" / "conformance"
SCENARIOS = sorted(FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, str | None]]:
    """By scenario; written to where `cargo xtask conformance` reads it."""
    outcomes: dict[str, str | None] = {}
    yield outcomes
    file = ROOT / "target" / "conformance" / "python.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(outcomes, indent=1), encoding="utf-8")


def test_there_are_scenarios() -> None:
    assert SCENARIOS, f"no *.json in {FOLDER}"


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_scenario(file: Path, golden: Path, tmp_path: Path, outcomes: dict[str, str | None]) -> None:
    scenario = json.loads(file.read_text(encoding="utf-8"))
    outcomes[file.stem] = "the suite itself failed"
    outcomes[file.stem] = wrong = conformance.failure(scenario, golden, tmp_path)
    assert wrong is None, f"{scenario.get('about')}\n{wrong}"


def test_every_verb_of_the_readme_is_known() -> None:
    rows = [line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    first_cells = [re.sub(r"\([^)]*\)", "", row.split("|")[1]) for row in rows]
    verbs = {verb for cell in first_cells for verb in re.findall(r"`([\w.]+)`", cell)} - {"on"}
    assert len(verbs) > 40
    assert verbs == conformance.VERBS.keys()


LOAD = {"call": "Model.load", "with": {"path": "{golden}/v7.pth"}, "save": "model"}
NONE = {"call": "Model.load", "with": {"path": "{tmp}/none.pth"}}
GREEDY = {"on": "$model", "prompt": "Once", "max_tokens": 3, "temperature": 0.0}


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([], "is no scenario"),
        ([{"call": "Model.fly"}], "step 1 (Model.fly): unknown verb"),
        ([{"call": "file.exists", "with": {"path": "{tmp}"}, "expects": True}], "unknown members: expects"),
        ([LOAD, {"call": "Model.info", "with": {"on": "$other"}}], "step 2 (Model.info): nothing was saved as 'other'"),
        ([{**NONE, "with": LOAD["with"], "error": {"kind": "io", "message": "no"}}], "succeeded, but must fail"),
        ([NONE], "failed: not_found: {tmp}/none.pth: no such file; check the path"),
        ([{**NONE, "error": {"kind": "io"}}], "an error is a kind and a message"),
        ([{**NONE, "error": {"kind": "io", "message": "no"}, "save": "x"}], "leaves nothing to expect or save"),
        ([{**NONE, "error": {"kind": "io", "message": "no"}}], "kind: expected 'io', found 'not_found'"),
        ([{**NONE, "error": {"kind": "not_found", "message": "no"}}], "message: expected 'no'"),
        ([LOAD, {"call": "Model.info", "with": {"on": "$model"}, "expect": {"n_layer": 99}}], "n_layer: expected 99"),
        ([LOAD, {"call": "Model.generate", "with": GREEDY, "expect": {"text": "x"}}], "text: expected 'x'"),
        ([LOAD, {"call": "Model.generate", "with": {**GREEDY, "top_q": 1}}], "failed: TypeError: 'top_q' is no option"),
        ([{"call": "file.exists", "with": {"path": "{tmp}"}, "expect": False}], "expected False, found True"),
        ([{"call": "file.exists", "with": {"path": "{tmp}"}, "expect": 1}], "expected 1, found True"),
        ([{"call": "file.exists", "with": {"path": "{tmp}"}, "save": "x"}], "has nothing to save"),
    ],
)
def test_the_runner_finds_what_is_wrong(steps: list[Any], wrong: str, golden: Path, tmp_path: Path) -> None:
    found = conformance.failure({"about": "A mistake.", "steps": steps}, golden, tmp_path)
    assert found is not None and wrong.replace("{tmp}", str(tmp_path)) in found


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        (1, 1, True),
        (1, 1.00001, False),
        (1.0, 1.00009, True),
        (1.0, 1.0002, False),
        (1000.0, 1000.09, True),
        (0.0, 0.00009, True),
        (1.0, None, False),
        (None, None, True),
        ("a", "a ", False),
        ([1, 2], [1, 2, 3], False),
        ([{"a": 1}], [{"a": 1, "b": 2}], True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False),
        ({"a": 1}, {}, False),
        ({"a": 1}, None, False),
        ({"above": 0}, 0.1, True),
        ({"above": 0}, 0, False),
        ({"above": 0}, None, False),
    ],
)
def test_the_runner_compares_as_the_readme_says(expected: Any, found: Any, same: bool) -> None:
    assert (conformance.difference(expected, found) is None) == same


def test_the_verbs_do_what_the_readme_says(golden: Path, tmp_path: Path) -> None:
    scenario = json.loads(Path(__file__).with_name("every_verb.json").read_text(encoding="utf-8"))
    assert conformance.failure(scenario, golden, tmp_path) is None
    assert {step["call"] for step in scenario["steps"]} == conformance.VERBS.keys()
