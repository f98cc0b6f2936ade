//! `volary chat`

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::demo::Demo;
use super::options::{ModelOrDemo, SamplingArguments};
use super::terminal::{self, note};
use super::{Failure, Outcome};
use crate::chat::{Chat, ChatFormat, ChatOptions, OneShot};
use crate::error::{Error, Result};
use crate::generate::{CancelHandle, GenerateOptions, Piece};

/// Chat in the terminal
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelOrDemo,
    /// The prompt format: auto, world, raven, alpaca, g1, g1-think, …
    #[arg(long, value_name = "NAME", default_value = "auto")]
    format: String,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    sampling: SamplingArguments,
}

const HELP: &str = "\
/retry             answer the last message anew
/alt               another answer to it; both stay in the saved chat
/undo              take back the last message and its answer
/reset             begin anew
/system [TEXT]     what the model is told before the conversation, from its beginning on
/save FILE         save the conversation
/load FILE         go on with a saved one
/set [NAME VALUE]  temperature, top_p, top_k, min_p, presence_penalty, frequency_penalty, penalty_decay,
                   repetition_penalty, max_tokens, seed; `/set NAME` goes back to the default
+gen TEXT          continue a text, outside the conversation
+i TEXT            follow an instruction; +qa TEXT, +qq TEXT answer a question
/help              this; Ctrl-C stops an answer, /quit or Ctrl-D leaves";

pub(super) fn run(arguments: Arguments, demo: &Demo) -> Outcome {
    let Arguments { model, format, system, sampling } = arguments;
    let options = sampling.options()?;
    ChatFormat::check_name(&format)?;
    let model = model.open(demo)?;
    let format = ChatFormat::named(&format, model.info())?;
    let chat = model.chat(ChatOptions { format: Some(format), system })?;
    let mut input = Input::new()?;
    let is_interactive = input.is_terminal();
    // The convention of no-color.org.
    let has_style = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let dims_thoughts = is_interactive && std::io::stdout().is_terminal() && has_style;
    let mut session = Session { chat, options, is_interactive, dims_thoughts };
    if session.is_interactive {
        let generation = model.config().generation;
        let (name, format) = (model.name(), format.name());
        note(format_args!("{name} ({generation}, format {format}). /help lists the commands."));
    }
    while let Some(line) = input.next_line()? {
        match session.obey(line.trim()) {
            Ok(true) => {}
            Ok(false) => break,
            // A person reads the message and goes on; a script must not go on as if nothing had happened.
            Err(Failure::Work(error)) if session.is_interactive => note(error),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

struct Session {
    chat: Chat,
    options: GenerateOptions,
    is_interactive: bool,
    dims_thoughts: bool,
}

impl Session {
    /// Does what a line says. `false`: leave.
    fn obey(&mut self, line: &str) -> Result<bool, Failure> {
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match command {
            "" => {}
            "/quit" | "/exit" => return Ok(false),
            "/help" => note(HELP),
            "/retry" => self.answer(|chat, options| chat.begin_again(false, options))?,
            "/alt" => self.answer(|chat, options| chat.begin_again(true, options))?,
            "/undo" => self.chat.undo()?,
            "/reset" => self.chat.reset()?,
            "/system" => self.chat.set_system(Some(rest).filter(|text| !text.is_empty()))?,
            "/save" => {
                let path = file(command, rest)?;
                terminal::uninterrupted(|| self.chat.save(path))?;
            }
            "/load" => self.chat = Chat::load(self.chat.model(), file(command, rest)?)?,
            "/set" => self.set(rest)?,
            _ if command.starts_with('/') => {
                return Err(Error::argument(command, "is no command; /help lists them").into());
            }
            _ => match OneShot::parse(line) {
                Some((_, "")) => return Err(Error::argument(command, "needs a text after it").into()),
                Some((kind, text)) => self.answer_outside(kind, text)?,
                None => self.answer(|chat, options| chat.begin(line, options))?,
            },
        }
        Ok(true)
    }

    /// Begins a reply and shows it to its end.
    fn answer(&mut self, begin: impl FnOnce(&mut Chat, GenerateOptions) -> Result<()>) -> Outcome {
        begin(&mut self.chat, self.options.clone())?;
        let handle = self.chat.cancel_handle().unwrap_or_default();
        let chat = &mut self.chat;
        show(&handle, self.dims_thoughts, std::iter::from_fn(|| chat.next_piece().transpose()))?;
        self.go_on_after(&handle)
    }

    fn answer_outside(&mut self, kind: OneShot, text: &str) -> Outcome {
        let mut stream = kind.start(self.chat.model(), self.chat.format(), text, self.options.clone())?;
        let handle = stream.cancel_handle();
        show(&handle, self.dims_thoughts, stream.by_ref())?;
        self.go_on_after(&handle)
    }

    /// Ctrl-C returns a person to the prompt, and ends a script.
    fn go_on_after(&self, handle: &CancelHandle) -> Outcome {
        if handle.is_cancelled() && !self.is_interactive { Err(Failure::Interrupted) } else { Ok(()) }
    }

    fn set(&mut self, rest: &str) -> Result<()> {
        let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let value = value.trim();
        let mut options = self.options.clone();
        match name {
            "" => note(described(&options)),
            "temperature" => options.temperature = number(name, value)?,
            "top_p" => options.top_p = number(name, value)?,
            "top_k" => options.top_k = number(name, value)?,
            "min_p" => options.min_p = number(name, value)?,
            "presence_penalty" => options.presence_penalty = number(name, value)?,
            "frequency_penalty" => options.frequency_penalty = number(name, value)?,
            "penalty_decay" => options.penalty_decay = number(name, value)?,
            "repetition_penalty" => options.repetition_penalty = number(name, value)?,
            "seed" => options.seed = number(name, value)?,
            "max_tokens" => {
                options.max_tokens = number(name, value)?.unwrap_or(GenerateOptions::default().max_tokens);
            }
            _ => return Err(Error::argument(name, "is no option; /help lists them")),
        }
        options.check()?;
        self.options = options;
        Ok(())
    }
}

/// Shows pieces as they come; Ctrl-C ends them.
fn show(handle: &CancelHandle, dims_thoughts: bool, pieces: impl Iterator<Item = Result<Piece>>) -> Outcome {
    const DIM: &str = "\x1b[2m";
    const PLAIN: &str = "\x1b[0m";
    terminal::interrupts_cancel(handle.clone());
    let mut out = std::io::stdout().lock();
    let mut was_thinking = false;
    let mut outcome = Ok(());
    for piece in pieces {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                outcome = Err(error.into());
                break;
            }
        };
        if piece.thinking != was_thinking && !piece.text.is_empty() {
            let style = if !dims_thoughts {
                ""
            } else if piece.thinking {
                DIM
            } else {
                PLAIN
            };
            let gap = if piece.thinking { "" } else { "\n\n" };
            write!(out, "{style}{gap}")?;
            was_thinking = piece.thinking;
        }
        write!(out, "{piece}")?;
        out.flush()?;
    }
    terminal::interrupts_end_the_process();
    let end = if dims_thoughts && was_thinking { PLAIN } else { "" };
    writeln!(out, "{end}")?;
    outcome
}

fn file<'a>(command: &str, rest: &'a str) -> Result<&'a str> {
    match rest {
        "" => Err(Error::argument(command, "needs the name of a file")),
        path => Ok(path),
    }
}

/// Nothing goes back to the default.
fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<Option<T>> {
    match value {
        "" => Ok(None),
        value => {
            value.parse().map(Some).map_err(|_| Error::argument(name, format!("cannot be {value:?}; give a number")))
        }
    }
}

fn described(options: &GenerateOptions) -> String {
    fn shown<T: ToString>(value: Option<T>) -> String {
        value.map_or("default".to_string(), |value| value.to_string())
    }
    let lines = [
        ("temperature", shown(options.temperature)),
        ("top_p", shown(options.top_p)),
        ("top_k", shown(options.top_k)),
        ("min_p", shown(options.min_p)),
        ("presence_penalty", shown(options.presence_penalty)),
        ("frequency_penalty", shown(options.frequency_penalty)),
        ("penalty_decay", shown(options.penalty_decay)),
        ("repetition_penalty", shown(options.repetition_penalty)),
        ("max_tokens", options.max_tokens.to_string()),
        ("seed", shown(options.seed)),
    ];
    lines.map(|(name, value)| format!("{name:<19} {value}")).join("\n")
}

/// Where lines come from: a person with a line editor, or a pipe.
enum Input {
    Editor(Box<DefaultEditor>),
    Pipe(std::io::StdinLock<'static>),
}

impl Input {
    fn new() -> Result<Self> {
        if !std::io::stdin().is_terminal() {
            return Ok(Self::Pipe(std::io::stdin().lock()));
        }
        let editor = DefaultEditor::new().map_err(|e| Error::io("terminal", std::io::Error::other(e)))?;
        Ok(Self::Editor(Box::new(editor)))
    }

    fn is_terminal(&self) -> bool {
        matches!(self, Self::Editor(_))
    }

    /// The next line; `None` at the end of the input.
    fn next_line(&mut self) -> Result<Option<String>> {
        match self {
            Self::Pipe(input) => {
                let mut line = String::new();
                let read = input.read_line(&mut line).map_err(|e| Error::io("standard input", e))?;
                Ok((read > 0).then_some(line))
            }
            Self::Editor(editor) => match editor.readline("> ") {
                Ok(line) => {
                    // Without history the arrow keys do nothing; no reason to stop.
                    let _ = editor.add_history_entry(&line);
                    Ok(Some(line))
                }
                Err(ReadlineError::Interrupted) => {
                    note("Ctrl-D or /quit leaves");
                    Ok(Some(String::new()))
                }
                Err(ReadlineError::Eof) => Ok(None),
                Err(error) => Err(Error::io("terminal", std::io::Error::other(error))),
            },
        }
    }
}
