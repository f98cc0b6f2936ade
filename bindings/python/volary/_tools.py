"""Converting, merging, measuring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import _arguments as arguments
from . import _jobs
from ._arguments import Path
from ._errors import call
from ._jobs import Progress
from ._library import native
from ._model import Model
from ._options import lora_file, model_options, perplexity_options
from ._records import (
    BenchReport,
    ConvertReport,
    FormatReport,
    Lora,
    MergeSummary,
    ModelInfo,
    PerplexityReport,
    lifted,
)


def read_info(path: Path) -> ModelInfo:
    """Describe the model in a file without loading it.

    >>> import volary
    >>> volary.read_info("tests/golden/v7.pth").architecture
    'RWKV-7'
    """
    info: ModelInfo = lifted(call(native.read_info, arguments.path("path", path)))
    return info


def convert(
    source: Path,
    target: Path,
    *,
    type: str | None = None,
    encoder: str = "search",
    policy: str | None = None,
    tensor_types: Mapping[str, str] | None = None,
    file_version: int | None = None,
    tokenizer: Path | None = None,
    threads: int | None = None,
    progress: Progress = None,
) -> ConvertReport:
    """Write a checkpoint as another file, ``.gguf`` or rwkv.cpp's ``.bin`` by the extension of ``target``.

    ``type``: the number format of most matrices, ``F16``, ``Q5_1``, ``Q4_K``, …; otherwise each keeps its own.
    ``encoder``: ``search`` for less error, or ``reference``, bit for bit what rwkv.cpp and ggml write.
    ``policy``: which tensors get the format: ``default``, ``rwkvcpp`` or ``llamacpp``.
    ``tensor_types``: formats by patterns of names, in which ``*`` stands for any characters; the last wins.
    ``file_version``: of a ``.bin``: 100 or 101. ``tokenizer``: to embed in a GGUF file.

    The file appears under its name only when it is complete.

    >>> import os, tempfile, volary
    >>> folder = tempfile.TemporaryDirectory()
    >>> report = volary.convert("tests/golden/v7.pth", os.path.join(folder.name, "v7.gguf"), type="Q5_1")
    >>> report.file_type
    'gguf'
    >>> folder.cleanup()
    """
    text, whole = arguments.optional(arguments.text), arguments.optional(arguments.whole)
    options = native.ConvertOptions(
        type=text("type", type),
        encoder=arguments.text("encoder", encoder),
        policy=text("policy", policy),
        tensor_types=[
            native.TensorType(
                pattern=arguments.text("tensor_types", pattern), type=arguments.text("tensor_types", format)
            )
            for pattern, format in (tensor_types or {}).items()
        ],
        file_version=whole("file_version", file_version),
        tokenizer=arguments.optional(arguments.path)("tokenizer", tokenizer),
        threads=whole("threads", threads),
    )
    paths = arguments.path("source", source), arguments.path("target", target)
    report: ConvertReport = lifted(_jobs.run("Converting", progress, native.convert, *paths, options).report)
    return report


def merge_lora(
    base: Path,
    lora: Path,
    target: Path,
    *,
    alpha: float | None = None,
    pissa_init: Path | None = None,
    threads: int | None = None,
    progress: Progress = None,
) -> MergeSummary:
    """Write the checkpoint ``base`` with a LoRA, PiSSA, DiSHA or Bone merged into it.

    The extension of ``target`` tells the file type: ``.pth``, ``.safetensors``, ``.gguf`` or ``.bin``.
    """
    base, target = arguments.path("base", base), arguments.path("target", target)
    threads = arguments.optional(arguments.whole)("threads", threads)
    file = lora_file(Lora(lora, alpha, pissa_init))
    merged = _jobs.run("Merging", progress, native.merge_lora, base, file, target, threads)
    summary: MergeSummary = lifted(merged.summary)
    return summary


def perplexity(
    model: Model,
    text: str,
    *,
    skip: int = 0,
    limit: int | None = None,
    chunk: int | None = None,
    progress: Progress = None,
) -> PerplexityReport:
    """Measure how well a model predicts a text.

    ``skip``: tokens at the beginning that are read but not counted. ``limit``: tokens to keep of the text.

    >>> import volary
    >>> model = volary.Model("tests/golden/v7.pth")
    >>> volary.perplexity(model, "Once upon a time").predictions
    15
    """
    options = perplexity_options(skip, limit, chunk)
    measured = _jobs.run("Measuring", progress, model._native.perplexity, arguments.text("text", text), options)
    report: PerplexityReport = lifted(measured.report)
    return report


def compare_formats(
    path: Path,
    text: str,
    formats: Iterable[str],
    *,
    threads: int | None = None,
    tokenizer: Path | None = None,
    group_norm_eps: float | None = None,
    initial_state: Path | None = None,
    loras: Iterable[Lora] = (),
    skip: int = 0,
    limit: int | None = None,
    chunk: int | None = None,
    progress: Progress = None,
) -> list[FormatReport]:
    """Measure what quantizing costs the model in a file: itself first, then itself in each format.

    What opens the model is as for :class:`Model`, which part of the text counts as for :func:`perplexity`.
    """
    opening = model_options(threads, tokenizer, group_norm_eps, None, initial_state, loras)
    compared = _jobs.run(
        "Measuring",
        progress,
        native.compare_formats,
        arguments.path("path", path),
        arguments.text("text", text),
        arguments.texts("formats", formats),
        opening,
        perplexity_options(skip, limit, chunk),
    )
    reports: list[FormatReport] = lifted(compared.reports)
    return reports


def bench(
    model: Model,
    *,
    prefill_tokens: int = 512,
    decode_tokens: int = 64,
    batch: int = 1,
    repeats: int = 3,
    progress: Progress = None,
) -> BenchReport:
    """Measure how fast a model reads and writes.

    ``prefill_tokens``: of the prompt that each of the ``repeats`` reads. ``decode_tokens``: that it then writes, one at
    a time. ``batch``: sessions that do so at once. The medians count.
    """
    options = native.BenchOptions(
        prefill_tokens=arguments.whole("prefill_tokens", prefill_tokens),
        decode_tokens=arguments.whole("decode_tokens", decode_tokens),
        batch=arguments.whole("batch", batch),
        repeats=arguments.whole("repeats", repeats),
    )
    report: BenchReport = lifted(_jobs.run("Measuring", progress, model._native.bench, options).report)
    return report


def memory_bandwidth(threads: int | None = None) -> float:
    """Measure how fast this machine reads memory, in GB/s: 10^9 bytes a second.

    ``threads``: by default as many as there are cores for this process. It takes some tenths of a second, and 256 MiB
    meanwhile. A model cannot write tokens faster than this divided by its ``decode_bytes_per_token``, unless the caches
    hold it.

    >>> import volary
    >>> volary.memory_bandwidth() > 0
    True
    """
    threads = arguments.optional(arguments.whole)("threads", threads)
    bandwidth: float = _jobs.run("Measuring", None, native.memory_bandwidth, threads).gb_per_second
    return bandwidth
