//! Conversations: roles, prompt formats, retry, alternate replies, undo, save.

#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
mod file;
mod format;
mod history;
mod oneshot;
mod reply;
mod thought;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

pub use format::{ChatFormat, Thinking};
pub use oneshot::OneShot;
pub use reply::ChatStream;

use crate::error::{Error, Result};
use crate::generate::{GenerateOptions, Prompt, Stats, TokenStream};
use crate::model::Model;
use history::Position;
use reply::{Occasion, Reply};

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sets the scene; first, if at all.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said. A reply that was cancelled holds what was shown of it.
    pub content: String,
    /// What a model that thinks thought before its reply. It is shown, but no part of what the model remembers.
    pub thought: String,
    /// Earlier replies to the same message, oldest first, that [`Chat::alternate`] put aside.
    pub alternatives: Vec<String>,
}

impl Message {
    fn new(role: Role, content: String) -> Self {
        Self { role, content, thought: String::new(), alternatives: Vec::new() }
    }
}

/// How to begin a chat. The default suits the model.
#[derive(Clone, Debug, Default)]
pub struct ChatOptions {
    /// The prompt format; `None`: told from the model.
    pub format: Option<ChatFormat>,
    /// What sets the scene before the first message.
    pub system: Option<String>,
}

/// Positions kept to go back to. Each holds a state, tens of megabytes for a large model; older ones are rebuilt by
/// reading the conversation again.
const MAX_SNAPSHOTS: usize = 8;

/// A conversation with a model.
///
/// What the model remembers is always the [history](Self::history) as the format writes it: replies cut short count as
/// far as they were shown, thoughts do not count. Reading happens when it is needed, so every method but those that
/// generate returns at once.
///
/// ```no_run
/// # fn main() -> volary::Result<()> {
/// let model = volary::Model::open("RWKV-x070-World-1.5B-v3.pth")?;
/// let mut chat = model.chat(volary::chat::ChatOptions { system: Some("You are brief.".into()), ..Default::default() })?;
/// for piece in chat.send("Hello!", Default::default())? {
///     print!("{}", piece?);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Chat {
    model: Model,
    format: ChatFormat,
    messages: Vec<Message>,
    /// After all messages; while a reply runs, before the message it answers.
    position: Position,
    /// Before a user's message, by its index; the newest last.
    snapshots: VecDeque<(usize, Position)>,
    reply: Option<Reply>,
    /// Of the last reply.
    stats: Stats,
    /// How often each message of the user was answered again.
    attempts: Vec<u64>,
}

impl Model {
    /// Begins a conversation.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the model has no tokenizer.
    pub fn chat(&self, options: ChatOptions) -> Result<Chat> {
        let format = options.format.unwrap_or_else(|| ChatFormat::detect(self.info()));
        let mut chat = Chat {
            model: self.clone(),
            format,
            messages: Vec::new(),
            position: history::read(self, format, "format", &[])?,
            snapshots: VecDeque::new(),
            reply: None,
            stats: Stats::default(),
            attempts: Vec::new(),
        };
        chat.put_first("system", options.system.as_deref())?;
        Ok(chat)
    }
}

impl Chat {
    /// Says `text` and streams the reply. Dropping the stream early ends the reply where it was shown.
    ///
    /// Of `options`, `None` means what suits the format; stop texts and tokens add to the format's own.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty text, for options out of range, and for `options.state`, which a chat
    /// has itself.
    pub fn send(&mut self, text: &str, options: GenerateOptions) -> Result<ChatStream<'_>> {
        self.begin(text, options)?;
        Ok(ChatStream::new(self))
    }

    /// Replaces the last reply by another one to the same message. With a seed in the options the reply still differs
    /// from the ones before: the seed is moved on by one for each.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Error::InvalidArgument`] if there is no message to answer.
    pub fn retry(&mut self, options: GenerateOptions) -> Result<ChatStream<'_>> {
        self.begin_again(false, options)?;
        Ok(ChatStream::new(self))
    }

    /// As [`retry`](Self::retry), but keeps the former reply among the new one's
    /// [`alternatives`](Message::alternatives).
    ///
    /// # Errors
    /// As [`retry`](Self::retry).
    pub fn alternate(&mut self, options: GenerateOptions) -> Result<ChatStream<'_>> {
        self.begin_again(true, options)?;
        Ok(ChatStream::new(self))
    }

    /// Takes back the last message and its reply.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is none.
    pub fn undo(&mut self) -> Result<()> {
        self.check_idle()?;
        let user = self
            .last_user()
            .ok_or_else(|| Error::argument("undo", "there is no message to take back; send one first"))?;
        self.position = self.before(user)?;
        self.messages.truncate(user);
        self.attempts.pop();
        self.snapshots.retain(|(index, _)| *index < user);
        Ok(())
    }

    /// Forgets the conversation, but not the system message.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] while a reply is running.
    pub fn reset(&mut self) -> Result<()> {
        self.check_idle()?;
        self.messages.retain(|message| message.role == Role::System);
        self.attempts.clear();
        self.snapshots.clear();
        self.position = history::read(&self.model, self.format, "text", &self.messages)?;
        Ok(())
    }

    /// Sets, changes or (`None`, or an empty text) removes the system message. The conversation stays; the model
    /// reads it again, after the new beginning, with the next message.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] while a reply is running, or if the vocabulary has no token for a part of the text; the
    /// conversation is then as it was.
    pub fn set_system(&mut self, text: Option<&str>) -> Result<()> {
        self.check_idle()?;
        self.put_first("text", text)
    }

    /// Sets the system message, which the caller calls `argument`.
    fn put_first(&mut self, argument: &str, text: Option<&str>) -> Result<()> {
        let content = self.format.clean(text.unwrap_or_default());
        let system = (!content.is_empty()).then(|| Message::new(Role::System, content));
        let others = self.messages.iter().filter(|message| message.role != Role::System).cloned();
        let messages: Vec<_> = system.into_iter().chain(others).collect();
        // Before anything changes: the vocabulary may lack a part of the text.
        self.position = history::read(&self.model, self.format, argument, &messages)?;
        self.messages = messages;
        self.snapshots.clear();
        Ok(())
    }

    /// All messages, oldest first, the system message among them.
    pub fn history(&self) -> &[Message] {
        &self.messages
    }

    /// The system message.
    pub fn system(&self) -> Option<&str> {
        self.messages.first().filter(|message| message.role == Role::System).map(|message| message.content.as_str())
    }

    /// The prompt format.
    pub fn format(&self) -> ChatFormat {
        self.format
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// As [`send`](Self::send) without borrowing the chat: pull the reply with [`next_piece`](Self::next_piece). For
    /// callers that keep the chat behind a lock, such as the bindings of other languages.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Error::InvalidArgument`] while another reply is running.
    pub fn begin(&mut self, text: &str, options: GenerateOptions) -> Result<()> {
        self.check_idle()?;
        let content = self.format.clean(text);
        if content.is_empty() {
            return Err(Error::argument("text", "is empty; say something"));
        }
        let stream = self.ask(self.messages.len(), &content, &self.position, options)?;
        self.messages.push(Message::new(Role::User, content));
        self.attempts.push(0);
        self.reply = Some(Reply::new(stream, self.format, Occasion::Message));
        Ok(())
    }

    /// [`retry`](Self::retry), or [`alternate`](Self::alternate) if `keep`, as [`begin`](Self::begin) is to
    /// [`send`](Self::send).
    ///
    /// # Errors
    /// As [`retry`](Self::retry), and [`Error::InvalidArgument`] while another reply is running.
    pub fn begin_again(&mut self, keep: bool, options: GenerateOptions) -> Result<()> {
        self.check_idle()?;
        let Some(user) = self.last_user() else {
            let name = if keep { "alternate" } else { "retry" };
            return Err(Error::argument(name, "there is no message to answer; send one"));
        };
        let attempt = self.attempts.last().map_or(1, |attempts| attempts.wrapping_add(1));
        let options = GenerateOptions { seed: options.seed.map(|seed| seed.wrapping_add(attempt)), ..options };
        let before = self.before(user)?;
        let stream = self.ask(user, &self.messages[user].content, &before, options)?;
        let former = self.messages.get(user + 1).cloned();
        self.position = before;
        self.attempts.pop();
        self.attempts.push(attempt);
        self.messages.truncate(user + 1);
        self.snapshots.retain(|(index, _)| *index < user);
        self.reply = Some(Reply::new(stream, self.format, Occasion::Again { former, keep }));
        Ok(())
    }

    fn check_idle(&self) -> Result<()> {
        match self.reply {
            None => Ok(()),
            Some(_) => Err(Error::argument("chat", "a reply is still running; read it to its end or end it first")),
        }
    }

    /// Starts the reply to the message of this index, said at `position`.
    ///
    /// With a fixed seed each message of the conversation still gets its own: weak models would else begin every reply
    /// with the same words.
    fn ask(&self, index: usize, content: &str, position: &Position, options: GenerateOptions) -> Result<TokenStream> {
        let mut options = options;
        options.seed = options.seed.map(|seed| seed.wrapping_add((index as u64) << 32));
        if options.state.is_some() {
            return Err(Error::argument("state", "cannot be given to a chat, which has its own; leave it out"));
        }
        let format = self.format;
        options.stop.extend(format.stops().iter().map(|stop| stop.to_string()));
        let mut tokens = position.unread.clone();
        let mark = tokens.len();
        let asking = [&format.asking(content), format.label(), format.opening()].concat();
        tokens.extend(history::encode(&self.model, format, "text", &asking)?);
        let prompt = Prompt { state: position.state.clone(), tokens, mark };
        TokenStream::start(&self.model, prompt, &options, format.recommended())
    }

    fn last_user(&self) -> Option<usize> {
        self.messages.iter().rposition(|message| message.role == Role::User)
    }

    /// Where the conversation stood before the user's message at this index.
    fn before(&self, user: usize) -> Result<Position> {
        match self.snapshots.back() {
            Some((index, position)) if *index == user => Ok(position.clone()),
            _ => history::read(&self.model, self.format, "text", &self.messages[..user]),
        }
    }
}

#[cfg(test)]
mod tests;
