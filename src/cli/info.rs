//! `volary info`

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Outcome, json};
use crate::chat::ChatFormat;
use crate::checkpoint::FileType;
use crate::model::{Generation, ModelInfo, TensorInfo};
use crate::quant::Format;

/// Describe a model without loading it
#[derive(Args)]
pub(super) struct Arguments {
    /// The model: a .pth, .safetensors, rwkv.cpp .bin or GGUF file
    model: PathBuf,
    /// List every tensor
    #[arg(long)]
    tensors: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let info = ModelInfo::read(&arguments.model)?;
    if arguments.json {
        return json::print(&object(&info, arguments.tensors));
    }
    let mut out = std::io::stdout().lock();
    let config = &info.config;
    let tokenizer = info.tokenizer.as_deref().unwrap_or("none known for this vocabulary; give one with --tokenizer");
    let file = format!("{} ({}, {})", info.path.display(), file_type(info.file_type), readable(info.file_size));
    let heads = match config.generation {
        Generation::V4 => "none".to_string(),
        _ => format!("{} of {}", config.n_head, config.head_size),
    };
    for (name, value) in [
        ("file", file),
        ("architecture", config.generation.to_string()),
        ("parameters", thousands(info.parameters())),
        ("layers", config.n_layer.to_string()),
        ("width", format!("{}, feed-forward {}", config.n_embd, config.n_ffn)),
        ("heads", heads),
        ("vocabulary", config.n_vocab.to_string()),
        ("tokenizer", tokenizer.to_string()),
        ("chat format", ChatFormat::detect(&info).name().to_string()),
    ] {
        writeln!(out, "{name:<13} {value}")?;
    }
    writeln!(out)?;
    if arguments.tensors {
        for TensorInfo { name, shape, format, size } in &info.tensors {
            writeln!(out, "{name:<36} {format:<6} {shape:?} {size}")?;
        }
    } else {
        for ((kind, format), (count, size)) in kinds(&info) {
            writeln!(out, "{kind:<36} {format:<6} {count:>4} x  {:>12}", readable(size))?;
        }
    }
    if !info.metadata.pairs.is_empty() {
        writeln!(out)?;
        let width = info.metadata.pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0).clamp(36, 60);
        for (key, value) in &info.metadata.pairs {
            writeln!(out, "{key:<width$} {}", value.escape_debug())?;
        }
    }
    Ok(())
}

fn object(info: &ModelInfo, with_tensors: bool) -> serde_json::Value {
    let config = &info.config;
    let kinds: Vec<_> = kinds(info)
        .into_iter()
        .map(|((kind, format), (count, bytes))| {
            json!({ "kind": kind, "format": format.name(), "count": count, "bytes": bytes })
        })
        .collect();
    let mut object = json!({
        "name": info.name,
        "path": info.path,
        "file_type": file_type(info.file_type),
        "file_size": info.file_size,
        "architecture": config.generation.to_string(),
        "parameters": info.parameters(),
        "n_layer": config.n_layer,
        "n_embd": config.n_embd,
        "n_ffn": config.n_ffn,
        "n_head": config.n_head,
        "head_size": config.head_size,
        "n_vocab": config.n_vocab,
        "tokenizer": info.tokenizer,
        "chat_format": ChatFormat::detect(info).name(),
        "metadata": info.metadata.pairs.iter().cloned().collect::<BTreeMap<_, _>>(),
        "tensor_kinds": kinds,
    });
    if with_tensors {
        let tensors = info.tensors.iter().map(|TensorInfo { name, shape, format, size }| {
            json!({ "name": name, "shape": shape, "format": format.name(), "bytes": size })
        });
        object["tensors"] = tensors.collect();
    }
    object
}

/// How many tensors of each kind, and their bytes: layers differ in nothing but their number.
fn kinds(info: &ModelInfo) -> BTreeMap<(String, Format), (usize, u64)> {
    let mut kinds = BTreeMap::new();
    for tensor in &info.tensors {
        let in_layer = tensor.name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
        let kind = in_layer.map_or(tensor.name.clone(), |(_, rest)| format!("blocks.*.{rest}"));
        let (count, size) = kinds.entry((kind, tensor.format)).or_insert((0, 0));
        *count += 1;
        *size += tensor.size;
    }
    kinds
}

pub(super) fn file_type(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Pth => "pth",
        FileType::Safetensors => "safetensors",
        FileType::RwkvCpp => "rwkv.cpp bin",
        FileType::Gguf => "gguf",
    }
}

/// In the unit that leaves at most four digits before the point.
pub(super) fn readable(bytes: u64) -> String {
    match bytes as f64 / 1024.0 {
        kib if kib < 1024.0 => format!("{kib:.2} KiB"),
        kib if kib < 1024.0 * 1024.0 * 10.0 => format!("{:.2} MiB", kib / 1024.0),
        kib => format!("{:.2} GiB", kib / (1024.0 * 1024.0)),
    }
}

/// 1234567 as 1,234,567.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
