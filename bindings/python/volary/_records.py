"""What the library hands out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ._arguments import Path


@dataclass(frozen=True)
class Lora:
    """A file of trained additions to a model: a LoRA, PiSSA, DiSHA or Bone."""

    #: The file as the trainer saved it: ``.pth`` or ``.safetensors``.
    path: Path
    #: The training's ``lora_alpha``. A LoRA needs it; the other kinds have none.
    alpha: float | None = None
    #: The initial values that PiSSA saves when training begins.
    pissa_init: Path | None = None


@dataclass(frozen=True)
class TensorInfo:
    """A description of a tensor."""

    #: Name, as BlinkDL gives it.
    name: str
    #: Row-major, outermost dimension first.
    shape: list[int]
    #: Number format in the file.
    format: str
    #: Bytes in the file.
    size: int


@dataclass(frozen=True)
class ModelInfo:
    """A description of a model."""

    #: The file's name without folder and extension.
    name: str
    #: The file.
    path: str
    #: ``pth``, ``safetensors``, ``bin`` or ``gguf``.
    file_type: str
    #: Bytes of the file, or of all its files.
    file_size: int
    #: The generation: ``RWKV-4``, ``RWKV-5.2``, …
    architecture: str
    #: Numbers in all tensors.
    parameters: int
    #: Layers.
    n_layer: int
    #: Width of the residual stream.
    n_embd: int
    #: Width of the channel mix's hidden layer.
    n_ffn: int
    #: Heads of the time mix.
    n_head: int
    #: Channels in a head.
    head_size: int
    #: Token ids.
    n_vocab: int
    #: The tokenizer's name, if one is known.
    tokenizer: str | None
    #: The name of the chat format that suits the model.
    chat_format: str
    #: What the file says beside the tensors.
    metadata: dict[str, str]
    #: Every tensor.
    tensors: list[TensorInfo]


@dataclass(frozen=True)
class Alternative:
    """A token that might have been sampled."""

    token: int
    #: Natural logarithm of its probability.
    logprob: float


@dataclass(frozen=True)
class TokenLogprob:
    """How likely a token was, by the model alone."""

    #: The token sampled.
    token: int
    #: Natural logarithm of its probability.
    logprob: float
    #: The likeliest tokens, likeliest first, as many as were asked for.
    top: list[Alternative]


@dataclass(frozen=True)
class Piece:
    """Text as it comes: whole characters, of one token or several."""

    #: What to show.
    text: str
    #: The tokens whose text this piece completes.
    tokens: list[int]
    #: For each of ``tokens``, if asked for.
    logprobs: list[TokenLogprob]
    #: Whether the text is a chat model's thought rather than its answer.
    thinking: bool

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Usage:
    """Token counts of a generation."""

    #: Tokens of the prompt.
    prompt_tokens: int
    #: Tokens generated, those included that ended the text without being shown.
    generated_tokens: int


@dataclass(frozen=True)
class Timings:
    """Times of a generation. Time that the caller spends between pieces does not count."""

    #: Seconds until the first token was generated.
    prefill_seconds: float
    #: Seconds for all further tokens.
    decode_seconds: float


@dataclass(frozen=True)
class Stats:
    """What a generation has done so far."""

    usage: Usage
    timings: Timings
    #: The seed in use, given or drawn.
    seed: int
    #: Why the text ended, once it has: ``length``, ``end_of_text``, ``stop_token``, ``stop_text`` or ``cancelled``.
    finish_reason: str | None


@dataclass(frozen=True)
class Completion:
    """A finished text."""

    #: The text, without the prompt and without what stopped it.
    text: str
    #: The tokens of the text.
    tokens: list[int]
    #: For each of ``tokens``, if asked for.
    logprobs: list[TokenLogprob]
    #: Why the text ended: ``length``, ``end_of_text``, ``stop_token``, ``stop_text`` or ``cancelled``.
    finish_reason: str
    usage: Usage
    timings: Timings
    #: The seed in use, given or drawn.
    seed: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Message:
    """A message of a conversation."""

    #: Who says it: ``system``, ``user`` or ``assistant``.
    role: str
    #: What is said. A reply that was cancelled holds what was shown of it.
    content: str
    #: What a model that thinks thought before its reply.
    thought: str
    #: Earlier replies to the same message, oldest first, that ``alternate`` put aside.
    alternatives: list[str]


@dataclass(frozen=True)
class FormatShare:
    """How much of a file is in one number format."""

    format: str
    #: Tensors in it.
    tensors: int
    #: Their bytes.
    size: int


@dataclass(frozen=True)
class ConvertReport:
    """What ``convert`` wrote."""

    #: ``bin`` or ``gguf``.
    file_type: str
    #: Bytes of the source.
    source_size: int
    #: Bytes of the new file.
    file_size: int
    #: Tensors and their bytes, by format.
    formats: list[FormatShare]
    #: Tensors that have another format than asked for, because their rows do not divide into its blocks.
    refitted: list[str]
    #: Matrices that were quantized before and are now in another quantized format: each such step loses more.
    requantized: int


@dataclass(frozen=True)
class MergeSummary:
    """How many of a model's tensors a merge changed, by kind."""

    lora: int
    pissa: int
    disha: int
    bat: int
    replaced: int


@dataclass(frozen=True)
class PerplexityReport:
    """How well a model predicts a text."""

    #: Tokens in the whole text.
    text_tokens: int
    #: Tokens after the limit.
    tokens: int
    #: Tokens whose predictions count.
    predictions: int
    #: Mean of -ln p over the predictions: nats per token.
    cross_entropy: float
    #: Standard error of the cross-entropy.
    cross_entropy_error: float | None
    #: e to the power of the cross-entropy.
    perplexity: float
    #: Standard error of the perplexity.
    perplexity_error: float | None
    #: Bits to write a byte of the predicted text with.
    bits_per_byte: float | None
    #: Seconds in the forward pass.
    seconds: float
    #: Milliseconds in the forward pass for each token read.
    milliseconds_per_token: float


@dataclass(frozen=True)
class FormatReport:
    """What was measured of one number format."""

    #: The format; ``None`` for the model as it was opened.
    format: str | None
    perplexity: PerplexityReport
    #: Percent by which its perplexity is above the unquantized model's.
    perplexity_change_percent: float
    #: Mean Kullback-Leibler divergence of its distributions from the unquantized model's, in nats per token.
    kl_divergence: float
    #: Bytes that the weights take in memory.
    size: int
    #: Bits in memory for each of the model's parameters.
    bits_per_weight: float
    prefill_tokens_per_second: float | None
    decode_tokens_per_second: float | None


@dataclass(frozen=True)
class BenchReport:
    """How fast a model reads and writes: medians over the repetitions, tokens of all sessions counted."""

    #: Bytes that the weights take in memory.
    resident_bytes: int
    #: Instruction set in use.
    isa: str
    threads: int
    #: Sessions at once.
    batch: int
    #: Tokens of each session's prompt.
    prefill_tokens: int
    #: Tokens each session wrote.
    decode_tokens: int
    #: Repetitions.
    repeats: int
    prefill_tokens_per_second: float | None
    #: Arithmetic of reading the prompt, in GFLOP/s: 10^9 operations a second, two for each weight that a token is
    #: multiplied with.
    prefill_gflop_per_second: float | None
    decode_tokens_per_second: float | None
    #: Bytes moved for each token written: its share of the weights, which all sessions read together, but of the
    #: embedding one row, and its session's state, read and written.
    decode_bytes_per_token: int
    #: Memory traffic of writing, in GB/s: 10^9 bytes a second, to be held against ``memory_bandwidth``.
    decode_gb_per_second: float | None
    #: The most memory this process has held, in bytes, where the system tells.
    peak_rss_bytes: int | None


_RECORDS = {
    record.__name__: (record, [field.name for field in fields(record)])
    for record in (
        *(TensorInfo, ModelInfo, Alternative, TokenLogprob, Piece, Usage, Timings, Stats, Completion, Message),
        *(FormatShare, ConvertReport, MergeSummary, PerplexityReport, FormatReport, BenchReport),
    )
}


def lifted(value: Any) -> Any:
    """The package's record for a generated one of the same name and fields; in lists too."""
    if isinstance(value, list):
        return [lifted(each) for each in value]
    if (found := _RECORDS.get(type(value).__name__)) is None:
        return value
    record, names = found
    return record(**{name: lifted(getattr(value, name)) for name in names})
