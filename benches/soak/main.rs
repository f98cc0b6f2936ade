//! Sessions of every kind, for as long as one likes, in one process: `cargo xtask soak SECONDS`. Prints memory, handles, threads and
//! throughput over time, and fails if there is more of the first three at the end than at the beginning, or less of the last.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/hostile_input/random.rs"]
#[allow(dead_code, reason = "shared with what mutates files")]
mod random;
#[path = "../../tests/reference/mod.rs"]
mod reference;

mod jobs;
mod measure;

use std::alloc::System;
use std::process::ExitCode;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jobs::{JOBS, Worker};
use measure::{Gauge, Process};
use random::Random;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use volary::{Model, ModelOptions};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Threads that run sessions.
const WORKERS: usize = 3;
/// Parts of the time, the first of which is for warming up.
const WINDOWS: usize = 10;
/// Seconds, until the allocator has grown to what all workers together need at most.
const WARM_UP: f64 = 300.0;

/// Tokens of all generations, and jobs done.
static TOKENS: AtomicU64 = AtomicU64::new(0);
static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// What was measured while no job ran.
struct Sample {
    at: Instant,
    process: Process,
    speed: f64,
    tokens: u64,
}

fn main() -> ExitCode {
    let seconds: f64 = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(30.0);
    let models = [1, 2].map(|threads| {
        let options = ModelOptions { threads: Some(threads), ..ModelOptions::default() };
        Model::open_with(concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo.gguf"), options).unwrap()
    });
    if std::env::args().any(|argument| argument == Gauge::ARGUMENT) {
        Gauge::answer(&models[0]);
        return ExitCode::SUCCESS;
    }
    let (mut gauge, working) = (Gauge::new(), RwLock::new(()));
    // What is made once for each process.
    Worker::new(models.clone(), Random::new(0)).round(&working);
    let before = Process::settled();
    let (started, is_over) = (Instant::now(), AtomicBool::new(false));
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        for index in 0..WORKERS {
            let (models, is_over, working) = (models.clone(), &is_over, &working);
            scope.spawn(move || {
                let mut worker = Worker::new(models, Random::new(index as u64));
                while !is_over.load(Ordering::Relaxed) {
                    worker.round(working);
                    ROUNDS.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while started.elapsed().as_secs_f64() < seconds {
            std::thread::sleep(Duration::from_secs_f64((seconds / 600.0).clamp(0.05, 2.0)));
            let _nobody_works = working.write().unwrap();
            let (tokens, speed) = (TOKENS.load(Ordering::Relaxed), gauge.speed(&models[0]));
            samples.push(Sample { at: Instant::now(), process: Process::now(), speed, tokens });
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let after = Process::settled();
    report(&windows(started, seconds, &samples), &before, &after, started.elapsed())
}

/// A part of the time.
struct Window {
    memory: f64,
    in_use: f64,
    handles: (usize, usize),
    threads: (usize, usize),
    /// Of all workers, by the clock.
    tokens_per_second: f64,
    /// Each measurement of the gauge.
    speeds: Vec<f64>,
}

fn windows(started: Instant, seconds: f64, samples: &[Sample]) -> Vec<Window> {
    let warm_up = WARM_UP.min(seconds / 3.0);
    let window_of = |at: Instant| {
        let steady = (at - started).as_secs_f64() - warm_up;
        if steady < 0.0 { 0 } else { 1 + (steady / (seconds - warm_up) * (WINDOWS - 1) as f64) as usize }
    };
    let window = |index| {
        let own: Vec<_> = samples.iter().filter(|sample| window_of(sample.at) == index).collect();
        let (first, last) = (own.first().unwrap(), own.last().unwrap());
        let range = |count: fn(&Process) -> usize| {
            let counts = || own.iter().map(|sample| count(&sample.process));
            (counts().min().unwrap(), counts().max().unwrap())
        };
        Window {
            memory: median(own.iter().map(|sample| sample.process.memory)),
            in_use: median(own.iter().map(|sample| sample.process.in_use)),
            handles: range(|process| process.handles),
            threads: range(|process| process.threads),
            tokens_per_second: (last.tokens - first.tokens) as f64 / (last.at - first.at).as_secs_f64(),
            speeds: own.iter().map(|sample| sample.speed).collect(),
        }
    };
    (0..WINDOWS).map(window).collect()
}

fn report(windows: &[Window], before: &Process, after: &Process, time: Duration) -> ExitCode {
    let rounds = ROUNDS.load(Ordering::Relaxed);
    let jobs = rounds * JOBS.len() as u64;
    println!(
        "{:.0} s, {WORKERS} workers, {jobs} jobs, {} tokens\n",
        time.as_secs_f64(),
        TOKENS.load(Ordering::Relaxed)
    );
    println!("window  memory (MB)  in use (MB)  handles  threads  tokens/s  tokens for a fresh one");
    for (index, window) in windows.iter().enumerate() {
        let range = |(least, most)| format!("{least}-{most}");
        println!(
            "{:>6}  {:11.1}  {:11.2}  {:>7}  {:>7}  {:8.0}  {:22.3}",
            index + 1,
            window.memory,
            window.in_use,
            range(window.handles),
            range(window.threads),
            window.tokens_per_second,
            median(window.speeds.iter().copied()),
        );
    }
    let steady = &windows[1..];
    let third = steady.len() / 3;
    let speed = |windows: &[Window]| median(windows.iter().flat_map(|window| window.speeds.iter().copied()));
    let [first, last] = [&steady[0], &steady[steady.len() - 1]];
    let [memory, in_use] = [change(first.memory, last.memory), change(first.in_use, last.in_use)];
    let speed = change(speed(&steady[..third]), speed(&steady[steady.len() - third..]));
    println!("\nmemory      {memory:+.2} % from window 2 to window {WINDOWS} (at most +2)");
    println!("in use      {in_use:+.2} % of it that the allocator has handed out (at most +2)");
    println!("throughput  {speed:+.2} % from the first third to the last, against the fresh process (at least -3)");
    println!("handles     {} before, {} after (no more)", before.handles, after.handles);
    println!("threads     {} before, {} after (no more)", before.threads, after.threads);
    // Less memory and more speed are no faults.
    let is_steady = memory <= 2.0
        && in_use <= 2.0
        && speed >= -3.0
        && after.handles <= before.handles
        && after.threads <= before.threads;
    if is_steady { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// In per cent.
fn change(from: f64, to: f64) -> f64 {
    (to / from - 1.0) * 100.0
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
