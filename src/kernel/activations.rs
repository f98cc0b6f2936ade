//! Activations as the products take them.
#![allow(unsafe_code, reason = "threads write different rows")]

use super::layouts::BLOCK;
use super::simd::Simd;
use super::{Buffer, Kernels, Matrix};
use crate::pool::{Disjoint, Pool};

/// 32 activations in bytes, for quantized weights: number `i` is `byte * scale`, within half a step of 1/127 of the
/// largest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Block {
    /// Four bytes each, the first in the lowest.
    pub quads: [i32; 8],
    pub scale: f32,
    /// Sums of each half's bytes, which make up for the levels' offsets.
    pub sums: [i16; 2],
    /// For the weights' minima the sum of all numbers, as ggml rounds it and as it is, and those of the halves.
    pub totals: [f32; 4],
}

/// Rows of activations, `[n, cols]`, as one matrix takes them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    Floats { data: &'a [f32], cols: usize },
    Blocks { data: &'a [Block], per_row: usize },
}

impl Input<'_> {
    /// Rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats { data, cols } => data.len() / cols,
            Self::Blocks { data, per_row } => data.len() / per_row,
        }
    }
}

/// Rows of activations, `[n, cols]`, in the forms that their products take: as they are, in bytes, or both.
#[derive(Debug)]
pub(crate) struct Activations {
    n: usize,
    cols: usize,
    floats: Buffer<f32>,
    blocks: Buffer<Block>,
}

impl Activations {
    /// The inputs of some products each, all `n` rows of them. `fill` computes a row of an input: `fill(input, row, out)`.
    pub fn fill<const N: usize>(
        n: usize,
        takers: [&[&Matrix]; N],
        kernels: &Kernels,
        pool: &Pool,
        fill: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> [Self; N] {
        /// Rows of all inputs that are worth a task, and numbers that are worth handing out.
        const TASK: usize = 4;
        const LEAST: usize = 1 << 14;
        let mut inputs = takers.map(|takers| Self::new(n, takers));
        let numbers: usize = inputs.iter().map(|input| n * input.cols).sum();
        let widest = inputs.iter().map(|input| input.cols).max().unwrap_or(0);
        let rows = inputs.each_mut().map(Self::rows);
        let work = |task: usize| {
            let mut scratch = Buffer::new(widest);
            for row in task * TASK..((task + 1) * TASK).min(n) {
                for (input, rows) in rows.iter().enumerate() {
                    // SAFETY: every row belongs to one task.
                    let own = unsafe { rows.floats.row(row, rows.cols) };
                    let out = if own.is_empty() { &mut scratch[..rows.cols] } else { own };
                    fill(input, row, out);
                    // SAFETY: as above.
                    unsafe { rows.quantize(row, 0, out, kernels) };
                }
            }
        };
        match numbers {
            0..LEAST => (0..n.div_ceil(TASK)).for_each(work),
            _ => pool.run(n.div_ceil(TASK), &work),
        }
        inputs
    }

    /// Rows that hold anything, in the forms that some matrices take.
    pub(super) fn new(n: usize, takers: &[&Matrix]) -> Self {
        let cols = takers.first().map_or(0, |matrix| matrix.cols());
        let floats = takers.iter().any(|matrix| !matrix.takes_blocks());
        let blocks = takers.iter().any(|matrix| matrix.takes_blocks());
        Self {
            n,
            cols,
            floats: Buffer::new(if floats { n * cols } else { 0 }),
            blocks: Buffer::new(if blocks { n * cols.div_ceil(BLOCK) } else { 0 }),
        }
    }

    /// The rows, for threads that write different parts of them.
    pub(super) fn rows(&mut self) -> ActivationRows<'_> {
        let Self { cols, floats, blocks, .. } = self;
        ActivationRows { cols: *cols, floats: Disjoint::new(floats), blocks: Disjoint::new(blocks) }
    }

    /// Some rows as they are, for a single product.
    #[cfg(test)]
    pub fn of(x: &[f32], matrix: &Matrix, kernels: &Kernels, pool: &Pool) -> Self {
        let cols = matrix.cols();
        let [input] = Self::fill(x.len() / cols, [&[matrix]], kernels, pool, |_, row, out| {
            out.copy_from_slice(&x[row * cols..(row + 1) * cols]);
        });
        input
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.n
    }

    /// In the form that a matrix takes. It was made for that matrix, or one like it.
    pub(super) fn input(&self, matrix: &Matrix) -> Input<'_> {
        match matrix.takes_blocks() {
            true => Input::Blocks { data: &self.blocks, per_row: self.cols.div_ceil(BLOCK) },
            false => Input::Floats { data: &self.floats, cols: self.cols },
        }
    }
}

/// Rows of activations to be written.
pub(super) struct ActivationRows<'a> {
    cols: usize,
    floats: Disjoint<'a, f32>,
    blocks: Disjoint<'a, Block>,
}

impl ActivationRows<'_> {
    /// Writes numbers of one row from column `first` on, which begins a block.
    ///
    /// # Safety
    /// Nobody else writes or reads them meanwhile.
    pub unsafe fn write(&self, row: usize, first: usize, numbers: &[f32], kernels: &Kernels) {
        // SAFETY: as promised.
        let floats = unsafe { self.floats.row(row, self.cols) };
        if !floats.is_empty() {
            floats[first..][..numbers.len()].copy_from_slice(numbers);
        }
        // SAFETY: as promised.
        unsafe { self.quantize(row, first, numbers, kernels) };
    }

    /// The same for the bytes alone.
    ///
    /// # Safety
    /// As for `write`.
    unsafe fn quantize(&self, row: usize, first: usize, numbers: &[f32], kernels: &Kernels) {
        if !self.blocks.is_empty() {
            let at = row * self.cols.div_ceil(BLOCK) + first / BLOCK;
            // SAFETY: as promised.
            (kernels.quantize)(numbers, unsafe { self.blocks.part(at..at + numbers.len().div_ceil(BLOCK)) });
        }
    }
}

/// Quantizes one row; a last block that is not full is filled up with zeros. What is not finite makes its block NaN.
#[inline(always)]
pub(super) fn quantize<S: Simd>(simd: S, row: &[f32], out: &mut [Block]) {
    let (whole, rest) = row.as_chunks::<BLOCK>();
    for (x, out) in whole.iter().zip(out.iter_mut()) {
        *out = quantize_block(simd, x);
    }
    if !rest.is_empty() {
        let mut last = [0.0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        out[whole.len()] = quantize_block(simd, &last);
    }
}

#[inline(always)]
fn quantize_block<S: Simd>(simd: S, x: &[f32; BLOCK]) -> Block {
    /// Below it the inverse would overflow; such numbers are zeros.
    const SMALLEST: f32 = 1e-30;
    let most = simd.largest(x);
    let inverse = if most > SMALLEST && most.is_finite() { 127.0 / most } else { 0.0 };
    let step = if inverse > 0.0 { most / 127.0 } else { most * 0.0 };
    let scale = to_half(step);
    let (quads, sums) = simd.round(x, inverse);
    let [first, second] = [f32::from(sums[0]), f32::from(sums[1])];
    let totals = [to_half((first + second) * step), (first + second) * scale, first * scale, second * scale];
    Block { quads, scale, sums, totals }
}

/// Rounded to the eleven binary digits of half precision, as ggml stores scales and sums: predictions then agree with
/// rwkv.cpp's and llama.cpp's far better, and hardly worse with exact arithmetic. The range stays that of f32.
#[inline(always)]
fn to_half(x: f32) -> f32 {
    let bits = x.to_bits();
    match x.is_finite() {
        true => f32::from_bits((bits + 0x0fff + (bits >> 13 & 1)) & !0x1fff),
        false => x,
    }
}

/// The largest magnitude; what is not finite if there is such a number.
#[inline(always)]
pub(super) fn largest(x: &[f32; BLOCK]) -> f32 {
    // As integers, so that NaN is the largest of all.
    let mut most = 0;
    for x in x {
        most = most.max(x.to_bits() & 0x7fff_ffff);
    }
    f32::from_bits(most)
}

/// The integers nearest to `x * inverse`, below 128, as four bytes each, and the sums of each half.
#[inline(always)]
pub(super) fn round(x: &[f32; BLOCK], inverse: f32) -> ([i32; 8], [i16; 2]) {
    /// 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    // Loops of a fixed length, over integers where they sum up, become vector instructions. Closures may stay functions
    // of their own, compiled without these.
    let mut rounded = [0i32; BLOCK];
    for (rounded, x) in rounded.iter_mut().zip(x) {
        *rounded = (x * inverse + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()) as i32;
    }
    let mut bytes = [0u8; BLOCK];
    for (byte, rounded) in bytes.iter_mut().zip(&rounded) {
        *byte = *rounded as u8;
    }
    let mut quads = [0; 8];
    for (quad, bytes) in quads.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *quad = i32::from_le_bytes(*bytes);
    }
    let mut sums = [0i32; 2];
    for (sum, half) in sums.iter_mut().zip(rounded.as_chunks::<16>().0) {
        for rounded in half {
            // What is not finite gives large numbers, and a scale that is NaN whatever their sum is.
            *sum = sum.wrapping_add(*rounded);
        }
    }
    let [first, second] = sums;
    (quads, [first as i16, second as i16])
}
