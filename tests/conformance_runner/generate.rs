//! From a prompt to text.

use super::Verb;
use super::call::{Call, Done, Failure};
use super::model::model;
use super::{options, reports};

pub const VERBS: &[(&str, Verb)] = &[
    ("Model.generate", generate),
    ("Model.complete", |call| {
        let (model, prompt) = (model(call)?, call.required::<String>("prompt")?);
        Done::result(reports::completion(&model.complete(&prompt, options::generate(call)?)?))
    }),
    ("Model.complete_batch", |call| {
        let (model, prompts) = (model(call)?, call.required::<Vec<String>>("prompts")?);
        let completions = model.complete_batch(&prompts, options::generate(call)?)?;
        Done::result(completions.iter().map(reports::completion).collect::<Vec<_>>())
    }),
];

fn generate(call: &mut Call<'_>) -> Result<Done, Failure> {
    let model = model(call)?;
    let (prompt, tokens) = (call.optional::<String>("prompt")?, call.optional::<Vec<u32>>("tokens")?);
    let (options, cancel_after) = (options::generate(call)?, call.optional("cancel_after")?);
    let mut stream = match (prompt, tokens) {
        (Some(prompt), None) => model.generate(&prompt, options)?,
        (None, Some(tokens)) => model.generate_tokens(&tokens, options)?,
        _ => return Err(Failure::Scenario("takes a prompt, or tokens".into())),
    };
    let cancel = stream.cancel_handle();
    let text = pull(&mut stream, cancel_after, || cancel.cancel())?;
    let done = Done::result(reports::stats(&text, stream.stats()))?;
    if call.saves { done.with_object(stream.into_state()?) } else { Ok(done) }
}

/// The texts of all pieces, joined; `cancel` is called after so many of them.
pub fn pull(
    pieces: &mut dyn Iterator<Item = volary::Result<volary::Piece>>,
    cancel_after: Option<usize>,
    cancel: impl Fn(),
) -> Result<String, Failure> {
    let mut text = String::new();
    for count in 0.. {
        if cancel_after == Some(count) {
            cancel();
        }
        match pieces.next() {
            Some(piece) => text += &piece?.text,
            None => break,
        }
    }
    Ok(text)
}
