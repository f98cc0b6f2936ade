//! How many threads to compute with if nobody says.

use std::thread;

/// The cores that this process may use, at least 1: physical ones, since two threads of one core share what computes, and
/// fast ones where there are two kinds, since all wait for the slowest. Affinity and a container's limit count.
pub fn cores() -> usize {
    let allowed = thread::available_parallelism().map_or(1, usize::from);
    physical().map_or(allowed, |cores| cores.clamp(1, allowed))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn physical() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    sysfs::cores("/sys/devices".as_ref(), allowed)
}

#[cfg(target_vendor = "apple")]
fn physical() -> Option<usize> {
    // Level 0 has the fastest ones. Macs with cores of one kind have no levels.
    apple::number(c"hw.perflevel0.physicalcpu").or_else(|| apple::number(c"hw.physicalcpu"))
}

#[cfg(windows)]
fn physical() -> Option<usize> {
    Some(num_cpus::get_physical())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", windows)))]
fn physical() -> Option<usize> {
    None
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod sysfs {
    use std::collections::HashMap;
    use std::fs;
    use std::path::Path;

    /// Counts the fast cores that have one of the processors `allowed`, a list like `0-3,8`. `None` if the system does not
    /// say.
    pub fn cores(devices: &Path, allowed: &str) -> Option<usize> {
        let read = |file: &str| fs::read_to_string(devices.join(file)).ok();
        let mut processors = list(allowed)?;
        // What Intel's fast cores are called where there are two kinds.
        if let Some(fast) = read("cpu_core/cpus").as_deref().and_then(list) {
            processors.retain(|processor| fast.contains(processor));
        }
        // By the processors that share a core: ARM's measure of its speed, the same for all where there is none.
        let mut speeds = HashMap::new();
        for processor in processors {
            let core = read(&format!("system/cpu/cpu{processor}/topology/thread_siblings_list"))?;
            let speed = read(&format!("system/cpu/cpu{processor}/cpu_capacity"));
            speeds.insert(core, speed.and_then(|text| text.trim().parse().ok()).unwrap_or(1024));
        }
        let fastest: u32 = speeds.values().copied().max()?;
        Some(speeds.values().filter(|&&speed| speed > fastest / 2).count())
    }

    fn list(text: &str) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        for range in text.trim().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            numbers.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
        }
        Some(numbers)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// A machine: for each processor the ones it shares a core with, and its speed.
        fn machine(processors: &[(&str, Option<u32>)]) -> tempfile::TempDir {
            let devices = tempfile::tempdir().unwrap();
            for (index, (siblings, speed)) in processors.iter().enumerate() {
                let folder = devices.path().join(format!("system/cpu/cpu{index}"));
                fs::create_dir_all(folder.join("topology")).unwrap();
                fs::write(folder.join("topology/thread_siblings_list"), format!("{siblings}\n")).unwrap();
                if let Some(speed) = speed {
                    fs::write(folder.join("cpu_capacity"), format!("{speed}\n")).unwrap();
                }
            }
            devices
        }

        #[test]
        fn two_threads_of_a_core_count_once() {
            let devices = machine(&[("0,2", None), ("1,3", None), ("0,2", None), ("1,3", None)]);
            assert_eq!(cores(devices.path(), "\t0-3\n"), Some(2));
            assert_eq!(cores(devices.path(), "0,2"), Some(1));
            assert_eq!(cores(devices.path(), "2-3"), Some(2));
        }

        #[test]
        fn slow_cores_do_not_count_unless_there_are_no_others() {
            let phone = machine(&[("0", Some(250)), ("1", Some(250)), ("2", Some(800)), ("3", Some(1024))]);
            assert_eq!(cores(phone.path(), "0-3"), Some(2));
            assert_eq!(cores(phone.path(), "0-1"), Some(2));

            let laptop = machine(&[("0-1", None), ("0-1", None), ("2", None), ("3", None)]);
            fs::create_dir(laptop.path().join("cpu_core")).unwrap();
            fs::write(laptop.path().join("cpu_core/cpus"), "0-1\n").unwrap();
            assert_eq!(cores(laptop.path(), "0-3"), Some(1));
            assert_eq!(cores(laptop.path(), "2-3"), None, "all that are allowed count then");
        }

        #[test]
        fn a_system_that_does_not_say_is_not_guessed_at() {
            let devices = machine(&[("0", None)]);
            assert_eq!(cores(devices.path(), "0-1"), None);
            assert_eq!(cores(devices.path(), "some"), None);
        }
    }
}

#[cfg(target_vendor = "apple")]
mod apple {
    #![allow(unsafe_code, reason = "the C library's way to ask the system for a number")]

    use std::ffi::CStr;

    pub fn number(name: &CStr) -> Option<usize> {
        let (mut number, mut size) = (0i32, size_of::<i32>());
        // SAFETY: `name` ends in a zero, and `size` is that of what is written to.
        let status = unsafe {
            libc::sysctlbyname(name.as_ptr(), (&raw mut number).cast(), &raw mut size, std::ptr::null_mut(), 0)
        };
        if status == 0 && size == size_of::<i32>() { usize::try_from(number).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_cores_than_the_process_may_use() {
        let cores = cores();
        assert!((1..=thread::available_parallelism().unwrap().get()).contains(&cores));
    }
}
