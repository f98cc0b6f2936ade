//! Volary's task runner: `cargo xtask help`.

mod book;
mod conformance;
mod generate;
mod hardening;
mod kotlin;
mod process;
mod python;
mod rust;
mod swift;
mod unsafe_code;

use std::process::ExitCode;

use process::Result;

const HELP: &str = "\
cargo xtask TASK

  build         build the library and every language's package
  test          run the tests of every language whose tools are here, and say which were left out
  lint          check formatting and lints
  docs          build the documentation and its site, and check its links; a warning is an error
  docs-site     only the site and the links
  package       make what is published
  conformance   show what came of the scenarios in tests/conformance, by language
  mutate N      run N files that are almost sound, of every kind, and say what became of them
  fuzz NAME S   run a fuzz target for S seconds
  sanitize NAME run the library's tests with a sanitizer, `address` or `thread`
  kill N        kill everything that writes a file, N times in all, and say what was found
  soak S        run sessions of every kind for S seconds, and say what became of memory, handles and throughput
  unsafe        list the unsafe code of the library, with its reasons
  help          show this

Each of the first five also exists for one language, which must then be there: test-rust, build-python, lint-kotlin,
package-swift and so on; generate-kotlin and generate-swift make what their build tools need of the Rust side. Arguments after `test-LANGUAGE` go to that language's test program.
With VOLARY_ALL_LANGUAGES=1 a language whose tools are missing is an error.
";

/// What each language can do.
struct Language {
    name: &'static str,
    /// What is missing on this machine to work with it.
    missing: fn() -> Option<String>,
    /// Makes what is generated and not committed.
    generate: fn() -> Result,
    build: fn() -> Result,
    test: fn(&[String]) -> Result,
    lint: fn() -> Result,
    docs: fn() -> Result,
    package: fn() -> Result,
}

const LANGUAGES: [Language; 4] = [rust::LANGUAGE, python::LANGUAGE, kotlin::LANGUAGE, swift::LANGUAGE];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = arguments.split_first().map_or(("help", &[][..]), |(task, rest)| (task.as_str(), rest));
    let done = match (task.split_once('-'), rest) {
        (Some(("docs", "site")), []) => site(),
        (Some((verb, name)), rest) => one(verb, name, rest),
        (None, []) if ["build", "test", "lint", "docs", "package"].contains(&task) => all(task),
        (None, rest) if task == "mutate" => hardening::mutate(rest),
        (None, rest) if task == "fuzz" => hardening::fuzz(rest),
        (None, rest) if task == "sanitize" => hardening::sanitize(rest),
        (None, rest) if task == "kill" => hardening::kill(rest),
        (None, rest) if task == "soak" => hardening::soak(rest),
        (None, []) if task == "unsafe" => unsafe_code::list(),
        (None, []) if task == "conformance" => conformance::report(&LANGUAGES.map(|language| language.name)),
        (None, _) if ["help", "--help"].contains(&task) => {
            print!("{HELP}");
            Ok(())
        }
        _ => unknown(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn site() -> Result {
    book::build()?.map_or(Ok(()), |missing| Err(format!("the site needs {missing}")))
}

fn unknown(arguments: &[String]) -> Result {
    Err(format!("no such task: {}\n\n{HELP}", arguments.join(" ")))
}

fn one(verb: &str, name: &str, rest: &[String]) -> Result {
    let Some(language) = LANGUAGES.iter().find(|language| language.name == name) else {
        return unknown(&[format!("{verb}-{name}")]);
    };
    if verb != "test" && !rest.is_empty() {
        return unknown(&[&[format!("{verb}-{name}")], rest].concat());
    }
    match (language.missing)() {
        // Who calls it has the tools.
        _ if verb == "generate" => language.run(verb, rest),
        Some(missing) => Err(format!("{name} needs {missing}")),
        None => language.run(verb, rest),
    }
}

impl Language {
    fn run(&self, verb: &str, rest: &[String]) -> Result {
        println!("\n--- {verb}-{} ---", self.name);
        match verb {
            "generate" => (self.generate)(),
            "build" => (self.build)(),
            "test" => (self.test)(rest),
            "lint" => (self.lint)(),
            "docs" => (self.docs)(),
            "package" => (self.package)(),
            _ => unknown(&[format!("{verb}-{}", self.name)]),
        }
    }
}

/// A task of every language that is here; those left out are named at the end, where nobody overlooks them.
fn all(verb: &str) -> Result {
    if verb == "test" {
        conformance::forget();
    }
    let mut left_out = Vec::new();
    for language in &LANGUAGES {
        match (language.missing)() {
            None => language.run(verb, &[])?,
            Some(missing) => left_out.push((language.name, missing)),
        }
    }
    if verb == "test" {
        let here = LANGUAGES.iter().map(|language| language.name);
        let here: Vec<_> = here.filter(|name| !left_out.iter().any(|(left_out, _)| left_out == name)).collect();
        conformance::report(&here)?;
    }
    if verb == "docs" {
        left_out.extend(book::build()?.map(|missing| ("site", missing)));
    }
    if left_out.is_empty() {
        return Ok(());
    }
    println!("\n*** NOT DONE, for want of tools:");
    for (name, missing) in &left_out {
        println!("***   {verb}-{name}: needs {missing}");
    }
    match std::env::var_os("VOLARY_ALL_LANGUAGES") {
        Some(_) => Err("VOLARY_ALL_LANGUAGES is set, and not all are here".into()),
        None => Ok(()),
    }
}
