//! `volary merge-lora`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::options::threads_or_environment;
use super::{Outcome, json, terminal};
use crate::checkpoint::Lora;
use crate::merge_lora::{MergeOptions, merge_lora};

/// Merge a LoRA, PiSSA, DiSHA or Bone into the model it was trained on
#[derive(Args)]
pub(super) struct Arguments {
    /// The model: a .pth, .safetensors, rwkv.cpp .bin or GGUF file that is not quantized
    base: PathBuf,
    /// What the training left: a .pth or .safetensors
    lora: PathBuf,
    /// The file to write; its extension tells the type
    target: PathBuf,
    /// The training's lora_alpha, for a LoRA
    #[arg(short, long, value_name = "A", allow_negative_numbers = true)]
    alpha: Option<f32>,
    /// The initial values of a PiSSA: init_pissa.pth
    #[arg(long, value_name = "FILE")]
    pissa_init: Option<PathBuf>,
    /// Threads to compute with [default: VOLARY_THREADS, else one for each core]
    #[arg(short, long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments { base, lora, target, alpha, pissa_init, threads, json } = arguments;
    let threads = threads_or_environment(threads)?;
    let lora = Lora { path: lora, alpha, pissa_init };
    let summary = terminal::with_progress("Merging", |progress| {
        merge_lora(&base, &lora, &target, MergeOptions { threads, progress: Some(progress) })
    })?;
    let counts = [
        ("lora", summary.lora),
        ("pissa", summary.pissa),
        ("disha", summary.disha),
        ("bat", summary.bat),
        ("replaced", summary.replaced),
    ];
    if json {
        let merged: serde_json::Map<_, _> = counts.into_iter().map(|(kind, n)| (kind.to_string(), n.into())).collect();
        return json::print(&json!({
            "base": base,
            "lora": lora.path,
            "alpha": alpha,
            "pissa_init": lora.pissa_init,
            "output": target,
            "tensors": merged,
        }));
    }
    let counts: Vec<_> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{count} {kind}")).collect();
    writeln!(std::io::stdout(), "{}: {}", target.display(), counts.join(", "))?;
    Ok(())
}
