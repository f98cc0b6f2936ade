//! The table of `--formats`.

use std::io::Write;

use super::described;
use crate::cli::Outcome;
use crate::eval::{FormatComparison, FormatReport};

pub(super) fn print(comparison: &FormatComparison, text: &str, skip: usize) -> Outcome {
    let base = &comparison.unquantized;
    let mut out = std::io::stdout().lock();
    writeln!(out, "model  {}", comparison.model)?;
    writeln!(out, "text   {}", described(&base.perplexity, text, skip))?;
    writeln!(out)?;
    for line in HEADERS.map(|header| line(&header.map(str::to_string))) {
        writeln!(out, "{line}")?;
    }
    for row in std::iter::once(base).chain(&comparison.formats) {
        writeln!(out, "{}", line(&cells(row, comparison.base_name())))?;
    }
    if comparison.is_quantized {
        writeln!(out, "\nThe model was quantized before: the unquantized model tells more.")?;
    }
    Ok(())
}

const COLUMNS: usize = 8;
/// With the two spaces between columns, 96 characters.
const WIDTHS: [usize; COLUMNS] = [11, 11, 9, 11, 10, 9, 10, 11];
const HEADERS: [[&str; COLUMNS]; 2] = [
    ["", "", "", "KL diverg.", "size", "bits per", "prefill", "decode"],
    ["format", "perplexity", "change", "nats/token", "MiB", "weight", "tokens/s", "tokens/s"],
];

fn cells(row: &FormatReport, base: &str) -> [String; COLUMNS] {
    let rate = |rate: Option<f64>| rate.map_or("-".into(), |rate| format!("{rate:.1}"));
    let compared = |value: String| if row.format.is_some() { value } else { "-".into() };
    [
        row.format.clone().unwrap_or(base.into()),
        format!("{:.4}", row.perplexity.perplexity),
        compared(format!("{:+.2} %", row.perplexity_change_percent)),
        compared(format!("{:.6}", row.kl_divergence)),
        format!("{:.2}", row.bytes as f64 / f64::from(1 << 20)),
        format!("{:.2}", row.bits_per_weight),
        rate(row.prefill_tokens_per_second),
        rate(row.decode_tokens_per_second),
    ]
}

/// Names to the left, numbers to the right.
fn line(cells: &[String; COLUMNS]) -> String {
    let padded = cells.iter().zip(WIDTHS).enumerate().map(|(column, (cell, width))| match column {
        0 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_string()
}
