//! One pass of a batch through the layers: which row belongs to which sequence, and the sequences' states.
#![allow(unsafe_code, reason = "threads take different heads of one state")]

use std::ops::Range;

use super::rows::Rows;
use super::state::State;
use crate::kernel::{Activations, Buffer, Kernels, Matrix, Norm, multiply_add, multiply_all, multiply_relu_squared};
use crate::pool::{Disjoint, Pool};

/// What the layers need to know of the batch and of the machine. The rows of all sequences go through each matrix
/// together; only token shift and the recurrence tell them apart.
pub(crate) struct Pass<'a> {
    pub kernels: &'static Kernels,
    pub pool: &'a Pool,
    /// What it has of each sequence. None is without tokens.
    pub parts: &'a [Part],
    /// The rows before, for each half of each layer of each part's state, and the recurrence of each: see `at`.
    shifts: Vec<[&'a mut [f32]; 2]>,
    wkv: Vec<Disjoint<'a, f32>>,
    /// The layer at work.
    pub layer: usize,
    /// RWKV-7: the first layer's values, which later layers mix in.
    pub first_value: Option<Rows>,
}

/// The tokens of one sequence that a pass has.
pub(crate) struct Part {
    /// The sequence's index in the batch.
    pub sequence: usize,
    /// The tokens, by their place in the sequence.
    pub tokens: Range<usize>,
    /// Their rows in the pass.
    pub rows: Range<usize>,
    /// The rows of which logits are wanted.
    pub wanted: Range<usize>,
}

/// Which half of a layer is at work; each remembers the previous token by itself.
#[derive(Clone, Copy)]
pub(crate) enum Shift {
    TimeMix,
    ChannelMix,
}

impl<'a> Pass<'a> {
    /// Of sequences in the order of `parts`. What a layer needs for each of them is listed here for all layers at once, so
    /// that a layer allocates nothing.
    pub fn new(
        kernels: &'static Kernels,
        pool: &'a Pool,
        parts: &'a [Part],
        batch: impl Iterator<Item = &'a mut State>,
    ) -> Self {
        let mut batch = batch.enumerate();
        let states = parts.iter().filter_map(|part| batch.find(|(sequence, _)| *sequence == part.sequence));
        let layers = states.flat_map(|(_, state)| state.layers_mut());
        let lists = layers.map(|layer| ([layer.time_shift, layer.channel_shift], Disjoint::new(layer.wkv)));
        let (shifts, wkv) = lists.unzip();
        Self { kernels, pool, parts, shifts, wkv, layer: 0, first_value: None }
    }

    /// Where the current layer of a part is in the lists.
    fn at(&self, part: usize) -> usize {
        part * (self.wkv.len() / self.parts.len()) + self.layer
    }

    /// Rows of the batch.
    pub fn len(&self) -> usize {
        self.parts.last().map_or(0, |part| part.rows.end)
    }

    /// The inputs of some products each. `fill` computes a row of an input: `fill(input, row, out)`.
    pub fn inputs<const N: usize>(
        &self,
        takers: [&[&Matrix]; N],
        fill: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> [Activations; N] {
        Activations::fill(self.len(), takers, self.kernels, self.pool, fill)
    }

    /// `[n, cols] -> [n, rows]`.
    pub fn multiply(&self, matrix: &Matrix, x: &Activations) -> Rows {
        let [rows] = self.multiply_all([(matrix, x)]);
        rows
    }

    /// Several products at once.
    pub fn multiply_all<const N: usize>(&self, products: [(&Matrix, &Activations); N]) -> [Rows; N] {
        let widths = products.map(|(matrix, _)| matrix.rows());
        let mut outs = multiply_all(products, self.kernels, self.pool).into_iter();
        widths.map(|width| Rows { data: outs.next().unwrap_or_else(|| Buffer::new(0)), width })
    }

    /// `max(matrix @ x, 0)^2`, the input of `next`.
    pub fn multiply_relu_squared(&self, matrix: &Matrix, x: &Activations, next: &Matrix) -> Activations {
        multiply_relu_squared(matrix, x, next, self.kernels, self.pool)
    }

    /// A product added to what is in `out`.
    pub fn multiply_add(&self, matrix: &Matrix, x: &Activations, out: &mut Rows) {
        multiply_add(matrix, x, &mut out.data, self.kernels, self.pool);
    }

    /// Rows as the input of a product.
    pub fn input(&self, x: &Rows, taker: &Matrix) -> Activations {
        let [input] = self.inputs([&[taker]], |_, row, out| out.copy_from_slice(x.row(row)));
        input
    }

    /// Every row normalized.
    pub fn normalized(&self, x: &Rows, norm: &Norm) -> Rows {
        let mut out = Rows::new(x.data.len() / x.width, x.width);
        self.each_row(&mut out, |row, out| {
            out.copy_from_slice(x.row(row));
            norm.apply(out, self.kernels);
        });
        out
    }

    /// Calls `work` on every row, on all threads if there are enough.
    pub fn each_row(&self, rows: &mut Rows, work: impl Fn(usize, &mut [f32]) + Sync) {
        /// Rows that are worth a task.
        const TASK: usize = 4;
        let width = rows.width;
        self.pool.run_chunks(&mut rows.data, TASK * width, |task, rows| {
            for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                work(task * TASK + i, row);
            }
        });
    }

    /// Rows with those before them; the last row of each sequence stays in its state for the next pass.
    pub fn token_shift<'x>(&mut self, x: &'x Rows, shift: Shift) -> Shifted<'x>
    where
        'a: 'x,
    {
        let mut before = Rows::new(self.parts.len(), x.width);
        for (index, before) in before.iter_mut().enumerate() {
            let at = self.at(index);
            let last = &mut self.shifts[at][shift as usize];
            before.copy_from_slice(last);
            last.copy_from_slice(x.row(self.parts[index].rows.end - 1));
        }
        Shifted { rows: x, before, parts: self.parts }
    }

    /// `x + (previous - x) * mix` for each of some mixes, by channel: how much of the previous token flows in.
    pub fn lerp<const N: usize>(&self, x: &Shifted<'_>, mixes: [(&[f32], &[&Matrix]); N]) -> [Activations; N] {
        self.inputs(mixes.map(|(_, takers)| takers), |input, row, out| {
            (self.kernels.lerp)([x.row(row), x.previous(row), mixes[input].0], out);
        })
    }

    /// Runs the recurrence of heads: for every sequence and head, `step(head, row, state, out)` on each token in turn.
    ///
    /// `state` is the head's part of the layer's state, `[head_size, head_size]`; `out` is its part of the output row.
    pub fn recur(
        &mut self,
        n_embd: usize,
        head_size: usize,
        step: impl Fn(usize, usize, &mut [f32], &mut [f32]) + Sync,
    ) -> Rows {
        self.recur_parts(n_embd, head_size, |head, rows, state, out| {
            // SAFETY: a head is one task's.
            let state = unsafe { state.row(head, head_size * head_size) };
            for row in rows {
                // SAFETY: as above.
                step(head, row, state, unsafe { out.row(row * (n_embd / head_size) + head, head_size) });
            }
        })
    }

    /// Runs the recurrence of RWKV-4: for every sequence and some channels, `step(channels, row, state, out)` on each token
    /// in turn. `state` has the channels' numbers of the three parts of the layer's state.
    pub fn recur_channels(
        &mut self,
        n_embd: usize,
        step: impl Fn(Range<usize>, usize, [&mut [f32]; 3], &mut [f32]) + Sync,
    ) -> Rows {
        /// Channels that are worth a task.
        const TASK: usize = 64;
        self.recur_parts(n_embd, TASK, |part, rows, state, out| {
            let channels = part * TASK..((part + 1) * TASK).min(n_embd);
            // SAFETY: channels are one task's.
            let [a, b, p] =
                [0, 1, 2].map(|i| unsafe { state.part(i * n_embd + channels.start..i * n_embd + channels.end) });
            for row in rows {
                // SAFETY: as above.
                let out = unsafe { out.part(row * n_embd + channels.start..row * n_embd + channels.end) };
                step(channels.clone(), row, [&mut *a, &mut *b, &mut *p], out);
            }
        })
    }

    /// Calls `run(part, rows, state, out)` for every sequence, which has `rows`, and every part of the channels. `state` is
    /// all of the sequence's for this layer, `out` all of the output: each part has its own numbers there.
    fn recur_parts(
        &mut self,
        n_embd: usize,
        part: usize,
        run: impl Fn(usize, Range<usize>, Disjoint<'_, f32>, Disjoint<'_, f32>) + Sync,
    ) -> Rows {
        let mut out = Rows::new(self.len(), n_embd);
        let each = n_embd.div_ceil(part);
        let all = Disjoint::new(&mut out.data);
        let this = &*self;
        this.pool.run(this.parts.len() * each, &|task| {
            let sequence = task / each;
            run(task % each, this.parts[sequence].rows.clone(), this.wkv[this.at(sequence)], all);
        });
        out
    }
}

/// Rows with those before them.
pub(crate) struct Shifted<'a> {
    rows: &'a Rows,
    /// For each sequence the last row of the pass before.
    before: Rows,
    parts: &'a [Part],
}

impl Shifted<'_> {
    pub fn row(&self, i: usize) -> &[f32] {
        self.rows.row(i)
    }

    /// The row of the same sequence's token before.
    pub fn previous(&self, i: usize) -> &[f32] {
        match self.parts.binary_search_by_key(&i, |part| part.rows.start) {
            Ok(sequence) => self.before.row(sequence),
            Err(_) => self.rows.row(i - 1),
        }
    }
}
