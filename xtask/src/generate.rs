//! The library that other languages load, and the code generated for them. Neither is committed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{NONE, Result, at, cargo, run, run_cargo};

/// Where everything for a language goes.
pub fn folder(language: &str) -> PathBuf {
    at("target/bindings").join(language)
}

/// Cargo's profile for the libraries of the packages: `VOLARY_PROFILE`, by default `release`. What is published has `dist`.
pub fn profile() -> String {
    std::env::var("VOLARY_PROFILE").unwrap_or_else(|_| "release".into())
}

/// Builds the library without the command, and gives its path.
pub fn library() -> Result<PathBuf> {
    let profile = profile();
    let arguments = ["build", "--package", "volary", "--lib", "--no-default-features", "--features", "ffi"];
    run_cargo(&[&arguments[..], &["--profile", &profile]].concat(), NONE)?;
    let name = format!("{}volary{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let folder = if profile == "dev" { "debug" } else { &profile };
    Ok(at("target").join(folder).join(name))
}

/// Writes a language's half of `src/volary.udl` to its folder.
pub fn bindings(language: &str) -> Result {
    let out = folder(language);
    let generate = ["generate", "src/volary.udl", "--config", "uniffi.toml", "--no-format", "--language", language];
    let mut command = cargo();
    run(command.args(["run", "--quiet", "--bin", "uniffi-bindgen", "--"]).args(generate).arg("--out-dir").arg(out))
}

/// Copies a file; only if it differs, so that builds which look at times have nothing to do.
pub fn copy(from: &Path, to: &Path) -> Result {
    let content = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
    if fs::read(to).is_ok_and(|existing| existing == content) {
        return Ok(());
    }
    create_folder(to.parent().unwrap_or(to))?;
    fs::write(to, content).map_err(|error| format!("{}: {error}", to.display()))
}

/// Makes a folder, unless it is there.
pub fn create_folder(path: &Path) -> Result {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}
