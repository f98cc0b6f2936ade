//! Threads that wait for the next piece of a forward pass, awake: a pass hands out work hundreds of times, and waking a
//! thread through the system takes as long as many of these pieces.
#![allow(unsafe_code, reason = "workers run a closure of the caller's stack, who waits for them")]

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::sync::{
    Arc, AtomicBool, AtomicU8, AtomicUsize, Builder, Instant, JoinHandle, LOOKS, Mutex, Ordering, Thread, UnsafeCell,
    fence, park, spin_loop, yield_now,
};

/// How long a worker looks for work without pause, and then how long it also lets others run, before it sleeps.
const SPIN: Duration = Duration::from_micros(60);
const YIELD: Duration = Duration::from_micros(200);

/// Workers that help the calling thread.
#[derive(Debug)]
pub(super) struct Crew {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Whose turn it is: work of one caller at a time.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    seats: Vec<Seat>,
    job: Slot,
    /// The next task that nobody has taken.
    next: AtomicUsize,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Where one worker is told to begin, on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Seat {
    state: AtomicU8,
    sleeps: AtomicBool,
}

/// Nothing to do. Set by whoever ended the work.
const IDLE: u8 = 0;
/// There is a job. Set by the caller, who takes it back if the worker has not begun when all tasks are taken.
const CALLED: u8 = 1;
/// The worker is at work.
const BUSY: u8 = 2;
/// The crew is no more.
const DISMISSED: u8 = 3;

#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    tasks: usize,
}

struct Slot(UnsafeCell<Option<Job>>);

// SAFETY: the caller writes it only while every seat is idle, workers read it only after their seat was called.
unsafe impl Sync for Slot {}
// SAFETY: what it points to is `Sync`.
unsafe impl Send for Slot {}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

impl Crew {
    /// So many workers, who run until the crew is dropped.
    pub fn new(workers: usize) -> io::Result<Self> {
        let seats = (0..workers).map(|_| Seat { state: AtomicU8::new(IDLE), sleeps: AtomicBool::new(false) }).collect();
        let shared = Arc::new(Shared {
            seats,
            job: Slot(UnsafeCell::new(None)),
            next: AtomicUsize::new(0),
            panicked: Mutex::new(None),
        });
        let mut crew = Self { shared, workers: Vec::new(), turn: Mutex::new(()) };
        for index in 0..workers {
            let shared = Arc::clone(&crew.shared);
            let name = format!("volary-worker-{index}");
            crew.workers.push(Builder::new().name(name).spawn(move || shared.serve(index))?);
        }
        Ok(crew)
    }

    /// Calls `work` with every number below `tasks`, on the workers and this thread, and returns when all are done.
    ///
    /// While the crew works for somebody else, or if `work` itself calls it, this thread does all of it.
    pub fn run(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        let turn = if tasks > 1 && !self.workers.is_empty() { self.turn.try_lock().ok() } else { None };
        let Some(turn) = turn else { return (0..tasks).for_each(work) };
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes, and this function returns when nobody uses the closure any more.
        let work = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(work)
        };
        let job = Job { work, tasks };
        // SAFETY: it is this caller's turn, and no worker is called, so nobody reads the slot.
        shared.job.0.with_mut(|slot| unsafe { *slot = Some(job) });
        shared.next.store(0, Ordering::Relaxed);
        for (seat, worker) in shared.seats.iter().zip(&self.workers).take(tasks - 1) {
            seat.tell(CALLED, worker.thread());
        }
        shared.take_tasks(job);
        for seat in &shared.seats {
            seat.wait_until_idle();
        }
        drop(turn);
        let panicked = shared.panicked.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (seat, worker) in self.shared.seats.iter().zip(&self.workers) {
            seat.tell(DISMISSED, worker.thread());
        }
        for worker in self.workers.drain(..) {
            // It catches panics of the work, and has none of its own.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn serve(&self, index: usize) {
        let seat = &self.seats[index];
        while seat.wait_for_call() {
            // SAFETY: called, so the slot was written before, and stays until this seat is idle again.
            if let Some(job) = self.job.0.with(|slot| unsafe { *slot }) {
                self.take_tasks(job);
            }
            seat.state.store(IDLE, Ordering::Release);
        }
    }

    /// Works on tasks until all are taken. After a panic the others' are left.
    fn take_tasks(&self, job: Job) {
        // SAFETY: the caller of `run` keeps the closure until everybody is done.
        let work = unsafe { &*job.work };
        let done = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next.fetch_add(1, Ordering::Relaxed);
                if task >= job.tasks {
                    break;
                }
                work(task);
            }
        }));
        if let Err(payload) = done {
            self.next.store(job.tasks, Ordering::Relaxed);
            *self.panicked.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(payload);
        }
    }
}

impl Seat {
    /// Sets the state, and wakes the worker if it sleeps.
    fn tell(&self, state: u8, worker: &Thread) {
        self.state.store(state, Ordering::Release);
        // A worker that is about to sleep sees the state, or its flag is seen here: see `wait_for_call`.
        fence(Ordering::SeqCst);
        if self.sleeps.load(Ordering::Relaxed) {
            worker.unpark();
        }
    }

    /// Waits for work and takes it up. `false`: there will be none.
    fn wait_for_call(&self) -> bool {
        let begin = Instant::now();
        loop {
            for _ in 0..LOOKS {
                match self.state.load(Ordering::Acquire) {
                    CALLED if self.exchange(CALLED, BUSY) => return true,
                    DISMISSED => return false,
                    _ => spin_loop(),
                }
            }
            let waited = begin.elapsed();
            if waited > SPIN + YIELD {
                self.sleeps.store(true, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if self.state.load(Ordering::Relaxed) == IDLE {
                    park();
                }
                self.sleeps.store(false, Ordering::Relaxed);
            } else if waited > SPIN {
                yield_now();
            }
        }
    }

    /// Waits until the worker is done, or takes the call back.
    fn wait_until_idle(&self) {
        let mut spins = 0;
        while self.state.load(Ordering::Acquire) != IDLE && !self.exchange(CALLED, IDLE) {
            spins += 1;
            if spins % 1024 == 0 {
                yield_now();
            } else {
                spin_loop();
            }
        }
    }

    fn exchange(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
