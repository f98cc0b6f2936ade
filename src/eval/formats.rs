//! What quantizing costs and gains: a model against itself in other formats.

use serde::Serialize;

use super::lockstep::{Reader, read_both};
use super::perplexity::{PerplexityOptions, PerplexityReport, passage};
use super::{BenchOptions, BenchReport};
use crate::error::{Error, Result};
use crate::model::Model;

/// What [`Model::compare_formats`] runs.
#[derive(Clone)]
pub struct ComparisonOptions {
    /// Which part of the text to measure.
    pub perplexity: PerplexityOptions,
    /// How to measure speed.
    pub bench: BenchOptions,
}

impl Default for ComparisonOptions {
    fn default() -> Self {
        let bench = BenchOptions { prefill_tokens: 128, decode_tokens: 16, batch: 1, repeats: 3, progress: None };
        Self { perplexity: PerplexityOptions::default(), bench }
    }
}

/// A model as it was opened, and the same model in other formats.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FormatComparison {
    /// The model's name.
    pub model: String,
    /// Whether the model as it was opened has quantized tensors: it then is compared with what it lost before.
    pub is_quantized: bool,
    /// The model as it was opened.
    pub unquantized: FormatReport,
    /// The others, in the order asked for.
    pub formats: Vec<FormatReport>,
}

#[cfg(feature = "cli")]
impl FormatComparison {
    /// What a person calls the model as it was opened.
    pub(crate) fn base_name(&self) -> &'static str {
        if self.is_quantized { "as it is" } else { "unquantized" }
    }
}

/// What was measured of one format.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FormatReport {
    /// The format's name as it was asked for; `None` for the model as it was opened.
    pub format: Option<String>,
    /// How well it predicts the text.
    #[serde(flatten)]
    pub perplexity: PerplexityReport,
    /// Percent by which its perplexity is above the unquantized model's.
    pub perplexity_change_percent: f64,
    /// Mean Kullback-Leibler divergence of its distributions from the unquantized model's, in nats per token.
    pub kl_divergence: f64,
    /// Standard error of the divergence, as if the predictions were independent.
    pub kl_divergence_error: Option<f64>,
    /// Bytes that the weights take in memory.
    pub bytes: usize,
    /// Bits in memory for each of the model's parameters.
    pub bits_per_weight: f64,
    /// Prompt tokens read in a second.
    pub prefill_tokens_per_second: Option<f64>,
    /// Tokens written in a second.
    pub decode_tokens_per_second: Option<f64>,
}

impl FormatReport {
    fn new(format: Option<&String>, perplexity: PerplexityReport, bench: &BenchReport, parameters: u64) -> Self {
        Self {
            format: format.cloned(),
            perplexity,
            perplexity_change_percent: 0.0,
            kl_divergence: 0.0,
            kl_divergence_error: None,
            bytes: bench.resident_bytes,
            bits_per_weight: bench.resident_bytes as f64 * 8.0 / parameters as f64,
            prefill_tokens_per_second: bench.prefill_tokens_per_second,
            decode_tokens_per_second: bench.decode_tokens_per_second,
        }
    }
}

impl Model {
    /// Measures the model and the same model in other formats over one text. `open` opens it in the format of a name
    /// it is given; one such model is in memory at a time. The two read side by side, a chunk at a time, so that no
    /// logits are kept.
    ///
    /// # Errors
    /// As [`perplexity`](Self::perplexity) and [`bench`](Self::bench), and whatever `open` returns;
    /// [`Error::InvalidArgument`] if there are no formats, [`Error::Mismatch`] if a model has another vocabulary.
    pub fn compare_formats(
        &self,
        text: &str,
        formats: &[String],
        options: &ComparisonOptions,
        open: &mut dyn FnMut(&str) -> Result<Model>,
    ) -> Result<FormatComparison> {
        self.compare_formats_of_tokens(&self.tokenizer()?.encode(text)?, formats, options, open)
    }

    /// [`compare_formats`](Self::compare_formats) over token ids.
    ///
    /// # Errors
    /// As [`compare_formats`](Self::compare_formats) and [`perplexity_of_tokens`](Self::perplexity_of_tokens).
    pub fn compare_formats_of_tokens(
        &self,
        tokens: &[u32],
        formats: &[String],
        options: &ComparisonOptions,
        open: &mut dyn FnMut(&str) -> Result<Model>,
    ) -> Result<FormatComparison> {
        let passage = passage(self, tokens, &options.perplexity)?;
        let parameters = self.info().parameters();
        let report = |format, model: &Model, reader: &Reader<'_>| {
            let perplexity = PerplexityReport::new(model, tokens.len(), passage, reader);
            Ok(FormatReport::new(format, perplexity, &model.bench(&options.bench)?, parameters))
        };
        let mut unquantized: Option<FormatReport> = None;
        let mut rows = Vec::new();
        for (index, format) in formats.iter().enumerate() {
            let model = open(format)?;
            self.check_comparable(&model)?;
            let (mut base, mut other) = (Reader::new(self), Reader::new(&model));
            let progress = options.perplexity.progress();
            let share = move |done: f64| progress((index as f64 + done) / formats.len() as f64);
            let divergence = read_both([&mut base, &mut other], passage, options.perplexity.chunk, &share)?;

            let unquantized = match &mut unquantized {
                Some(known) => known,
                unknown => unknown.insert(report(None, self, &base)?),
            };
            let row = report(Some(format), &model, &other)?;
            let change = row.perplexity.cross_entropy - unquantized.perplexity.cross_entropy;
            rows.push(FormatReport {
                perplexity_change_percent: change.exp_m1() * 100.0,
                kl_divergence: divergence.mean,
                kl_divergence_error: divergence.standard_error(),
                ..row
            });
        }
        let unquantized = unquantized.ok_or_else(|| Error::argument("formats", "is empty; name at least one"))?;
        let is_quantized = self.info().tensors.iter().any(|tensor| !tensor.format.is_float());
        Ok(FormatComparison { model: self.name().to_string(), is_quantized, unquantized, formats: rows })
    }

    fn check_comparable(&self, other: &Model) -> Result<()> {
        let (own, others) = (self.config().n_vocab, other.config().n_vocab);
        if own == others {
            return Ok(());
        }
        let cause = format!("has a vocabulary of {others}, {} one of {own}; compare a model with itself", self.name());
        Err(Error::mismatch(other.name(), cause))
    }
}
