//! Runs the `volary` command in the folder of the golden files.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::reference::golden;

pub fn start(args: &[&str]) -> Child {
    start_with(args, "VOLARY_THREADS", "2")
}

pub fn start_with(args: &[&str], variable: &str, value: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_volary"))
        .args(args)
        .current_dir(golden(""))
        .env(variable, value)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub fn volary_with_input(args: &[&str], input: &str) -> Output {
    let mut child = start(args);
    // A command that fails before it reads may have closed the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
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
