//! The crew of `src/pool`, with loom's threads, locks and atomics in place of the standard library's: each test runs in
//! every order of events that loom tells apart, with all that processors of weak memory order may do.
#![cfg(test)]

#[path = "../../src/pool/crew.rs"]
mod crew;
mod sync;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crew::Crew;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};

/// How often a thread is made to wait where it could go on. Most faults need one or two.
const PREEMPTIONS: usize = 2;

fn in_every_order(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

/// Runs so many tasks, each of which must be done once, and done when `run` returns.
fn run(crew: &Crew, tasks: usize) {
    let done: Vec<_> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
    crew.run(tasks, &|task| {
        done[task].fetch_add(1, Ordering::Relaxed);
    });
    assert!(done.iter().all(|times| times.load(Ordering::Relaxed) == 1));
}

#[test]
fn a_crew_that_never_works_ends() {
    in_every_order(|| drop(Crew::new(1).unwrap()));
}

#[test]
fn every_task_is_done_once() {
    in_every_order(|| run(&Crew::new(1).unwrap(), 2));
}

#[test]
fn a_worker_that_sleeps_or_is_about_to_is_called_again() {
    in_every_order(|| {
        let crew = Crew::new(1).unwrap();
        run(&crew, 2);
        run(&crew, 2);
    });
}

#[test]
fn two_workers_share_the_tasks() {
    in_every_order(|| run(&Crew::new(2).unwrap(), 3));
}

#[test]
fn two_callers_get_their_own_tasks_done() {
    in_every_order(|| {
        let crew = Arc::new(Crew::new(1).unwrap());
        let other = loom::thread::spawn({
            let crew = Arc::clone(&crew);
            move || run(&crew, 2)
        });
        run(&crew, 2);
        other.join().unwrap();
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_crew_works_on() {
    in_every_order(|| {
        let crew = Crew::new(1).unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            crew.run(2, &|task| {
                if task == 1 {
                    resume_unwind(Box::new("task 1")); // a panic that prints nothing
                }
            });
        }));
        assert!(caught.is_err());
        run(&crew, 2);
    });
}
