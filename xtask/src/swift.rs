//! The Swift package.

use std::process::Command;

use crate::Language;
use crate::generate;
use crate::process::{Result, at, is_there, run};

pub const LANGUAGE: Language = Language { name: "swift", missing, generate, build, test, lint, docs, package };

/// Swift itself, or the tree that `.ci/trixie swift` makes.
fn missing() -> Option<String> {
    let here = is_there("swift") || tree().is_some();
    (!here)
        .then(|| "Swift 6 (swift not found; on Debian 12, `.ci/trixie swift` installs it in a tree of its own)".into())
}

fn tree() -> Option<()> {
    let folder = std::env::var("VOLARY_TRIXIE").unwrap_or_else(|_| "/var/tmp/volary-trixie".into());
    std::path::Path::new(&folder).join("root/var/lib/volary/swift").exists().then_some(())
}

/// The generated sources and header, and the native library.
fn generate() -> Result {
    generate::bindings("swift")?;
    let library = generate::library()?;
    let out = generate::folder("swift");
    generate::copy(&library, &out.join("lib").join(library.file_name().unwrap_or_default()))?;
    let package = at("bindings/swift/Sources");
    generate::copy(&out.join("VolaryGenerated.swift"), &package.join("VolaryGenerated/VolaryGenerated.swift"))?;
    generate::copy(&out.join("CVolary.h"), &package.join("CVolary/CVolary.h"))
}

fn swift(arguments: &[&str]) -> Result {
    generate()?;
    let libraries = generate::folder("swift").join("lib");
    let mut command = match is_there("swift") {
        true => Command::new("swift"),
        false => {
            let mut command = Command::new(at(".ci/trixie"));
            command.args(["run", "swift"]);
            command
        }
    };
    command.args(arguments).args(["--package-path", "bindings/swift", "-Xlinker"]);
    run(command.arg(format!("-L{}", libraries.display())).env("LD_LIBRARY_PATH", libraries))
}

fn build() -> Result {
    swift(&["build", "--configuration", "release"])
}

fn test(rest: &[String]) -> Result {
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    swift(&[&["test"], &rest[..]].concat())
}

fn lint() -> Result {
    swift(&["build", "--build-tests", "-Xswiftc", "-warnings-as-errors"])
}

fn docs() -> Result {
    Ok(())
}

fn package() -> Result {
    build()
}
