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
        (kernels.standardize)(row, self.eps);
        self.scale(row, 0);
    }

    /// The same for one head of a row alone, whose first channel is `first` (`ln_x`).
    pub fn apply_to_head(&self, head: &mut [f32], first: usize, kernels: &Kernels) {
        (kernels.standardize)(head, self.eps);
        self.scale(head, first);
    }

    fn scale(&self, row: &mut [f32], first: usize) {
        for ((x, w), b) in row.iter_mut().zip(&self.weight[first..]).zip(&self.bias[first..]) {
            *x = *x * w + b;
        }
    }
}

/// Divides one head by its length, as `torch.nn.functional.normalize` does.
pub(crate) fn l2_normalize(head: &mut [f32]) {
    const SMALLEST: f64 = 1e-12;
    let squares = sum(head, |x| x * x);
    let inverse = 1.0 / squares.sqrt().max(SMALLEST);
    head.iter_mut().for_each(|x| *x = (f64::from(*x) * inverse) as f32);
}

#[inline(always)]
pub(super) fn standardize(row: &mut [f32], eps: f32) {
    let n = row.len() as f64;
    let mean = sum(row, |x| x) / n;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / n;
    let inverse = 1.0 / (variance + f64::from(eps)).sqrt();
    row.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * inverse) as f32);
}

/// Sixteen sums at once, which need not wait for each other.
#[inline(always)]
fn sum(row: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    const SUMS: usize = 16;
    let (whole, rest) = row.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for chunk in whole {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += term(f64::from(*x));
        }
    }
    let rest: f64 = rest.iter().map(|x| term(f64::from(*x))).sum();
    sums.iter().sum::<f64>() + rest
}
