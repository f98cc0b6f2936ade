//! `volary perplexity`

mod table;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::convert;
use super::options::{ModelArguments, utf8};
use super::plot::PlotFile;
use super::{Failure, Outcome, counted, json, terminal};
use crate::convert::{Policy, Quantization};
use crate::error::{Error, Result};
use crate::eval::{ComparisonOptions, PerplexityOptions, PerplexityReport};
use crate::model::DEFAULT_CHUNK;
use crate::quant::{Encoder, Format};
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
    #[arg(long, value_name = "T,T,…", value_delimiter = ',', value_parser = known_format)]
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
    /// How blocks are chosen: searched for less error, or bit for bit as rwkv.cpp and ggml do
    #[arg(long, value_name = "ENCODER", default_value = "search", value_parser = convert::encoder(), requires = "formats")]
    encoder: Encoder,
    /// Which tensors get a format, and what the others get
    #[arg(long, value_name = "POLICY", default_value = "default", value_parser = convert::policy(), requires = "formats")]
    policy: Policy,
}

impl QuantizingArguments {
    fn quantization(&self, format: Format) -> Quantization {
        Quantization {
            format: Some(format),
            encoder: self.encoder,
            policy: Some(self.policy),
            ..Quantization::default()
        }
    }
}

/// The name of a format that there is, as the user calls it: llama.cpp's file types have names of their own.
fn known_format(name: &str) -> Result<String> {
    Format::of_argument("formats", name).map(|_| name.to_string())
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments { model: from, text: path, skip, limit, chunk, formats, plot, quantizing, json } = arguments;
    plot.as_ref().map_or(Ok(()), PlotFile::check_folder)?;
    let text = read_text(&path)?;
    let model = from.clone().open()?;
    let perplexity = |progress| PerplexityOptions { skip, limit, chunk, progress: Some(progress) };
    let of_the_file = |error| match error {
        Error::InvalidArgument { argument, cause } if argument == "text" => Error::format(&path, cause),
        error => error,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if formats.is_empty() {
        let report = terminal::with_progress("Reading", |progress| model.perplexity(&text, &perplexity(progress)))
            .map_err(of_the_file)?;
        return match json {
            true => print_json(&report, &path, skip),
            false => print(&report, &name, skip, chunk),
        };
    }
    let mut open = |name: &str| from.clone().open_as(Some(quantizing.quantization(name.parse()?)));
    let comparison = terminal::with_progress("Reading", |progress| {
        let options = ComparisonOptions { perplexity: perplexity(progress), ..ComparisonOptions::default() };
        model.compare_formats(&text, &formats, &options, &mut open)
    })
    .map_err(of_the_file)?;
    match json {
        true => print_json(&comparison, &path, skip)?,
        false => table::print(&comparison, &name, skip)?,
    }
    // Last: the numbers are out, should the disk be full.
    plot.map_or(Ok(()), |plot| Ok(terminal::uninterrupted(|| plot.write(&comparison, &name))?))
}

fn read_text(path: &Path) -> Result<String> {
    /// Common test texts are smaller (enwik8: 100 MB), and ids of single bytes take four times as much.
    const LARGEST: u64 = 256 << 20;
    let mut bytes = Vec::new();
    let fail = |e| Error::io(path, e);
    whole_file::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::format(path, "is larger than 256 MiB; measure a part of it"));
    }
    utf8(bytes, path)
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
        true => counted(report.tokens, "token"),
        false => format!("the first {} of {}", report.tokens, counted(report.text_tokens, "token")),
    };
    let skipped = if skip > 0 { format!(", {skip} skipped") } else { String::new() };
    format!("{text}: {tokens}{skipped}, {}", counted(report.predictions, "prediction"))
}

fn error(error: Option<f64>, decimals: usize) -> String {
    error.map(|error| format!(" ± {error:.decimals$}")).unwrap_or_default()
}
