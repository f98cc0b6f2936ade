//! What a model has read of a conversation, and what it has yet to read.

use super::format::{ChatFormat, VOCABULARY_20B};
use super::{Message, Role};
use crate::error::Result;
use crate::model::{Model, State};

/// A place in a conversation: a state, and the tokens it has yet to read to stand there.
#[derive(Clone)]
pub(super) struct Position {
    pub state: State,
    pub unread: Vec<u32>,
}

impl Position {
    /// The place after further messages.
    pub fn after<'a>(
        &self,
        model: &Model,
        format: ChatFormat,
        messages: impl IntoIterator<Item = &'a Message>,
    ) -> Result<Self> {
        let mut position = self.clone();
        for message in messages {
            position.unread.extend(encode(model, format, "text", &written(format, message))?);
        }
        Ok(position)
    }
}

/// The place after `messages`, with everything still to be read. `argument` is what the caller calls the text before the
/// first message.
pub(super) fn read(model: &Model, format: ChatFormat, argument: &str, messages: &[Message]) -> Result<Position> {
    let (system, messages) = match messages {
        [first, rest @ ..] if first.role == Role::System => (Some(first.content.as_str()), rest),
        messages => (None, messages),
    };
    let unread = encode(model, format, argument, &format.prologue(system))?;
    Position { state: model.new_state(), unread }.after(model, format, messages)
}

/// A message as the format writes it into the history.
fn written(format: ChatFormat, message: &Message) -> String {
    match message.role {
        Role::User => format.user(&message.content),
        // A thought without an answer.
        Role::Assistant if message.content.is_empty() => String::new(),
        Role::Assistant => [format.label(), &format.answer(&message.content), ChatFormat::CLOSING].concat(),
        // Only the first message can be one, and it is part of the prologue.
        Role::System => String::new(),
    }
}

/// Encodes a part of a conversation, which the caller calls `argument`.
pub(super) fn encode(model: &Model, format: ChatFormat, argument: &str, text: &str) -> Result<Vec<u32>> {
    /// Of the 20B tokenizer.
    const LINE_BREAK: u32 = 187;
    const BLANK_LINE: u32 = 535;
    let mut tokens = model.tokenizer()?.encode_argument(argument, text)?;
    // Pile and Raven models met a blank line at the end of a text as two tokens only.
    if format.splits_blank_line() && model.config().n_vocab == VOCABULARY_20B && tokens.ends_with(&[BLANK_LINE]) {
        tokens.pop();
        tokens.extend([LINE_BREAK; 2]);
    }
    Ok(tokens)
}
