//! The threads of a model. Everything parallel in a forward pass goes through here.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::error::{Error, Result};

/// A fixed number of threads that work through lists of independent tasks.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: rayon::ThreadPool,
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
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("volary-{index}"))
            .build()
            .map_err(|e| {
                Error::argument("threads", format!("{threads} threads could not be started: {e}; ask for fewer"))
            })?;
        Ok(Self { threads })
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
}
