//! Merging a LoRA into a checkpoint's file.

use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, Lora, MergeSummary, Writing};
use crate::convert::{self, ConvertOptions};
use crate::error::{Error, Result};
use crate::model::Progress;
use crate::pool::Pool;
use crate::whole_file::{self, Replacement};

/// How to merge. The default suits most.
#[derive(Clone, Default)]
pub struct MergeOptions {
    /// Threads to compute with; `None`: as many as there are cores for this process.
    pub threads: Option<usize>,
    /// Told of the progress.
    pub progress: Option<Arc<Progress>>,
}

/// Writes the checkpoint `base` with a LoRA, PiSSA, DiSHA or Bone merged into it to `target`, whose extension tells the
/// type: `.pth`, `.safetensors`, `.gguf` or `.bin`.
///
/// A `.pth` or `.safetensors` has the base's own names, shapes, order and number formats; the others are as
/// [`convert`](crate::convert::convert) writes them. The file appears under its name only when it is complete. One tensor
/// at a time is in memory. The formulas, and where they are from: [`Checkpoint::merge`].
///
/// ```no_run
/// use volary::checkpoint::Lora;
///
/// # fn main() -> volary::Result<()> {
/// let lora = Lora { path: "rwkv-4.pth".into(), alpha: Some(32.0), ..Default::default() };
/// let summary = volary::merge_lora("RWKV-x070-World-0.4B-v2.9.pth", &lora, "merged.pth", Default::default())?;
/// println!("{} matrices merged", summary.lora);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Checkpoint::open`] and [`Checkpoint::merge`]; [`Error::InvalidArgument`] for an extension that tells no type,
/// [`Error::Unsupported`] for a base that cannot be written as such a file, [`Error::Io`] if `target` cannot be written,
/// [`Error::Cancelled`] if `progress` said so. What was called `target` before is then still there.
pub fn merge_lora(
    base: impl AsRef<Path>,
    lora: &Lora,
    target: impl AsRef<Path>,
    options: MergeOptions,
) -> Result<MergeSummary> {
    let (base, target) = (base.as_ref(), target.as_ref());
    whole_file::check_named("base", base)?;
    whole_file::check_named("target", target)?;
    let kind = OutputKind::of(target)?;
    let pool = Pool::new(options.threads)?;
    let mut checkpoint = Checkpoint::open(base)?;
    let summary = checkpoint.merge(lora)?;
    let progress = |done| options.progress.as_ref().is_none_or(|progress| progress(done));
    match kind {
        OutputKind::Pth | OutputKind::Safetensors => pool.enter(|| {
            checkpoint.verify(&pool)?;
            let writing = Writing::new(&checkpoint, &progress)?;
            let mut file = Replacement::create(target)?;
            match kind {
                OutputKind::Pth => writing.write_pth(&mut file, target)?,
                _ => writing.write_safetensors(&mut file, target)?,
            }
            checkpoint.check_unchanged()?;
            file.commit()
        })?,
        OutputKind::Converted => {
            let MergeOptions { threads, progress } = options;
            convert::write(&checkpoint, target, &ConvertOptions { threads, progress, ..Default::default() })?;
        }
    }
    Ok(summary)
}

#[derive(Clone, Copy)]
enum OutputKind {
    Pth,
    Safetensors,
    /// `.gguf` and `.bin`, which any checkpoint can become.
    Converted,
}

impl OutputKind {
    fn of(target: &Path) -> Result<Self> {
        let extension = target.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        Ok(match extension.as_str() {
            "pth" => Self::Pth,
            "safetensors" => Self::Safetensors,
            "gguf" | "bin" => Self::Converted,
            _ => {
                let cause = format!("is {:?}; must end in .pth, .safetensors, .gguf or .bin", target.display());
                return Err(Error::argument("target", cause));
            }
        })
    }
}
