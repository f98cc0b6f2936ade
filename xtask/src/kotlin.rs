//! The Kotlin package, built by Maven, which calls `generate-kotlin` itself.

use std::process::Command;

use crate::Language;
use crate::generate;
use crate::process::{Result, is_there, run};

pub const LANGUAGE: Language = Language { name: "kotlin", missing, generate, build, test, lint, docs, package };

fn missing() -> Option<String> {
    let missing = |program: &&&str| !is_there(program);
    let programs = ["java", "mvn"].iter().filter(missing).copied().collect::<Vec<_>>();
    (!programs.is_empty())
        .then(|| format!("a JDK of version 11 or later and Maven ({} not found)", programs.join(", ")))
}

/// The generated sources, and the native library where JNA looks for it.
fn generate() -> Result {
    generate::bindings("kotlin")?;
    let library = generate::library()?;
    let name = library.file_name().unwrap_or_default();
    generate::copy(&library, &generate::folder("kotlin").join("natives").join(jna_platform()).join(name))
}

/// JNA's name of this machine.
fn jna_platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        system => system,
    };
    format!("{system}-{}", std::env::consts::ARCH.replace('_', "-"))
}

fn maven(arguments: &[&str]) -> Command {
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--no-transfer-progress", "--file", "bindings/kotlin"]).args(arguments);
    maven
}

fn build() -> Result {
    run(&mut maven(&["-DskipTests", "package"]))
}

fn test(rest: &[String]) -> Result {
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    run(&mut maven(&[&["test"], &rest[..]].concat()))
}

/// The compiler treats warnings as errors.
fn lint() -> Result {
    run(&mut maven(&["-DskipTests", "test-compile"]))
}

/// Of the sources: nothing is compiled.
fn docs() -> Result {
    run(&mut maven(&["process-sources", "dokka:dokka"]))
}

fn package() -> Result {
    run(maven(&["-DskipTests", "package"]).env("VOLARY_PROFILE", "dist"))
}
