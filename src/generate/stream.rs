//! A running generation, pulled piece by piece.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::options::{GenerateOptions, Recommended};
use super::sampler::TokenLogprob;
use super::session::{Prompt, Remains, Session};
use crate::error::Result;
use crate::model::{Model, State};

/// Text as it comes: whole characters, of one token or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// What to show.
    pub text: String,
    /// The tokens whose text this piece completes. The last piece lists the tokens left, those included that were
    /// shown in part (a stop string may begin inside a token), not those that ended the text.
    pub tokens: Vec<u32>,
    /// For each of `tokens`, if asked for.
    pub logprobs: Vec<TokenLogprob>,
    /// Whether the text is a chat model's thought rather than its answer. Only chats tell them apart.
    pub thinking: bool,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// `max_tokens` were generated.
    MaxTokens,
    /// The model generated its end-of-text token.
    EndOfText,
    /// The model generated one of `stop_tokens`.
    StopToken,
    /// The model generated one of the texts of `stop`.
    StopText,
    /// The caller cancelled.
    Cancelled,
}

impl FinishReason {
    /// The reason's name in every language: `length`, `end_of_text`, `stop_token`, `stop_text` or `cancelled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "length",
            Self::EndOfText => "end_of_text",
            Self::StopToken => "stop_token",
            Self::StopText => "stop_text",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Token counts of a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens generated, including those that ended the text without being shown.
    pub generated_tokens: usize,
}

/// Times of a generation. Time that the caller spends between pieces does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Seconds until the first token was generated: the time to the first token.
    pub prefill_seconds: f64,
    /// Seconds for all further tokens.
    pub decode_seconds: f64,
}

/// What a generation has done so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Token counts.
    pub usage: Usage,
    /// Times.
    pub timings: Timings,
    /// The seed in use, given or drawn.
    pub seed: u64,
    /// Why the text ended, once it has. `None` also after an error.
    pub finish_reason: Option<FinishReason>,
}

/// Ends a generation from another thread, or from between two pieces.
#[derive(Clone, Debug, Default)]
pub struct CancelHandle {
    asked: Arc<AtomicBool>,
    /// Ends this one's generation among others.
    wider: Option<Arc<CancelHandle>>,
}

impl CancelHandle {
    /// Asks the generation to end: it does so before its next token, or after the next few tokens of its prompt.
    pub fn cancel(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.wider.as_ref().is_some_and(|wider| wider.is_cancelled())
    }

    /// For one generation among those that this is for: cancelling it leaves the others, and whoever uses the same
    /// options again.
    pub(super) fn of_one(&self) -> Self {
        Self { asked: Arc::default(), wider: Some(Arc::new(self.clone())) }
    }
}

/// A running generation: an iterator over pieces of text.
///
/// It works only while it is pulled; the prompt is read at the first pull. After the end, or after an error, there is
/// nothing more. It shares the model, so it may outlive the `Model` that made it.
///
/// ```no_run
/// # fn main() -> volary::Result<()> {
/// let model = volary::Model::open("rwkv7-g1-1.5b.gguf")?;
/// let mut stream = model.generate("Once upon a time", Default::default())?;
/// for piece in &mut stream {
///     print!("{}", piece?);
/// }
/// println!("\n{} tokens", stream.stats().usage.generated_tokens);
/// # Ok(())
/// # }
/// ```
pub struct TokenStream {
    model: Model,
    session: Session,
    cancel: CancelHandle,
}

impl TokenStream {
    pub(crate) fn start(
        model: &Model,
        prompt: Prompt,
        options: &GenerateOptions,
        recommended: Recommended,
    ) -> Result<Self> {
        let session = Session::new(model, prompt, options, recommended)?;
        Ok(Self { model: model.clone(), session, cancel: options.cancel.of_one() })
    }

    /// A handle that ends this stream.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Ends the stream. Text that was not pulled is lost; what was pulled stays as it is.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Counts, times, the seed, and once it has ended, why.
    pub fn stats(&self) -> &Stats {
        &self.session.stats
    }

    /// Ends the stream and gives the state that has read the prompt and exactly the text of the pieces pulled: not
    /// the stop string, not what was held back because it might become one. (Where the text has U+FFFD, the bytes it
    /// stands for.) Generate on from it with further text.
    ///
    /// # Errors
    /// Those of [`Model::forward`]: the state may still have to read the last token.
    pub fn into_state(self) -> Result<State> {
        let model = self.model.clone();
        let Remains { mut state, unread, .. } = self.into_remains()?;
        model.prefill(&mut state, &unread)?;
        Ok(state)
    }

    pub(crate) fn into_remains(mut self) -> Result<Remains> {
        self.session.cancel()?;
        Ok(self.session.into_remains())
    }

    fn pull(&mut self) -> Result<Option<Piece>> {
        while !self.session.ended() {
            if self.cancel.is_cancelled() {
                self.session.cancel()?;
                break;
            }
            let mut pieces = Session::step(&self.model, &mut [&mut self.session])?;
            if let Some(piece) = pieces.pop().flatten() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

impl Iterator for TokenStream {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Result<Piece>> {
        self.pull().transpose()
    }
}

impl std::iter::FusedIterator for TokenStream {}

impl fmt::Debug for TokenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenStream({:?}, {:?})", self.model, self.session.stats)
    }
}
