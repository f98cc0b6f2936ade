//! `Model`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::chat::Chat;
use super::closable::Closable;
use super::error::Result;
use super::job::{LongJob, Outcome};
use super::options::{BenchOptions, GenerateOptions, PerplexityOptions, token, tokens};
use super::reports::{Completion, Evaluation, ModelInfo, little_endian};
use super::state::State;
use super::stream::TokenStream;
use super::tokenizer::Tokenizer;
use crate::model::{DEFAULT_CHUNK, Sequence};

pub struct Model {
    engine: Closable<crate::Model>,
    /// Streams look at it before each token.
    closed: Arc<AtomicBool>,
}

pub enum Logits {
    Nothing,
    Last,
    All,
}

pub struct Prompt {
    pub tokens: Vec<i64>,
    pub state: Option<Arc<State>>,
}

impl Model {
    pub fn new(model: crate::Model) -> Arc<Self> {
        Arc::new(Self { engine: Closable::new("model", model), closed: Arc::default() })
    }

    pub fn get(&self) -> Result<crate::Model> {
        self.engine.get()
    }

    pub fn closed(&self) -> Arc<AtomicBool> {
        self.closed.clone()
    }

    pub fn info(&self) -> Result<ModelInfo> {
        Ok(self.get()?.info().into())
    }

    pub fn threads(&self) -> Result<u32> {
        Ok(self.get()?.threads() as u32)
    }

    pub fn resident_bytes(&self) -> Result<u64> {
        Ok(self.get()?.resident_bytes() as u64)
    }

    pub fn isa(&self) -> Result<String> {
        Ok(self.get()?.isa().into())
    }

    pub fn tokenizer(&self) -> Result<Arc<Tokenizer>> {
        Ok(Tokenizer::new(self.get()?.tokenizer()?.clone()))
    }

    pub fn new_state(&self) -> Result<Arc<State>> {
        Ok(State::new(self.get()?.new_state()))
    }

    pub fn eval(&self, token: i64, state: Option<Arc<State>>) -> Result<Evaluation> {
        let token = super::options::token("token", token)?;
        let state = state.map(|state| state.get()).transpose()?;
        let (logits, state) = self.get()?.eval(token, state.as_ref())?;
        Ok(Evaluation::new(&logits, state))
    }

    pub fn decode(&self, id: i64, state: Arc<State>) -> Result<Vec<u8>> {
        let (model, id) = (self.get()?, token("token", id)?);
        state.with(|state| Ok(little_endian(&model.decode(state, id)?)))
    }

    pub fn eval_batch(&self, prompts: Vec<Prompt>, logits: Logits) -> Arc<LongJob> {
        let model = self.get();
        LongJob::new(move |job| {
            let model = model?;
            let read = prompts.into_iter().map(|prompt| {
                let state = prompt.state.map_or_else(|| Ok(model.new_state()), |state| state.get())?;
                Ok((tokens("tokens", &prompt.tokens)?, state))
            });
            let read: Result<Vec<(Vec<u32>, crate::State)>> = read.collect();
            evaluate(&model, read?, logits, &*job.progress())
        })
    }

    pub fn prefill(&self, text: String, state: Option<Arc<State>>) -> Arc<LongJob> {
        let model = self.get();
        LongJob::new(move |job| {
            let model = model?;
            let tokens = model.tokenizer()?.encode(&text)?;
            let state = state.map_or_else(|| Ok(model.new_state()), |state| state.get())?;
            evaluate(&model, vec![(tokens, state)], Logits::Nothing, &*job.progress())
        })
    }

    pub fn generate(&self, prompt: String, options: GenerateOptions) -> Result<Arc<TokenStream>> {
        let stream = self.get()?.generate(&prompt, options.into_engine()?)?;
        Ok(TokenStream::of_text(stream, self.closed()))
    }

    pub fn generate_tokens(&self, prompt: Vec<i64>, options: GenerateOptions) -> Result<Arc<TokenStream>> {
        let stream = self.get()?.generate_tokens(&tokens("prompt", &prompt)?, options.into_engine()?)?;
        Ok(TokenStream::of_text(stream, self.closed()))
    }

    pub fn complete_batch(&self, prompts: Vec<String>, options: GenerateOptions) -> Arc<LongJob> {
        let model = self.get();
        LongJob::new(move |job| {
            let options = crate::GenerateOptions { cancel: job.cancel_handle(), ..options.into_engine()? };
            let completions = model?.complete_batch(&prompts, options)?;
            if job.cancel_handle().is_cancelled() {
                return Err(crate::Error::Cancelled.into());
            }
            Ok(Outcome::Completed { completions: completions.into_iter().map(Completion::from).collect() })
        })
    }

    pub fn chat(&self, system: Option<String>, format: Option<String>) -> Result<Arc<Chat>> {
        let model = self.get()?;
        let named = |name: String| crate::ChatFormat::named(&name, model.info());
        let options = crate::ChatOptions { format: format.map(named).transpose()?, system };
        Ok(Arc::new(Chat::new(model.chat(options)?, self.closed())))
    }

    pub fn perplexity(&self, text: String, options: PerplexityOptions) -> Arc<LongJob> {
        let model = self.get();
        LongJob::new(move |job| {
            let report = model?.perplexity(&text, &options.into_engine(job.progress())?)?;
            Ok(Outcome::Measured { report: report.into() })
        })
    }

    pub fn bench(&self, options: BenchOptions) -> Arc<LongJob> {
        let model = self.get();
        LongJob::new(move |job| {
            let report = model?.bench(&options.into_engine(job.progress())?)?;
            Ok(Outcome::Timed { report: report.into() })
        })
    }

    pub fn release(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.engine.close();
    }
}

/// Reads tokens into states, all texts together.
fn evaluate(
    model: &crate::Model,
    mut texts: Vec<(Vec<u32>, crate::State)>,
    logits: Logits,
    progress: &dyn Fn(f64) -> bool,
) -> Result<Outcome> {
    let logits = match logits {
        Logits::Nothing => crate::model::Logits::None,
        Logits::Last => crate::model::Logits::Last,
        Logits::All => crate::model::Logits::All,
    };
    if logits != crate::model::Logits::None && texts.iter().any(|(tokens, _)| tokens.is_empty()) {
        return Err(crate::Error::argument("tokens", "is empty; logits come after at least one token").into());
    }
    let mut batch: Vec<_> = texts.iter_mut().map(|(tokens, state)| Sequence { state, tokens, logits }).collect();
    let rows = model.forward_with_progress(&mut batch, DEFAULT_CHUNK, progress)?;
    let evaluations = texts.into_iter().zip(rows).map(|((_, state), logits)| Evaluation::new(&logits, state));
    Ok(Outcome::Evaluated { evaluations: evaluations.collect() })
}
