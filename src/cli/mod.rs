//! The `volary` command: text to stdout, everything else to stderr, exit status 0 (done), 1 (failed), 2 (the command line
//! says nothing that there is to do) or 130 (interrupted).

mod bench;
mod chat;
mod complete;
mod convert;
mod demo;
mod eval;
mod info;
mod json;
mod merge_lora;
mod models;
mod options;
mod perplexity;
mod plot;
mod terminal;
mod tokenize;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::Error;

use demo::Demo;

/// RWKV language models on the CPU.
#[derive(Parser)]
#[command(name = "volary", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Complete(complete::Arguments),
    Chat(chat::Arguments),
    Models(models::Arguments),
    Info(info::Arguments),
    Convert(convert::Arguments),
    Eval(eval::Arguments),
    MergeLora(merge_lora::Arguments),
    Perplexity(perplexity::Arguments),
    Tokenize(tokenize::Arguments),
    Bench(bench::Arguments),
}

/// Why a command ended early.
enum Failure {
    Work(Error),
    /// Standard output could not be written.
    Output(io::Error),
    /// Arguments that contradict each other: of which command, and how.
    Usage(&'static str, &'static str),
    /// Ctrl-C.
    Interrupted,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Cancelled => Self::Interrupted,
            error => Self::Work(error),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

type Outcome = Result<(), Failure>;

/// Runs the command that the process's arguments ask for.
pub fn main() -> ExitCode {
    run(std::env::args_os(), None).into()
}

/// Runs the command that some arguments ask for, the first of which is the program's name. Gives the exit status.
///
/// `demo_model` is the file of the demo model; `None`: the one in this program (feature `demo`).
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>, demo_model: Option<&Path>) -> u8 {
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => run_parsed(arguments, &Demo::new(demo_model)),
        Err(error) => show(&error),
    }
}

/// Whether some arguments, the first of which is the program's name, ask for anything, without doing it; else what is
/// said of them. For tests of what the command line may hold.
#[doc(hidden)]
pub fn check(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<(), String> {
    Arguments::try_parse_from(arguments).map(|_| ()).map_err(|error| error.to_string())
}

fn run_parsed(arguments: Arguments, demo: &Demo) -> u8 {
    terminal::handle_interrupts();
    let outcome = match arguments.command {
        Command::Complete(arguments) => complete::run(arguments, demo),
        Command::Chat(arguments) => chat::run(arguments, demo),
        Command::Models(models::Arguments {}) => models::run(),
        Command::Info(arguments) => info::run(&arguments),
        Command::Convert(arguments) => convert::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::MergeLora(arguments) => merge_lora::run(arguments),
        Command::Perplexity(arguments) => perplexity::run(arguments),
        Command::Tokenize(arguments) => tokenize::run(&arguments),
        Command::Bench(arguments) => bench::run(arguments),
    };
    match outcome {
        Ok(()) => 0,
        // The reader of our output has gone: nobody is left to tell.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(Failure::Output(error)) => fail(&format!("standard output: {error}")),
        Err(Failure::Work(error)) => fail(&error.to_string()),
        Err(Failure::Usage(command, message)) => {
            let mut all = Arguments::command();
            let error = clap::Error::raw(clap::error::ErrorKind::WrongNumberOfValues, message);
            show(&error.format(all.find_subcommand_mut(command).unwrap_or(&mut Arguments::command())))
        }
        Err(Failure::Interrupted) => terminal::INTERRUPTED,
    }
}

/// So many of what is called `one` if it is one.
fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// One line, whatever a file's name or a library's message holds.
fn fail(message: &str) -> u8 {
    terminal::note(format_args!("volary: {}", message.replace(['\n', '\r'], " ")));
    1
}

/// Prints help, the version, or what was wrong with the arguments. Gives the exit status.
fn show(error: &clap::Error) -> u8 {
    // Nobody is left to tell if it cannot be printed.
    let _ = error.print();
    error.exit_code() as u8
}
