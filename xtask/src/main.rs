//! Volary's task runner: `cargo xtask help`.

use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask TASK

  test [ARGS…]  run all tests, documentation examples too; ARGS go to `cargo test`
  lint          check the formatting, and run clippy with and without the command's feature
  doc           build the documentation; a warning is an error
  help          show this
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_else(|| "help".into());
    let rest: Vec<String> = args.collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let done = match task.as_str() {
        "test" => cargo(&["test", "--workspace"], &rest),
        "lint" if rest.is_empty() => lint(),
        "doc" if rest.is_empty() => doc(),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("xtask: no such task: {task} {}\n\n{HELP}", rest.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn lint() -> Result<(), String> {
    const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets"], &DENY_WARNINGS)?;
    // What programs that embed the library build.
    cargo(&["clippy", "--package", "volary", "--all-targets", "--no-default-features"], &DENY_WARNINGS)
}

fn doc() -> Result<(), String> {
    run(Command::new(cargo_path()).args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn cargo(args: &[&str], rest: &[&str]) -> Result<(), String> {
    run(Command::new(cargo_path()).args(args).args(rest))
}

/// The cargo that runs this, which may not be the first one on the path.
fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

fn run(command: &mut Command) -> Result<(), String> {
    let line: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|part| part.to_string_lossy()).collect();
    let line = line.join(" ");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed ({status})")),
        Err(error) => Err(format!("`{line}` could not be started: {error}")),
    }
}
