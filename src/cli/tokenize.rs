//! `volary tokenize`

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::{Failure, Outcome, json};
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;

/// Turn text into token ids, or ids into text
#[derive(Args)]
#[command(override_usage = "volary tokenize [OPTIONS] [MODEL|TOKENIZER_FILE] TEXT\n       \
                            volary tokenize [OPTIONS] [MODEL|TOKENIZER_FILE] --decode ID,ID,…")]
pub(super) struct Arguments {
    /// A model, a tokenizer.json or a World vocabulary [default: the World vocabulary], then the text
    #[arg(value_name = "FILE> <TEXT", num_args = 0..=2)]
    words: Vec<String>,
    /// Ids to turn into text
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    decode: Option<Vec<u32>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let (source, text) = match (&arguments.words[..], &arguments.decode) {
        ([source, text], None) => (Some(source), text.as_str()),
        ([text], None) => (None, text.as_str()),
        ([source], Some(_)) => (Some(source), ""),
        ([], Some(_)) => (None, ""),
        _ => return Err(Failure::Usage("give a text, or ids with --decode")),
    };
    let tokenizer = source.map_or(Ok(Tokenizer::world()), open)?;
    let (ids, text) = match &arguments.decode {
        Some(ids) => (ids.clone(), tokenizer.decode(ids)?),
        None => (tokenizer.encode(text)?, text.to_string()),
    };
    if arguments.json {
        return json::print(&json!({ "tokenizer": tokenizer.name(), "ids": ids, "text": text }));
    }
    let mut out = std::io::stdout().lock();
    if arguments.decode.is_some() {
        writeln!(out, "{text}")?;
    } else {
        let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
        writeln!(out, "{}", ids.join(","))?;
    }
    Ok(())
}

/// The tokenizer that a file holds, or that of a model. If it is neither, its name tells which it was meant to be.
fn open(path: &String) -> Result<Tokenizer> {
    match Tokenizer::open(path) {
        Err(error @ Error::Format { .. }) => Tokenizer::of_model(path).map_err(|as_model| {
            let is_tokenizer = path.ends_with(".txt") || path.ends_with("tokenizer.json");
            if is_tokenizer { error } else { as_model }
        }),
        result => result,
    }
}
