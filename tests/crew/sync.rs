//! `src/pool/sync.rs` of loom's parts.

use std::time::Duration;

pub(super) use loom::cell::UnsafeCell;
pub(super) use loom::hint::spin_loop;
pub(super) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
pub(super) use loom::sync::{Arc, Mutex};
pub(super) use loom::thread::{Builder, JoinHandle, Thread, park, yield_now};

/// Looking once more brings nothing new.
pub(super) const LOOKS: usize = 1;

/// A clock by which everybody has waited long enough to sleep: of waiting, sleep is what can go wrong.
pub(super) struct Instant;

impl Instant {
    pub fn now() -> Self {
        Self
    }

    pub fn elapsed(&self) -> Duration {
        Duration::MAX
    }
}
