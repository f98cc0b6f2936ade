//! How well a model predicts a text.

use std::sync::Arc;

use serde::Serialize;

use super::lockstep::{Passage, Reader, read};
use crate::error::{Error, Result};
use crate::model::{DEFAULT_CHUNK, Model, Progress};

/// Which part of a text [`Model::perplexity`] measures. `skip` and `limit` mean what `ignore_first_n_tokens` and
/// `token_limit` mean to rwkv.cpp's `measure_pexplexity.py`.
#[derive(Clone)]
pub struct PerplexityOptions {
    /// Tokens at the beginning that are read but not counted as predictions, so that the model warms up. The first
    /// token of a text is never predicted: 0 and 1 are the same.
    pub skip: usize,
    /// Tokens to keep of the text, from its beginning, those skipped among them; `None`: all.
    pub limit: Option<usize>,
    /// Tokens that go through the layers together. Changes speed and memory, not the numbers.
    pub chunk: usize,
    /// Told of the progress; may cancel.
    pub progress: Option<Arc<Progress>>,
}

impl Default for PerplexityOptions {
    fn default() -> Self {
        Self { skip: 0, limit: None, chunk: DEFAULT_CHUNK, progress: None }
    }
}

impl PerplexityOptions {
    pub(super) fn progress(&self) -> Arc<Progress> {
        self.progress.clone().unwrap_or_else(|| Arc::new(|_| true))
    }
}

/// What was measured, of one model over one text.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PerplexityReport {
    /// The model's name.
    pub model: String,
    /// Tokens in the whole text.
    pub text_tokens: usize,
    /// Tokens after the limit. All but the last were read.
    pub tokens: usize,
    /// Tokens whose predictions count.
    pub predictions: usize,
    /// Mean of `-ln p` over the predictions, where `p` is the probability of the token that came: nats per token.
    pub cross_entropy: f64,
    /// Standard error of the cross-entropy, as if the predictions were independent; `None` for a single one.
    pub cross_entropy_error: Option<f64>,
    /// `e` to the power of the cross-entropy.
    pub perplexity: f64,
    /// Standard error of the perplexity, to first order in that of the cross-entropy.
    pub perplexity_error: Option<f64>,
    /// Bytes that the predicted tokens stand for; `None` if the model's tokenizer is not known.
    pub predicted_bytes: Option<usize>,
    /// Bits to write a byte of the predicted text with: comparable between tokenizers, unlike perplexity.
    pub bits_per_byte: Option<f64>,
    /// Seconds in the forward pass.
    pub seconds: f64,
    /// Milliseconds in the forward pass for each token read, `chunk` of them at a time.
    pub milliseconds_per_token: f64,
}

impl PerplexityReport {
    pub(super) fn new(model: &Model, text_tokens: usize, passage: Passage<'_>, reader: &Reader<'_>) -> Self {
        let Reader { elapsed, cross_entropy, .. } = reader;
        let nats = cross_entropy.mean;
        let bytes = predicted_bytes(model, passage.predicted());
        let bits = nats * cross_entropy.count as f64 / std::f64::consts::LN_2;
        Self {
            model: model.name().to_string(),
            text_tokens,
            tokens: passage.tokens.len(),
            predictions: cross_entropy.count,
            cross_entropy: nats,
            cross_entropy_error: cross_entropy.standard_error(),
            perplexity: nats.exp(),
            perplexity_error: cross_entropy.standard_error().map(|error| error * nats.exp()),
            predicted_bytes: bytes,
            bits_per_byte: bytes.filter(|&bytes| bytes > 0).map(|bytes| bits / bytes as f64),
            seconds: elapsed.as_secs_f64(),
            milliseconds_per_token: elapsed.as_secs_f64() * 1e3 / passage.run() as f64,
        }
    }
}

fn predicted_bytes(model: &Model, tokens: &[u32]) -> Option<usize> {
    let tokenizer = model.tokenizer().ok()?;
    tokens.iter().map(|&token| tokenizer.token_bytes(token).ok().map(|bytes| bytes.len())).sum()
}

impl Model {
    /// Measures how well the model predicts a text: each token from all before it, from
    /// [`new_state`](Self::new_state) on, with no token put in front. The same measure as rwkv.cpp's
    /// `measure_pexplexity.py`, whole chunks of tokens at a time.
    ///
    /// ```
    /// # fn main() -> volary::Result<()> {
    /// let model = volary::Model::open("tests/golden/v7.pth")?;
    /// let report = model.perplexity("Once upon a time", &Default::default())?;
    /// assert_eq!(report.predictions, 15);
    /// println!("{:.2} ± {:.2}", report.perplexity, report.perplexity_error.unwrap_or(0.0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a text of fewer than two tokens, a `limit` or `skip` that leave fewer than two,
    /// or a `chunk` out of range; [`Error::Unsupported`] if the model's tokenizer is not known; [`Error::Format`] if
    /// the model gives logits that are not finite; [`Error::Cancelled`] if `progress` said so.
    pub fn perplexity(&self, text: &str, options: &PerplexityOptions) -> Result<PerplexityReport> {
        self.perplexity_of_tokens(&self.tokenizer()?.encode(text)?, options)
    }

    /// [`perplexity`](Self::perplexity) of token ids.
    ///
    /// # Errors
    /// As [`perplexity`](Self::perplexity), and [`Error::InvalidArgument`] for a token id of `n_vocab` or more.
    pub fn perplexity_of_tokens(&self, tokens: &[u32], options: &PerplexityOptions) -> Result<PerplexityReport> {
        let passage = passage(self, tokens, options)?;
        let mut reader = Reader::new(self);
        read(&mut reader, passage, options.chunk, &*options.progress())?;
        Ok(PerplexityReport::new(self, tokens.len(), passage, &reader))
    }
}

/// What the options leave of a text, all checked.
pub(super) fn passage<'a>(model: &Model, tokens: &'a [u32], options: &PerplexityOptions) -> Result<Passage<'a>> {
    /// 1 GiB of logits of the largest vocabulary.
    const MOST_IN_A_CHUNK: usize = 4096;
    let PerplexityOptions { skip, limit, chunk, .. } = *options;
    match tokens.len() {
        0 => return Err(Error::argument("text", "is empty; give a text of at least two tokens")),
        1 => return Err(Error::argument("text", "is a single token; predicting takes at least two")),
        _ => {}
    }
    if let Some(limit @ 0..2) = limit {
        return Err(Error::argument("limit", format!("is {limit}; must be at least 2 tokens")));
    }
    let tokens = &tokens[..limit.unwrap_or(tokens.len()).min(tokens.len())];
    if tokens.len().saturating_sub(skip) < 2 {
        let cause = format!("is {skip} of {} tokens; at least 2 must be left to measure", tokens.len());
        return Err(Error::argument("skip", cause));
    }
    if !(1..=MOST_IN_A_CHUNK).contains(&chunk) {
        return Err(Error::argument("chunk", format!("is {chunk}; must be 1 to {MOST_IN_A_CHUNK} tokens")));
    }
    let n_vocab = model.config().n_vocab;
    if let Some(token) = tokens.iter().find(|&&token| token as usize >= n_vocab) {
        let cause = format!("{token} is out of range; {} has the token ids 0 to {}", model.name(), n_vocab - 1);
        return Err(Error::argument("token", cause));
    }
    Ok(Passage { tokens, first: skip.max(1) })
}
