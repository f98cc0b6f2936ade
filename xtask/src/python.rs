//! The Python package, built by maturin.

use std::path::PathBuf;
use std::process::Command;

use crate::Language;
use crate::generate;
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
    maturin(&["build", "--profile", &generate::profile(), "--out", WHEELS])
}

/// What is built for this machine only, and sooner than what is packaged.
const WHEELS: &str = "target/python/wheels";

/// Installs the package in the environment, as a wheel of the working tree.
fn install() -> Result<PathBuf> {
    let programs = environment()?;
    build()?;
    let arguments = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", "--find-links"];
    run(Command::new(programs.join("python")).args(arguments).args([WHEELS, "volary"]))?;
    Ok(programs)
}

fn test(rest: &[String]) -> Result {
    run(Command::new(install()?.join("python")).args(["-m", "pytest"]).args(rest))
}

fn lint() -> Result {
    let programs = environment()?;
    run(Command::new(programs.join("ruff")).args(["check", "."]))?;
    run(Command::new(programs.join("ruff")).args(["format", "--check", "."]))?;
    run(&mut Command::new(programs.join("mypy")))
}

fn docs() -> Result {
    // Its warnings are of names that are imported for type checkers only.
    let pdoc = ["-W", "ignore", "-m", "pdoc", "volary", "--output-directory", "target/doc/python"];
    run(Command::new(install()?.join("python")).args(pdoc))
}

fn package() -> Result {
    maturin(&["build", "--profile", "dist", "--out", "target/wheels", "--sdist"])
}
