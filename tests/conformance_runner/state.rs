//! What a model remembers of a text.

use volary::{Model, State};

use super::Verb;
use super::call::Done;
use super::reports;

pub const VERBS: &[(&str, Verb)] = &[
    ("State.clone", |call| Done::object(call.object::<State>("on")?.clone())),
    ("State.save", |call| {
        let path: String = call.required("path")?;
        call.object::<State>("on")?.save(path)?;
        Ok(Done::default())
    }),
    ("State.load", |call| {
        let path: String = call.required("path")?;
        Done::object(State::load(call.object::<Model>("model")?, path)?)
    }),
    ("State.to_bytes", |call| Done::object(call.object::<State>("on")?.to_bytes())),
    ("State.from_bytes", |call| Done::object(State::from_bytes(call.object::<Vec<u8>>("bytes")?)?)),
    ("State.to_floats", |call| Done::result(reports::numbers(&call.object::<State>("on")?.to_floats()))),
];
