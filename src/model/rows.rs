//! Activations: a row for each token of the batch, and the element-wise algebra that the equations use.

use crate::kernel::{Buffer, Kernels, LARGEST_HEAD};

/// Row-major `[n, width]`.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub data: Buffer<f32>,
    pub width: usize,
}

impl Rows {
    /// Rows that hold anything, to be written.
    pub fn new(n: usize, width: usize) -> Self {
        Self { data: Buffer::new(n * width), width }
    }

    pub fn iter_mut(&mut self) -> std::slice::ChunksExactMut<'_, f32> {
        self.data.chunks_exact_mut(self.width)
    }

    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.width..][..self.width]
    }

    /// `f` of every number.
    pub fn map(mut self, f: impl Fn(f32) -> f32) -> Self {
        self.data.iter_mut().for_each(|x| *x = f(*x));
        self
    }

    pub fn add(&mut self, other: &Self) {
        self.data.iter_mut().zip(&*other.data).for_each(|(a, b)| *a += b);
    }
}

/// Whether none is NaN or infinite. No early exit: a loop without branches is vectorized.
pub(crate) fn all_finite(numbers: &[f32]) -> bool {
    numbers.iter().fold(true, |finite, x| finite & x.is_finite())
}

/// Multiplies one head's output with `silu(g)`.
pub(crate) fn gate(out: &mut [f32], g: &[f32], kernels: &Kernels) {
    let mut sigmoid = [0.0; LARGEST_HEAD];
    let sigmoid = &mut sigmoid[..g.len()];
    sigmoid.copy_from_slice(g);
    (kernels.sigmoid)(sigmoid);
    for ((out, g), sigmoid) in out.iter_mut().zip(g).zip(sigmoid) {
        *out *= g * *sigmoid;
    }
}
