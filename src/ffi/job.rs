//! Work that takes long, on a thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{Result, VolaryError};
use super::model::Model;
use super::reports::{
    BenchReport, Completion, ConvertReport, Evaluation, FormatReport, MergeSummary, PerplexityReport,
};
use crate::generate::CancelHandle;
use crate::model::Progress;

pub enum Outcome {
    Loaded { model: Arc<Model> },
    Evaluated { evaluations: Vec<Evaluation> },
    Completed { completions: Vec<Completion> },
    Converted { report: ConvertReport },
    Merged { summary: MergeSummary },
    Measured { report: PerplexityReport },
    Compared { reports: Vec<FormatReport> },
    Timed { report: BenchReport },
    Streamed { gb_per_second: f64 },
}

pub struct LongJob {
    shared: Arc<Shared>,
    /// Until it begins.
    work: Mutex<Option<Work>>,
}

type Work = Box<dyn FnOnce(&Arc<Shared>) -> Result<Outcome> + Send>;

/// What the job's thread and its caller both see.
pub struct Shared {
    status: Mutex<Status>,
    news: Condvar,
    cancel: CancelHandle,
}

#[derive(Default)]
struct Status {
    fraction: f64,
    /// The fraction that the caller knows.
    told: f64,
    ended: bool,
    /// From the end until it is taken.
    result: Option<Result<Outcome>>,
}

impl LongJob {
    pub fn new(work: impl FnOnce(&Arc<Shared>) -> Result<Outcome> + Send + 'static) -> Arc<Self> {
        let (status, news, cancel) = Default::default();
        Arc::new(Self { shared: Arc::new(Shared { status, news, cancel }), work: Mutex::new(Some(Box::new(work))) })
    }

    /// Not before the caller has shown interest: a caller that cancels at once must find that nothing was done, and small
    /// work would be over by then.
    fn begin(&self) {
        let Some(work) = self.work.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if self.shared.cancel.is_cancelled() {
            return self.shared.end(Err(crate::Error::Cancelled.into()));
        }
        let job = self.shared.clone();
        let thread = move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&job)));
            job.end(result.unwrap_or_else(|panic| Err(internal(&*panic))));
        };
        if let Err(error) = thread::Builder::new().name("volary-job".into()).spawn(thread) {
            self.shared.end(Err(VolaryError::Io(format!("a thread could not be started: {error}; end some others"))));
        }
    }

    pub fn progress(&self, milliseconds: u32) -> Option<f64> {
        self.begin();
        let until = Instant::now() + Duration::from_millis(milliseconds.into());
        let mut status = self.shared.lock();
        while !status.ended && !status.has_news() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            status = self.shared.news.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        status.told = status.fraction;
        (!status.ended).then_some(status.fraction)
    }

    pub fn cancel(&self) {
        self.shared.cancel.cancel();
    }

    pub fn result(&self) -> Result<Outcome> {
        self.begin();
        let mut status = self.shared.lock();
        while !status.ended {
            status = self.shared.news.wait(status).unwrap_or_else(PoisonError::into_inner);
        }
        let taken = || Err(VolaryError::InvalidArgument("result: was taken before; it can be had once".into()));
        status.result.take().unwrap_or_else(taken)
    }
}

impl Drop for LongJob {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Shared {
    /// What the engine calls while it works.
    pub fn progress(self: &Arc<Self>) -> Arc<Progress> {
        let job = self.clone();
        Arc::new(move |fraction| {
            let mut status = job.lock();
            status.fraction = fraction.clamp(status.fraction, 1.0);
            if status.has_news() {
                job.news.notify_all();
            }
            !job.cancel.is_cancelled()
        })
    }

    /// Only whether to go on, for a part of the work that the fraction does not count.
    pub fn go_on(self: &Arc<Self>) -> Arc<Progress> {
        let cancel = self.cancel.clone();
        Arc::new(move |_| !cancel.is_cancelled())
    }

    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    fn end(&self, result: Result<Outcome>) {
        let mut status = self.lock();
        status.ended = true;
        status.result = Some(result);
        self.news.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Status {
    /// Whether waking the caller is worth it: engines report thousands of times.
    fn has_news(&self) -> bool {
        const STEP: f64 = 0.005;
        self.fraction - self.told >= STEP
    }
}

fn internal(panic: &(dyn Any + Send)) -> VolaryError {
    let message = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    VolaryError::Internal(format!("volary: a fault of its own, please report it: {}", message.unwrap_or("panic")))
}
