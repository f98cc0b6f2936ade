//! `volary tokenize`

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::complete::is_model;
use super::options::text_or_stdin;
use super::{Failure, Outcome, json};
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;

/// Turn text into token ids, or ids into text
#[derive(Args)]
#[command(override_usage = "volary tokenize [OPTIONS] [MODEL|TOKENIZER_FILE] TEXT\n       \
                            volary tokenize [OPTIONS] [MODEL|TOKENIZER_FILE] --decode ID,ID,…")]
pub(super) struct Arguments {
    /// A model, a tokenizer.json or a World vocabulary [default: the World vocabulary], then the text; `-` reads it
    /// from standard input
    #[arg(value_names = ["MODEL|TOKENIZER_FILE", "TEXT"], num_args = 0..=2)]
    words: Vec<String>,
    /// Ids to turn into text
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    decode: Option<Vec<u32>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

enum Input<'a> {
    Text(String),
    Ids(&'a [u32]),
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let Arguments { words, decode, json } = arguments;
    let (source, input) = match (&words[..], decode) {
        ([source, text], None) => (Some(source), Input::Text(text.clone())),
        ([text], None) if !is_model(text) => (None, Input::Text(text.clone())),
        ([source], Some(ids)) => (Some(source), Input::Ids(ids)),
        ([], Some(ids)) => (None, Input::Ids(ids)),
        _ => return Err(Failure::Usage("tokenize", "give a text, or ids with --decode")),
    };
    let tokenizer = source.map_or(Ok(Tokenizer::world()), open)?;
    let (ids, text) = match input {
        Input::Text(text) => {
            let text = text_or_stdin(text)?;
            (tokenizer.encode(&text)?, text)
        }
        Input::Ids(ids) => (ids.to_vec(), tokenizer.decode(ids)?),
    };
    if *json {
        return json::print(&json!({ "tokenizer": tokenizer.name(), "ids": ids, "text": text }));
    }
    let mut out = std::io::stdout().lock();
    if decode.is_some() {
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
