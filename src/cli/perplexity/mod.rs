//! `volary perplexity`

mod table;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::options::ModelArguments;
use super::plot::PlotFile;
use super::{Failure, Outcome, json, terminal};
use crate::error::{Error, Result};
use crate::eval::{ComparisonOptions, FormatComparison, PerplexityOptions, PerplexityReport};
use crate::model::{DEFAULT_CHUNK, Model};
use crate::whole_file;

/// Measure how well a model predicts a text, and what quantizing it costs
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The text, in UTF-8, read as it is: no line end is changed, no token put in front
    text: PathBuf,
    /// Tokens at the beginning that are read but not counted
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: usize,
    /// Tokens of the text to use, those skipped among them [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Tokens that go through the layers together
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CHUNK)]
    chunk: usize,
    /// Compare the model with itself in these formats: Q4_0, Q5_1, …
    #[arg(long, value_name = "FORMAT,FORMAT,…", value_delimiter = ',')]
    formats: Vec<String>,
    /// Draw perplexity against size: an .svg or .png file
    #[arg(long, value_name = "FILE", requires = "formats")]
    plot: Option<PlotFile>,
    #[command(flatten)]
    quantizing: QuantizingArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How to quantize for `--formats`.
#[derive(Args)]
struct QuantizingArguments {
    /// How blocks are chosen: with less error, or bit for bit as rwkv.cpp and ggml do
    #[arg(long, value_parser = ["search", "reference"], default_value = "search", requires = "formats")]
    encoder: String,
    /// Which tensors get which format
    #[arg(long, value_parser = ["default", "rwkvcpp", "llamacpp"], default_value = "default", requires = "formats")]
    policy: String,
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments { model: from, text: path, skip, limit, chunk, formats, plot, quantizing, json } = arguments;
    let text = read_text(&path)?;
    let model = from.clone().open()?;
    let progress = Some(terminal::progress_bar("Reading"));
    let perplexity = PerplexityOptions { skip, limit, chunk, progress };
    let of_the_file = |error| match error {
        Error::InvalidArgument { argument, cause } if argument == "text" => Error::format(&path, cause),
        error => error,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if formats.is_empty() {
        let report = model.perplexity(&text, &perplexity).map_err(of_the_file)?;
        return match json {
            true => print_json(&report, &path, skip),
            false => print(&report, &name, skip, chunk),
        };
    }
    let options = ComparisonOptions { perplexity, ..ComparisonOptions::default() };
    let mut open = |format: &str| open_quantized(&from, format, &quantizing);
    let comparison: FormatComparison =
        model.compare_formats(&text, &formats, &options, &mut open).map_err(of_the_file)?;
    if let Some(plot) = plot {
        plot.write(&comparison, &name)?;
    }
    match json {
        true => print_json(&comparison, &path, skip),
        false => table::print(&comparison, &name, skip),
    }
}

fn read_text(path: &Path) -> Result<String> {
    /// Text and tokens of this size take a gigabyte or two.
    const LARGEST: u64 = 256 << 20;
    let mut bytes = Vec::new();
    let fail = |e| Error::io(path, e);
    whole_file::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::format(path, "is larger than 256 MiB; measure a part of it, such as head -c 256M gives"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::format(path, format!("is not UTF-8 text at byte {at}; convert it, for example with iconv -t UTF-8"))
    })
}

/// The model of the arguments, its weights in another format.
fn open_quantized(_model: &ModelArguments, format: &str, _quantizing: &QuantizingArguments) -> Result<Model> {
    Err(Error::unsupported(format, "quantizing is not built in yet; measure a converted file instead"))
}

fn print_json(report: &impl serde::Serialize, text: &Path, skip: usize) -> Outcome {
    let mut object = serde_json::to_value(report).map_err(|e| Failure::Output(e.into()))?;
    object["text"] = json!(text.to_string_lossy());
    object["skip"] = json!(skip);
    json::print(&object)
}

fn print(report: &PerplexityReport, text: &str, skip: usize, chunk: usize) -> Outcome {
    let mut out = std::io::stdout().lock();
    writeln!(out, "model          {}", report.model)?;
    writeln!(out, "text           {}", described(report, text, skip))?;
    writeln!(out, "cross-entropy  {:.4}{} nats per token", report.cross_entropy, error(report.cross_entropy_error, 4))?;
    writeln!(out, "perplexity     {:.3}{}", report.perplexity, error(report.perplexity_error, 3))?;
    if let Some(bits) = report.bits_per_byte {
        writeln!(out, "bits per byte  {bits:.4}")?;
    }
    writeln!(out, "latency        {:.3} ms per token, {chunk} at a time", report.milliseconds_per_token)?;
    Ok(())
}

/// The text and the part of it that counts.
fn described(report: &PerplexityReport, text: &str, skip: usize) -> String {
    let tokens = match report.tokens == report.text_tokens {
        true => format!("{} tokens", report.tokens),
        false => format!("the first {} of {} tokens", report.tokens, report.text_tokens),
    };
    let skipped = if skip > 0 { format!(", {skip} skipped") } else { String::new() };
    format!("{text}: {tokens}{skipped}, {} predictions", report.predictions)
}

fn error(error: Option<f64>, decimals: usize) -> String {
    error.map(|error| format!(" ± {error:.decimals$}")).unwrap_or_default()
}
