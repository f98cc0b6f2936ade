//! The objects of `src/volary.udl`, from which the packages of other languages are made: arguments in, a call of the
//! engine, the result out.
//!
//! Everything is `Send` and `Sync`, and every object can be closed from any thread at any time.
#![allow(unsafe_code, reason = "UniFFI's scaffolding takes pointers from other languages")]
#![allow(missing_docs, reason = "volary.udl holds the documentation of the fields")]

mod chat;
mod closable;
mod error;
mod job;
mod model;
mod options;
mod reports;
mod state;
mod stream;
mod tokenizer;

use std::sync::Arc;

use chat::Chat;
use error::{Result, VolaryError};
use job::{LongJob, Outcome};
use model::{Logits, Model, Prompt};
use options::{BenchOptions, ConvertOptions, GenerateOptions, LoraFile, ModelOptions, PerplexityOptions};
use options::{TensorType, TokenBias, count};
use reports::{Alternative, BenchReport, Completion, ConvertReport, Evaluation, FormatReport, FormatShare};
use reports::{
    MergeSummary, Message, ModelInfo, PerplexityReport, Piece, Stats, TensorInfo, Timings, TokenLogprob, Usage,
};
use state::State;
use stream::TokenStream;
use tokenizer::Tokenizer;

use crate::quant::Format;

uniffi::include_scaffolding!("volary");

fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

fn load(path: String, options: ModelOptions) -> Arc<LongJob> {
    LongJob::new(move |job| {
        let options = options.into_engine(job.progress())?;
        Ok(Outcome::Loaded { model: Model::new(crate::Model::open_with(path, options)?) })
    })
}

fn read_info(path: String) -> Result<ModelInfo> {
    Ok((&crate::model::ModelInfo::read(path)?).into())
}

fn convert(source: String, target: String, options: ConvertOptions) -> Arc<LongJob> {
    LongJob::new(move |job| {
        let options = options.into_engine(job.progress())?;
        Ok(Outcome::Converted { report: crate::convert::convert(source, target, &options)?.into() })
    })
}

fn merge_lora(base: String, lora: LoraFile, target: String, threads: Option<i64>) -> Arc<LongJob> {
    LongJob::new(move |job| {
        let threads = threads.map(|threads| count("threads", threads)).transpose()?;
        let options = crate::MergeOptions { threads, progress: Some(job.progress()) };
        Ok(Outcome::Merged { summary: crate::merge_lora(base, &lora.into(), target, options)?.into() })
    })
}

fn compare_formats(
    path: String,
    text: String,
    formats: Vec<String>,
    model_options: ModelOptions,
    options: PerplexityOptions,
) -> Arc<LongJob> {
    LongJob::new(move |job| {
        // Before hours of work on the others, and under the name that the caller knows them by.
        formats.iter().try_for_each(|name| Format::of_argument("formats", name).map(drop))?;
        let options =
            crate::eval::ComparisonOptions { perplexity: options.into_engine(job.progress())?, ..Default::default() };
        let model = crate::Model::open_with(&path, model_options.clone().into_engine(job.go_on())?)?;
        let mut open = |format: &str| {
            let as_format = ModelOptions { r#type: Some(format.into()), ..model_options.clone() };
            crate::Model::open_with(&path, as_format.into_engine(job.go_on())?)
        };
        let comparison = model.compare_formats(&text, &formats, &options, &mut open)?;
        let all = std::iter::once(comparison.unquantized).chain(comparison.formats);
        Ok(Outcome::Compared { reports: all.map(FormatReport::from).collect() })
    })
}

fn memory_bandwidth(threads: Option<i64>) -> Arc<LongJob> {
    LongJob::new(move |_| {
        let threads = threads.map(|threads| count("threads", threads)).transpose()?;
        Ok(Outcome::Streamed { gb_per_second: crate::eval::memory_bandwidth(threads)? })
    })
}

#[cfg(feature = "cli")]
fn run_command(arguments: Vec<String>, demo_model: Option<String>) -> Result<i32> {
    let arguments = std::iter::once("volary".into()).chain(arguments);
    Ok(crate::cli::run(arguments, demo_model.as_ref().map(std::path::Path::new)).into())
}

#[cfg(not(feature = "cli"))]
fn run_command(_arguments: Vec<String>, _demo_model: Option<String>) -> Result<i32> {
    Err(crate::Error::unsupported("the volary command", "is not in this library, which was built without it").into())
}

#[cfg(test)]
mod tests;
