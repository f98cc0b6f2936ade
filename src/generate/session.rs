//! One text being generated, without the model that runs it: a stream steps one session, a batch steps many.

use std::time::Instant;

use super::options::{GenerateOptions, Recommended, check_ids};
use super::output::Output;
use super::sampler::{Sampler, token_logprob};
use super::stop::StopScanner;
use super::stream::{FinishReason, Piece, Stats, Usage};
use crate::error::{Error, Result};
use crate::model::{Logits, Model, Sequence, State};
use crate::tokenizer::Tokenizer;

/// Prompt tokens read between two looks at whether the caller has cancelled.
const CHUNK: usize = 64;

/// What to generate from.
pub(crate) struct Prompt {
    /// The text so far, as far as `tokens` is not about it.
    pub state: State,
    /// What the state has not read.
    pub tokens: Vec<u32>,
    /// Keeps a copy of the state after so many of the tokens, if more than 0.
    pub mark: usize,
}

pub(crate) struct Session {
    pub stats: Stats,
    state: State,
    /// Tokens the state has not read, from `read` on.
    unread: Vec<u32>,
    read: usize,
    mark: usize,
    marked: Option<State>,
    tokenizer: Tokenizer,
    sampler: Sampler,
    output: Output,
    anchor: Option<Anchor>,
    end_of_text: Option<u32>,
    stop_tokens: Vec<u32>,
    max_tokens: usize,
    logprobs: Option<usize>,
    failed: bool,
}

/// Where the state was when all that it had read was shown: what is held back may never be, and must then be unread.
struct Anchor {
    /// `None` while it is the present state.
    state: Option<State>,
    /// What was shown since, because a token belongs to the shown text in part.
    shown: String,
}

/// What remains of a session: a state, the tokens it still has to read, and the copy made at the mark.
pub(crate) struct Remains {
    pub state: State,
    pub unread: Vec<u32>,
    pub marked: Option<State>,
}

impl Session {
    /// # Errors
    /// [`Error::InvalidArgument`] for options or tokens out of range, [`Error::Mismatch`] for a state of another model.
    pub fn new(model: &Model, prompt: Prompt, options: &GenerateOptions, recommended: Recommended) -> Result<Self> {
        let n_vocab = model.config().n_vocab;
        let tokenizer = model.tokenizer()?.clone();
        let end_of_text = tokenizer.end_of_text();
        let sampling = options.resolve(recommended, n_vocab, end_of_text)?;
        check_ids("prompt", &prompt.tokens, n_vocab)?;
        model.check_state(&prompt.state)?;
        let seed = match options.seed {
            Some(seed) => seed,
            None => {
                getrandom::u64().map_err(|e| Error::unsupported("seed", format!("no randomness: {e}; give one")))?
            }
        };
        let mut session = Self {
            stats: Stats {
                usage: Usage { prompt_tokens: prompt.tokens.len(), generated_tokens: 0 },
                seed,
                ..Stats::default()
            },
            state: prompt.state,
            unread: prompt.tokens,
            read: 0,
            mark: prompt.mark,
            marked: None,
            sampler: Sampler::new(sampling, seed),
            output: Output::new(tokenizer.stream(), StopScanner::new(&options.stop)),
            tokenizer,
            anchor: None,
            end_of_text,
            stop_tokens: options.stop_tokens.clone(),
            max_tokens: options.max_tokens,
            logprobs: options.logprobs,
            failed: false,
        };
        if session.max_tokens == 0 {
            session.stats.finish_reason = Some(FinishReason::MaxTokens);
        }
        Ok(session)
    }

    /// Runs the next tokens of all sessions through the model together, and gives what each may show now. Only for
    /// sessions that have not [ended](Self::ended).
    pub fn step(model: &Model, sessions: &mut [&mut Self]) -> Result<Vec<Option<Piece>>> {
        let started = Instant::now();
        let mut batch: Vec<Sequence<'_>> = sessions.iter_mut().map(|session| session.input()).collect();
        let lens: Vec<usize> = batch.iter().map(|sequence| sequence.tokens.len()).collect();
        let result = model.forward(&mut batch).and_then(|logits| {
            let steps = sessions.iter_mut().zip(lens).zip(&logits);
            steps.map(|((session, len), logits)| session.advance(len, logits, started)).collect()
        });
        if result.is_err() {
            sessions.iter_mut().for_each(|session| session.failed = true);
        }
        result
    }

    /// Whether nothing more will come.
    pub fn ended(&self) -> bool {
        self.failed || self.stats.finish_reason.is_some()
    }

    /// Ends the text where it has been shown.
    pub fn cancel(&mut self) -> Result<()> {
        if self.ended() {
            return Ok(());
        }
        self.stats.finish_reason = Some(FinishReason::Cancelled);
        self.unread_what_is_not_shown()
    }

    /// The state, what it still has to read so that it has read the prompt and all the shown text and nothing else,
    /// and the copy made at the mark.
    pub fn into_remains(mut self) -> Remains {
        self.unread.drain(..self.read);
        Remains { state: self.state, unread: self.unread, marked: self.marked }
    }

    /// What to run through the model next.
    fn input(&mut self) -> Sequence<'_> {
        if let Some(anchor) = &mut self.anchor {
            anchor.state.get_or_insert_with(|| self.state.clone());
        }
        let rest = &self.unread[self.read..];
        let until_mark = self.mark.saturating_sub(self.read);
        let len = rest.len().min(CHUNK).min(if until_mark > 0 { until_mark } else { CHUNK });
        let logits = if len == rest.len() { Logits::Last } else { Logits::None };
        Sequence { state: &mut self.state, tokens: &rest[..len], logits }
    }

    /// Takes the logits after `len` more tokens, or none in the middle of the prompt.
    fn advance(&mut self, len: usize, logits: &[f32], started: Instant) -> Result<Option<Piece>> {
        self.read += len;
        if self.read == self.mark && self.mark > 0 {
            self.marked = Some(self.state.clone());
            self.mark = 0;
        }
        let first = self.stats.usage.generated_tokens == 0;
        let piece = if logits.is_empty() { None } else { self.generate(logits)? };
        let seconds = started.elapsed().as_secs_f64();
        if first {
            self.stats.timings.prefill_seconds += seconds;
        } else {
            self.stats.timings.decode_seconds += seconds;
        }
        Ok(piece)
    }

    fn generate(&mut self, logits: &[f32]) -> Result<Option<Piece>> {
        // A vocabulary may be padded: the tokenizer has no text for the rows beyond its own.
        let logits = &logits[..logits.len().min(self.tokenizer.n_vocab())];
        let token = self.sampler.sample(logits)?;
        self.stats.usage.generated_tokens += 1;
        self.unread.clear();
        self.read = 0;
        if self.end_of_text == Some(token) {
            return self.finish(FinishReason::EndOfText, String::new());
        }
        if self.stop_tokens.contains(&token) {
            return self.finish(FinishReason::StopToken, String::new());
        }
        self.sampler.accept(token, &self.tokenizer.token_bytes(token)?);
        let logprob = self.logprobs.map(|n_top| token_logprob(logits, token, n_top));
        let shown = self.output.push(token, logprob)?;
        self.unread.push(token);
        if let Some(own) = shown.own {
            self.anchor = Some(Anchor { state: None, shown: shown.text[shown.text.len() - own..].to_string() });
        } else if let Some(anchor) = &mut self.anchor {
            anchor.shown += &shown.text;
        }
        if shown.stopped {
            return self.finish(FinishReason::StopText, shown.text);
        }
        if !self.output.holds_back() {
            self.anchor = None;
        }
        if self.stats.usage.generated_tokens >= self.max_tokens {
            return self.finish(FinishReason::MaxTokens, shown.text);
        }
        Ok(self.output.piece(shown.text))
    }

    /// Ends the text after `text`. Unless a stop string ended it, what was held back belongs to it.
    fn finish(&mut self, reason: FinishReason, mut text: String) -> Result<Option<Piece>> {
        self.stats.finish_reason = Some(reason);
        if reason == FinishReason::StopText {
            self.unread_what_is_not_shown()?;
        } else {
            text += &self.output.finish();
            self.anchor = None;
        }
        Ok(self.output.last_piece(text))
    }

    fn unread_what_is_not_shown(&mut self) -> Result<()> {
        if let Some(anchor) = self.anchor.take() {
            self.state = anchor.state.unwrap_or_else(|| self.state.clone());
            self.unread = self.tokenizer.encode(&anchor.shown)?;
            self.read = 0;
        }
        Ok(())
    }
}
