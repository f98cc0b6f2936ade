//! What the crew is built of. `tests/crew` has a file like this one, of loom's parts, which tries every order of events.

pub(super) use std::hint::spin_loop;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
pub(super) use std::sync::{Arc, Mutex};
pub(super) use std::thread::{Builder, JoinHandle, Thread, park, yield_now};
pub(super) use std::time::Instant;

/// How often a worker looks for work before it looks at the clock.
pub(super) const LOOKS: usize = 64;

/// `std`'s, with loom's functions.
#[derive(Debug)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub fn with<R>(&self, use_it: impl FnOnce(*const T) -> R) -> R {
        use_it(self.0.get())
    }

    pub fn with_mut<R>(&self, use_it: impl FnOnce(*mut T) -> R) -> R {
        use_it(self.0.get())
    }
}
