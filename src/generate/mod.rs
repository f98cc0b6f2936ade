//! From logits to text: sampling, stop rules, streams.
//!
//! [`Model::generate`] gives a [`TokenStream`], [`Model::complete`] the whole text at once, and
//! [`Model::complete_batch`] many texts that share every read of the weights.

mod options;
mod output;
mod sampler;
mod session;
mod stop;
mod stream;

pub use options::GenerateOptions;
pub(crate) use options::Recommended;
pub use sampler::{Sampler, Sampling, TokenLogprob};
pub(crate) use session::{Prompt, Remains};
pub(crate) use stop::StopScanner;
pub use stream::{CancelHandle, FinishReason, Piece, Stats, Timings, TokenStream, Usage};

use crate::error::{Error, Result};
use crate::model::Model;
use session::Session;

/// A finished text.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The text, without the prompt and without what stopped it.
    pub text: String,
    /// The tokens of the text; the last may be in it only in part.
    pub tokens: Vec<u32>,
    /// For each of `tokens`, if asked for.
    pub logprobs: Vec<TokenLogprob>,
    /// Why the text ended.
    pub finish_reason: FinishReason,
    /// Token counts.
    pub usage: Usage,
    /// Times.
    pub timings: Timings,
    /// The seed in use, given or drawn.
    pub seed: u64,
}

impl Model {
    /// Starts a text that continues `prompt`.
    ///
    /// An empty prompt without a state begins a new text: the model starts from its end-of-text token, which stands
    /// between texts in training, or from a line break if it has none (vocabularies of raw bytes).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an option out of range, for options that contradict each other, and for an
    /// empty prompt together with a state, which alone does not tell what comes next; [`Error::Mismatch`] for a state
    /// of another model; [`Error::Unsupported`] if the model has no tokenizer.
    pub fn generate(&self, prompt: &str, options: GenerateOptions) -> Result<TokenStream> {
        self.generate_tokens(&self.tokenizer()?.encode_argument("prompt", prompt)?, options)
    }

    /// As [`generate`](Self::generate), from token ids.
    ///
    /// # Errors
    /// As [`generate`](Self::generate), and [`Error::InvalidArgument`] for ids that the model does not have.
    pub fn generate_tokens(&self, prompt: &[u32], options: GenerateOptions) -> Result<TokenStream> {
        let prompt = self.prompt(prompt, &options)?;
        TokenStream::start(self, prompt, &options, Recommended::COMPLETION)
    }

    /// The whole text that continues `prompt`.
    ///
    /// # Errors
    /// As [`generate`](Self::generate), and those of [`forward`](Self::forward).
    pub fn complete(&self, prompt: &str, options: GenerateOptions) -> Result<Completion> {
        self.complete_batch(&[prompt], options)?.pop().ok_or_else(|| Error::argument("prompts", "is empty"))
    }

    /// The texts that continue several prompts, generated together: the weights are read once for all of them.
    ///
    /// Each is the text that [`complete`](Self::complete) gives for its prompt with the same options and seed.
    ///
    /// # Errors
    /// As [`complete`](Self::complete), for any of them.
    pub fn complete_batch<S: AsRef<str>>(&self, prompts: &[S], options: GenerateOptions) -> Result<Vec<Completion>> {
        let tokenizer = self.tokenizer()?;
        let mut running = Vec::new();
        for prompt in prompts {
            let prompt = self.prompt(&tokenizer.encode_argument("prompt", prompt.as_ref())?, &options)?;
            let session = Session::new(self, prompt, &options, Recommended::COMPLETION)?;
            running.push((session, Piece::default()));
        }
        loop {
            if options.cancel.is_cancelled() {
                let open = running.iter_mut().filter(|(session, _)| !session.ended());
                open.map(|(session, _)| session).try_for_each(Session::cancel)?;
            }
            let (mut sessions, texts): (Vec<_>, Vec<_>) = running
                .iter_mut()
                .filter(|(session, _)| !session.ended())
                .map(|(session, text)| (session, text))
                .unzip();
            if sessions.is_empty() {
                break;
            }
            for (piece, text) in Session::step(self, &mut sessions)?.into_iter().zip(texts) {
                text.extend(piece.unwrap_or_default());
            }
        }
        Ok(running.into_iter().map(|(session, text)| Completion::new(text, session.stats)).collect())
    }

    fn prompt(&self, tokens: &[u32], options: &GenerateOptions) -> Result<Prompt> {
        let tokens = match (tokens, &options.state) {
            ([], None) => {
                let tokenizer = self.tokenizer()?;
                tokenizer.end_of_text().map_or_else(|| tokenizer.encode("\n"), |token| Ok(vec![token]))?
            }
            ([], Some(_)) => {
                let cause = "is empty, and a state alone does not tell what comes next; give some text to go on from";
                return Err(Error::argument("prompt", cause));
            }
            (tokens, _) => tokens.to_vec(),
        };
        Ok(Prompt { state: options.state.clone().unwrap_or_else(|| self.new_state()), tokens, mark: 0 })
    }
}

impl Completion {
    fn new(text: Piece, stats: Stats) -> Self {
        let Piece { text, tokens, logprobs, .. } = text;
        // A batch runs until every session has ended.
        let finish_reason = stats.finish_reason.unwrap_or(FinishReason::MaxTokens);
        let Stats { usage, timings, seed, .. } = stats;
        Self { text, tokens, logprobs, finish_reason, usage, timings, seed }
    }
}

impl Piece {
    /// Appends what follows.
    fn extend(&mut self, next: Self) {
        self.text += &next.text;
        self.tokens.extend(next.tokens);
        self.logprobs.extend(next.logprobs);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tiny;
