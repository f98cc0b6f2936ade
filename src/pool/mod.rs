//! The threads of a model. Everything parallel in a forward pass goes through here.

#![allow(unsafe_code, reason = "threads take different parts of one slice")]

mod cores;
mod crew;
mod sync;

use std::marker::PhantomData;
use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::error::{Error, Result};
use crew::Crew;

/// A fixed number of threads that work through independent tasks: coarse ones on rayon's threads, those of a forward
/// pass on a crew that waits for them awake.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: rayon::ThreadPool,
    crew: Crew,
}

impl Pool {
    /// `None`: a thread for each of [`cores::cores`].
    pub fn new(threads: Option<usize>) -> Result<Self> {
        const MOST: usize = 1024;
        let threads = match threads {
            None => cores::cores(),
            Some(n @ 1..=MOST) => n,
            Some(n) => return Err(Error::argument("threads", format!("is {n}; must be 1 to {MOST}"))),
        };
        let refused = |error: &dyn std::fmt::Display| {
            Error::argument("threads", format!("{threads} threads could not be started: {error}; ask for fewer"))
        };
        let crew = Crew::new(threads - 1).map_err(|error| refused(&error))?;
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("volary-{index}"))
            .build()
            .map_err(|error| refused(&error))?;
        Ok(Self { threads, crew })
    }

    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `work` on one of the pool's threads, so that the `for_each` calls within need not change threads.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(work)
    }

    /// Calls `work` on every task, in any order, and returns when all are done.
    pub fn for_each<T: Send>(&self, tasks: Vec<T>, work: impl Fn(T) + Send + Sync) {
        match tasks.len() {
            1 => tasks.into_iter().for_each(work),
            _ => self.enter(|| tasks.into_par_iter().for_each(work)),
        }
    }

    /// Calls `work` with every number below `tasks`, on this thread and the crew's, and returns when all are done. Work of
    /// some microseconds is worth it.
    pub fn run(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        self.crew.run(tasks, work);
    }

    /// Calls `work` with every `len` numbers of a slice and their index, on this thread and the crew's.
    pub fn run_chunks<T: Send>(&self, slice: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        let (tasks, end) = (slice.len().div_ceil(len), slice.len());
        let parts = Disjoint::new(slice);
        self.run(tasks, &|index| {
            // SAFETY: every index comes once.
            work(index, unsafe { parts.part(index * len..((index + 1) * len).min(end)) });
        });
    }
}

/// A slice of which threads take different parts.
pub(crate) struct Disjoint<'a, T> {
    data: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: who takes a part promises that it is nobody else's.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}

impl<T> Clone for Disjoint<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { data: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// # Safety
    /// No other part that is in use overlaps this one.
    #[allow(clippy::mut_from_ref, reason = "the caller keeps the parts apart")]
    pub unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the slice, as just asserted, and nobody else's, as promised.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }

    /// Row `index` of rows that have `width` items each; nothing of an empty slice.
    ///
    /// # Safety
    /// As for `part`.
    #[allow(clippy::mut_from_ref, reason = "the caller keeps the rows apart")]
    pub unsafe fn row(&self, index: usize, width: usize) -> &'a mut [T] {
        let range = if self.len == 0 { 0..0 } else { index * width..(index + 1) * width };
        // SAFETY: as promised.
        unsafe { self.part(range) }
    }
}
