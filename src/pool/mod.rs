//! The threads of a model. Everything parallel in a forward pass goes through here.

#![allow(unsafe_code, reason = "threads take different items of one slice")]

mod crew;

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
    /// `None`: as many threads as this process may use cores.
    pub fn new(threads: Option<usize>) -> Result<Self> {
        const MOST: usize = 1024;
        let threads = match threads {
            None => std::thread::available_parallelism().map_or(1, usize::from),
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

    /// Calls `work` on every item, on this thread and the crew's.
    pub fn run_each<T: Send>(&self, items: &mut [T], work: impl Fn(&mut T) + Sync) {
        let items = Items(items.as_mut_ptr(), items.len());
        self.run(items.1, &|index| {
            let items = &items;
            // SAFETY: inside the slice, and every index comes once.
            work(unsafe { &mut *items.0.add(index) });
        });
    }
}

/// The items of a slice, for whoever promises to take different ones.
struct Items<T>(*mut T, usize);

// SAFETY: each item is used by one thread only.
unsafe impl<T: Send> Sync for Items<T> {}
