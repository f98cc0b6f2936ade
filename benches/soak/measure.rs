//! What Linux tells of this process, and how fast it is.

use std::hint::black_box;
use std::time::{Duration, Instant};

use volary::Model;

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

/// How fast one thread writes tokens, whatever else the machine does: it takes turns with a plain loop, and the fastest of both
/// are compared: whatever else runs only slows one down, and both alike.
pub struct Gauge(Vec<f32>);

impl Gauge {
    /// One MiB, which is partly in the nearer caches, as the model is. With as much memory as the model's 8 MiB, the loop suffered
    /// more than the model from other programs' use of the memory.
    pub fn new() -> Self {
        Self((0..1 << 18).map(|i| (i % 7) as f32).collect())
    }

    /// Tokens in the time of one loop.
    pub fn speed(&self, model: &Model) -> f64 {
        const TURNS: usize = 48;
        let mut state = model.new_state();
        let timed = |work: &mut dyn FnMut()| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        };
        let turn = |token| {
            let write = timed(&mut || _ = black_box(model.decode(&mut state, token).unwrap()));
            (write, timed(&mut || _ = black_box(self.pass())))
        };
        let (tokens, loops): (Vec<f64>, Vec<f64>) = (0..TURNS as u32).map(turn).unzip();
        let fastest = |times: Vec<f64>| times.into_iter().fold(f64::INFINITY, f64::min);
        fastest(loops) / fastest(tokens)
    }

    /// About as long as a token takes. Sixteen sums at once, which compilers turn into vectors.
    fn pass(&self) -> [f32; 16] {
        (0..8)
            .flat_map(|_| self.0.chunks_exact(16))
            .fold([0.0; 16], |sums, chunk| std::array::from_fn(|i| sums[i] + chunk[i] * chunk[i]))
    }
}
