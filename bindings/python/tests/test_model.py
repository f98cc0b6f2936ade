"""Models: loading, logits, states, tokenizers, tools."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import volary

#: Of `tests/golden/README.md`.
TOKENS = [(7919 * i + 13) % 256 for i in range(16)]


def close(a: Any, b: Any) -> bool:
    return bool(numpy.allclose(a, b, rtol=0, atol=1e-4))


@pytest.mark.parametrize(
    ("file", "reference"),
    [
        ("v4.pth", "v4-bf16"),
        ("v5.0.pth", "v5.0-fp16"),
        ("v5.1.pth", "v5.1"),
        ("v5.2-101.bin", "v5.2"),
        ("v6.gguf", "v6"),
        ("v7.safetensors", "v7"),
    ],
)
def test_the_logits_are_the_reference_implementations(file: str, reference: str, golden: Path) -> None:
    expected = numpy.load(golden / f"{reference}.logits.npy")
    model = volary.Model(golden / file)
    logits, _ = model.eval_sequence(TOKENS, None, all_logits=True)
    assert logits.shape == (16, 256) and logits.dtype == numpy.float32
    assert close(logits, expected)


def test_eval_leaves_its_state_as_it_was_and_decode_moves_it(model: volary.Model) -> None:
    _, state = model.eval(TOKENS[0], None)
    before = state.to_bytes()
    logits, after = model.eval(TOKENS[1], state)
    assert state.to_bytes() == before != after.to_bytes()
    assert (model.decode(TOKENS[1], state) == logits).all()
    assert state.to_bytes() == after.to_bytes()


def test_a_sequence_is_its_tokens_one_after_the_other(model: volary.Model) -> None:
    state = None
    for token in TOKENS:
        logits, state = model.eval(token, state)
    last, end = model.eval_sequence(TOKENS)
    assert close(last, logits) and last.shape == (256,)
    again, _ = model.eval_sequence(TOKENS[8:], model.prefill(TOKENS[:8]))
    assert close(again, last)
    assert close(end.to_floats(), model.prefill(TOKENS).to_floats())


def test_a_batch_gives_what_each_gives_alone(model: volary.Model) -> None:
    start = model.prefill("x")
    batch = model.eval_batch([TOKENS, TOKENS[:3]], [None, start])
    assert (batch[0][0] == model.eval_sequence(TOKENS)[0]).all()
    assert (batch[1][0] == model.eval_sequence(TOKENS[:3], start)[0]).all()
    assert [logits.shape for logits, _ in model.eval_batch([TOKENS, TOKENS[:3]], all_logits=True)] == [
        (16, 256),
        (3, 256),
    ]
    with pytest.raises(volary.InvalidArgumentError, match="states: are 1; give one, or None, for each of the 2"):
        model.eval_batch([TOKENS, TOKENS], [None])


def test_logits_are_writable_and_independent(model: volary.Model) -> None:
    a, b = model.eval(1)[0], model.eval(1)[0]
    a[:] = 0
    assert b.any()


def test_without_numpy_logits_are_buffers(model: volary.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    one, state = model.eval(7)
    all_of_them, _ = model.eval_sequence([7, 8], all_logits=True)
    floats = state.to_floats()
    monkeypatch.setitem(sys.modules, "numpy", None)
    logits: Any = model.eval(7)[0]
    assert isinstance(logits, memoryview) and logits.format == "f" and logits.shape == (256,)
    assert logits.tolist() == one.tolist()
    assert max(range(256), key=logits.__getitem__) == int(one.argmax())
    table: Any = model.eval_sequence([7, 8], all_logits=True)[0]
    assert table.shape == (2, 256) and table.tolist() == all_of_them.tolist()
    assert volary.State.from_floats(model, state.to_floats()).to_floats().tolist() == floats.tolist()


def test_numbers_of_numpy_are_numbers(model: volary.Model) -> None:
    logits, state = model.eval(numpy.int64(7))
    assert (model.eval_sequence(numpy.array([7, 8]))[0] == model.eval_sequence([7, 8])[0]).all()
    assert model.decode(logits.argmax(), state).any()
    assert model.tokenizer.decode(numpy.array([72, 105])) == "Hi"
    options: Any = {"max_tokens": numpy.int32(3), "temperature": numpy.float32(0), "seed": numpy.uint64(2**64 - 1)}
    done = model.complete("a", **options)
    assert len(done.tokens) == 3 and done.seed == 2**64 - 1


def test_a_model_says_what_it_is(model: volary.Model, golden: Path) -> None:
    info = model.info
    assert info == volary.read_info(golden / "v7.pth")
    assert (info.architecture, info.file_type, info.n_vocab) == ("RWKV-7", "pth", 256)
    assert info.file_size == (golden / "v7.pth").stat().st_size
    assert info.parameters == sum(numpy.prod(tensor.shape, dtype=int) for tensor in info.tensors)
    assert model.threads >= 1 and model.resident_bytes > 0 and model.isa


def test_a_model_opens_with_every_option(golden: Path) -> None:
    fraction = []
    lora = volary.Lora(golden / "lora" / "v7-lora.pth", alpha=32)
    model = volary.Model(
        os.fspath(golden / "v7.pth"),
        threads=1,
        tokenizer=None,
        group_norm_eps=1e-5,
        type="Q8_0",
        initial_state=golden / "v7-state.pth",
        loras=[lora],
        progress=fraction.append,
    )
    assert model.threads == 1
    assert model.new_state().to_floats().any()
    assert fraction[-1] == 1.0 and fraction == sorted(fraction)


def test_what_is_printed_tells_the_model_and_the_tokenizer(golden: Path) -> None:
    model = volary.Model(golden / "v7.pth")
    tokenizer = model.tokenizer
    assert (repr(model), repr(tokenizer)) == ("Model(v7, RWKV-7)", "Tokenizer(bytes, 256 ids)")
    model.close()
    tokenizer.close()
    assert (repr(model), repr(tokenizer)) == ("Model(closed)", "Tokenizer(closed)")


def test_tokenizers(model: volary.Model, golden: Path, tmp_path: Path) -> None:
    world = volary.Tokenizer.world()
    assert world.name == "world" and world.end_of_text == 0 and world.n_vocab > 65_000
    assert world.decode(world.encode("Hello, 世界! 🌍")) == "Hello, 世界! 🌍"
    assert world.decode_bytes(world.encode_bytes(b"\xff\x00a")) == b"\xff\x00a"
    bytes_ = model.tokenizer
    assert (bytes_.name, bytes_.n_vocab, bytes_.end_of_text) == ("bytes", 256, volary.Tokenizer.raw_bytes().end_of_text)
    assert volary.Tokenizer.of_model(golden / "v7.pth").encode("é") == [195, 169]
    with pytest.raises(volary.VolaryError):
        volary.Tokenizer(golden / "v7.pth")
    with pytest.raises(volary.NotFoundError):
        volary.Tokenizer(tmp_path / "none.json")


def test_convert_tells_its_progress_and_what_it_wrote(golden: Path, tmp_path: Path) -> None:
    fractions: list[float] = []
    target = tmp_path / "v7.gguf"
    report = volary.convert(golden / "v7.pth", target, type="Q5_1", progress=fractions.append)
    assert report.file_type == "gguf" and report.file_size == target.stat().st_size
    assert "Q5_1" in {share.format for share in report.formats}
    assert fractions[-1] == 1.0 and fractions == sorted(fractions)
    assert volary.Model(target).info.file_type == "gguf"


@pytest.mark.parametrize("stop", ["by_false", "by_exception"])
def test_convert_can_be_cancelled_and_leaves_no_file(stop: str, golden: Path, tmp_path: Path) -> None:
    def progress(_: float) -> bool:
        if stop == "by_exception":
            raise ZeroDivisionError
        return False

    with pytest.raises(volary.CancelledError if stop == "by_false" else ZeroDivisionError):
        volary.convert(golden / "v7.pth", tmp_path / "v7.gguf", type="Q4_K", progress=progress)
    assert not list(tmp_path.iterdir())


def test_a_merged_model_is_the_one_merged_while_loading(golden: Path, tmp_path: Path) -> None:
    lora, merged = golden / "lora" / "v7-lora.pth", tmp_path / "merged.pth"
    summary = volary.merge_lora(golden / "v7.pth", lora, merged, alpha=32)
    assert summary.lora > 0 and summary.bat == 0
    at_once = volary.Model(golden / "v7.pth", loras=[volary.Lora(lora, alpha=32)])
    assert close(volary.Model(merged).eval(1)[0], at_once.eval(1)[0])


def test_measuring(model: volary.Model, golden: Path) -> None:
    text = "The quick brown fox jumps over the lazy dog."
    report = volary.perplexity(model, text, limit=20, chunk=8)
    assert (report.text_tokens, report.tokens, report.predictions) == (44, 20, 19)
    assert report.perplexity == pytest.approx(numpy.exp(report.cross_entropy))
    reports = volary.compare_formats(golden / "v7.pth", text, ["Q8_0"], limit=20)
    assert [each.format for each in reports] == [None, "Q8_0"]
    assert reports[0].perplexity.cross_entropy == pytest.approx(report.cross_entropy)
    assert reports[1].bits_per_weight < reports[0].bits_per_weight
    speed = volary.bench(model, prefill_tokens=4, decode_tokens=2, batch=2, repeats=1)
    assert (speed.prefill_tokens, speed.decode_tokens, speed.batch, speed.repeats) == (4, 2, 2, 1)
    assert speed.decode_tokens_per_second and speed.decode_tokens_per_second > 0
