//! What a GGUF file says of its model beside the tensors.

use super::layout::architecture;
use crate::chat::ChatFormat;
use crate::checkpoint::gguf::{Value, escape};
use crate::checkpoint::{Checkpoint, Metadata};
use crate::model::{Config, Generation, ModelInfo};
use crate::quant::Format;
use crate::quantize::Plan;
use crate::tokenizer::Tokenizer;

/// The pairs that llama.cpp needs, as its converter writes them (`conversion/rwkv.py`), those of the tokenizer, and
/// ours, which it passes over.
pub(super) fn pairs(
    checkpoint: &Checkpoint,
    config: &Config,
    plan: &Plan,
    tokenizer: Option<&Tokenizer>,
) -> Vec<(String, Value)> {
    let info = ModelInfo::new(checkpoint, config.clone(), tokenizer);
    let mut pairs = general(checkpoint, &info, plan);
    pairs.extend(sizes(checkpoint, config));
    pairs.extend(tokenizer.into_iter().flat_map(|tokenizer| vocabulary(tokenizer, config.n_vocab)));
    let chat_format = ChatFormat::detect(&info);
    let template = checkpoint.metadata().chat_template.clone();
    let is_world = matches!(chat_format, ChatFormat::World | ChatFormat::G1(_));
    if let Some(template) = template.or_else(|| is_world.then(|| "rwkv-world".to_string())) {
        pairs.push(("tokenizer.chat_template".into(), Value::Text(template)));
    }
    pairs.push((Metadata::CHAT_FORMAT.into(), Value::Text(chat_format.name().into())));
    if let Some(precision) = config.embedding_precision.filter(|&precision| precision != Format::F32) {
        pairs.push((Metadata::EMBEDDING_PRECISION.into(), Value::Text(precision.name().into())));
    }
    pairs
}

fn general(checkpoint: &Checkpoint, info: &ModelInfo, plan: &Plan) -> Vec<(String, Value)> {
    const QUANTIZATION_VERSION: u32 = 2;
    let own = ["general.architecture", "general.file_type", "general.quantization_version", "general.alignment"];
    let mut pairs = vec![(own[0].to_string(), Value::Text(architecture(info.config.generation).name().into()))];
    let said = &checkpoint.metadata().general;
    pairs.extend(
        said.iter()
            .filter(|(key, _)| !own.contains(&key.as_str()))
            .map(|(key, text)| (key.clone(), Value::Text(text.clone()))),
    );
    if !said.iter().any(|(key, _)| key == "general.name") {
        pairs.push(("general.name".into(), Value::Text(info.name.clone())));
    }
    if let Some(file_type) = file_type(plan.main_format(checkpoint)) {
        pairs.push((own[1].to_string(), Value::U32(file_type)));
    }
    pairs.push((own[2].to_string(), Value::U32(QUANTIZATION_VERSION)));
    pairs
}

/// llama.cpp's number for a file whose matrices mostly have this format (`llama_ftype`).
fn file_type(format: Format) -> Option<u32> {
    use Format::*;
    Some(match format {
        F32 => 0,
        F16 => 1,
        Q4_0 => 2,
        Q4_1 => 3,
        Q8_0 => 7,
        Q5_0 => 8,
        Q5_1 => 9,
        Q2_K => 10,
        Q3_K => 12,
        Q4_K => 15,
        Q5_K => 17,
        Q6_K => 18,
        IQ4_NL => 25,
        BF16 => 32,
        _ => return None,
    })
}

fn sizes(checkpoint: &Checkpoint, config: &Config) -> Vec<(String, Value)> {
    /// Recurrent models have no limit; llama.cpp's converter writes this one.
    const CONTEXT_LENGTH: usize = 1 << 20;
    let rank = |name: &str| checkpoint.shape(name).and_then(|shape| shape.first()).copied().unwrap_or(0);
    let mut numbers = vec![
        ("context_length", CONTEXT_LENGTH),
        ("embedding_length", config.n_embd),
        ("block_count", config.n_layer),
        ("feed_forward_length", config.n_ffn),
        ("attention.head_count", 0),
        ("token_shift_count", 2),
    ];
    match config.generation {
        Generation::V6 => numbers.extend([
            ("wkv.head_size", config.head_size),
            ("rescale_every_n_layers", config.rescale_every),
            ("time_mix_extra_dim", rank("blocks.0.att.time_maa_w1") / 5),
            ("time_decay_extra_dim", rank("blocks.0.att.time_decay_w1")),
        ]),
        Generation::V7 => {
            // The first layer mixes no value in: a model of one layer has no such rank.
            let value_rank = rank("blocks.1.att.v1").max(if config.n_layer == 1 { rank("blocks.0.att.a1") } else { 0 });
            numbers.extend([
                ("wkv.head_size", config.head_size),
                ("attention.decay_lora_rank", rank("blocks.0.att.w1")),
                ("attention.iclr_lora_rank", rank("blocks.0.att.a1")),
                ("attention.value_residual_mix_lora_rank", value_rank),
                ("attention.gate_lora_rank", rank("blocks.0.att.g1")),
            ]);
        }
        _ => {}
    }
    let architecture = architecture(config.generation).name();
    let named = |(key, number): (&str, usize)| (format!("{architecture}.{key}"), Value::U32(number as u32));
    let mut pairs: Vec<_> = numbers.into_iter().map(named).collect();
    let eps = Value::F32(config.layer_norm_eps);
    pairs.push((format!("{architecture}.attention.layer_norm_epsilon"), eps));
    pairs
}

// Kinds of tokens in `tokenizer.ggml.token_type`.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// The tokenizer: a greedy vocabulary as llama.cpp's `rwkv` model, another as the `tokenizer.json` it is.
fn vocabulary(tokenizer: &Tokenizer, n_vocab: usize) -> Vec<(String, Value)> {
    let key = |name: &str| format!("tokenizer.{name}");
    if let Some(json) = tokenizer.json() {
        let mut pairs = byte_pairs(json, n_vocab).unwrap_or_default();
        pairs.push((key("huggingface.json"), Value::Text(json.into())));
        return pairs;
    }
    let (mut texts, mut kinds) = (Vec::new(), Vec::new());
    let padding = std::iter::repeat(&[][..]);
    for (id, token) in tokenizer.tokens().chain(padding).take(n_vocab).enumerate() {
        let (text, kind) = match token {
            [] if id == 0 => (b"<s>".to_vec(), CONTROL),
            [] => (format!("[PAD{id}]").into_bytes(), UNUSED),
            token => (escape(token), NORMAL),
        };
        texts.push(text);
        kinds.push(kind);
    }
    let mut pairs = vec![
        (key("ggml.model"), Value::Text("rwkv".into())),
        (key("ggml.tokens"), Value::Texts(texts)),
        (key("ggml.token_type"), Value::I32s(kinds)),
    ];
    if let Some(end) = tokenizer.end_of_text() {
        pairs.extend(["bos", "eos"].map(|name| (key(&format!("ggml.{name}_token_id")), Value::U32(end))));
        // A turn of a conversation ends with a blank line.
        if let Ok([blank_line]) = tokenizer.encode("\n\n").as_deref() {
            pairs.push((key("ggml.eot_token_id"), Value::U32(*blank_line)));
        }
    }
    pairs
}

/// A `tokenizer.json` as llama.cpp's `gpt2` model, if it is one: pairs of bytes, split as GPT-2 does. Ours is read from the
/// JSON; this is for others, who would not open a file without.
fn byte_pairs(json: &str, n_vocab: usize) -> Option<Vec<(String, Value)>> {
    let json: serde_json::Value = serde_json::from_str(json).ok()?;
    let (model, split) = (&json["model"], &json["pre_tokenizer"]);
    let bpe = model["type"].is_null() || model["type"] == "BPE";
    if !bpe || split["type"] != "ByteLevel" || split["use_regex"] == false {
        return None;
    }
    let mut texts: Vec<Vec<u8>> = (0..n_vocab).map(|id| format!("[PAD{id}]").into_bytes()).collect();
    let mut kinds = vec![UNUSED; n_vocab];
    let mut set = |id: &serde_json::Value, text: &str, kind: i32| {
        let id = usize::try_from(id.as_u64()?).ok()?;
        *texts.get_mut(id)? = text.as_bytes().to_vec();
        *kinds.get_mut(id)? = kind;
        Some(())
    };
    for (text, id) in model["vocab"].as_object()? {
        set(id, text, NORMAL)?;
    }
    let mut end = None;
    for token in json["added_tokens"].as_array()? {
        let text = token["content"].as_str()?;
        let special = token["special"] == true;
        set(&token["id"], text, if special { CONTROL } else { NORMAL })?;
        end = end.or(token["id"].as_u64().filter(|_| special && text == "<|endoftext|>"));
    }
    // Older files have each pair as one text, newer ones as two.
    let merge = |pair: &serde_json::Value| match pair.as_array() {
        Some(pair) => Some(format!("{} {}", pair.first()?.as_str()?, pair.get(1)?.as_str()?)),
        None => pair.as_str().map(str::to_string),
    };
    let merges: Option<Vec<_>> =
        model["merges"].as_array()?.iter().map(|pair| merge(pair).map(String::into_bytes)).collect();
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let mut pairs = vec![
        (key("model"), Value::Text("gpt2".into())),
        (key("pre"), Value::Text("gpt-2".into())),
        (key("tokens"), Value::Texts(texts)),
        (key("token_type"), Value::I32s(kinds)),
        (key("merges"), Value::Texts(merges?)),
    ];
    if let Some(end) = end {
        pairs.extend(["bos", "eos"].map(|name| (key(&format!("{name}_token_id")), Value::U32(end as u32))));
    }
    Some(pairs)
}
