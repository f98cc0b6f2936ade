//! What Linux tells of this process, and how fast it is.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use volary::{Model, State};

use crate::HEAP;

pub struct Process {
    /// Megabytes that are resident.
    pub memory: f64,
    /// Megabytes that the allocator has handed out and not got back.
    pub in_use: f64,
    pub handles: usize,
    pub threads: usize,
}

impl Process {
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<usize>().unwrap()
        };
        let handles = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let heap = HEAP.stats();
        let in_use = (heap.bytes_allocated - heap.bytes_deallocated) as f64 / f64::from(1 << 20);
        Self { memory: field("VmRSS:") as f64 / 1024.0, in_use, handles, threads: field("Threads:") }
    }

    /// Once the threads of models that are gone are gone, too: nobody waits for those.
    pub fn settled() -> Self {
        let mut now = Self::now();
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(100));
            let next = Self::now();
            if next.threads == now.threads {
                break;
            }
            now = next;
        }
        Self::now()
    }
}

/// How fast this process writes tokens, whatever else the machine does: it takes turns with another one, which does nothing but this,
/// and the fastest tokens of both are compared. Other programs slow both down alike.
pub struct Gauge {
    fresh: Child,
    answers: BufReader<ChildStdout>,
}

impl Gauge {
    /// The argument of the other process.
    pub const ARGUMENT: &str = "--gauge";

    pub fn new() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut fresh = command.arg(Self::ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(fresh.stdout.take().unwrap());
        Self { fresh, answers }
    }

    /// What the other process does until nobody asks any more: a line in, a token, its seconds out.
    pub fn answer(model: &Model) {
        let mut state = model.new_state();
        for _ in std::io::stdin().lines() {
            println!("{}", seconds_of_token(model, &mut state));
        }
    }

    /// Tokens in the time of one of the other process.
    pub fn speed(&mut self, model: &Model) -> f64 {
        const TURNS: usize = 48;
        let mut state = model.new_state();
        let (mut own, mut other) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..TURNS {
            own = own.min(seconds_of_token(model, &mut state));
            writeln!(self.fresh.stdin.as_mut().unwrap()).unwrap();
            let mut answer = String::new();
            self.answers.read_line(&mut answer).unwrap();
            other = other.min(answer.trim().parse().unwrap());
        }
        other / own
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        drop(self.fresh.stdin.take());
        self.fresh.wait().unwrap();
    }
}

fn seconds_of_token(model: &Model, state: &mut State) -> f64 {
    let started = Instant::now();
    black_box(model.decode(state, 1).unwrap());
    started.elapsed().as_secs_f64()
}
