//! Runs the `volary` command in the folder of the golden files.
#![allow(dead_code, reason = "each test program uses a part")]

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::reference::golden;

/// One of the programs that were built. Where the system cannot start it itself, an emulator does: `VOLARY_RUNNER`.
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let Some(runner) = std::env::var_os("VOLARY_RUNNER") else { return Command::new(path) };
    let mut command = Command::new(runner);
    command.arg(path);
    command
}

/// The command, not yet started.
pub fn command(args: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_volary"));
    command.args(args).current_dir(golden("")).env("VOLARY_THREADS", "2");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn start(args: &[&str]) -> Child {
    command(args).spawn().unwrap()
}

pub fn start_with(args: &[&str], variable: &str, value: &str) -> Child {
    command(args).env(variable, value).spawn().unwrap()
}

pub fn volary_with_input(args: &[&str], input: &str) -> Output {
    finished(&mut command(args), input)
}

pub fn volary(args: &[&str]) -> Output {
    volary_with_input(args, "")
}

/// What a successful run printed.
pub fn text(args: &[&str]) -> String {
    let output = volary(args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one JSON object that a successful run printed.
pub fn json(args: &[&str]) -> Value {
    let value: Value = serde_json::from_str(&text(args)).unwrap();
    assert!(value.is_object(), "{args:?}");
    value
}

/// The one line that a failed run printed, which must name what failed.
pub fn failure_with_input(args: &[&str], input: &str, named: &str) -> String {
    let output = volary_with_input(args, input);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{args:?}: {errors}");
    assert!(errors.starts_with("volary: ") && errors.contains(named), "{args:?}: {errors}");
    errors
}

pub fn failure(args: &[&str], named: &str) -> String {
    let output = volary(args);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
    failure_with_input(args, "", named)
}

pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_string()
}

/// The one line that a run failed with, which must have printed nothing else.
pub fn failed(output: Output) -> String {
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.starts_with("volary: "), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    errors
}

pub fn files_in(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Runs the command where no file can grow beyond so many KiB, which stands for a full disk. The signal that goes with that
/// limit is not sent by full disks.
#[cfg(unix)]
pub fn with_small_files(kib: u32, args: &[&str], input: &str) -> Output {
    limited(&format!(r#"trap "" XFSZ; ulimit -f {kib}"#), args, input)
}

/// Runs the command under what bash is told first.
#[cfg(unix)]
pub fn limited(limit: &str, args: &[&str], input: &str) -> Output {
    let volary = command(args);
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!(r#"{limit}; exec "$0" "$@""#)]).arg(volary.get_program()).args(volary.get_args());
    bash.current_dir(golden("")).env("VOLARY_THREADS", "2");
    finished(&mut bash, input)
}

fn finished(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that fails before it reads may have closed the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Runs a command that writes into a folder, and sends it a signal once it does. It must end with 130, silently.
#[cfg(unix)]
pub fn interrupted_while_writing(args: &[&str], signal: &str, folder: &Path) {
    let mut child = start(args);
    while !files_in(folder).iter().any(|name| name.ends_with(".volary-part")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let kill = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{signal}");
    assert_eq!((output.stdout, output.stderr), (vec![], vec![]), "{signal}");
}
