//! Files that are almost sound, as many as one likes: `cargo xtask mutate N`. Prints what became of them by kind, and ends at
//! the first that leads to anything but a sound result or an error: to a panic, to more than ten seconds, or, under the
//! limit that the task sets, to more memory than there is. That file is then in `target/mutants`.
#![allow(clippy::unwrap_used)]

#[path = "../tests/hostile_input/mod.rs"]
mod hostile_input;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hostile_input::{ENTRIES, Entry, Outcome, Random, mutant, seeds};

/// Seconds.
const LONGEST: u32 = 10;

/// What is running now, and how many seconds the watch has seen it run. It counts its own: a machine that sleeps in
/// between makes no file slow.
static RUNNING: Mutex<Option<(String, u32)>> = Mutex::new(None);

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let n = numbers.first().copied().unwrap_or(1000);
    let first = numbers.get(1).copied().unwrap_or(0);
    std::thread::spawn(watch);
    let sound: Vec<_> = ENTRIES.iter().map(|entry| seeds(entry.name)).collect();
    let mut counts: Vec<BTreeMap<Outcome, u64>> = vec![BTreeMap::new(); ENTRIES.len()];
    let started = Instant::now();
    for number in first..first + n {
        let kind = (number % ENTRIES.len() as u64) as usize;
        let outcome = run(&ENTRIES[kind], &sound[kind], number);
        *counts[kind].entry(outcome).or_default() += 1;
    }
    println!(
        "{n} files from number {first} on, {:.0} s, at most {} MB of memory",
        started.elapsed().as_secs_f64(),
        peak()
    );
    for (entry, counts) in ENTRIES.iter().zip(counts) {
        let shown = counts.iter().map(|(outcome, count)| match outcome {
            Outcome::Runs => format!("{count} run"),
            Outcome::Refused(kind) => format!("{count} {kind}"),
        });
        println!("{:12} {}", entry.name, shown.collect::<Vec<_>>().join(", "));
    }
}

/// The file of this number, the same in every run.
fn run(entry: &Entry, sound: &[Vec<u8>], number: u64) -> Outcome {
    let mut random = Random::new(number);
    let input = mutant(entry.name, random.choose(sound).unwrap(), &mut random);
    let kept = kept(entry.name);
    std::fs::write(&kept, &input).unwrap();
    *RUNNING.lock().unwrap() = Some((format!("number {number}, {}", kept.display()), 0));
    let outcome = std::panic::catch_unwind(|| entry.run(&input));
    *RUNNING.lock().unwrap() = None;
    outcome.unwrap_or_else(|_| {
        println!("FAILED: number {number}, {}", kept.display());
        std::process::exit(1)
    })
}

fn kept(kind: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/mutants");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(kind)
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        if let Some((what, seconds)) = &mut *RUNNING.lock().unwrap() {
            *seconds += 1;
            if *seconds > LONGEST {
                println!("FAILED: {what} takes longer than {LONGEST} s");
                std::process::exit(1);
            }
        }
    }
}

/// Megabytes that this process has had at most; 0 where Linux does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
