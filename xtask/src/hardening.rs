//! Hardening, measured: mutated files, libFuzzer, killed writers, hours of sessions.

use std::process::Command;

use crate::process::{Result, at, cargo, is_there, run};

/// Runs so many mutated files, of all kinds in turn. `rest` is how many, and the number of the first.
pub fn mutate(rest: &[String]) -> Result {
    /// Kilobytes. An allocation beyond it ends the program.
    const MEMORY: &str = "ulimit -v 4194304 && exec \"$@\"";
    check(rest, "mutate takes how many files, and the number of the first: `cargo xtask mutate 100000`")?;
    run(cargo().args(["bench", "--quiet", "--package", "volary", "--bench", "mutate", "--no-run"]))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["bench", "--quiet", "--package", "volary", "--bench", "mutate", "--"];
    run(Command::new("sh").args(["-c", MEMORY, "sh"]).arg(cargo).args(arguments).args(rest))
}

/// Kills what writes files so many times. `rest` is how many, and the number that the moments come from.
pub fn kill(rest: &[String]) -> Result {
    check(rest, "kill takes how many times, and the number of the series: `cargo xtask kill 200`")?;
    run(bench("kill").args(rest))
}

/// Runs sessions for so many seconds.
pub fn soak(rest: &[String]) -> Result {
    let [seconds] = rest else { return Err(SOAK.into()) };
    seconds.parse::<u32>().map_err(|_| SOAK)?;
    // One arena for all threads, and large blocks apart. By default glibc has up to eight arenas for each core, and what comes and goes
    // in them leaves holes: resident memory creeps for long while no more of it is in use, and would hide a leak.
    run(bench("soak").args(rest).env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "65536"))
}

const SOAK: &str = "soak takes seconds: `cargo xtask soak 1800`";

/// That there are one or two numbers.
fn check(rest: &[String], usage: &str) -> Result {
    let is_right = (1..=2).contains(&rest.len()) && rest.iter().all(|number| number.parse::<u64>().is_ok());
    if is_right { Ok(()) } else { Err(usage.into()) }
}

fn bench(name: &str) -> Command {
    let mut command = cargo();
    command.args(["bench", "--quiet", "--package", "volary", "--bench", name, "--"]);
    command
}

/// Runs a fuzz target for some seconds, from the kept inputs and sound files on.
pub fn fuzz(rest: &[String]) -> Result {
    let [target, seconds] = rest else {
        return Err("fuzz takes a target of fuzz/fuzz_targets and seconds: `cargo xtask fuzz gguf 600`".into());
    };
    if !is_there("cargo-fuzz") {
        return Err("fuzz needs cargo-fuzz: `cargo install cargo-fuzz --locked`".into());
    }
    // Those of `tests/hostile_input/conversation.rs`: with the sanitizers a model reads a token in a millisecond.
    let is_conversation = ["arguments", "chat", "chat-format", "options", "stop"].contains(&target.as_str());
    let max_len = if is_conversation { 4_000 } else { 300_000 };
    let found = at("target/fuzz").join(target);
    std::fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let mut command = cargo();
    command.args(["fuzz", "run", target.as_str()]).arg(&found).arg(at("fuzz/corpus").join(target));
    command.args(["--", &format!("-max_total_time={seconds}"), "-timeout=10", "-rss_limit_mb=2048"]);
    command.arg(format!("-max_len={max_len}"));
    command.env("LSAN_OPTIONS", leaks());
    // The sanitizers are unstable options of the compiler; a stable one knows them, too.
    run(command.env("RUSTC_BOOTSTRAP", "1"))
}

/// Runs the library's suite with a sanitizer of the compiler, on Linux.
pub fn sanitize(rest: &[String]) -> Result {
    // A sanitizer's own memory is terabytes of addresses, which a limit forbids.
    const LIMITED: [&str; 2] =
        ["a_model_that_memory_does_not_hold_is_an_error", "however_little_memory_there_is_a_target_is_whole_or_absent"];
    // It writes hundreds of megabytes before it is interrupted, which takes minutes if every access is watched.
    const SLOW: &str = "ctrl_c_and_being_terminated_leave_nothing_behind";
    let mut command = cargo();
    command.args(["test", "--package", "volary", "--lib", "--tests", "--no-fail-fast"]);
    let mut skipped = LIMITED.to_vec();
    match rest {
        [name] if name == "address" => {}
        [name] if name == "thread" => {
            // Without the standard library's own accesses what it synchronizes looks like races.
            command.arg("-Zbuild-std");
            skipped.push(SLOW);
        }
        _ => return Err("sanitize takes `address` or `thread`: `cargo xtask sanitize thread`".into()),
    }
    // Only with a target named are build scripts and macros left out.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    command.args(["--target", &target, "--target-dir", "target/sanitize"]);
    command.arg("--").args(skipped.iter().flat_map(|name| ["--skip", name]));
    command.env("RUSTFLAGS", format!("-Zsanitizer={}", rest[0])).env("RUSTC_BOOTSTRAP", "1");
    run(command.env("LSAN_OPTIONS", leaks()))
}

/// What is no leak.
fn leaks() -> String {
    format!("suppressions={}", at("fuzz/leaks.txt").display())
}
