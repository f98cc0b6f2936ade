//! What logits are worth: logarithms of probabilities in f64, and means with their errors.

use crate::error::{Error, Result};
use crate::model::Model;

/// The natural logarithm of the sum of `e^x` over a row of logits; `None` if one of them is not a finite number.
pub(super) fn log_sum_exp(row: &[f32]) -> Option<f64> {
    if !row.iter().all(|x| x.is_finite()) {
        return None;
    }
    // The largest term becomes 1: nothing overflows, and what underflows does not count.
    let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    Some(max + row.iter().map(|&x| (f64::from(x) - max).exp()).sum::<f64>().ln())
}

/// Nats by which a row of logits is surprised by the token that came: `-ln p(target)`.
pub(super) fn cross_entropy(row: &[f32], target: u32) -> Option<f64> {
    Some(log_sum_exp(row)? - f64::from(row[target as usize]))
}

/// Kullback-Leibler divergence of the distribution `q` from `p`, both given as logits: `Σ p (ln p - ln q)`, in nats.
pub(super) fn kl_divergence(p: &[f32], q: &[f32]) -> Option<f64> {
    let (p_sum, q_sum) = (log_sum_exp(p)?, log_sum_exp(q)?);
    let terms = p.iter().zip(q).map(|(&p, &q)| {
        let ln_p = f64::from(p) - p_sum;
        ln_p.exp() * (ln_p - (f64::from(q) - q_sum))
    });
    // It cannot be negative; its rounding error can.
    Some(terms.sum::<f64>().max(0.0))
}

/// Logits that are no numbers would make every mean meaningless: better none.
pub(super) fn not_finite(model: &Model) -> Error {
    let cause = "it gives logits that are not finite numbers for this text; its weights are damaged or too large";
    Error::format(&model.info().path, cause)
}

/// A running mean and variance, by Welford's update: no sum of squares that cancels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    pub count: usize,
    pub mean: f64,
    squares: f64,
}

impl Mean {
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// Standard error of the mean, as if the values were independent; one value has none.
    pub fn standard_error(&self) -> Option<f64> {
        let count = self.count as f64;
        (self.count > 1).then(|| (self.squares / (count - 1.0) / count).sqrt())
    }
}

/// Adds up what `score` gives each value; an error where it gives none.
pub(super) fn add_all(mean: &mut Mean, scores: Vec<Option<f64>>, model: &Model) -> Result<()> {
    scores.into_iter().try_for_each(|score| score.map(|score| mean.add(score)).ok_or_else(|| not_finite(model)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_surprise_at_a_token_is_minus_the_logarithm_of_its_probability() {
        let row = [1.0f32.ln(), 2.0f32.ln(), 5.0f32.ln()];
        for (target, p) in [0.125f64, 0.25, 0.625].into_iter().enumerate() {
            assert!((cross_entropy(&row, target as u32).unwrap() + p.ln()).abs() < 1e-7);
        }
    }

    #[test]
    fn logits_that_would_overflow_do_not() {
        let row = [3e38, -3e38, 2e38];
        assert_eq!(cross_entropy(&row, 0), Some(0.0));
        assert_eq!(log_sum_exp(&[-3e38; 2]), Some(f64::from(-3e38f32) + 2f64.ln()));
    }

    #[test]
    fn a_logit_that_is_no_finite_number_gives_no_score() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(cross_entropy(&[0.0, bad, 1.0], 0), None);
            assert_eq!(kl_divergence(&[0.0, bad], &[0.0, 0.0]), None);
            assert_eq!(kl_divergence(&[0.0, 0.0], &[0.0, bad]), None);
        }
    }

    #[test]
    fn the_divergence_is_that_computed_by_hand_and_not_symmetric() {
        // p = (1/2, 1/2), q = (1/4, 3/4): p from q is ln(2 / sqrt 3), q from p is 3/4 ln 3 - ln 2.
        // Logits may be shifted by any number.
        let (p, q) = ([7.0f32, 7.0], [-2.0f32, 3f32.ln() - 2.0]);
        assert!((kl_divergence(&p, &q).unwrap() - (2.0 / 3f64.sqrt()).ln()).abs() < 1e-7);
        assert!((kl_divergence(&q, &p).unwrap() - (0.75 * 3f64.ln() - 2f64.ln())).abs() < 1e-7);
        assert_eq!(kl_divergence(&q, &q), Some(0.0));
    }

    #[test]
    fn the_mean_of_large_numbers_keeps_their_small_spread() {
        let mut mean = Mean::default();
        assert_eq!(mean.standard_error(), None);
        [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0, 1e9 + 6.0].into_iter().for_each(|x| mean.add(x));
        assert_eq!(mean.mean, 1e9 + 3.0);
        // Squared distances 4, 1, 0 and 9; divided by 3 and by 4.
        assert!((mean.standard_error().unwrap() - (14.0f64 / 12.0).sqrt()).abs() < 1e-9);
    }
}
