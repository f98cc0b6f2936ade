//! `volary convert`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::info::readable;
use super::options::threads_or_environment;
use super::{Outcome, counted, json, terminal};
use crate::convert::{ConvertOptions, ConvertReport, Policy, Quantization, convert};
use crate::error::{Error, Result};
use crate::quant::{Encoder, Format};

/// Convert a model to .gguf or rwkv.cpp's .bin, quantizing on the way
#[derive(Args)]
pub(super) struct Arguments {
    /// The model: a .pth, .safetensors, rwkv.cpp .bin or GGUF file
    source: PathBuf,
    /// The file to write, .gguf or .bin
    target: PathBuf,
    #[command(flatten)]
    quantization: QuantizationArguments,
    /// Version of a .bin: 100 (tools of April 2023) or 101 [default: 101]
    #[arg(long, value_name = "N")]
    file_version: Option<u32>,
    /// Embed this tokenizer in a .gguf, in place of the model's own
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Threads to encode with [default: VOLARY_THREADS, else one for each core]
    #[arg(short, long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Which number formats.
#[derive(Args)]
pub(super) struct QuantizationArguments {
    /// Number format: F32, F16, BF16, Q8_0, Q5_1, Q4_K… [default: that of each tensor]
    #[arg(long = "type", value_name = "T")]
    format: Option<Format>,
    /// How blocks are chosen: searched for less error, or bit for bit as rwkv.cpp and ggml do
    #[arg(long, value_name = "ENCODER", default_value = "search", value_parser = encoder())]
    encoder: Encoder,
    /// Which tensors get the format, and what the others get [default: default; rwkvcpp for a .bin]
    #[arg(long, value_name = "POLICY", value_parser = policy())]
    policy: Option<Policy>,
    /// Format of the tensors whose names match a pattern, in which * stands for any characters; may be given several times
    #[arg(long = "tensor-type", alias = "tensor-types", value_name = "PATTERN=T", value_parser = tensor_type)]
    tensor_types: Vec<(String, Format)>,
}

/// Takes a name of [`Encoder`]'s, and lists them in the help.
pub(super) fn encoder() -> impl TypedValueParser<Value = Encoder> {
    PossibleValuesParser::new(Encoder::NAMES).try_map(|name| name.parse())
}

/// Takes a name of [`Policy`]'s, and lists them in the help.
pub(super) fn policy() -> impl TypedValueParser<Value = Policy> {
    PossibleValuesParser::new(Policy::NAMES).try_map(|name| name.parse())
}

impl QuantizationArguments {
    pub fn quantization(self) -> Quantization {
        Quantization {
            format: self.format,
            encoder: self.encoder,
            policy: self.policy,
            tensor_formats: self.tensor_types,
        }
    }
}

fn tensor_type(text: &str) -> Result<(String, Format)> {
    const NAME: &str = "tensor_types";
    let (pattern, name) =
        text.split_once('=').ok_or_else(|| Error::argument(NAME, format!("{text} is not of the form PATTERN=TYPE")))?;
    Ok((pattern.to_string(), Format::of_argument(NAME, name)?))
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments { source, target, quantization, file_version, tokenizer, threads, json } = arguments;
    let options = ConvertOptions {
        quantization: quantization.quantization(),
        file_version,
        tokenizer,
        threads: threads_or_environment(threads)?,
        progress: None,
    };
    let report = terminal::with_progress("Converting", |progress| {
        convert(&source, &target, &ConvertOptions { progress: Some(progress), ..options })
    })?;
    show(&report, &target, json)
}

/// Says what was written.
pub(super) fn show(report: &ConvertReport, target: &std::path::Path, json: bool) -> Outcome {
    if json {
        let formats: Vec<_> = (report.formats.iter())
            .map(|(format, (count, bytes))| json!({ "format": format.name(), "tensors": count, "bytes": bytes }))
            .collect();
        return json::print(&json!({
            "path": target,
            "file_type": super::info::file_type(report.file_type),
            "source_size": report.source_size,
            "file_size": report.file_size,
            "formats": formats,
            "refitted": report.refitted,
            "requantized": report.requantized,
        }));
    }
    let mut out = std::io::stdout().lock();
    let [before, after] = [report.source_size, report.file_size].map(readable);
    writeln!(out, "{}: {after}, from {before}", target.display())?;
    for (format, (count, bytes)) in &report.formats {
        writeln!(
            out,
            "  {format:<20} {count:>5} {:<7}  {:>12}",
            if *count == 1 { "tensor" } else { "tensors" },
            readable(*bytes)
        )?;
    }
    if let Some(first) = report.refitted.first() {
        let tensors = counted(report.refitted.len(), "tensor");
        let more = if report.refitted.len() > 1 { ", …" } else { "" };
        writeln!(out, "{tensors} got a finer format: rows that do not divide into its blocks ({first}{more})")?;
    }
    if report.requantized > 0 {
        let (tensors, verb) =
            (counted(report.requantized, "tensor"), if report.requantized == 1 { "was" } else { "were" });
        writeln!(out, "{tensors} {verb} quantized before: converting the unquantized model loses less")?;
    }
    Ok(())
}
