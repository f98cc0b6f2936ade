//! The `volary` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    volary::cli::main()
}
