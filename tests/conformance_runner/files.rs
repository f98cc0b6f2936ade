//! Files: from one form to another, and the making of broken ones.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use volary::convert::{ConvertOptions, Quantization, convert};
use volary::eval::ComparisonOptions;
use volary::quant::Format;
use volary::{MergeOptions, Model, ModelOptions, merge_lora};

use super::Verb;
use super::call::{Call, Done, Failure};
use super::{options, reports};

pub const VERBS: &[(&str, Verb)] = &[
    ("convert", |call| {
        let (source, target): (String, String) = (call.required("source")?, call.required("target")?);
        let is_cancelled = call.or("cancel", false)?;
        let options = options::convert(call)?;
        let options = ConvertOptions { progress: is_cancelled.then(|| Arc::new(|_| false) as _), ..options };
        Done::result(reports::convert(&convert(source, target, &options)?))
    }),
    ("merge_lora", |call| {
        let (base, target): (String, String) = (call.required("base")?, call.required("target")?);
        let lora = options::lora(call.required("lora")?, call.float("alpha")?, call.optional("pissa_init")?);
        let options = MergeOptions { threads: call.optional("threads")?, progress: None };
        Done::result(reports::merge(&merge_lora(base, &lora, target, options)?))
    }),
    ("compare_formats", compare_formats),
    ("file.write", |call| {
        let path: String = call.required("path")?;
        let bytes = match (call.optional::<String>("text")?, call.optional::<String>("hex")?) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(hex)) => from_hex(&hex).ok_or_else(|| Failure::Scenario(format!("{hex} is not hex")))?,
            _ => return Err(Failure::Scenario("takes text, or hex".into())),
        };
        done(fs::write(path, bytes))
    }),
    ("file.copy", |call| {
        let (from, to): (String, String) = (call.required("from")?, call.required("to")?);
        let count: Option<usize> = call.optional("bytes")?;
        done(fs::read(from).and_then(|bytes| fs::write(to, &bytes[..count.unwrap_or(bytes.len()).min(bytes.len())])))
    }),
    ("file.exists", |call| Done::result(Path::new(&call.required::<String>("path")?).exists())),
];

/// A file that the scenario makes: where that fails, the scenario does.
fn done(outcome: std::io::Result<()>) -> Result<Done, Failure> {
    outcome.map(|()| Done::default()).map_err(|error| Failure::Scenario(error.to_string()))
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect::<Option<_>>().filter(|_| rest.is_empty())
}

fn compare_formats(call: &mut Call<'_>) -> Result<Done, Failure> {
    let (path, text): (String, String) = (call.required("path")?, call.required("text")?);
    let formats: Vec<String> = call.required("formats")?;
    let opening = options::model(call)?;
    let options = ComparisonOptions { perplexity: options::perplexity(call)?, ..Default::default() };
    let mut open = |format: &str| {
        let format = Some(Format::of_argument("formats", format)?);
        let quantization = Some(Quantization { format, ..Default::default() });
        Model::open_with(&path, ModelOptions { quantization, ..opening.clone() })
    };
    let comparison = Model::open_with(&path, opening.clone())?.compare_formats(&text, &formats, &options, &mut open)?;
    let all = [&comparison.unquantized].into_iter().chain(&comparison.formats);
    Done::result(all.map(reports::format).collect::<Vec<_>>())
}
