//! How fast a model reads and writes.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::{DEFAULT_CHUNK, Logits, Model, Progress, Sequence, State};

/// What [`Model::bench`] runs.
#[derive(Clone)]
pub struct BenchOptions {
    /// Tokens of the prompt that each repetition reads.
    pub prefill_tokens: usize,
    /// Tokens that each repetition then writes, one at a time.
    pub decode_tokens: usize,
    /// Sessions that read and write at once.
    pub batch: usize,
    /// Repetitions; the medians count.
    pub repeats: usize,
    /// Told of the progress; may cancel.
    pub progress: Option<Arc<Progress>>,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self { prefill_tokens: 512, decode_tokens: 64, batch: 1, repeats: 3, progress: None }
    }
}

impl BenchOptions {
    fn check(&self) -> Result<()> {
        const MOST: usize = 1 << 20;
        const MOST_SESSIONS: usize = 1 << 10;
        if self.prefill_tokens == 0 && self.decode_tokens == 0 {
            return Err(Error::argument("prefill_tokens", "is 0, and so is decode_tokens; one must be at least 1"));
        }
        for (name, value, least, most) in [
            ("prefill_tokens", self.prefill_tokens, 0, MOST),
            ("decode_tokens", self.decode_tokens, 0, MOST),
            ("repeats", self.repeats, 1, MOST),
            ("batch", self.batch, 1, MOST_SESSIONS),
        ] {
            if !(least..=most).contains(&value) {
                return Err(Error::argument(name, format!("is {value}; must be {least} to {most}")));
            }
        }
        Ok(())
    }
}

/// What was measured: medians over the repetitions, tokens of all sessions counted.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BenchReport {
    /// The model's name.
    pub model: String,
    /// Bytes that the weights take in memory.
    pub resident_bytes: usize,
    /// Instruction set in use.
    pub isa: &'static str,
    /// Threads in use.
    pub threads: usize,
    /// Sessions at once.
    pub batch: usize,
    /// Tokens of each session's prompt.
    pub prefill_tokens: usize,
    /// Tokens each session wrote.
    pub decode_tokens: usize,
    /// Repetitions.
    pub repeats: usize,
    /// Prompt tokens read in a second; `None` if there were none.
    pub prefill_tokens_per_second: Option<f64>,
    /// Arithmetic of reading the prompt, in GFLOP/s: 10^9 operations a second, two for each weight that a token is
    /// multiplied with. These are the numbers in all matrices but the embedding, of which a row is copied, and the head,
    /// which a prompt does not need. `None` if there was no prompt.
    pub prefill_gflop_per_second: Option<f64>,
    /// Tokens written in a second; `None` if there were none.
    pub decode_tokens_per_second: Option<f64>,
    /// Bytes moved for each token written: its share of the weights, which all sessions read together, but of the
    /// embedding one row, and its session's state, read and written.
    pub decode_bytes_per_token: usize,
    /// Memory traffic of writing, in GB/s: 10^9 bytes a second. It is `decode_bytes_per_token` times
    /// `decode_tokens_per_second`, to be held against [`memory_bandwidth`](super::memory_bandwidth). `None` if no tokens
    /// were written.
    pub decode_gb_per_second: Option<f64>,
    /// The most memory this process has held, in bytes; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
}

impl Model {
    /// Measures reading and writing speed with made-up tokens: speed does not depend on which they are.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is nothing to run, or absurdly much; [`Error::Cancelled`] if `progress` said
    /// so.
    pub fn bench(&self, options: &BenchOptions) -> Result<BenchReport> {
        let BenchOptions { prefill_tokens, decode_tokens, batch, repeats, .. } = *options;
        options.check()?;
        let n_vocab = self.config().n_vocab;
        let prompt: Vec<u32> = (0..prefill_tokens).map(|i| ((i * 7919 + 13) % n_vocab) as u32).collect();
        let (mut prefill, mut decode) = (Vec::new(), Vec::new());
        for repeat in 0..repeats {
            // One token takes about as long as a whole chunk of a prompt.
            let steps = prefill_tokens.div_ceil(DEFAULT_CHUNK) + decode_tokens;
            let progress = |done: f64| {
                let done = (repeat as f64 + done / steps as f64) / repeats as f64;
                options.progress.as_ref().is_none_or(|progress| progress(done))
            };
            let mut states = vec![self.new_state(); batch];
            let chunks = (steps - decode_tokens) as f64;
            prefill.push(self.timed(&mut states, &prompt, Logits::None, &|done| progress(done * chunks))?);
            let started = Instant::now();
            for i in 0..decode_tokens {
                let token = ((i * 31 + 7) % n_vocab) as u32;
                self.timed(&mut states, &[token], Logits::Last, &|_| progress(chunks + i as f64))?;
            }
            decode.push(started.elapsed().as_secs_f64());
        }
        let rate = |tokens: usize, seconds: Vec<f64>| (tokens > 0).then(|| (tokens * batch) as f64 / median(seconds));
        let (prefill, decode) = (rate(prefill_tokens, prefill), rate(decode_tokens, decode));
        let giga = |rate: f64, each: usize| rate * each as f64 / 1e9;
        let bytes = self.bytes_of_step(batch) / batch;
        Ok(BenchReport {
            model: self.name().to_string(),
            resident_bytes: self.resident_bytes(),
            isa: self.isa(),
            threads: self.threads(),
            batch,
            prefill_tokens,
            decode_tokens,
            repeats,
            prefill_tokens_per_second: prefill,
            prefill_gflop_per_second: prefill.map(|rate| giga(rate, 2 * self.multiplications_of_prompt_token())),
            decode_tokens_per_second: decode,
            decode_bytes_per_token: bytes,
            decode_gb_per_second: decode.map(|rate| giga(rate, bytes)),
            peak_rss_bytes: peak_rss_bytes(),
        })
    }

    /// Seconds it takes all sessions to read the same tokens.
    fn timed(
        &self,
        states: &mut [State],
        tokens: &[u32],
        logits: Logits,
        progress: &dyn Fn(f64) -> bool,
    ) -> Result<f64> {
        let mut batch: Vec<_> = states.iter_mut().map(|state| Sequence { state, tokens, logits }).collect();
        let started = Instant::now();
        self.forward_with_progress(&mut batch, DEFAULT_CHUNK, progress)?;
        Ok(started.elapsed().as_secs_f64())
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Linux tells in `/proc`.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_and_traffic_follow_from_the_shapes_of_the_weights() {
        let model = Model::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v7.pth")).unwrap();
        // Two layers of 64 channels: four matrices of 64 x 64, two of 64 x 96, and low-rank pairs, of which the first
        // layer has one less.
        let layer = 4 * 64 * 64 + 2 * 64 * 96 + 2 * 64 * (12 + 8 + 20);
        let options = BenchOptions { prefill_tokens: 2, decode_tokens: 2, batch: 1, repeats: 1, progress: None };
        let report = model.bench(&options).unwrap();
        let share = |numerator: Option<f64>, denominator: Option<f64>| numerator.unwrap() / denominator.unwrap() * 1e9;
        let operations = share(report.prefill_gflop_per_second, report.prefill_tokens_per_second);
        assert_eq!(operations.round() as usize, 2 * (2 * layer + 2 * 64 * 4));
        let bytes = share(report.decode_gb_per_second, report.decode_tokens_per_second);
        assert_eq!(bytes.round() as usize, report.decode_bytes_per_token);
        // Of 256 rows of the embedding in two bytes one is read; the state has two rows and two heads of 32 x 32 a layer.
        let state = 2 * 4 * (2 * 64 + 2 * 32 * 32);
        assert_eq!(report.decode_bytes_per_token, report.resident_bytes - 255 * 64 * 2 + 2 * state);
        let eight = model.bench(&BenchOptions { batch: 8, ..options }).unwrap();
        assert_eq!(eight.decode_bytes_per_token, (report.decode_bytes_per_token + 7 * (128 + 2 * state)) / 8);
    }
}
