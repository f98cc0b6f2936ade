//! `volary eval`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::options::ModelArguments;
use super::{Outcome, json, terminal};
use crate::error::Result;
use crate::model::{DEFAULT_CHUNK, Logits, Sequence};
use crate::whole_file;

/// Compute the logits after each of some tokens
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Token ids, from an empty state on
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',', required = true)]
    tokens: Vec<u32>,
    /// Write the logits here: NumPy's .npy, float32 [n_tokens, n_vocab]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Tokens that go through the layers together
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CHUNK)]
    chunk: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Ids shown for each position.
const SHOWN: usize = 5;

pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments { model, tokens, output, chunk, json } = arguments;
    let model = model.open()?;
    let n_vocab = model.config().n_vocab;
    let mut state = model.new_state();
    let mut batch = [Sequence { state: &mut state, tokens: &tokens, logits: Logits::All }];
    let logits = model.forward_in_chunks(&mut batch, chunk)?.concat();
    if let Some(path) = &output {
        terminal::uninterrupted(|| write_npy(path, &logits, n_vocab))?;
    }
    let positions: Vec<_> =
        tokens.iter().zip(logits.chunks_exact(n_vocab)).map(|(&t, row)| (t, likeliest(row))).collect();
    if json {
        let positions: Vec<_> = positions
            .iter()
            .map(|(token, likeliest)| {
                let likeliest: Vec<_> =
                    likeliest.iter().map(|(id, logit)| json!({ "id": id, "logit": logit })).collect();
                json!({ "token": token, "likeliest": likeliest })
            })
            .collect();
        let object = json!({ "model": model.name(), "n_vocab": n_vocab, "output": output, "positions": positions });
        return json::print(&object);
    }
    let mut out = std::io::stdout().lock();
    if let Some(path) = output {
        writeln!(out, "{}: float32 [{}, {n_vocab}]", path.display(), tokens.len())?;
        return Ok(());
    }
    writeln!(out, "after token: the likeliest next ones and their logits")?;
    for (token, likeliest) in positions {
        let shown: Vec<_> = likeliest.iter().map(|(id, logit)| format!("{id} {logit:.4}")).collect();
        writeln!(out, "{token:>6}:  {}", shown.join("  "))?;
    }
    Ok(())
}

/// The ids with the highest logits, highest first.
fn likeliest(row: &[f32]) -> Vec<(usize, f32)> {
    let mut ids: Vec<_> = row.iter().copied().enumerate().collect();
    ids.sort_by(|a, b| b.1.total_cmp(&a.1));
    ids.truncate(SHOWN);
    ids
}

/// NumPy's format, version 1.0: magic, version, a Python dictionary padded to 64 bytes, the numbers.
fn write_npy(path: &Path, logits: &[f32], n_vocab: usize) -> Result<()> {
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    let shape = format!("({}, {n_vocab})", logits.len() / n_vocab);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let length = (MAGIC.len() + 2 + header.len() + 1).next_multiple_of(64) - MAGIC.len() - 2;
    header.push_str(&" ".repeat(length - 1 - header.len()));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(logits.iter().flat_map(|x| x.to_le_bytes()));
    whole_file::write(path, &bytes)
}
