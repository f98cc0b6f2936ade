//! From logits to the next token, with the semantics of BlinkDL's `rwkv` package (`PIPELINE.generate`, `sample_logits`).

use std::collections::HashMap;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::error::{Error, Result};

/// How to choose the next token: every number decided. [`GenerateOptions`](super::GenerateOptions) resolve to one.
///
/// The order is BlinkDL's: bias and ban, penalties, softmax, `top_p`, `top_k`, `min_p`, temperature. Temperature comes
/// last (`p^(1/T)` of what is left), so it does not change which tokens stay in play.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Above 1 evens the remaining probabilities out, below 1 sharpens them; 0 always takes the likeliest token
    /// (of equal ones the lowest id).
    pub temperature: f32,
    /// Keeps the likeliest tokens until their probabilities sum to this, and all that equal the last of them.
    pub top_p: f32,
    /// Keeps at most so many tokens, of equal ones the lower ids; 0 for no limit.
    pub top_k: usize,
    /// Drops tokens less likely than this fraction of the likeliest.
    pub min_p: f32,
    /// Taken from the logit of each token generated before.
    pub presence_penalty: f32,
    /// Taken from a token's logit for each time it was generated.
    pub frequency_penalty: f32,
    /// The counts behind `frequency_penalty` are multiplied by this at each step.
    pub penalty_decay: f32,
    /// Divides positive logits, and multiplies negative ones, of tokens generated before (Hugging Face's meaning,
    /// except that the prompt does not count: a text continued from a saved state could not know it). 1: off.
    pub repetition_penalty: f32,
    /// Never sampled.
    pub banned_tokens: Vec<u32>,
    /// Added to the logits of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
}

/// How likely a token was, by the model alone: before bias, bans, penalties and sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token sampled.
    pub token: u32,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The likeliest tokens and their log-probabilities, likeliest first, as many as were asked for.
    pub top: Vec<(u32, f32)>,
}

/// Chooses tokens and remembers what it chose. The same seed and the same logits give the same tokens.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    rng: Pcg64Mcg,
    /// Of each token generated, how often it counts, decayed.
    occurrence: HashMap<u32, f32>,
    /// Kept from call to call: a vocabulary is 256 KiB.
    logits: Vec<f32>,
    scratch: Vec<f32>,
}

impl Sampler {
    /// A sampler that has generated nothing yet.
    pub fn new(sampling: Sampling, seed: u64) -> Self {
        let rng = Pcg64Mcg::seed_from_u64(seed);
        Self { sampling, rng, occurrence: HashMap::new(), logits: Vec::new(), scratch: Vec::new() }
    }

    /// Draws a token. Call [`accept`](Self::accept) with it, unless it ends the text.
    ///
    /// # Errors
    /// [`Error::Format`] if the logits are no numbers to sample from, [`Error::InvalidArgument`] if every token is
    /// banned.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32> {
        let candidates = self.distribution(logits)?;
        let mut left = self.uniform();
        for &(token, p) in &candidates {
            left -= f64::from(p);
            if left < 0.0 {
                return Ok(token);
            }
        }
        // Rounding may leave a crumb; the draw then belongs to the last token.
        candidates.last().map(|&(token, _)| token).ok_or_else(|| not_samplable("are empty"))
    }

    /// Counts a sampled token for the penalties. `text` is what it stands for: spaces, tabs and digits do not count
    /// for the frequency penalty, since numbers and indentation repeat for good reason.
    pub fn accept(&mut self, token: u32, text: &[u8]) {
        // BlinkDL's `text in " \t0123456789"` is a test for a substring.
        let counts = if text.is_empty() || b" \t0123456789".windows(text.len()).any(|w| w == text) { 0.0 } else { 1.0 };
        for count in self.occurrence.values_mut() {
            *count *= self.sampling.penalty_decay;
        }
        *self.occurrence.entry(token).or_insert(0.0) += counts;
    }

    /// The probability with which each token would be drawn, in the order of ids; tokens that cannot be drawn are
    /// left out.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn distribution(&mut self, logits: &[f32]) -> Result<Vec<(u32, f32)>> {
        self.adjust(logits);
        let (likeliest, max) = self.likeliest(logits)?;
        if self.sampling.temperature == 0.0 {
            return Ok(vec![(likeliest, 1.0)]);
        }
        let mut kept = self.nucleus(max);
        self.keep_top_k(&mut kept);
        // The likeliest token's weight is 1, so a weight is the fraction that `min_p` speaks of.
        kept.retain(|&(_, weight)| weight > 0.0 && weight >= self.sampling.min_p);
        if self.sampling.temperature != 1.0 {
            for (token, weight) in &mut kept {
                *weight = exp((self.logits[*token as usize] - max) / self.sampling.temperature);
            }
        }
        let total: f64 = kept.iter().map(|&(_, weight)| f64::from(weight)).sum();
        kept.iter_mut().for_each(|(_, weight)| *weight = (f64::from(*weight) / total) as f32);
        Ok(kept)
    }

    /// Copies the logits and applies bias, bans and penalties.
    fn adjust(&mut self, logits: &[f32]) {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        let sampling = &self.sampling;
        for &(token, bias) in &sampling.logit_bias {
            if let Some(logit) = self.logits.get_mut(token as usize) {
                *logit = finite(*logit + bias);
            }
        }
        for &token in &sampling.banned_tokens {
            if let Some(logit) = self.logits.get_mut(token as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        for (&token, count) in &self.occurrence {
            if let Some(logit) = self.logits.get_mut(token as usize).filter(|logit| **logit > f32::NEG_INFINITY) {
                let r = sampling.repetition_penalty;
                let repeated = finite(if *logit > 0.0 { *logit / r } else { *logit * r });
                *logit = finite(repeated - finite(sampling.presence_penalty + count * sampling.frequency_penalty));
            }
        }
    }

    /// The token with the highest adjusted logit, and that logit.
    fn likeliest(&self, original: &[f32]) -> Result<(u32, f32)> {
        // No early exit: a loop without branches is vectorized.
        if original.iter().fold(false, |found, x| found | x.is_nan()) {
            return Err(not_samplable("hold NaN"));
        }
        let max = max(&self.logits);
        if max == f32::NEG_INFINITY && original.iter().any(|&x| x > f32::NEG_INFINITY) {
            return Err(Error::argument("banned_tokens", "leave no token to sample; ban fewer"));
        }
        if !max.is_finite() {
            return Err(not_samplable("are not finite"));
        }
        let token = self.logits.iter().position(|&x| x == max).unwrap_or(0);
        Ok((token as u32, max))
    }

    /// Softmax and `top_p`: the tokens that stay and their weights `exp(logit - max)`, in the order of ids.
    fn nucleus(&mut self, max: f32) -> Vec<(u32, f32)> {
        let weights = &mut self.scratch;
        weights.clear();
        weights.extend(self.logits.iter().map(|&x| exp(x - max)));
        let total = sum(weights);
        let top_p = f64::from(self.sampling.top_p);
        if top_p >= 1.0 {
            return (0..).zip(weights.iter().copied()).collect();
        }
        // All tokens below (1 - top_p) / n together weigh less than 1 - top_p, so the cut lies above: most of the
        // vocabulary needs no ordering. A little slack for rounding.
        let floor = (0.999 * (1.0 - top_p) * total / weights.len() as f64) as f32;
        let mut kept: Vec<(u32, f32)> =
            (0..).zip(weights.iter().copied()).filter(|&(_, weight)| weight >= floor).collect();
        weights.clear();
        weights.extend(kept.iter().map(|&(_, weight)| weight));
        let cut = top_p_cut(weights, top_p * total);
        kept.retain(|&(_, weight)| weight >= cut);
        kept
    }

    fn keep_top_k(&self, kept: &mut Vec<(u32, f32)>) {
        let k = self.sampling.top_k;
        if k == 0 || k >= kept.len() {
            return;
        }
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        kept.select_nth_unstable_by(k - 1, order);
        kept.truncate(k);
        kept.sort_unstable_by_key(|&(token, _)| token);
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What overflowed becomes the largest number: only bans take a token out of play.
fn finite(x: f32) -> f32 {
    if x.is_nan() { x } else { x.clamp(f32::MIN, f32::MAX) }
}

/// The weight at which the sum of the weights, largest first, reaches `target`; of all of them, if it never does.
///
/// Halves the weights by rank and looks into the half where the sum crosses: linear time, where sorting is not.
fn top_p_cut(weights: &mut [f32], target: f64) -> f32 {
    let mut rest = weights;
    let mut sum = 0.0;
    while rest.len() > 32 {
        let middle = rest.len() / 2;
        rest.select_nth_unstable_by(middle, |a, b| b.total_cmp(a));
        let upper: f64 = rest[..=middle].iter().map(|&w| f64::from(w)).sum();
        if sum + upper >= target {
            rest = &mut rest[..=middle];
        } else {
            sum += upper;
            rest = &mut rest[middle + 1..];
        }
    }
    rest.sort_unstable_by(|a, b| b.total_cmp(a));
    for &weight in rest.iter() {
        sum += f64::from(weight);
        if sum >= target {
            return weight;
        }
    }
    rest.last().copied().unwrap_or(0.0)
}

/// The log-probability of `token`, and the `n_top` likeliest tokens.
pub(super) fn token_logprob(logits: &[f32], token: u32, n_top: usize) -> TokenLogprob {
    let max = max(logits);
    let total = sum(&logits.iter().map(|&x| exp(x - max)).collect::<Vec<_>>());
    let logprob = |logit: f32| (f64::from(logit - max) - total.ln()) as f32;
    let mut top: Vec<(u32, f32)> = Vec::new();
    if n_top > 0 {
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        top = (0..).zip(logits.iter().copied()).collect();
        if n_top < top.len() {
            top.select_nth_unstable_by(n_top - 1, order);
            top.truncate(n_top);
        }
        top.sort_unstable_by(order);
        top.iter_mut().for_each(|(_, logit)| *logit = logprob(*logit));
    }
    let logit = logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
    TokenLogprob { token, logprob: logprob(logit), top }
}

fn not_samplable(what: &str) -> Error {
    Error::format("logits", format!("{what}; the model's weights are damaged, download or convert it again"))
}

/// Independent lanes, which the compiler turns into vectors: in order, each step would wait for the one before.
const LANES: usize = 16;

fn max(values: &[f32]) -> f32 {
    let larger = |max: f32, x: f32| if x > max { x } else { max };
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        lanes = std::array::from_fn(|i| larger(lanes[i], chunk[i]));
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |max, &x| larger(max, x))
}

/// In f32 over short stretches, beyond them in f64.
fn sum(values: &[f32]) -> f64 {
    let stretch = |values: &[f32]| {
        let (chunks, rest) = values.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for chunk in chunks {
            lanes = std::array::from_fn(|i| lanes[i] + chunk[i]);
        }
        lanes.iter().chain(rest).sum::<f32>()
    };
    values.chunks(64 * LANES).map(|values| f64::from(stretch(values))).sum()
}

/// e^x for x <= 0, within 2 ulp; 0 below -87, where f32 runs out of normal numbers.
///
/// Branch-free, so that a whole vocabulary is vectorized: 65,536 calls of `f32::exp` take longer than a small model.
#[inline]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.max(-87.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts: n times the first is exact.
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let tail = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0));
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * tail)));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < -87.0 { 0.0 } else { series * power }
}

#[cfg(test)]
mod tests;
