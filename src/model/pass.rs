//! One pass of a batch through the layers: which row belongs to which sequence, and the sequences' states.

use std::ops::Range;

use super::rows::Rows;
use super::state::State;
use crate::kernel::{Kernels, Matrix, Norm, column_blocks, multiply_all};
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

    /// Several products at once.
    pub fn multiply_all<const N: usize>(&self, products: [(&Matrix, &Rows); N]) -> [Rows; N] {
        let widths = products.map(|(matrix, _)| matrix.rows());
        let mut outs =
            multiply_all(products.map(|(matrix, x)| (matrix, &x.data[..])), self.kernels, self.pool).into_iter();
        widths.map(|width| Rows { data: outs.next().unwrap_or_default(), width })
    }

    /// Every row normalized.
    pub fn normalized(&self, x: &Rows, norm: &Norm) -> Rows {
        let mut out = x.clone();
        self.each_row(&mut out, |_, row| norm.apply(row, self.kernels));
        out
    }

    /// Calls `work` on every row, on all threads if there are enough.
    pub fn each_row(&self, rows: &mut Rows, work: impl Fn(usize, &mut [f32]) + Sync) {
        /// Rows that are worth a task.
        const TASK: usize = 4;
        let width = rows.width;
        let mut tasks: Vec<_> = rows.data.chunks_mut(TASK * width).enumerate().collect();
        self.pool.run_each(&mut tasks, |(task, rows)| {
            for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                work(*task * TASK + i, row);
            }
        });
    }

    /// For each row the previous token's minus its own; the last row of each sequence stays in its state.
    pub fn token_shift(&mut self, x: &Rows, shift: Shift) -> Rows {
        let mut difference = Rows::zeros(x.data.len() / x.width, x.width);
        for (state, rows) in self.states.iter_mut().zip(&self.rows) {
            let layer = state.layer_mut(self.layer);
            let before = match shift {
                Shift::TimeMix => layer.time_shift,
                Shift::ChannelMix => layer.channel_shift,
            };
            for (i, out) in rows.clone().zip(difference.data[rows.start * x.width..].chunks_exact_mut(x.width)) {
                let previous = if i == rows.start { &*before } else { x.row(i - 1) };
                for ((out, previous), x) in out.iter_mut().zip(previous).zip(x.row(i)) {
                    *out = previous - x;
                }
            }
            before.copy_from_slice(x.row(rows.end - 1));
        }
        difference
    }

    /// `x + dx * mix` for each of some mixes, by channel: how much of the previous token flows in.
    pub fn lerp<const N: usize>(&self, x: &Rows, dx: &Rows, mixes: [&[f32]; N]) -> [Rows; N] {
        mixes.map(|mix| {
            let mut out = Rows::zeros(x.data.len() / x.width, x.width);
            self.each_row(&mut out, |i, out| {
                for (((out, x), dx), mix) in out.iter_mut().zip(x.row(i)).zip(dx.row(i)).zip(mix) {
                    *out = x + dx * mix;
                }
            });
            out
        })
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
        self.pool.run_each(&mut tasks, |(head, first, state, columns)| {
            for (row, out) in (*first..).zip(columns) {
                step(*head, row, state, out);
            }
        });
        out
    }
}
