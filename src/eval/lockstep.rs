//! Models that read one text side by side, a chunk at a time, so that nothing is kept but what is counted.

use std::time::{Duration, Instant};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::score::{Mean, add_all, cross_entropy, kl_divergence};
use crate::error::{Error, Result};
use crate::model::{Logits, Model, Sequence, State};

/// Tokens to read, and which of them are predictions that count: all from `first` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage<'a> {
    pub tokens: &'a [u32],
    pub first: usize,
}

impl Passage<'_> {
    /// The tokens whose predictions count.
    pub fn predicted(&self) -> &[u32] {
        &self.tokens[self.first..]
    }

    /// Tokens that go through the model: the last one is only predicted.
    pub fn run(&self) -> usize {
        self.tokens.len() - 1
    }
}

/// One model's way through a passage.
pub(super) struct Reader<'a> {
    model: &'a Model,
    state: State,
    /// Time in the forward pass.
    pub elapsed: Duration,
    /// Nats for each prediction that counts.
    pub cross_entropy: Mean,
}

impl<'a> Reader<'a> {
    pub fn new(model: &'a Model) -> Self {
        Self { model, state: model.new_state(), elapsed: Duration::ZERO, cross_entropy: Mean::default() }
    }

    /// `[n_tokens, n_vocab]`, or empty.
    fn read(&mut self, tokens: &[u32], logits: Logits) -> Result<Vec<f32>> {
        let started = Instant::now();
        let batch = &mut [Sequence { state: &mut self.state, tokens, logits }];
        let logits = self.model.forward_in_chunks(batch, tokens.len())?.concat();
        self.elapsed += started.elapsed();
        Ok(logits)
    }

    fn count(&mut self, logits: &[f32], targets: &[u32]) -> Result<()> {
        let rows = logits.par_chunks_exact(self.model.config().n_vocab);
        let scores = || rows.zip(targets.par_iter()).map(|(row, &target)| cross_entropy(row, target)).collect();
        add_all(&mut self.cross_entropy, self.model.pool().enter(scores), self.model)
    }
}

/// Takes one reader through a passage, `chunk` tokens at a time.
pub(super) fn read(
    reader: &mut Reader<'_>,
    passage: Passage<'_>,
    chunk: usize,
    progress: &dyn Fn(f64) -> bool,
) -> Result<()> {
    walk(passage, chunk, progress, |tokens, logits, targets| {
        let logits = reader.read(tokens, logits)?;
        reader.count(&logits, targets)
    })
}

/// Takes two readers through a passage together. Gives the divergence of the second's distributions from the first's.
pub(super) fn read_both(
    [base, other]: [&mut Reader<'_>; 2],
    passage: Passage<'_>,
    chunk: usize,
    progress: &dyn Fn(f64) -> bool,
) -> Result<Mean> {
    let n_vocab = base.model.config().n_vocab;
    let mut divergence = Mean::default();
    walk(passage, chunk, progress, |tokens, logits, targets| {
        let (p, q) = (base.read(tokens, logits)?, other.read(tokens, logits)?);
        base.count(&p, targets)?;
        other.count(&q, targets)?;
        let rows = p.par_chunks_exact(n_vocab).zip(q.par_chunks_exact(n_vocab));
        let scores = other.model.pool().enter(|| rows.map(|(p, q)| kl_divergence(p, q)).collect());
        add_all(&mut divergence, scores, other.model)
    })?;
    Ok(divergence)
}

/// Calls `step` with each chunk of tokens, the logits to compute, and the tokens that those logits predict. The head
/// does not run on tokens whose predictions do not count.
fn walk(
    passage: Passage<'_>,
    chunk: usize,
    progress: &dyn Fn(f64) -> bool,
    mut step: impl FnMut(&[u32], Logits, &[u32]) -> Result<()>,
) -> Result<()> {
    let Passage { tokens, first } = passage;
    let go_on = |done: usize| match progress(done as f64 / passage.run() as f64) {
        true => Ok(()),
        false => Err(Error::Cancelled),
    };
    let (skipped, counted) = tokens[..passage.run()].split_at(first - 1);
    let mut done = 0;
    go_on(done)?;
    for tokens in skipped.chunks(chunk) {
        step(tokens, Logits::None, &[])?;
        done += tokens.len();
        go_on(done)?;
    }
    for (tokens, targets) in counted.chunks(chunk).zip(passage.predicted().chunks(chunk)) {
        step(tokens, Logits::All, targets)?;
        done += tokens.len();
        go_on(done)?;
    }
    Ok(())
}
