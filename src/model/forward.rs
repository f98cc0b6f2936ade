//! The forward pass: a batch of sequences, each with its state, through all layers.

use std::path::PathBuf;

use half::{bf16, f16};

use super::config::Generation;
use super::pass::{Part, Pass};
use super::rows::{Rows, all_finite};
use super::state::State;
use super::v4::LayerV4;
use super::v5::LayerV5;
use super::v6::LayerV6;
use super::v7::LayerV7;
use super::weights::Loader;
use crate::error::{Error, Result};
use crate::kernel::{Activations, Kernels, Matrix, Norm, Table, trim_buffers};
use crate::pool::Pool;
use crate::quant::Format;

/// Which logits a sequence wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logits {
    /// None: only the state moves on.
    None,
    /// Those after the last token: `[n_vocab]`.
    #[default]
    Last,
    /// Those after each token: `[n_tokens, n_vocab]`.
    All,
}

/// A piece of text of one session: its tokens, and the state they are read into.
#[derive(Debug)]
pub struct Sequence<'a> {
    /// Moves on past the tokens.
    pub state: &'a mut State,
    /// Token ids, each below `n_vocab`.
    pub tokens: &'a [u32],
    /// Which logits to compute.
    pub logits: Logits,
}

/// What the generations do differently.
pub(super) trait Layer: Send + Sync {
    /// Attention's place: what each token takes from all before it. From normalized rows, added to `out`, both
    /// `[n, n_embd]`.
    fn time_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>);
    /// The feed-forward half, likewise.
    fn channel_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>);
}

/// All weights of a model.
pub(super) struct Network {
    emb: Table,
    /// Some exports of RWKV-7 fold it into the embedding.
    ln0: Option<Norm>,
    /// What the normalized embedding is rounded to.
    embedding_precision: Option<Format>,
    blocks: Vec<Block>,
    ln_out: Norm,
    head: Matrix,
    rescale_every: usize,
    /// The file, for messages.
    path: PathBuf,
}

struct Block {
    ln1: Norm,
    ln2: Norm,
    layer: Box<dyn Layer>,
}

impl Network {
    pub fn load(loader: &mut Loader<'_>) -> Result<Self> {
        let config = loader.config;
        let eps = config.layer_norm_eps;
        let emb = loader.table("emb.weight", config.n_vocab, config.n_embd)?;
        let ln0 = match config.generation {
            Generation::V7 if !["weight", "bias"].iter().any(|x| loader.contains(&format!("blocks.0.ln0.{x}"))) => None,
            _ => Some(loader.norm("blocks.0.ln0", eps)?),
        };
        let mut blocks = Vec::new();
        for layer in 0..config.n_layer {
            loader.layer = layer;
            blocks.push(Block {
                ln1: loader.norm(&format!("blocks.{layer}.ln1"), eps)?,
                ln2: loader.norm(&format!("blocks.{layer}.ln2"), eps)?,
                layer: match config.generation {
                    Generation::V4 => Box::new(LayerV4::load(loader)?),
                    Generation::V5_0 | Generation::V5_1 | Generation::V5_2 => Box::new(LayerV5::load(loader)?),
                    Generation::V6 => Box::new(LayerV6::load(loader)?),
                    Generation::V7 => Box::new(LayerV7::load(loader)?),
                },
            });
        }
        let ln_out = loader.norm("ln_out", eps)?;
        let head = loader.matrix("head.weight", config.n_vocab, config.n_embd)?;
        let embedding_precision = config.embedding_precision;
        let (rescale_every, path) = (config.rescale_every, loader.path().to_path_buf());
        Ok(Self { emb, ln0, embedding_precision, blocks, ln_out, head, rescale_every, path })
    }

    /// Bytes of the embedding, of which a token reads one row.
    pub fn embedding_size(&self) -> usize {
        self.emb.size()
    }

    /// Runs every token of the batch, at most `chunk` of them in one pass, and returns each sequence's logits.
    ///
    /// A sequence's numbers do not depend on `chunk`, nor on what else is in the batch. `progress` is asked before each
    /// pass whether to go on.
    pub fn forward(
        &self,
        batch: &mut [Sequence<'_>],
        chunk: usize,
        kernels: &'static Kernels,
        pool: &Pool,
        progress: &dyn Fn(f64) -> bool,
    ) -> Result<Vec<Vec<f32>>> {
        let total: usize = batch.iter().map(|sequence| sequence.tokens.len()).sum();
        let mut logits = vec![Vec::new(); batch.len()];
        let mut done = vec![0; batch.len()];
        let outcome = loop {
            let parts = take_chunk(batch, &done, chunk);
            if parts.is_empty() {
                break Ok(logits);
            }
            if !progress(done.iter().sum::<usize>() as f64 / total as f64) {
                break Err(Error::Cancelled);
            }
            if let Err(error) = self.pass(batch, &parts, &mut logits, kernels, pool) {
                break Err(error);
            }
            for part in parts {
                done[part.sequence] = part.tokens.end;
            }
        };
        trim_buffers();
        outcome
    }

    /// One pass over some tokens of some sequences; adds the logits asked for to those of their sequences.
    ///
    /// NaN spreads through everything that follows it, so that a look at what leaves the layers, and at the logits, finds
    /// it: a few numbers for each row of a matrix. Infinity does, too, unless it goes into a function that has a limit.
    fn pass(
        &self,
        batch: &mut [Sequence<'_>],
        parts: &[Part],
        logits: &mut [Vec<f32>],
        kernels: &'static Kernels,
        pool: &Pool,
    ) -> Result<()> {
        let mut x = self.embed(batch, parts, kernels);
        let mut pass = Pass::new(kernels, pool, parts, batch.iter_mut().map(|sequence| &mut *sequence.state));
        for (layer, block) in self.blocks.iter().enumerate() {
            pass.layer = layer;
            block.layer.time_mix(&pass.normalized(&x, &block.ln1), &mut x, &mut pass);
            #[cfg(all(test, feature = "ffi"))]
            super::fault::strike(pool);
            block.layer.channel_mix(&pass.normalized(&x, &block.ln2), &mut x, &mut pass);
            if self.rescale_every > 0 && (layer + 1) % self.rescale_every == 0 {
                x = x.map(|x| x / 2.0);
            }
        }
        if !all_finite(&x.data) {
            return Err(self.not_finite());
        }
        self.logits(&x, &pass, logits)
    }

    fn not_finite(&self) -> Error {
        let cause = "computes NaN or infinity: its weights are damaged, or the state is; download or convert it again";
        Error::format(&self.path, cause)
    }

    /// `[n, n_embd]`, a row for each token taken.
    fn embed(&self, batch: &[Sequence<'_>], parts: &[Part], kernels: &Kernels) -> Rows {
        let n = parts.iter().map(|part| part.tokens.len()).sum();
        let tokens = parts.iter().flat_map(|part| &batch[part.sequence].tokens[part.tokens.clone()]);
        let mut x = Rows::new(n, self.ln_out.weight.len());
        for (row, token) in x.iter_mut().zip(tokens) {
            self.emb.read_row(*token as usize, kernels, row);
        }
        let Some(ln0) = &self.ln0 else { return x };
        x.iter_mut().for_each(|row| ln0.apply(row, kernels));
        match self.embedding_precision {
            Some(Format::F16) => x.map(|x| f16::from_f32(x).to_f32()),
            Some(Format::BF16) => x.map(|x| bf16::from_f32(x).to_f32()),
            _ => x,
        }
    }

    /// The head is as large as several layers: it runs on the rows somebody asked for, all together.
    fn logits(&self, x: &Rows, pass: &Pass<'_>, out: &mut [Vec<f32>]) -> Result<()> {
        let rows: Vec<usize> = pass.parts.iter().flat_map(|part| part.wanted.clone()).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let [normalized] = Activations::fill(rows.len(), [&[&self.head]], pass.kernels, pass.pool, |_, row, out| {
            out.copy_from_slice(x.row(rows[row]));
            self.ln_out.apply(out, pass.kernels);
        });
        let logits = pass.multiply(&self.head, &normalized);
        if !all_finite(&logits.data) {
            return Err(self.not_finite());
        }
        let mut rest = &logits.data[..];
        for part in pass.parts {
            let (own, others) = rest.split_at(part.wanted.len() * logits.width);
            out[part.sequence].extend_from_slice(own);
            rest = others;
        }
        Ok(())
    }
}

/// The next tokens of each sequence that has any left, `chunk` in all. `done` counts those already run.
fn take_chunk(batch: &[Sequence<'_>], done: &[usize], chunk: usize) -> Vec<Part> {
    let mut first = 0;
    let mut parts = Vec::new();
    for (index, (sequence, &start)) in batch.iter().zip(done).enumerate() {
        let tokens = start..sequence.tokens.len().min(start.saturating_add(chunk - first));
        if tokens.is_empty() {
            continue;
        }
        let rows = first..first + tokens.len();
        let wanted = match sequence.logits {
            Logits::All => rows.clone(),
            Logits::Last if tokens.end == sequence.tokens.len() => rows.end - 1..rows.end,
            _ => rows.end..rows.end,
        };
        first = rows.end;
        parts.push(Part { sequence: index, tokens, rows, wanted });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kept_bytes;
    use crate::model::Model;

    #[test]
    fn a_long_prompt_leaves_no_memory_behind_even_if_it_is_cancelled() {
        let model = Model::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v7.pth")).unwrap();
        let tokens = [1; 4096];
        let single = |state: &mut State| {
            model.forward(&mut [Sequence { state, tokens: &tokens[..1], logits: Logits::Last }]).unwrap();
            kept_bytes()
        };
        let mut state = model.new_state();
        let kept = single(&mut state);
        for passes in [1, 4] {
            let asked = std::cell::Cell::new(0);
            let progress = |_| asked.replace(asked.get() + 1) < passes;
            let mut batch = [Sequence { state: &mut state, tokens: &tokens, logits: Logits::Last }];
            let outcome = model.forward_with_progress(&mut batch, 2048, &progress);
            assert_eq!(outcome.is_ok(), passes > 2);
            assert!(kept_bytes() < kept + (1 << 20), "{passes}: {} after {kept}", kept_bytes());
        }
    }
}
