"""What the documentation shows runs as it stands: docstrings, docs/python.md, and the listing that began the API."""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import volary
from conftest import ROOT
from volary._library import native

#: The API as it was written before the code, line by line. Whoever changes this breaks somebody's program.
LISTING = r"""
import volary

model = volary.Model("rwkv7-g1-1.5b.gguf")            # .pth, .safetensors, .bin too; volary.Model.demo() needs no file
for piece in model.generate("Once upon a time", max_tokens=100, temperature=1.0, top_p=0.5, stop=["\n\n"], seed=1):
    print(piece, end="", flush=True)                  # whole characters, as they come; Ctrl-C stops at once

done = model.complete("The capital of France is", max_tokens=8)     # done.text, done.finish_reason, done.usage, done.timings
answers = model.complete_batch(["a", "b", "c"], max_tokens=32)      # weights read once for all
async for piece in model.generate("..."): ...

chat = model.chat(system="You are brief.")
for piece in chat.send("Hello!"): ...
chat.retry(); chat.undo(); chat.save("talk.volary"); chat = volary.Chat.load(model, "talk.volary")

logits, state = model.eval(token, None)               # rwkv.cpp's habit: the state passed in stays as it was
logits, state = model.eval_sequence(tokens, state)    # float32 [n_vocab]; all_logits=True gives [n_tokens, n_vocab]
state = model.prefill("A long preface."); copy = state.clone(); state.save("preface.state"); volary.State.load(model, "preface.state")
model.generate(" and then", state=state)              # goes on from there

ids = model.tokenizer.encode("Hello"); text = model.tokenizer.decode(ids)
volary.convert("in.pth", "out.gguf", type="Q5_1", progress=True)    # a bar on a terminal, or progress=callable(fraction)
volary.merge_lora("base.pth", "lora.pth", "out.pth", alpha=32)
report = volary.perplexity(model, text); speed = volary.bench(model)
"""  # noqa: E501


@pytest.fixture
def with_files(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the texts name."""
    names = {
        "rwkv7-g1-1.5b.gguf": "v7.gguf",
        "in.pth": "v7.pth",
        "base.pth": "v7.pth",
        "lora.pth": "lora/v7-lora.pth",
    }
    for name, source in names.items():
        shutil.copyfile(golden / source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def execute(source: str, names: dict[str, Any]) -> None:
    """Runs source code, in which `await` and `async for` may stand at the top."""
    # A line at a time, as somebody types it: what one drops is gone when the next runs.
    for statement in ast.parse(source).body:
        module = ast.Module([statement], [])
        code = compile(module, "<documentation>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)


def test_the_listing_runs_as_written(with_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"token": 72, "tokens": [72, 105]}
    execute(LISTING, names)
    assert len(capsys.readouterr().out) > 10
    # Its seed is any: it may end by itself.
    assert 1 <= names["done"].usage.generated_tokens <= 8 and len(names["answers"]) == 3
    assert names["text"] == "Hello" and names["logits"].shape == (256,)
    assert names["report"].predictions == 4 and names["speed"].repeats == 3
    for file in ("talk.volary", "preface.state", "out.gguf", "out.pth"):
        assert (with_files / file).stat().st_size > 0


def test_the_guide_runs_as_written(with_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", guide, flags=re.DOTALL | re.MULTILINE)
    assert len(snippets) >= 8
    names: dict[str, Any] = {}
    for snippet in snippets:
        execute(snippet, names)
    assert "missing.gguf: no such file; check the path" in capsys.readouterr().out


def test_the_readme_runs_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE)
    execute(snippet, {})
    assert len(capsys.readouterr().out) > 10


def test_the_examples_in_docstrings_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testmod(volary)
    assert failed == 0 and tried > 35


def test_everything_public_is_documented() -> None:
    for name in volary.__all__:
        if name == "__version__":
            continue
        public = getattr(volary, name)
        assert public.__doc__, name
        for member, value in vars(public).items() if inspect.isclass(public) else ():
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                assert value.__doc__, f"{name}.{member}"


def test_no_generated_type_is_public() -> None:
    for name in volary.__all__:
        public = getattr(volary, name)
        assert public is not getattr(native, name, None), name
        if inspect.isclass(public):
            assert public.__module__ == "volary", name
            assert not any("_native" in base.__module__ for base in public.__mro__), name
