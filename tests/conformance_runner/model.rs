//! Loading models, and the layer from tokens to logits.

use serde::Deserialize;
use volary::eval::memory_bandwidth;
use volary::model::{Logits, ModelInfo, Sequence};
use volary::{ChatFormat, ChatOptions, Model, State};

use super::Verb;
use super::call::{Call, Done, Failure};
use super::{options, reports};

pub const VERBS: &[(&str, Verb)] = &[
    ("Model.load", |call| {
        let path: String = call.required("path")?;
        Done::object(Model::open_with(path, options::model(call)?)?)
    }),
    ("Model.demo", |call| Done::object(Model::demo_with(options::model(call)?)?)),
    ("read_info", |call| {
        let path: String = call.required("path")?;
        Done::result(reports::info(&ModelInfo::read(path)?))
    }),
    ("Model.info", |call| Done::result(reports::info(model(call)?.info()))),
    ("Model.tokenizer", |call| Done::object(model(call)?.tokenizer()?.clone())),
    ("Model.new_state", |call| Done::object(model(call)?.new_state())),
    ("Model.chat", |call| {
        let (model, system, name) = (model(call)?, call.optional("system")?, call.optional::<String>("format")?);
        let format = name.map(|name| ChatFormat::named(&name, model.info())).transpose()?;
        Done::object(model.chat(ChatOptions { format, system })?)
    }),
    ("Model.prefill", |call| {
        let (model, state) = (model(call)?, call.optional_object("state")?);
        let tokens = match call.optional::<String>("text")? {
            Some(text) => model.tokenizer()?.encode(&text)?,
            None => call.required("tokens")?,
        };
        let mut state = state.unwrap_or_else(|| model.new_state());
        model.prefill(&mut state, &tokens)?;
        Done::object(state)
    }),
    ("Model.eval", |call| {
        let (model, token, state) = (model(call)?, call.required("token")?, call.optional_object("state")?);
        let (logits, after) = model.eval(token, state.as_ref())?;
        Done::result(reports::numbers(&logits))?.with_object(after)
    }),
    ("Model.eval_sequence", |call| {
        let (model, tokens) = (model(call)?, call.required::<Vec<u32>>("tokens")?);
        let state = call.optional_object("state")?;
        if call.or("all_logits", false)? {
            let mut after = state.unwrap_or_else(|| model.new_state());
            let batch = &mut [Sequence { state: &mut after, tokens: &tokens, logits: Logits::All }];
            let logits = model.forward(batch)?;
            return Done::result(reports::numbers(&logits[0]))?.with_object(after);
        }
        let (logits, after) = model.eval_sequence(&tokens, state.as_ref())?;
        Done::result(reports::numbers(&logits))?.with_object(after)
    }),
    ("Model.eval_batch", eval_batch),
    ("Model.decode", |call| {
        let (model, token) = (model(call)?, call.required("token")?);
        Done::result(reports::numbers(&model.decode(call.object("state")?, token)?))
    }),
    ("Model.perplexity", |call| {
        let (model, text) = (model(call)?, call.required::<String>("text")?);
        Done::result(reports::perplexity(&model.perplexity(&text, &options::perplexity(call)?)?))
    }),
    ("memory_bandwidth", |call| Done::result(memory_bandwidth(call.optional("threads")?)?)),
    ("Model.bench", |call| {
        let (model, options) = (model(call)?, options::bench(call)?);
        Done::result(reports::bench(&model.bench(&options)?))
    }),
];

/// The model that a verb is called on.
pub fn model(call: &mut Call<'_>) -> Result<Model, Failure> {
    call.object::<Model>("on").cloned()
}

fn eval_batch(call: &mut Call<'_>) -> Result<Done, Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Text {
        tokens: Vec<u32>,
        state: Option<String>,
    }
    let model = model(call)?;
    let texts: Vec<Text> = call.required("sequences")?;
    let mut states = Vec::new();
    for text in &texts {
        states.push(match &text.state {
            Some(reference) => call.named::<State>("state", reference)?.clone(),
            None => model.new_state(),
        });
    }
    let sequence = |(state, text)| {
        let Text { tokens, .. }: &Text = text;
        Sequence { state, tokens, logits: Logits::Last }
    };
    let mut batch: Vec<Sequence<'_>> = states.iter_mut().zip(&texts).map(sequence).collect();
    let logits = model.forward(&mut batch)?;
    Done::result(logits.iter().map(|logits| reports::numbers(logits)).collect::<Vec<_>>())
}
