//! `volary complete`

use std::io::{IsTerminal, Write};
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::demo::Demo;
use super::options::{ModelOrDemo, SamplingArguments, text_or_stdin};
use super::{Failure, Outcome, json, terminal};
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
        return Err(Failure::Usage(
            "complete",
            "a model is named, but no text to continue: volary complete MODEL PROMPT",
        ));
    }
    let sampling = sampling.options()?;
    let prompt = text_or_stdin(prompt)?;
    let model = model.open(demo)?;
    let mut completions = Vec::new();
    for i in 0..count {
        if i > 0 && !json {
            writeln!(std::io::stdout(), "\n---\n")?;
        }
        // The same seed again would give the same text again.
        let seed = sampling.seed.map(|seed| seed.wrapping_add(i));
        let options = GenerateOptions { seed, ..sampling.clone() };
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

/// Whether a text is rather the name of a model, after which the text was forgotten.
pub(super) fn is_model(prompt: &str) -> bool {
    const EXTENSIONS: [&str; 4] = [".pth", ".safetensors", ".gguf", ".bin"];
    Path::new(prompt).is_file() || EXTENSIONS.iter().any(|extension| prompt.ends_with(extension))
}
