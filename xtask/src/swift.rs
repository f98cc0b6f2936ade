//! The Swift package.

use std::process::Command;

use crate::Language;
use crate::generate;
use crate::process::{Result, at, is_there, run, tree};

pub const LANGUAGE: Language =
    Language { name: "swift", missing, generate, build, test, lint: checked_build, docs, package };

/// Swift itself, or the tree that `.ci/trixie swift` makes.
fn missing() -> Option<String> {
    let here = is_there("swift") || tree("swift");
    (!here)
        .then(|| "Swift 6 (swift not found; on Debian 12, `.ci/trixie swift` installs it in a tree of its own)".into())
}

/// The generated sources and header, the native library, and the demo model.
fn generate() -> Result {
    generate::bindings("swift")?;
    let library = generate::library()?;
    let out = generate::folder("swift");
    generate::copy(&library, &out.join("lib").join(library.file_name().unwrap_or_default()))?;
    let package = at("bindings/swift/Sources");
    generate::copy(&out.join("VolaryGenerated.swift"), &package.join("VolaryGenerated/VolaryGenerated.swift"))?;
    generate::copy(&out.join("CVolary.h"), &package.join("CVolary/CVolary.h"))?;
    generate::copy(&at("models/demo.gguf"), &package.join("Volary/demo.gguf"))
}

/// A program of Swift's toolchain, in the tree if it is not here.
fn tool(name: &str) -> Command {
    match is_there("swift") {
        true => Command::new(name),
        false => {
            let mut command = Command::new(at(".ci/trixie"));
            command.args(["run", &format!("/usr/libexec/swift/bin/{name}")]);
            command
        }
    }
}

fn swift(arguments: &[&str]) -> Result {
    generate()?;
    let libraries = generate::folder("swift").join("lib");
    let mut command = tool("swift");
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

/// Without warnings, and with the symbols that the documentation is made of: one build serves both.
fn checked_build() -> Result {
    let symbols = at(SYMBOLS);
    generate::create_folder(&symbols)?;
    let graph = ["-Xswiftc", "-emit-symbol-graph", "-Xswiftc", "-emit-symbol-graph-dir", "-Xswiftc"];
    let build = ["build", "--build-tests", "-Xswiftc", "-warnings-as-errors"];
    swift(&[&build[..], &graph, &[&symbols.to_string_lossy()]].concat())
}

/// Beside the modules, so that they are gone when these are.
const SYMBOLS: &str = "bindings/swift/.build/symbols";

fn docs() -> Result {
    checked_build()?;
    let own = generate::folder("swift").join("symbols");
    generate::copy(&at(SYMBOLS).join("Volary.symbols.json"), &own.join("Volary.symbols.json"))?;
    generate::create_folder(&at("target/doc"))?;
    let names = ["--fallback-display-name", "Volary", "--fallback-bundle-identifier", "dev.volary"];
    let output = ["--output-path", "target/doc/Volary.doccarchive", "--additional-symbol-graph-dir"];
    run(tool("docc").arg("convert").args(names).args(output).arg(own))
}

/// What others build from: the sources with what is generated, and the library for this system.
fn package() -> Result {
    run(Command::new(std::env::current_exe().map_err(|error| error.to_string())?)
        .arg("build-swift")
        .env("VOLARY_PROFILE", "dist"))
}
