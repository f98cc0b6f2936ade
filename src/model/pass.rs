//! One pass of a batch through the layers: which row belongs to which sequence, and the sequences' states.

use std::ops::Range;

use super::rows::Rows;
use super::state::State;
use crate::kernel::{Kernels, Matrix, column_blocks};
use crate::pool::Pool;

/// What the layers need to know of the batch and of the machine. The rows of all sequences go through each matrix
/// together; only token shift and the recurrence tell them apart.
pub(crate) struct Pass<'a> {
    pub kernels: &'static Kernels,
    pub pool: &'a Pool,
    pub states: Vec<&'a mut State>,
    /// The rows of each sequence, in the order of `states`. None is empty.
    pub rows: Vec<Range<usize>>,
    /// The layer at work.
    pub layer: usize,
    /// RWKV-7: the first layer's values, which later layers mix in.
    pub first_value: Option<Rows>,
}

/// Which half of a layer is at work; each remembers the previous token by itself.
#[derive(Clone, Copy)]
pub(crate) enum Shift {
    TimeMix,
    ChannelMix,
}

impl Pass<'_> {
    /// `[n, cols] -> [n, rows]`.
    pub fn multiply(&self, matrix: &Matrix, x: &Rows) -> Rows {
        Rows { data: matrix.multiply(&x.data, self.kernels, self.pool), width: matrix.rows() }
    }

    /// For each row the previous token's minus its own; the last row of each sequence stays in its state.
    pub fn token_shift(&mut self, x: &Rows, shift: Shift) -> Rows {
        let mut difference = Rows::zeros(x.data.len() / x.width, x.width);
        for (state, rows) in self.states.iter_mut().zip(&self.rows) {
            let layer = state.layer_mut(self.layer);
            let previous = match shift {
                Shift::TimeMix => layer.time_shift,
                Shift::ChannelMix => layer.channel_shift,
            };
            for (i, out) in rows.clone().zip(difference.data[rows.start * x.width..].chunks_exact_mut(x.width)) {
                for ((out, previous), &x) in out.iter_mut().zip(previous.iter_mut()).zip(x.row(i)) {
                    *out = *previous - x;
                    *previous = x;
                }
            }
        }
        difference
    }

    /// Runs the recurrence: for every sequence and head, `step(head, row, state, out)` on each token in turn.
    ///
    /// `state` is the head's part of the layer's state, `[head_size, head_size]`; `out` is its part of the output row.
    pub fn recur(
        &mut self,
        n_embd: usize,
        head_size: usize,
        step: impl Fn(usize, usize, &mut [f32], &mut [f32]) + Send + Sync,
    ) -> Rows {
        let n: usize = self.rows.iter().map(Range::len).sum();
        let mut out = Rows::zeros(n, n_embd);
        let mut rest = &mut out.data[..];
        let mut tasks = Vec::new();
        for (state, rows) in self.states.iter_mut().zip(&self.rows) {
            let (own, others) = rest.split_at_mut(rows.len() * n_embd);
            rest = others;
            let heads = state.layer_mut(self.layer).wkv.chunks_exact_mut(head_size * head_size);
            for (head, (state, columns)) in heads.zip(column_blocks(own, n_embd, head_size)).enumerate() {
                tasks.push((head, rows.start, state, columns));
            }
        }
        self.pool.for_each(tasks, |(head, first, state, columns)| {
            for (row, out) in (first..).zip(columns) {
                step(head, row, state, out);
            }
        });
        out
    }
}
