//! Notes, progress, and Ctrl-C.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::error::{Error, Result};
use crate::generate::CancelHandle;
use crate::model::Progress;

/// Exit status after Ctrl-C, as shells have it.
pub(super) const INTERRUPTED: u8 = 130;

/// Tells the person something on stderr. Whether it is open, or its disk full, is not what the command is about.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What Ctrl-C ends instead of the process.
static RUNNING: Mutex<Option<CancelHandle>> = Mutex::new(None);

/// Ctrl-C, or being asked to terminate, cancels the running reply or work; the second time, or with nothing that could be
/// cancelled, it ends the process.
pub(super) fn handle_interrupts() {
    // Fails only if there is a handler already, which then has its own idea.
    let _ = ctrlc::set_handler(|| match running().take() {
        Some(handle) => handle.cancel(),
        None => std::process::exit(i32::from(INTERRUPTED)),
    });
}

/// From here on Ctrl-C cancels what this handle is for, until [`interrupts_end_the_process`].
pub(super) fn interrupts_cancel(handle: CancelHandle) {
    *running() = Some(handle);
}

pub(super) fn interrupts_end_the_process() {
    *running() = None;
}

/// Does work that takes no time and must not end in the middle, such as writing a small file: Ctrl-C counts when it is done.
pub(super) fn uninterrupted<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    cancelled_by_interrupts(|_| work())
}

/// Does work behind a progress bar, so that it tidies up when Ctrl-C ends it: the bar's next report is answered with
/// `false`.
pub(super) fn with_progress<T>(what: &'static str, work: impl FnOnce(Arc<Progress>) -> Result<T>) -> Result<T> {
    cancelled_by_interrupts(|handle| work(progress_bar(what, handle)))
}

fn cancelled_by_interrupts<T>(work: impl FnOnce(CancelHandle) -> Result<T>) -> Result<T> {
    let handle = CancelHandle::default();
    let wider = running().replace(handle.clone());
    let done = work(handle.clone());
    *running() = wider;
    if handle.is_cancelled() { Err(Error::Cancelled) } else { done }
}

fn running() -> std::sync::MutexGuard<'static, Option<CancelHandle>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A progress bar on stderr, if that is a terminal and the work takes more than a second.
fn progress_bar(what: &'static str, cancel: CancelHandle) -> Arc<Progress> {
    const STEPS: u64 = 1000;
    const PATIENCE: Duration = Duration::from_secs(1);
    let started = Instant::now();
    let bar = ProgressBar::hidden().with_finish(ProgressFinish::AndClear);
    let shown = AtomicBool::new(!std::io::stderr().is_terminal());
    Arc::new(move |done| {
        if started.elapsed() > PATIENCE && !shown.swap(true, Ordering::Relaxed) {
            bar.set_length(STEPS);
            bar.set_style(
                ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}")
                    .unwrap_or(ProgressStyle::default_bar()),
            );
            bar.set_message(what);
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        bar.set_position((done * STEPS as f64) as u64);
        if done >= 1.0 {
            bar.finish_and_clear();
        }
        !cancel.is_cancelled()
    })
}
