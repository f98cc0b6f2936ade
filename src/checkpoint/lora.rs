//! Merging what low-rank training leaves, a LoRA or one of its relatives, into an open checkpoint.
//!
//! The kinds are told apart by the names that the trainers write. `P` is a matrix' name without `.weight`, `W` the matrix
//! `[out, in]`:
//!
//! - LoRA: `P.lora_A` `[r, in]` and `P.lora_B` `[out, r]` make `W + B A alpha / r` (Blealtan/RWKV-LM-LoRA
//!   `merge_lora.py`, JL-er/RWKV-PEFT `merge/merge_lora.py`). Some scripts write `P.lora_A.weight`.
//! - PiSSA: the same, and `P.init_lora_A` and `P.init_lora_B` in a file of their own, make `W - B0 A0 + B A`
//!   (RWKV-PEFT `merge/merge_pissa.py`).
//! - DiSHA, first called Bone: `P.disha` or `P.bone` `[r, out]` makes `W[o, i] + D[i mod r, o]` (RWKV-PEFT
//!   `merge/merge_disha.py`, `merge_bone.py`: `dim==2`).
//! - Bat: `P.disha` or `P.bone` `[in / r, r, r]` makes `W' + W' D[j] + D[j]` of each block `W'` `[r, r]` in the `j`th
//!   column of blocks (the same files: `dim==3`).
//! - A tensor of the model, in full: it takes the model's place, as it was trained and in its own format.
//!
//! What was trained beside a quantized base (RWKV-PEFT's `--quant`) does not say so. The scripts then merge into the base
//! as bitsandbytes rounds it; here it is merged into the base as it is.

mod add;
mod file;

use std::path::{Path, PathBuf};

use super::{Checkpoint, Stored, names};
use crate::error::{Error, Result};
use crate::whole_file;
use add::Term;
pub(super) use add::{Addition, add};
use file::{Change, InitialValues, Pair, TrainedFile};

/// A file of trained additions to a model: a LoRA, PiSSA, DiSHA or Bone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lora {
    /// The file as the trainer saved it: `.pth` or `.safetensors`.
    pub path: PathBuf,
    /// The training's `lora_alpha`, which the file does not tell. A LoRA needs it; the other kinds have none.
    pub alpha: Option<f32>,
    /// The initial values that PiSSA saves when training begins (`init_pissa.pth`). PiSSA needs them; the other kinds
    /// have none.
    pub pissa_init: Option<PathBuf>,
}

/// How many of a model's tensors a merge changed, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeSummary {
    /// Matrices with a LoRA added.
    pub lora: usize,
    /// Matrices with a PiSSA added.
    pub pissa: usize,
    /// Matrices with a DiSHA or Bone added: a tensor of two dimensions.
    pub disha: usize,
    /// Matrices with a Bat added: a DiSHA or Bone tensor of three dimensions.
    pub bat: usize,
    /// Tensors replaced by those that the file holds in full.
    pub replaced: usize,
}

impl Checkpoint {
    /// Merges a LoRA or one of its relatives. From here on the tensors are those of a checkpoint that it was merged
    /// into, in the formats of this one: matrices are computed with 64-bit sums and rounded once. Several may be merged,
    /// one after the other; each rounds anew, as merging through files would.
    ///
    /// Nothing is computed before a tensor is asked for, and the file must stay as it is until then.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Format`] for files that cannot be read, are damaged or hold nothing to merge,
    /// [`Error::Mismatch`] for tensors that do not fit this checkpoint, [`Error::Unsupported`] for quantized checkpoints and
    /// for kinds of training that Volary does not know, [`Error::InvalidArgument`] for options that are missing,
    /// senseless, or another kind's. The checkpoint is then as it was.
    pub fn merge(&mut self, lora: &Lora) -> Result<MergeSummary> {
        if let Some(alpha) = lora.alpha.filter(|alpha| !alpha.is_finite()) {
            let cause = format!("is {alpha}; must be a finite number, the training's lora_alpha");
            return Err(Error::argument("alpha", cause));
        }
        whole_file::check_named("lora", &lora.path)?;
        lora.pissa_init.as_ref().map_or(Ok(()), |path| whole_file::check_named("pissa_init", path))?;
        let first_file = self.files.len();
        let trained = TrainedFile::read(&lora.path, first_file)?;
        check_options(lora, &trained)?;
        let mut initial = match &lora.pissa_init {
            Some(path) => Some(InitialValues::read(path, first_file + trained.files.len())?),
            None => None,
        };
        let (mut additions, mut replacements) = (Vec::new(), Vec::new());
        let mut summary = MergeSummary::default();
        for (target, change) in trained.changes {
            let path = &lora.path;
            let addition = match (change, &mut initial) {
                (Change::Whole(tensor), _) => {
                    replacements.push((self.replacement(path, &tensor)?, tensor));
                    summary.replaced += 1;
                    continue;
                }
                (Change::Block(block), _) => {
                    let addition = block_addition(path, block, &target, self.matrix(path, &target)?)?;
                    match &addition {
                        Addition::Bat(_) => summary.bat += 1,
                        _ => summary.disha += 1,
                    }
                    addition
                }
                (Change::Pair(pair), None) => {
                    let rank = check_pair(path, &pair, &target, self.matrix(path, &target)?)?;
                    // `check_options` has seen to it that there is one.
                    let alpha = lora.alpha.unwrap_or_default();
                    summary.lora += 1;
                    Addition::LowRank(vec![Term::new(pair, f64::from(alpha) / rank as f64)])
                }
                (Change::Pair(pair), Some(initial)) => {
                    let shape = self.matrix(path, &target)?;
                    check_pair(path, &pair, &target, shape)?;
                    let start = initial.take(&target)?;
                    check_pair(&initial.path, &start, &target, shape)?;
                    summary.pissa += 1;
                    Addition::LowRank(vec![Term::new(start, -1.0), Term::new(pair, 1.0)])
                }
            };
            additions.push((target, addition));
        }
        let initial = initial.map(|initial| initial.finish(&lora.path)).transpose()?;
        for (files, checksums) in [(trained.files, trained.checksums)].into_iter().chain(initial) {
            self.files.extend(files);
            self.checksums.extend(checksums);
        }
        for (canonical, trained) in replacements {
            self.replace(canonical, trained);
        }
        for (target, addition) in additions {
            self.additions.entry(target).or_default().push(addition);
        }
        Ok(summary)
    }

    /// Rows and columns of the matrix that is to be added to.
    fn matrix(&self, path: &Path, target: &str) -> Result<[usize; 2]> {
        let base = self.replaceable(path, target)?;
        match base.shape[..] {
            [rows, cols] => Ok([rows, cols]),
            _ => Err(self.mismatch(path, format!("trains {target}, which is no matrix but {:?}", base.shape))),
        }
    }

    /// The tensor that is to be changed, if it can be.
    fn replaceable(&self, path: &Path, name: &str) -> Result<&Stored> {
        let Some(base) = self.tensors.get(name) else {
            let cause = format!("trains {name}, which {} does not have", self.path.display());
            return Err(self.mismatch(path, cause));
        };
        if !base.format.is_float() {
            let cause = format!(
                "{name} is {}; quantized bases cannot be merged into, merge into the F16 or BF16 original and convert after",
                base.format
            );
            return Err(Error::unsupported(self.path.display(), cause));
        }
        Ok(base)
    }

    /// The canonical form of a tensor that is to take the place of the checkpoint's own.
    fn replacement(&self, path: &Path, trained: &Stored) -> Result<Stored> {
        let name = &trained.name;
        let base = self.replaceable(path, name)?;
        // What a few tensors are cannot be told from themselves: RWKV-4's decay and RWKV-5's differ in use only.
        let canonical = names::from_training(trained.clone(), self.generation);
        if canonical.shape != base.shape {
            let cause =
                format!("{name} is {:?} there, but {:?} in {}", canonical.shape, base.shape, self.path.display());
            return Err(self.mismatch(path, cause));
        }
        if self.rescaling(name) != 1.0 {
            let cause =
                format!("{name} is stored divided for rescaling and cannot be replaced; merge into the original");
            return Err(Error::unsupported(self.path.display(), cause));
        }
        Ok(canonical)
    }

    fn replace(&mut self, canonical: Stored, trained: Stored) {
        let name = canonical.name.clone();
        if let Some(original) = self.originals.iter_mut().find(|original| original.parts.contains(&name)) {
            original.stored = match (self.is_as_trained, original.parts.len()) {
                (true, _) => Some(trained),
                (false, 1) => Some(canonical.clone()),
                (false, _) => None,
            };
        }
        self.additions.remove(&name);
        self.tensors.insert(name, canonical);
    }

    fn mismatch(&self, path: &Path, cause: String) -> Error {
        Error::mismatch(path.display(), format!("{cause}; it belongs to another model"))
    }
}

/// Each kind has its own options, and another's would be ignored silently.
fn check_options(lora: &Lora, trained: &TrainedFile) -> Result<()> {
    let path = lora.path.display();
    let has_pairs = trained.changes.values().any(|change| matches!(change, Change::Pair(_)));
    let (argument, cause) = match (has_pairs, lora.alpha.is_some(), lora.pissa_init.is_some()) {
        (true, true, false) | (true, false, true) | (false, false, false) => return Ok(()),
        (true, false, false) => (
            "alpha",
            format!(
                "is missing; {path} holds a LoRA, give its training's lora_alpha (or for a PiSSA its initial values, pissa_init)"
            ),
        ),
        (true, true, true) => ("alpha", "excludes pissa_init: a LoRA has the one, a PiSSA the other".to_string()),
        (false, true, _) => ("alpha", format!("must be left out: {path} holds a DiSHA or Bone, which has none")),
        (false, false, true) => ("pissa_init", format!("must be left out: {path} holds no PiSSA")),
    };
    Err(Error::argument(argument, cause))
}

/// The rank of a pair that fits the matrix.
fn check_pair(path: &Path, Pair { a, b }: &Pair, target: &str, [rows, cols]: [usize; 2]) -> Result<usize> {
    match (&a.shape[..], &b.shape[..]) {
        (&[r, n_in], &[n_out, same]) if r > 0 && r == same && [n_out, n_in] == [rows, cols] => Ok(r),
        (found_a, found_b) => {
            let cause = format!(
                "{} {found_a:?} and {} {found_b:?} do not fit {target} [{rows}, {cols}]; they must be [r, {cols}] and [{rows}, r]",
                a.name, b.name
            );
            Err(Error::mismatch(path.display(), cause))
        }
    }
}

/// A DiSHA or a Bat, by its dimensions. Of square matrices the Bat of before October 2024 (`[out / r, r, r]`) cannot be
/// told from today's; RWKV-PEFT's own script takes it for today's, too.
fn block_addition(path: &Path, block: Stored, target: &str, [rows, cols]: [usize; 2]) -> Result<Addition> {
    match block.shape[..] {
        [r, n_out] if r > 0 && n_out == rows => Ok(Addition::Disha(block)),
        [n, r, same] if r > 0 && r == same && n * r == cols && rows % r == 0 => Ok(Addition::Bat(block)),
        _ => {
            let cause = format!(
                "{} {:?} does not fit {target} [{rows}, {cols}]; it must be [r, {rows}] (DiSHA, Bone) or [{cols} / r, r, r] (Bat)",
                block.name, block.shape
            );
            Err(Error::mismatch(path.display(), cause))
        }
    }
}

#[cfg(test)]
mod tests;
