//! The Python package, built by maturin.

use std::path::PathBuf;
use std::process::Command;

use crate::Language;
use crate::process::{Result, at, is_there, run};

pub const LANGUAGE: Language =
    Language { name: "python", missing, generate: || Ok(()), build, test, lint, docs, package };

fn missing() -> Option<String> {
    (!is_there("python3")).then(|| "Python 3.10 or later (python3 not found)".into())
}

/// A virtual environment of the project's own, with the tools of `bindings/python/requirements.txt`.
fn environment() -> Result<PathBuf> {
    let folder = at("target/python");
    if !folder.join("bin/python").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let python = folder.join("bin/python");
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--requirement",
        "bindings/python/requirements.txt",
    ]))?;
    Ok(folder.join("bin"))
}

fn maturin(arguments: &[&str]) -> Result {
    run(Command::new(environment()?.join("maturin")).args(arguments))
}

fn build() -> Result {
    maturin(&["build", "--profile", "release", "--out", "target/wheels"])
}

/// Installs the package in the environment, from the working tree.
fn install() -> Result<PathBuf> {
    let programs = environment()?;
    let install = ["-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--force-reinstall"];
    let profile = ["--config-settings", "build-args=--profile release", "."];
    run(Command::new(programs.join("python")).args(install).args(profile))?;
    Ok(programs)
}

fn test(rest: &[String]) -> Result {
    run(Command::new(install()?.join("python")).args(["-m", "pytest"]).args(rest))
}

fn lint() -> Result {
    let programs = environment()?;
    run(Command::new(programs.join("ruff")).args(["check"]))?;
    run(Command::new(programs.join("ruff")).args(["format", "--check"]))?;
    run(&mut Command::new(programs.join("mypy")))
}

fn docs() -> Result {
    Ok(())
}

fn package() -> Result {
    maturin(&["build", "--out", "target/wheels", "--sdist"])
}
