//! `volary complete`

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::demo::Demo;
use super::options::{ModelOrDemo, SamplingArguments};
use super::{Failure, Outcome, json, terminal};
use crate::error::{Error, Result};
use crate::generate::{FinishReason, GenerateOptions, TokenStream};

/// Continue a text; on a terminal, with the text before it
#[derive(Args)]
#[command(allow_missing_positional = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelOrDemo,
    /// The text to continue; `-` reads it from standard input
    prompt: String,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Write this many continuations, each with its own seed
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Print one JSON object at the end instead of streaming
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments, demo: &Demo) -> Outcome {
    let Arguments { model, prompt, sampling, count, json } = arguments;
    if model.model.is_none() && is_model(&prompt) {
        return Err(Failure::Usage("a model is named, but no text to continue: volary complete MODEL PROMPT"));
    }
    let prompt = if prompt == "-" { read_stdin()? } else { prompt };
    let model = model.open(demo)?;
    let mut completions = Vec::new();
    for i in 0..count {
        if i > 0 && !json {
            writeln!(std::io::stdout(), "\n---\n")?;
        }
        let options = sampling.options();
        // The same seed again would give the same text again.
        let options = GenerateOptions { seed: options.seed.map(|seed| seed.wrapping_add(i)), ..options };
        let mut stream = model.generate(&prompt, options)?;
        // A person reads the whole text; a program has the prompt already.
        if !json && std::io::stdout().is_terminal() {
            write!(std::io::stdout(), "{prompt}")?;
        }
        let (text, tokens) = pull(&mut stream, !json)?;
        let stats = stream.stats();
        if stats.finish_reason == Some(FinishReason::Cancelled) {
            return Err(Failure::Interrupted);
        }
        completions.push(json!({
            "text": text,
            "tokens": tokens,
            "finish_reason": stats.finish_reason.map(FinishReason::as_str),
            "seed": stats.seed,
            "prompt_tokens": stats.usage.prompt_tokens,
            "generated_tokens": stats.usage.generated_tokens,
            "prefill_seconds": stats.timings.prefill_seconds,
            "decode_seconds": stats.timings.decode_seconds,
        }));
    }
    match json {
        true => json::print(&json!({ "model": model.name(), "prompt": prompt, "completions": completions })),
        false => Ok(()),
    }
}

/// Pulls a stream to its end, which Ctrl-C may bring on, and shows it on the way.
fn pull(stream: &mut TokenStream, show: bool) -> Result<(String, Vec<u32>), Failure> {
    terminal::interrupts_cancel(stream.cancel_handle());
    let (mut text, mut tokens) = (String::new(), Vec::new());
    let mut out = std::io::stdout().lock();
    for piece in stream.by_ref() {
        let piece = piece?;
        if show {
            write!(out, "{piece}")?;
            out.flush()?;
        }
        text.push_str(&piece.text);
        tokens.extend(piece.tokens);
    }
    terminal::interrupts_end_the_process();
    if show {
        writeln!(out)?;
    }
    Ok((text, tokens))
}

/// Whether a prompt is rather the name of a model, after which the prompt was forgotten.
fn is_model(prompt: &str) -> bool {
    const EXTENSIONS: [&str; 4] = [".pth", ".safetensors", ".gguf", ".bin"];
    Path::new(prompt).is_file() || EXTENSIONS.iter().any(|extension| prompt.ends_with(extension))
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| Error::io("standard input", e))?;
    Ok(text)
}
