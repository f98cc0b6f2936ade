//! What Linux tells of this process.

use std::time::Duration;

pub struct Process {
    /// Megabytes that are resident.
    pub memory: f64,
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
        Self { memory: field("VmRSS:") as f64 / 1024.0, handles, threads: field("Threads:") }
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

/// Seconds that this thread has computed.
pub fn thread_cpu_seconds() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}
