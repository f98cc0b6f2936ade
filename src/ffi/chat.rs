//! `Chat`

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::closable::Closable;
use super::error::Result;
use super::model::Model;
use super::options::GenerateOptions;
use super::reports::Message;
use super::stream::TokenStream;

pub struct Chat {
    /// Shared with the stream of the running reply.
    engine: Arc<Closable<crate::Chat>>,
    model_closed: Arc<AtomicBool>,
}

impl Chat {
    pub fn new(chat: crate::Chat, model_closed: Arc<AtomicBool>) -> Self {
        Self { engine: Arc::new(Closable::new("chat", chat)), model_closed }
    }

    pub fn load(model: Arc<Model>, path: String) -> Result<Self> {
        Ok(Self::new(crate::Chat::load(&model.get()?, path)?, model.closed()))
    }

    pub fn send(&self, text: String, options: GenerateOptions) -> Result<Arc<TokenStream>> {
        self.reply(options, |chat, options| chat.begin(&text, options))
    }

    pub fn retry(&self, options: GenerateOptions) -> Result<Arc<TokenStream>> {
        self.reply(options, |chat, options| chat.begin_again(false, options))
    }

    pub fn alternate(&self, options: GenerateOptions) -> Result<Arc<TokenStream>> {
        self.reply(options, |chat, options| chat.begin_again(true, options))
    }

    fn reply(
        &self,
        options: GenerateOptions,
        begin: impl FnOnce(&mut crate::Chat, crate::GenerateOptions) -> crate::Result<()>,
    ) -> Result<Arc<TokenStream>> {
        let options = options.into_engine()?;
        self.engine.with(|chat| {
            let cancel = options.cancel.clone();
            begin(chat, options)?;
            let stats = chat.stats().clone();
            Ok(TokenStream::of_reply(self.engine.clone(), stats, cancel, self.model_closed.clone()))
        })
    }

    pub fn undo(&self) -> Result<()> {
        self.engine.with(|chat| Ok(chat.undo()?))
    }

    pub fn reset(&self) -> Result<()> {
        self.engine.with(|chat| Ok(chat.reset()?))
    }

    pub fn set_system(&self, text: Option<String>) -> Result<()> {
        self.engine.with(|chat| Ok(chat.set_system(text.as_deref())?))
    }

    pub fn history(&self) -> Result<Vec<Message>> {
        self.engine.with(|chat| Ok(chat.history().iter().map(Message::from).collect()))
    }

    pub fn format(&self) -> Result<String> {
        self.engine.with(|chat| Ok(chat.format().name().into()))
    }

    pub fn save(&self, path: String) -> Result<()> {
        self.engine.with(|chat| Ok(chat.save(path)?))
    }

    pub fn release(&self) {
        self.engine.close();
    }
}
