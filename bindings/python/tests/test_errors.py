"""Errors: kinds, messages, arguments, and a native library of another version."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import volary
from volary import _errors, _records
from volary._library import native
from volary._options import GenerateOptions


def test_each_kind_is_its_class_and_pythons_own(golden: Path, tmp_path: Path, model: volary.Model) -> None:
    none = tmp_path / "none.pth"
    with pytest.raises(FileNotFoundError) as missing:
        volary.Model(none)
    assert type(missing.value) is volary.NotFoundError and isinstance(missing.value, OSError)
    assert str(missing.value) == f"{none}: no such file; check the path"
    with pytest.raises(volary.VolaryError):
        volary.read_info(golden / "not-rwkv.pth")
    with pytest.raises(OSError) as unwritable:
        model.new_state().save(tmp_path / "no folder" / "a.state")
    assert isinstance(unwritable.value, volary.IoError)
    with pytest.raises(ValueError) as senseless:
        model.generate("a", top_p=2)
    assert type(senseless.value) is volary.InvalidArgumentError


def test_every_kind_of_the_library_has_a_class() -> None:
    kinds = {name for name, kind in vars(native.VolaryError).items() if isinstance(kind, type)} - {"__class__"}
    assert kinds == _errors._KINDS.keys()
    for name, kind in _errors._KINDS.items():
        error = _errors.translated(getattr(native.VolaryError, name)("a: b; c"))
        assert type(error) is kind and str(error) == "a: b; c"
        assert kind.__name__ == f"{name}Error" and getattr(volary, kind.__name__) is kind
    assert issubclass(volary.BusyError, RuntimeError) and issubclass(volary.ClosedError, ValueError)
    panic = _errors.translated(native.InternalError("index out of bounds"))
    assert type(panic) is volary.InternalError
    assert str(panic) == "volary: a fault of its own, please report it: index out of bounds"


def test_records_and_options_are_the_interfaces() -> None:
    def fields(kind: Any) -> list[str]:
        return list(kind.__init__.__annotations__.keys() - {"return"})

    for name, (_, names) in _records._RECORDS.items():
        assert sorted(names) == sorted(fields(getattr(native, name))), name
    assert sorted(GenerateOptions.__annotations__) == sorted(fields(native.GenerateOptions))
    assert native.GenerateOptions().max_tokens == 256


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.generate("a", seed=-1), "seed: -1 is out of range; allowed: 0 to 18446744073709551615"),
        (lambda m: m.generate("a", seed=2**64), f"seed: {2**64} is out of range; allowed: 0 to {2**64 - 1}"),
        (lambda m: m.generate("a", max_tokens=-1), "max_tokens: -1 is out of range; allowed: 0 or more"),
        (
            lambda m: m.generate("a", max_tokens=2**63),
            f"max_tokens: {2**63} is out of range; it does not fit in 64 bits",
        ),
        (lambda m: m.generate("a", top_k=-(2**64)), f"top_k: {-(2**64)} is out of range; it does not fit in 64 bits"),
        (lambda m: m.generate("a", stop_tokens=[1, 2**70]), f"stop_tokens: {2**70} is out of range"),
        (lambda m: m.generate("a", logit_bias={2**70: 1.0}), f"logit_bias: {2**70} is out of range"),
        (lambda m: m.generate("a", temperature=10**400), "temperature: 1"),
        (lambda m: m.generate([2**70]), f"prompt: {2**70} is out of range"),
        (lambda m: m.eval(2**70), f"token: {2**70} is out of range"),
        (lambda m: m.eval(-1), "token: -1 is out of range; a token is a number from 0 to the vocabulary's end"),
        (lambda m: m.prefill([2**70]), f"prompt: {2**70} is out of range"),
        (lambda m: m.eval_sequence([-(2**70)]), f"tokens: {-(2**70)} is out of range"),
        (lambda m: m.tokenizer.decode([2**70]), f"ids: {2**70} is out of range"),
        (lambda m: volary.Model("a.pth", threads=2**70), f"threads: {2**70} is out of range"),
        (lambda m: volary.perplexity(m, "abc", skip=2**70), f"skip: {2**70} is out of range"),
        (lambda m: volary.bench(m, repeats=2**70), f"repeats: {2**70} is out of range"),
        (lambda m: volary.convert("a", "b", file_version=2**70), f"file_version: {2**70} is out of range"),
        (lambda m: m.generate("a\ud800"), "prompt: has half a surrogate pair at index 1"),
        (lambda m: m.complete_batch(["a", "\udfff"]), "prompts: has half a surrogate pair at index 0"),
        (lambda m: m.generate("a", stop=["\ud800"]), "stop: has half a surrogate pair at index 0"),
        (lambda m: m.chat(system="\ud800"), "system: has half a surrogate pair at index 0"),
        (lambda m: volary.Model("\udcff.pth"), r"path: '\udcff.pth' is not UTF-8"),
    ],
)
def test_what_is_out_of_range_says_which_argument(
    call: Callable[[Any], Any], message: str, model: volary.Model
) -> None:
    with pytest.raises(volary.InvalidArgumentError) as caught:
        call(model)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.generate("a", max_token=1), "'max_token' is no option of a generation; there are max_tokens, "),
        (lambda m: m.generate("a", max_tokens=1.5), "max_tokens: must be an int, not float"),
        (lambda m: m.generate("a", max_tokens=None), "max_tokens: must be an int, not NoneType"),
        (lambda m: m.generate("a", temperature="1"), "temperature: must be a number, not str"),
        (lambda m: m.generate("a", ignore_eos="no"), "ignore_eos: must be True or False, not str"),
        (lambda m: m.generate("a", stop="\n\n"), "stop: must be a list of texts, not one text; put it in brackets"),
        (lambda m: m.generate("a", stop=[1]), "stop: must be a str, not int"),
        (lambda m: m.generate("a", stop=None), "stop: must be a list, not NoneType"),
        (lambda m: m.generate("a", banned_tokens="ab"), "banned_tokens: must be token ids, not str"),
        (lambda m: m.generate("a", logit_bias=[1]), "logit_bias: must be a dict of tokens and numbers, not list"),
        (lambda m: m.generate("a", state=b""), "state: must be a State or None, not bytes"),
        (lambda m: m.generate(b"a"), "prompt: must be token ids, not bytes"),
        (lambda m: m.generate(None), "prompt: must be a list, not NoneType"),
        (lambda m: m.complete(["a"]), "prompt: must be a str, not list"),
        (lambda m: m.complete_batch("ab"), "prompts: must be a list of texts, not one text"),
        (lambda m: m.decode(1, None), "state: must be a State, not None"),
        (lambda m: m.eval("a"), "token: must be an int, not str"),
        (lambda m: volary.Model(b"a.pth"), "path: must be a str or a path of str, not bytes"),
        (lambda m: volary.Model("a.pth", loras=["b.pth"]), "loras: must be volary.Lora objects, not str"),
        (lambda m: volary.State.from_bytes(3), "data: must be bytes or a buffer, not int"),
        (lambda m: m.tokenizer.encode_bytes(3), "data: must be bytes or a buffer, not int"),
    ],
)
def test_what_is_of_a_wrong_type_says_which_argument(
    call: Callable[[Any], Any], message: str, model: volary.Model
) -> None:
    with pytest.raises(TypeError) as caught:
        call(model)
    assert str(caught.value).startswith(message)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with a copy of the installed package, for a test to spoil."""
    package = Path(volary.__file__).parent
    shutil.copytree(package, tmp_path / "volary", ignore=shutil.ignore_patterns("__pycache__"))
    metadata = tmp_path / "volary-0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: volary\nVersion: {volary.__version__}\n")
    return tmp_path


def imported(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import volary; print(volary.__version__, volary.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_version_is_the_packages(copied: Path) -> None:
    assert volary.__version__ == importlib.metadata.version("volary")
    done = imported(copied)
    assert done.stdout.split()[0] == volary.__version__ and str(copied) in done.stdout, done.stderr


def test_a_library_of_another_version_is_refused(copied: Path) -> None:
    metadata = copied / "volary-0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace(volary.__version__, "99.1.2"))
    done = imported(copied)
    assert done.returncode != 0
    message = f"this is volary 99.1.2, but its native library is {volary.__version__}; install volary again"
    assert f"ImportError: {message}" in done.stderr


@pytest.mark.parametrize("spoil", ["missing", "damaged", "stale"])
def test_a_library_that_does_not_fit_is_refused_with_a_remedy(copied: Path, spoil: str) -> None:
    folder = copied / "volary" / "_native"
    (library,) = [file for file in folder.iterdir() if file.suffix in (".so", ".dylib", ".dll")]
    if spoil == "missing":
        library.unlink()
    elif spoil == "damaged":
        library.write_bytes(b"no library")
    else:
        # As if a function had been added since the library was built.
        module = folder / "volary.py"
        module.write_text(
            module.read_text().replace("uniffi_volary_fn_method_model_isa", "uniffi_volary_fn_of_tomorrow")
        )
    done = imported(copied)
    assert done.returncode != 0
    assert (
        f"ImportError: volary {volary.__version__}: its native library is missing, damaged or of another" in done.stderr
    )
    assert "install volary again, from where it came, with pip install --force-reinstall" in done.stderr


def test_a_copy_without_metadata_works(copied: Path) -> None:
    """As in programs that are frozen into one file."""
    code = "import importlib.metadata as m\ndef version(name): raise m.PackageNotFoundError\nm.version = version\n"
    code += "import volary; print(volary.__version__)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=copied, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == volary.__version__, done.stderr
