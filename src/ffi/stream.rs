//! `TokenStream`: a text, or a chat's reply.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::closable::Closable;
use super::error::{Result, VolaryError};
use super::reports::{Piece, Stats};
use super::state::State;
use crate::error::Error;
use crate::generate::{self, CancelHandle, FinishReason};

pub struct TokenStream {
    source: Closable<Source>,
    /// As of the last piece, so that asking never waits for the next one.
    stats: Mutex<generate::Stats>,
    cancel: CancelHandle,
    model_closed: Arc<AtomicBool>,
}

enum Source {
    Text(Box<crate::TokenStream>),
    Reply(Arc<Closable<crate::Chat>>),
    /// A reply that has ended: the chat may be at its next one.
    Ended,
}

impl TokenStream {
    pub fn of_text(stream: crate::TokenStream, model_closed: Arc<AtomicBool>) -> Arc<Self> {
        let (stats, cancel) = (stream.stats().clone(), stream.cancel_handle());
        Self::new(Source::Text(Box::new(stream)), stats, cancel, model_closed)
    }

    /// The reply that `chat` has just begun.
    pub fn of_reply(
        chat: Arc<Closable<crate::Chat>>,
        stats: generate::Stats,
        cancel: CancelHandle,
        model_closed: Arc<AtomicBool>,
    ) -> Arc<Self> {
        Self::new(Source::Reply(chat), stats, cancel, model_closed)
    }

    fn new(source: Source, stats: generate::Stats, cancel: CancelHandle, model_closed: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self { source: Closable::new("stream", source), stats: Mutex::new(stats), cancel, model_closed })
    }

    pub fn next(&self) -> Result<Option<Piece>> {
        Ok(self.pull()?.map(Piece::from))
    }

    pub fn next_text(&self) -> Result<Option<String>> {
        Ok(self.pull()?.map(|piece| if piece.thinking { String::new() } else { piece.text }))
    }

    fn pull(&self) -> Result<Option<generate::Piece>> {
        if self.model_closed.load(Ordering::Relaxed) {
            self.cancel.cancel();
        }
        self.source.with(|source| {
            let (piece, stats) = match source {
                Source::Text(stream) => {
                    let piece = stream.next().transpose();
                    (piece.map_err(VolaryError::from), stream.stats().clone())
                }
                Source::Reply(chat) => {
                    let step = chat.with(|chat| {
                        let piece = chat.next_piece();
                        Ok((piece.map_err(VolaryError::from), chat.stats().clone()))
                    });
                    match step {
                        Ok(step) => step,
                        Err(VolaryError::Closed(_)) => (Ok(None), self.cancelled()),
                        Err(error) => return Err(error),
                    }
                }
                Source::Ended => return Ok(None),
            };
            *self.lock_stats() = stats;
            if !matches!((&piece, &source), (Ok(Some(_)), _) | (_, Source::Text(_))) {
                *source = Source::Ended;
            }
            piece
        })
    }

    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    pub fn stats(&self) -> Stats {
        (&*self.lock_stats()).into()
    }

    pub fn take_state(&self) -> Result<Arc<State>> {
        self.source.with(|source| match std::mem::replace(source, Source::Ended) {
            Source::Text(stream) => Ok(State::new(stream.into_state()?)),
            Source::Reply(chat) => {
                *source = Source::Reply(chat);
                Err(Error::unsupported("state", "a chat keeps it for itself; save the chat instead").into())
            }
            Source::Ended => {
                Err(Error::argument("state", "was taken before, or is a chat's; it can be had once").into())
            }
        })
    }

    pub fn release(&self) {
        self.cancel();
        if let Some(Source::Reply(chat)) = self.source.close() {
            // Fails only if text could not be encoded that has been encoded before.
            chat.when_free(|chat| _ = chat.end_reply());
        }
        self.lock_stats().finish_reason.get_or_insert(FinishReason::Cancelled);
    }

    fn cancelled(&self) -> generate::Stats {
        generate::Stats { finish_reason: Some(FinishReason::Cancelled), ..self.lock_stats().clone() }
    }

    fn lock_stats(&self) -> std::sync::MutexGuard<'_, generate::Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TokenStream {
    fn drop(&mut self) {
        self.release();
    }
}
