//! What can be closed while others use it.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::error::{Result, VolaryError};

/// A value until it is closed; an error from then on.
pub struct Closable<T> {
    what: &'static str,
    value: Mutex<Option<T>>,
}

impl<T> Closable<T> {
    /// `what` it is called in messages.
    pub fn new(what: &'static str, value: T) -> Self {
        Self { what, value: Mutex::new(Some(value)) }
    }

    /// Closes it, after a call that is using it, and gives what it was.
    pub fn close(&self) -> Option<T> {
        self.lock().take()
    }

    /// Uses the value after a call that is using it, unless it is closed, or left half changed.
    pub fn when_free(&self, work: impl FnOnce(&mut T)) {
        if let Ok(mut value) = self.value.lock() {
            value.as_mut().map(work);
        }
    }

    /// Uses the value. Another use at the same time is an error, not a wait.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let mut value = match self.value.try_lock() {
            Ok(value) => value,
            // The panic has been reported to its caller.
            Err(TryLockError::Poisoned(_)) => {
                let message = format!("{}: was left half changed by a fault of Volary; make another one", self.what);
                return Err(VolaryError::Internal(message));
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!("{}: another call is using it; wait until that has ended", self.what);
                return Err(VolaryError::Busy(message));
            }
        };
        work(value.as_mut().ok_or_else(|| self.closed())?)
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self) -> VolaryError {
        VolaryError::Closed(format!("{}: is closed; open or make another one", self.what))
    }
}

impl<T: Clone> Closable<T> {
    /// A clone of what is cheap to clone: it stays usable when this is closed.
    pub fn get(&self) -> Result<T> {
        self.lock().clone().ok_or_else(|| self.closed())
    }
}
