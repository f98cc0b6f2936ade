//! `volary bench`

use std::io::Write;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::options::{ModelArguments, OpeningArguments};
use super::{Failure, Outcome, counted, json};
use crate::eval::{BenchOptions, memory_bandwidth};

/// Measure how fast a model reads (prefill) and writes (decode)
#[derive(Args)]
pub(super) struct Arguments {
    /// The model: a .pth, .safetensors, rwkv.cpp .bin or GGUF file
    model: std::path::PathBuf,
    #[command(flatten)]
    opening: OpeningArguments,
    /// Tokens to read
    #[arg(short = 'p', long = "prefill", alias = "prefill-tokens", value_name = "N",
        default_value_t = BenchOptions::default().prefill_tokens)]
    prefill_tokens: usize,
    /// Tokens to write
    #[arg(short = 'n', long = "decode", alias = "decode-tokens", value_name = "N",
        default_value_t = BenchOptions::default().decode_tokens)]
    decode_tokens: usize,
    /// Repetitions; the medians are printed
    #[arg(short, long, value_name = "N", default_value_t = BenchOptions::default().repeats)]
    repeats: usize,
    /// Sessions at once
    #[arg(short, long, value_name = "N", default_value_t = BenchOptions::default().batch)]
    batch: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments { model, opening, prefill_tokens, decode_tokens, repeats, batch, json } = arguments;
    let started = Instant::now();
    let model = ModelArguments { model, opening }.open()?;
    let load_seconds = started.elapsed().as_secs_f64();
    let options = BenchOptions { prefill_tokens, decode_tokens, batch, repeats, progress: None };
    let report = model.bench(&options)?;
    let bandwidth = memory_bandwidth(Some(report.threads))?;
    let share = report.decode_gb_per_second.map(|rate| rate / bandwidth);
    if json {
        let mut object = serde_json::to_value(&report).map_err(|e| Failure::Output(e.into()))?;
        object["load_seconds"] = json!(load_seconds);
        object["memory_gb_per_second"] = json!(bandwidth);
        object["decode_memory_share"] = json!(share);
        return json::print(&object);
    }
    let mut out = std::io::stdout().lock();
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let tokens = |rate: Option<f64>, tokens: usize| match rate {
        Some(rate) => format!("{rate:.2} tokens/s ({} x {batch})", counted(tokens, "token")),
        None => "-".to_string(),
    };
    let threads = counted(report.threads, "thread");
    writeln!(out, "model    {} ({} in memory)", report.model, mebibytes(report.resident_bytes as u64))?;
    writeln!(out, "machine  {}, {}, reading {bandwidth:.1} GB/s of memory", report.isa, threads)?;
    writeln!(out, "load     {load_seconds:.2} s")?;
    write!(out, "prefill  {}", tokens(report.prefill_tokens_per_second, prefill_tokens))?;
    if let Some(rate) = report.prefill_gflop_per_second {
        write!(out, ", {rate:.1} GFLOP/s")?;
    }
    write!(out, "\ndecode   {}", tokens(report.decode_tokens_per_second, decode_tokens))?;
    if let (Some(rate), Some(share)) = (report.decode_gb_per_second, share) {
        let megabytes = report.decode_bytes_per_token as f64 / 1e6;
        write!(out, ", {megabytes:.2} MB each: {rate:.1} GB/s, {:.0} % of the memory's", share * 100.0)?;
    }
    writeln!(out)?;
    if let Some(peak) = report.peak_rss_bytes {
        writeln!(out, "memory   {} at most", mebibytes(peak))?;
    }
    Ok(())
}
