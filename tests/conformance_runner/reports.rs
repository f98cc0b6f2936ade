//! Results in the form that scenarios compare, by the names of `src/volary.udl`.

use serde_json::{Map, Value, json};
use volary::chat::Message;
use volary::checkpoint::MergeSummary;
use volary::convert::ConvertReport;
use volary::eval::{BenchReport, FormatReport, PerplexityReport};
use volary::generate::{Stats, Timings, TokenLogprob, Usage};
use volary::model::ModelInfo;
use volary::{ChatFormat, Completion, Tokenizer};

/// Rows of logits, or the numbers of a state, in short.
pub fn numbers(numbers: &[f32]) -> Value {
    let largest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    json!({
        "len": numbers.len(),
        "argmax": numbers.iter().position(|&x| x == largest),
        "head": numbers.iter().take(4).collect::<Vec<_>>(),
    })
}

pub fn info(info: &ModelInfo) -> Value {
    let config = &info.config;
    let tensors = info.tensors.iter().map(|tensor| {
        json!({ "name": tensor.name, "shape": tensor.shape, "format": tensor.format.name(), "size": tensor.size })
    });
    let pairs = info.metadata.pairs.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
    json!({
        "name": info.name,
        "path": info.path,
        "file_type": info.file_type.as_str(),
        "file_size": info.file_size,
        "architecture": config.generation.to_string(),
        "parameters": info.parameters(),
        "n_layer": config.n_layer,
        "n_embd": config.n_embd,
        "n_ffn": config.n_ffn,
        "n_head": config.n_head,
        "head_size": config.head_size,
        "n_vocab": config.n_vocab,
        "tokenizer": info.tokenizer,
        "chat_format": ChatFormat::detect(info).name(),
        "metadata": pairs.collect::<Map<_, _>>(),
        "tensors": tensors.collect::<Vec<_>>(),
    })
}

pub fn tokenizer(tokenizer: &Tokenizer) -> Value {
    json!({ "name": tokenizer.name(), "n_vocab": tokenizer.n_vocab(), "end_of_text": tokenizer.end_of_text() })
}

pub fn stats(text: &str, stats: &Stats) -> Value {
    json!({
        "text": text,
        "usage": usage(stats.usage),
        "timings": timings(stats.timings),
        "seed": stats.seed,
        "finish_reason": stats.finish_reason.map(|reason| reason.as_str()),
    })
}

pub fn completion(done: &Completion) -> Value {
    json!({
        "text": done.text,
        "tokens": done.tokens,
        "logprobs": done.logprobs.iter().map(logprob).collect::<Vec<_>>(),
        "finish_reason": done.finish_reason.as_str(),
        "usage": usage(done.usage),
        "timings": timings(done.timings),
        "seed": done.seed,
    })
}

fn usage(usage: Usage) -> Value {
    json!({ "prompt_tokens": usage.prompt_tokens, "generated_tokens": usage.generated_tokens })
}

fn timings(timings: Timings) -> Value {
    json!({ "prefill_seconds": timings.prefill_seconds, "decode_seconds": timings.decode_seconds })
}

fn logprob(of: &TokenLogprob) -> Value {
    let alternative = |&(token, logprob): &(u32, f32)| json!({ "token": token, "logprob": logprob });
    json!({ "token": of.token, "logprob": of.logprob, "top": of.top.iter().map(alternative).collect::<Vec<_>>() })
}

/// Its names are those of the UDL.
pub fn message(message: &Message) -> Value {
    json!(message)
}

pub fn convert(report: &ConvertReport) -> Value {
    let formats = report.formats.iter();
    let share =
        formats.map(|(format, (tensors, size))| json!({ "format": format.name(), "tensors": tensors, "size": size }));
    json!({
        "file_type": report.file_type.as_str(),
        "source_size": report.source_size,
        "file_size": report.file_size,
        "formats": share.collect::<Vec<_>>(),
        "refitted": report.refitted,
        "requantized": report.requantized,
    })
}

pub fn merge(summary: &MergeSummary) -> Value {
    json!({
        "lora": summary.lora,
        "pissa": summary.pissa,
        "disha": summary.disha,
        "bat": summary.bat,
        "replaced": summary.replaced,
    })
}

pub fn perplexity(report: &PerplexityReport) -> Value {
    json!({
        "text_tokens": report.text_tokens,
        "tokens": report.tokens,
        "predictions": report.predictions,
        "cross_entropy": report.cross_entropy,
        "cross_entropy_error": report.cross_entropy_error,
        "perplexity": report.perplexity,
        "perplexity_error": report.perplexity_error,
        "bits_per_byte": report.bits_per_byte,
        "seconds": report.seconds,
        "milliseconds_per_token": report.milliseconds_per_token,
    })
}

pub fn format(report: &FormatReport) -> Value {
    json!({
        "format": report.format,
        "perplexity": perplexity(&report.perplexity),
        "perplexity_change_percent": report.perplexity_change_percent,
        "kl_divergence": report.kl_divergence,
        "size": report.bytes,
        "bits_per_weight": report.bits_per_weight,
        "prefill_tokens_per_second": report.prefill_tokens_per_second,
        "decode_tokens_per_second": report.decode_tokens_per_second,
    })
}

pub fn bench(report: &BenchReport) -> Value {
    json!({
        "resident_bytes": report.resident_bytes,
        "isa": report.isa,
        "threads": report.threads,
        "batch": report.batch,
        "prefill_tokens": report.prefill_tokens,
        "decode_tokens": report.decode_tokens,
        "repeats": report.repeats,
        "prefill_tokens_per_second": report.prefill_tokens_per_second,
        "prefill_gflop_per_second": report.prefill_gflop_per_second,
        "decode_tokens_per_second": report.decode_tokens_per_second,
        "decode_bytes_per_token": report.decode_bytes_per_token,
        "decode_gb_per_second": report.decode_gb_per_second,
        "peak_rss_bytes": report.peak_rss_bytes,
    })
}
