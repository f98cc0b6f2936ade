//! Normalizations. Means and variances are summed in f64: a thousand f32 additions would lose three digits.

/// A layer norm's parameters, each `[n_embd]`.
#[derive(Debug)]
pub(crate) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub eps: f32,
}

impl Norm {
    /// Normalizes one row in place: `(x - mean) / sqrt(variance + eps) * weight + bias`.
    pub fn apply(&self, row: &mut [f32]) {
        standardize(row, self.eps);
        for ((x, w), b) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
            *x = *x * w + b;
        }
    }
}

/// Normalizes each head of one row by itself, then scales and shifts by channel (`ln_x`).
pub(crate) fn group_norm(row: &mut [f32], head_size: usize, norm: &Norm) {
    for head in row.chunks_exact_mut(head_size) {
        standardize(head, norm.eps);
    }
    for ((x, w), b) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
        *x = *x * w + b;
    }
}

/// Divides each head of one row by its length, as `torch.nn.functional.normalize` does.
pub(crate) fn l2_normalize(row: &mut [f32], head_size: usize) {
    const SMALLEST: f64 = 1e-12;
    for head in row.chunks_exact_mut(head_size) {
        let squares: f64 = head.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let inverse = 1.0 / squares.sqrt().max(SMALLEST);
        head.iter_mut().for_each(|x| *x = (f64::from(*x) * inverse) as f32);
    }
}

fn standardize(row: &mut [f32], eps: f32) {
    let n = row.len() as f64;
    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    let inverse = 1.0 / (variance + f64::from(eps)).sqrt();
    row.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * inverse) as f32);
}
