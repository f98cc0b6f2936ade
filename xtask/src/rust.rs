//! The engine and the command.

use crate::process::{NONE, Result, cargo, run, run_cargo};
use crate::{Language, unsafe_code};

pub const LANGUAGE: Language =
    Language { name: "rust", missing: || None, generate: || Ok(()), build, test, lint, docs, package };

fn build() -> Result {
    run_cargo(&["build", "--release"], NONE)
}

/// All but the program of three lines around UniFFI's generator: the compiler takes more time for that one crate than for
/// Volary, and would look at it once more for each task.
const WORKSPACE: [&str; 5] = ["--workspace", "--exclude", "volary-bindgen", "--features", "ffi"];

fn test(rest: &[String]) -> Result {
    run_cargo(&[&["test"], &WORKSPACE[..]].concat(), rest)
}

fn lint() -> Result {
    const DENY_WARNINGS: &[&str] = &["--", "-D", "warnings"];
    run_cargo(&["fmt", "--all", "--check"], NONE)?;
    run_cargo(&[&["clippy", "--all-targets"], &WORKSPACE[..]].concat(), DENY_WARNINGS)?;
    // What programs that embed the library build, and what other languages' packages do.
    run_cargo(&["clippy", "--package", "volary", "--all-targets", "--no-default-features"], DENY_WARNINGS)?;
    run_cargo(&["clippy", "--package", "volary", "--no-default-features", "--features", "ffi"], DENY_WARNINGS)?;
    unsafe_code::count()
}

fn docs() -> Result {
    // With the features of the first lint, which has checked the dependencies with these.
    run(cargo().args(["doc", "--no-deps"]).args(WORKSPACE).env("RUSTDOCFLAGS", "-D warnings"))
}

fn package() -> Result {
    run_cargo(&["package", "--package", "volary", "--no-verify", "--allow-dirty"], NONE)
}
