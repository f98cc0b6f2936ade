//! Text to ids and back.

use volary::Tokenizer;

use super::Verb;
use super::call::{Done, Failure};
use super::reports;

pub const VERBS: &[(&str, Verb)] = &[
    ("Tokenizer.world", |_| keep(Tokenizer::world())),
    ("Tokenizer.raw_bytes", |_| keep(Tokenizer::bytes())),
    ("Tokenizer.open", |call| keep(Tokenizer::open(call.required::<String>("path")?)?)),
    ("Tokenizer.of_model", |call| keep(Tokenizer::of_model(call.required::<String>("path")?)?)),
    ("Tokenizer.encode", |call| {
        let text: String = call.required("text")?;
        Done::result(call.object::<Tokenizer>("on")?.encode(&text)?)
    }),
    ("Tokenizer.decode", |call| {
        let ids: Vec<u32> = call.required("ids")?;
        Done::result(call.object::<Tokenizer>("on")?.decode(&ids)?)
    }),
];

fn keep(tokenizer: Tokenizer) -> Result<Done, Failure> {
    Done::result(reports::tokenizer(&tokenizer))?.with_object(tokenizer)
}
