//! A reply while it streams in, and how it becomes part of the conversation.

use std::collections::VecDeque;

use super::format::ChatFormat;
use super::history::{self, Position};
use super::thought::{Split, ThoughtFilter};
use super::{Chat, MAX_SNAPSHOTS, Message, Role};
use crate::error::Result;
use crate::generate::{CancelHandle, FinishReason, Piece, Remains, Stats, TokenStream};

/// The reply in progress.
pub(super) struct Reply {
    stream: TokenStream,
    filter: ThoughtFilter,
    ready: VecDeque<Piece>,
    /// Tokens of pieces that had no text to show.
    carried: Piece,
    /// All that the model wrote.
    raw: String,
    /// What of it was shown.
    thought: String,
    answer: String,
    occasion: Occasion,
}

/// What a reply answers.
pub(super) enum Occasion {
    /// A message just said.
    Message,
    /// A message answered before, by `former`, which is to become an alternative if `keep`.
    Again { former: Option<Message>, keep: bool },
}

impl Reply {
    pub fn new(stream: TokenStream, format: ChatFormat, occasion: Occasion) -> Self {
        let mut filter = ThoughtFilter::new(format.has_thoughts());
        // The tag that the prompt began: what the model writes completes it.
        filter.push(format.opening());
        let (ready, raw, thought, answer) = Default::default();
        Self { stream, filter, ready, carried: Piece::default(), raw, thought, answer, occasion }
    }

    fn next(&mut self) -> Result<Option<Piece>> {
        while self.ready.is_empty() {
            let Some(piece) = self.stream.next().transpose()? else {
                let rest = self.filter.finish();
                self.show(rest);
                break;
            };
            self.raw += &piece.text;
            self.carried.tokens.extend(piece.tokens);
            self.carried.logprobs.extend(piece.logprobs);
            let split = self.filter.push(&piece.text);
            self.show(split);
        }
        let piece = self.ready.pop_front();
        if let Some(piece) = &piece {
            let shown = if piece.thinking { &mut self.thought } else { &mut self.answer };
            *shown += &piece.text;
        }
        Ok(piece)
    }

    fn show(&mut self, split: Split) {
        for (text, thinking) in [(split.thought, true), (split.answer, false)] {
            if !text.is_empty() {
                self.ready.push_back(Piece { text, thinking, ..std::mem::take(&mut self.carried) });
            }
        }
    }
}

impl Chat {
    /// The next piece of the running reply; `None` once it has ended and is part of the history, or if none runs.
    ///
    /// # Errors
    /// Those of [`Model::forward`](crate::Model::forward). The conversation is then as it was before the reply.
    pub fn next_piece(&mut self) -> Result<Option<Piece>> {
        let Some(reply) = &mut self.reply else { return Ok(None) };
        let piece = reply.next();
        self.stats = reply.stream.stats().clone();
        match piece {
            Ok(Some(_)) => {}
            Ok(None) => self.end_reply()?,
            Err(_) => {
                if let Some(reply) = self.reply.take() {
                    self.take_back(reply.occasion)?;
                }
            }
        }
        piece
    }

    /// Ends the running reply, if there is one, where it was shown. A reply of which nothing was shown leaves the
    /// reply it was to replace, or none.
    ///
    /// # Errors
    /// Those of encoding the history; the conversation is then as it was before the reply.
    pub fn end_reply(&mut self) -> Result<()> {
        let Some(Reply { stream, raw, thought, answer, occasion, .. }) = self.reply.take() else { return Ok(()) };
        self.stats.finish_reason = self.stats.finish_reason.or(Some(FinishReason::Cancelled));
        let content = self.format.clean_answer(&answer);
        // The model has read its reply as the history has it, word for word, unless there was space to be cleaned or
        // a thought to be forgotten. U+FFFD stands for bytes that the history cannot say.
        let is_verbatim = self.format.opening().is_empty()
            && !content.is_empty()
            && raw == self.format.answer(&content)
            && !raw.contains(char::REPLACEMENT_CHARACTER);
        let message = occasion.message(content, thought.trim().to_string());
        match self.positions_around(stream, is_verbatim, message.as_ref()) {
            Ok((before, after)) => {
                self.snapshots.push_back((self.messages.len().saturating_sub(1), before));
                if self.snapshots.len() > MAX_SNAPSHOTS {
                    self.snapshots.pop_front();
                }
                self.messages.extend(message);
                self.position = after;
                Ok(())
            }
            Err(error) => {
                self.take_back(occasion)?;
                Err(error)
            }
        }
    }

    /// The places before the user's message that a stream has answered, and after the reply that it became, if any: where
    /// the stream ended, if that is word for word what it wrote.
    fn positions_around(
        &self,
        stream: TokenStream,
        is_verbatim: bool,
        reply: Option<&Message>,
    ) -> Result<(Position, Position)> {
        let format = self.format;
        let Remains { state, unread, marked } = stream.into_remains()?;
        let before = match marked {
            Some(state) => Position { state, unread: Vec::new() },
            None => self.position.clone(),
        };
        let after = if is_verbatim {
            let mut position = Position { state, unread };
            position.unread.extend(history::encode(&self.model, format, "format", ChatFormat::CLOSING)?);
            position
        } else {
            let asked = self.messages.last().into_iter().chain(reply);
            before.after(&self.model, format, asked)?
        };
        Ok((before, after))
    }

    /// Counts, times, the seed of the running reply, or of the last one.
    pub fn stats(&self) -> &Stats {
        self.reply.as_ref().map_or(&self.stats, |reply| reply.stream.stats())
    }

    /// A handle that ends the running reply, if there is one, from elsewhere.
    pub fn cancel_handle(&self) -> Option<CancelHandle> {
        self.reply.as_ref().map(|reply| reply.stream.cancel_handle())
    }

    /// After an error: the conversation as it was before the reply.
    fn take_back(&mut self, occasion: Occasion) -> Result<()> {
        let user = self.messages.len().saturating_sub(1);
        match occasion {
            Occasion::Message => {
                self.messages.truncate(user);
                self.attempts.pop();
            }
            Occasion::Again { former, .. } => {
                self.messages.extend(former);
                self.position = self.position.after(&self.model, self.format, &self.messages[user..])?;
            }
        }
        Ok(())
    }
}

impl Occasion {
    /// The message that a reply becomes, or the former one if there is nothing of it.
    fn message(&self, content: String, thought: String) -> Option<Message> {
        let (former, keep) = match self {
            Self::Message => (None, false),
            Self::Again { former, keep } => (former.as_ref(), *keep),
        };
        if content.is_empty() && thought.is_empty() {
            return former.cloned();
        }
        let mut alternatives = Vec::new();
        if let Some(former) = former {
            alternatives.extend_from_slice(&former.alternatives);
            alternatives.extend(keep.then(|| former.content.clone()));
        }
        Some(Message { role: Role::Assistant, content, thought, alternatives })
    }
}

/// A reply, streaming in: an iterator over pieces of text without the space around thought and answer.
///
/// Dropping it before its end ends the reply where it was shown.
pub struct ChatStream<'a> {
    chat: &'a mut Chat,
}

impl<'a> ChatStream<'a> {
    pub(super) fn new(chat: &'a mut Chat) -> Self {
        Self { chat }
    }

    /// A handle that ends the reply from elsewhere.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.chat.cancel_handle().unwrap_or_default()
    }

    /// Counts, times, the seed, and at the end why it ended.
    pub fn stats(&self) -> &Stats {
        self.chat.stats()
    }
}

impl Iterator for ChatStream<'_> {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Result<Piece>> {
        self.chat.next_piece().transpose()
    }
}

impl Drop for ChatStream<'_> {
    fn drop(&mut self) {
        // Fails only if text could not be encoded that has been encoded before.
        let _ = self.chat.end_reply();
    }
}
