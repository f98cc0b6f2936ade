//! Activations: a row for each token of the batch, and the element-wise algebra that the equations use.

use crate::kernel::{Kernels, LARGEST_HEAD};

/// Row-major `[n, width]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    pub data: Vec<f32>,
    pub width: usize,
}

impl Rows {
    pub fn zeros(n: usize, width: usize) -> Self {
        Self { data: vec![0.0; n * width], width }
    }

    pub fn iter(&self) -> std::slice::ChunksExact<'_, f32> {
        self.data.chunks_exact(self.width)
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

    /// A vectorized function of every number.
    pub fn apply(mut self, f: fn(&mut [f32])) -> Self {
        f(&mut self.data);
        self
    }

    /// `f` of every pair of numbers in the same place.
    pub fn zip(mut self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a = f(*a, *b));
        self
    }

    /// `f` of every number and the number of its channel in `channels`, `[width]`.
    pub fn zip_channels(mut self, channels: &[f32], f: impl Fn(f32, f32) -> f32) -> Self {
        for row in self.iter_mut() {
            row.iter_mut().zip(channels).for_each(|(a, b)| *a = f(*a, *b));
        }
        self
    }

    /// A copy of some of the columns.
    pub fn columns(&self, range: std::ops::Range<usize>) -> Self {
        let width = range.len();
        Self { data: self.iter().flat_map(|row| &row[range.clone()]).copied().collect(), width }
    }

    pub fn add(&mut self, other: &Self) {
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a += b);
    }
}

pub(crate) fn relu_squared(x: f32) -> f32 {
    let positive = x.max(0.0);
    positive * positive
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
