//! Normalizations. Means and variances are summed in f64: a thousand f32 additions would lose three digits.

use super::Kernels;

/// A layer norm's parameters, each `[n_embd]`.
#[derive(Debug)]
pub(crate) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub eps: f32,
}

impl Norm {
    /// Normalizes one row in place: `(x - mean) / sqrt(variance + eps) * weight + bias`.
    pub fn apply(&self, row: &mut [f32], kernels: &Kernels) {
        (kernels.normalize)(row, self.part(0, row.len()));
    }

    /// The same for one head of a row alone, whose first channel is `first` (`ln_x`).
    pub fn apply_to_head(&self, head: &mut [f32], first: usize, kernels: &Kernels) {
        (kernels.normalize)(head, self.part(first, head.len()));
    }

    /// Some channels' parameters.
    pub fn part(&self, first: usize, len: usize) -> NormPart<'_> {
        NormPart { weight: &self.weight[first..][..len], bias: &self.bias[first..][..len], eps: self.eps }
    }
}

/// A norm's parameters for some channels.
#[derive(Clone, Copy)]
pub(crate) struct NormPart<'a> {
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub eps: f32,
}

/// Divides one head by its length, as `torch.nn.functional.normalize` does.
#[inline(always)]
pub(super) fn l2_normalize(head: &mut [f32]) {
    const SMALLEST: f64 = 1e-12;
    let squares = sum(head, |x| x * x);
    let inverse = 1.0 / squares.sqrt().max(SMALLEST);
    head.iter_mut().for_each(|x| *x = (f64::from(*x) * inverse) as f32);
}

/// `(x - mean) / sqrt(variance + eps) * weight + bias`
#[inline(always)]
pub(super) fn normalize(row: &mut [f32], norm: NormPart<'_>) {
    let n = row.len() as f64;
    let mean = sum(row, |x| x) / n;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / n;
    let inverse = 1.0 / (variance + f64::from(norm.eps)).sqrt();
    for ((x, weight), bias) in row.iter_mut().zip(norm.weight).zip(norm.bias) {
        *x = ((f64::from(*x) - mean) * inverse) as f32 * weight + bias;
    }
}

/// Sixteen sums at once, which need not wait for each other.
#[inline(always)]
fn sum(row: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    const SUMS: usize = 16;
    let (whole, rest) = row.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for chunk in whole {
        for i in 0..SUMS {
            sums[i] += term(f64::from(chunk[i]));
        }
    }
    let rest: f64 = rest.iter().map(|x| term(f64::from(*x))).sum();
    sums.iter().sum::<f64>() + rest
}
