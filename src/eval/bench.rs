//! How fast a model reads and writes.

use std::time::Instant;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::{Logits, Model, Sequence, State};

/// What [`Model::bench`] runs.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Tokens of the prompt that each repetition reads.
    pub prefill_tokens: usize,
    /// Tokens that each repetition then writes, one at a time.
    pub decode_tokens: usize,
    /// Sessions that read and write at once.
    pub batch: usize,
    /// Repetitions; the medians count.
    pub repeats: usize,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self { prefill_tokens: 512, decode_tokens: 64, batch: 1, repeats: 3 }
    }
}

impl BenchOptions {
    fn check(&self) -> Result<()> {
        const MOST: usize = 1 << 20;
        const MOST_SESSIONS: usize = 1 << 10;
        let tokens = self.prefill_tokens.saturating_add(self.decode_tokens);
        for (name, value, most) in [
            ("prefill and decode tokens", tokens, MOST),
            ("repeats", self.repeats, MOST),
            ("batch", self.batch, MOST_SESSIONS),
        ] {
            if !(1..=most).contains(&value) {
                return Err(Error::argument(name, format!("is {value}; must be 1 to {most}")));
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
    /// Tokens written in a second; `None` if there were none.
    pub decode_tokens_per_second: Option<f64>,
    /// The most memory this process has held, in bytes; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
}

impl Model {
    /// Measures reading and writing speed with made-up tokens: speed does not depend on which they are.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is nothing to run, or absurdly much.
    pub fn bench(&self, options: &BenchOptions) -> Result<BenchReport> {
        let BenchOptions { prefill_tokens, decode_tokens, batch, repeats } = *options;
        options.check()?;
        let n_vocab = self.config().n_vocab;
        let prompt: Vec<u32> = (0..prefill_tokens).map(|i| ((i * 7919 + 13) % n_vocab) as u32).collect();
        let (mut prefill, mut decode) = (Vec::new(), Vec::new());
        for _ in 0..repeats {
            let mut states = vec![self.new_state(); batch];
            prefill.push(self.timed(&mut states, &prompt, Logits::None)?);
            let started = Instant::now();
            for i in 0..decode_tokens {
                self.timed(&mut states, &[((i * 31 + 7) % n_vocab) as u32], Logits::Last)?;
            }
            decode.push(started.elapsed().as_secs_f64());
        }
        let rate = |tokens: usize, seconds: Vec<f64>| (tokens > 0).then(|| (tokens * batch) as f64 / median(seconds));
        Ok(BenchReport {
            model: self.name().to_string(),
            resident_bytes: self.resident_bytes(),
            isa: self.isa(),
            threads: self.threads(),
            batch,
            prefill_tokens,
            decode_tokens,
            repeats,
            prefill_tokens_per_second: rate(prefill_tokens, prefill),
            decode_tokens_per_second: rate(decode_tokens, decode),
            peak_rss_bytes: peak_rss_bytes(),
        })
    }

    /// Seconds it takes all sessions to read the same tokens.
    fn timed(&self, states: &mut [State], tokens: &[u32], logits: Logits) -> Result<f64> {
        let mut batch: Vec<_> = states.iter_mut().map(|state| Sequence { state, tokens, logits }).collect();
        let started = Instant::now();
        self.forward(&mut batch)?;
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
