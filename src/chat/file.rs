//! Conversations in files: magic, version, the conversation as JSON, the state, a checksum.

use std::collections::VecDeque;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::format::ChatFormat;
use super::history::Position;
use super::{Chat, Message, Role};
use crate::error::{Error, Result};
use crate::generate::Stats;
use crate::model::{Model, State};
use crate::sealed::{self, damaged};
use crate::whole_file;

const FILE: sealed::Kind =
    sealed::Kind { magic: b"VOLARYch", version: 1, what: "a chat", remedy: "one that save wrote" };
/// More than anybody types.
const MAX_TEXT: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Saved {
    format: String,
    messages: Vec<Message>,
    /// Tokens that the state has yet to read.
    unread: Vec<u32>,
    /// Files of before it was counted have none.
    #[serde(default)]
    attempts: Vec<u64>,
}

impl Chat {
    /// The conversation and what the model remembers of it, in Volary's file form.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] while a reply is running.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.check_idle()?;
        let saved = Saved {
            format: self.format.name().into(),
            messages: self.messages.clone(),
            unread: self.position.unread.clone(),
            attempts: self.attempts.clone(),
        };
        let json = serde_json::to_vec(&saved).map_err(|e| Error::format("chat", e))?;
        let state = self.position.state.to_bytes();
        Ok(FILE.seal(size_of::<u64>() + json.len() + state.len(), |bytes| {
            bytes.extend((json.len() as u64).to_le_bytes());
            bytes.extend(json);
            bytes.extend(state);
        }))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Error::Format`] if the bytes are damaged or no chat, [`Error::Mismatch`] if it was with another model.
    pub fn from_bytes(model: &Model, bytes: &[u8]) -> Result<Self> {
        Self::parse(model, bytes, "chat")
    }

    /// Saves the conversation. The file appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, [`Error::InvalidArgument`] while a reply is running.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        whole_file::write(path.as_ref(), &self.to_bytes()?)
    }

    /// Loads a saved conversation with `model`.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), and [`Error::Io`] if the file cannot be read.
    pub fn load(model: &Model, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let limit = MAX_TEXT + model.new_state().to_bytes().len() as u64;
        Self::parse(model, &whole_file::read(path, limit)?, &path.display().to_string())
    }

    fn parse(model: &Model, bytes: &[u8], source: &str) -> Result<Self> {
        let damaged = |what: &str| damaged(source, what);
        let mut content = FILE.open(bytes, source)?;
        let json = content.u64().and_then(|len| content.take(usize::try_from(len).ok()?));
        let (json, state) = (json.ok_or_else(|| damaged("its lengths do not match"))?, content.rest());
        let saved: Saved =
            serde_json::from_slice(json).map_err(|e| damaged(&format!("its messages cannot be read ({e})")))?;
        let state = State::from_bytes(state).map_err(|_| damaged("its state cannot be read"))?;
        if model.check_state(&state).is_err() {
            let cause = format!("is a chat with another model than {}; load the model it was with", model.name());
            return Err(Error::mismatch(source, cause));
        }
        let format = ChatFormat::known(&saved.format).ok_or_else(|| {
            let cause = format!("is a chat in the format {:?}, which this Volary does not know", saved.format);
            Error::unsupported(source, format!("{cause}; use the Volary that saved it"))
        })?;
        if saved.unread.iter().any(|&token| token as usize >= model.config().n_vocab) {
            return Err(damaged("it holds tokens that the model does not have"));
        }
        let Saved { messages, mut attempts, .. } = saved;
        attempts.resize(messages.iter().filter(|message| message.role == Role::User).count(), 0);
        Ok(Self {
            model: model.clone(),
            format,
            messages,
            position: Position { state, unread: saved.unread },
            snapshots: VecDeque::new(),
            reply: None,
            stats: Stats::default(),
            attempts,
        })
    }
}
