//! Runs a scenario: one function for each verb, in a module for each kind of object.

mod call;
mod chat;
mod compare;
mod files;
mod generate;
mod model;
mod options;
mod reports;
mod state;
mod tokenizer;

use std::io::ErrorKind;

use serde::Deserialize;
use serde_json::{Map, Value};
use volary::Error;

use call::{Call, Done, Failure, Objects};
use compare::difference;

/// What carries out a verb.
type Verb = fn(&mut Call<'_>) -> Result<Done, Failure>;

const VERBS: [&[(&str, Verb)]; 6] =
    [model::VERBS, generate::VERBS, state::VERBS, tokenizer::VERBS, chat::VERBS, files::VERBS];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    about: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    call: String,
    #[serde(default)]
    with: Map<String, Value>,
    save: Option<String>,
    expect: Option<Value>,
    error: Option<ExpectedError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    kind: String,
    message: String,
}

/// Runs the scenario that a file holds. The error says which step failed, and how.
pub fn run(json: &str) -> Result<(), String> {
    let scenario: Scenario = serde_json::from_str(json).map_err(|error| format!("is no scenario: {error}"))?;
    if scenario.about.is_empty() || scenario.steps.is_empty() {
        return Err("is no scenario: it says nothing, or does nothing".into());
    }
    let tmp = tempfile::tempdir().map_err(|error| error.to_string())?;
    let places = [
        ("{golden}", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden").to_string()),
        ("{tmp}", tmp.path().display().to_string()),
    ];
    let mut objects = Objects::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let failed = |what: String| format!("step {} ({}): {what}", index + 1, step.call);
        step.run(&places, &mut objects).map_err(failed)?;
    }
    Ok(())
}

impl Step {
    fn run(&self, places: &[(&str, String)], objects: &mut Objects) -> Result<(), String> {
        let verb = VERBS.iter().copied().flatten().find(|(name, _)| *name == self.call);
        let (_, verb) = verb.ok_or("is no verb that this suite knows")?;
        let with = self.with.iter().map(|(name, value)| (name.clone(), placed(value, places)));
        let mut call = Call::new(with.collect(), self.save.is_some(), objects);
        let outcome = match verb(&mut call) {
            Ok(done) => Ok(done),
            Err(Failure::Volary(error)) => Err(error),
            Err(Failure::Scenario(mistake)) => return Err(mistake),
        };
        call.finish()?;
        match (outcome, &self.error) {
            (Ok(done), None) => {
                if let Some(difference) =
                    self.expect.as_ref().and_then(|e| difference(&placed(e, places), &done.result))
                {
                    return Err(difference);
                }
                done.put_away(self.save.as_deref(), objects)
            }
            (Ok(_), Some(ExpectedError { message, .. })) => Err(format!("succeeded, but must fail: {message}")),
            (Err(error), None) => Err(format!("failed: {}: {error}", kind(&error))),
            (Err(error), Some(expected)) => {
                let (found, wanted) = (error.to_string(), replaced(&expected.message, places));
                if self.expect.is_some() || self.save.is_some() {
                    return Err("a call that must fail gives nothing to expect or save".into());
                }
                match kind(&error) == expected.kind && found == wanted {
                    true => Ok(()),
                    false => Err(format!("failed with {}: {found}, not {}: {wanted}", kind(&error), expected.kind)),
                }
            }
        }
    }
}

/// The kind of an error, as every language names it.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => "not_found",
        Error::Io { .. } => "io",
        Error::Format { .. } => "format",
        Error::Unsupported { .. } => "unsupported",
        Error::Mismatch { .. } => "mismatch",
        Error::InvalidArgument { .. } => "invalid_argument",
        Error::Cancelled => "cancelled",
        _ => "of a kind that this suite does not know",
    }
}

/// The value with folders in place of `{golden}` and `{tmp}`, in every text in it.
fn placed(value: &Value, places: &[(&str, String)]) -> Value {
    match value {
        Value::String(text) => Value::String(replaced(text, places)),
        Value::Array(items) => items.iter().map(|item| placed(item, places)).collect(),
        Value::Object(members) => members.iter().map(|(name, item)| (name.clone(), placed(item, places))).collect(),
        other => other.clone(),
    }
}

fn replaced(text: &str, places: &[(&str, String)]) -> String {
    places.iter().fold(text.to_string(), |text, (place, folder)| text.replace(place, folder))
}
