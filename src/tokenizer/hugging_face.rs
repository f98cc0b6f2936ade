//! Hugging Face's `tokenizer.json`, through their `tokenizers` crate: byte-level BPE, which is what RWKV models use.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Model, ModelWrapper, NormalizedString, Normalizer, Tokenizer};

use super::no_token;
use super::tokens::{MOST_TOKENS, Tokens};
use crate::error::{Error, Result};

/// A tokenizer, set up to encode text as it is, and the JSON that it was read from.
pub(super) struct HuggingFace {
    pub(super) tokenizer: Tokenizer,
    pub(super) json: String,
    /// Bytes that the vocabulary has no token for, of which the crate (0.23.2) would say nothing: it leaves them out.
    missing: Vec<u8>,
}

/// Reads a `tokenizer.json`: the tokenizer, and what each token stands for.
pub(super) fn parse(json: &[u8], path: &Path) -> Result<(HuggingFace, Tokens)> {
    /// 20B's has 2 MB. JSON of small parts takes some fifty times its length in memory.
    const LARGEST: usize = 16 << 20;
    if json.len() > LARGEST {
        let cause = format!("is a tokenizer.json of {} bytes; one for RWKV has at most {LARGEST}", json.len());
        return Err(Error::format(path, cause));
    }
    let damaged =
        |cause: String| Error::format(path, format!("is not a usable tokenizer.json: {cause}; download it again"));
    let json: Value = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
    if !json.get("model").is_some_and(Value::is_object) {
        return Err(damaged("it describes no model".into()));
    }
    check_supported(&json).map_err(|cause| Error::unsupported(path.display(), cause))?;
    let merges = merges(json.pointer("/model/merges").unwrap_or(&Value::Null)).map_err(damaged)?;
    // Sound JSON, because the crate (0.23.2) panics on JSON that breaks off within the decoder. And a string, because reading
    // one is compiled in the crate already, while each other way compiles all its kinds of everything into this one.
    let text = json.to_string();
    drop(json);
    let mut tokenizer: Tokenizer = text.parse().map_err(|e: tokenizers::Error| damaged(e.to_string()))?;
    if let ModelWrapper::BPE(model) = tokenizer.get_model() {
        let model = without_cache(model, merges).map_err(|e| damaged(e.to_string()))?;
        tokenizer.with_model(model);
    }
    // A text that spells `<|endoftext|>` is a text, not the end of one.
    tokenizer.set_encode_special_tokens(true);
    // The file may say how to cut texts to a length or fill them up; that is for training.
    tokenizer.with_padding(None).with_truncation(None).map_err(|e| damaged(e.to_string()))?;
    let highest = tokenizer.get_vocab(true).into_values().max().ok_or_else(|| damaged("it has no tokens".into()))?;
    if highest as usize >= MOST_TOKENS {
        return Err(damaged(format!("it has the id {highest}; ids are below {MOST_TOKENS}")));
    }
    let tokens = Tokens::collect(token_bytes(&tokenizer, highest)).map_err(damaged)?;
    let missing = missing_bytes(&tokenizer);
    Ok((HuggingFace { tokenizer, json: text, missing }, tokens))
}

/// Refuses what no RWKV model's tokenizer has. The crate (0.23.2) has more kinds of everything, but a text is not the
/// bytes of its tokens put together under other decoders, and damaged files make it panic in many of the other kinds.
fn check_supported(json: &Value) -> Result<(), String> {
    let model = &json["model"];
    let is_set = |key: &str| !model[key].is_null() && model[key] != "" && model[key] != 0.0;
    let refuse = |what: String| Err(format!("{what} is not supported; byte-level BPE, as in 20B_tokenizer.json, is"));
    if is_set("type") && model["type"] != "BPE" || !model["merges"].is_array() {
        return refuse(format!("its model {}", model["type"]));
    }
    // It would be cut off from tokens that may be shorter.
    if is_set("continuing_subword_prefix") {
        return refuse("its continuing_subword_prefix".into());
    }
    // It would make the ids of a text random.
    if is_set("dropout") {
        return refuse("its dropout".into());
    }
    if let Some(kind) =
        kinds(&json["normalizer"]).iter().find(|kind| !matches!(**kind, "NFC" | "NFD" | "NFKC" | "NFKD"))
    {
        return refuse(format!("its normalizer {kind}"));
    }
    match kinds(&json["decoder"])[..] {
        ["ByteLevel"] => Ok(()),
        ref others => refuse(format!("its decoder {others:?}")),
    }
}

/// The kinds of a part of the tokenizer: those of its steps, if it is a sequence.
fn kinds(part: &Value) -> Vec<&str> {
    match part["type"].as_str() {
        Some("Sequence") => {
            let steps = ["normalizers", "decoders"].iter().find_map(|key| part[key].as_array());
            steps.into_iter().flatten().flat_map(kinds).collect()
        }
        Some(kind) => vec![kind],
        None if part.is_null() => Vec::new(),
        None => vec!["of no type"],
    }
}

/// The pairs of tokens that become one, in their order.
fn merges(json: &Value) -> Result<Merges, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Merge {
        Pair(String, String),
        Line(String),
    }
    let merges = Vec::deserialize(json).map_err(|_| "its merges are no pairs of tokens".to_string())?;
    let pairs = merges.into_iter().filter_map(|merge| match merge {
        Merge::Pair(left, right) => Some((left, right)),
        // The crate refuses a line of more or fewer parts, and skips the one of the version.
        Merge::Line(line) => line
            .split_once(' ')
            .filter(|_| !line.starts_with("#version"))
            .map(|(left, right)| (left.into(), right.into())),
    });
    Ok(pairs.collect())
}

/// The same model without the crate's cache (0.23.2) of words it has met: every thread has one, and what a tokenizer
/// leaves there stays until the thread ends.
fn without_cache(model: &BPE, merges: Merges) -> tokenizers::Result<BPE> {
    let vocab: Vocab = model.get_vocab().into_iter().collect();
    let mut own = BPE::builder().vocab_and_merges(vocab, merges).cache_capacity(0).build()?;
    own.unk_token.clone_from(&model.unk_token);
    own.end_of_word_suffix.clone_from(&model.end_of_word_suffix);
    own.fuse_unk = model.fuse_unk;
    own.byte_fallback = model.byte_fallback;
    own.ignore_merges = model.ignore_merges;
    Ok(own)
}

impl HuggingFace {
    pub(super) fn encode(&self, argument: &str, text: &str) -> Result<Vec<u32>> {
        let refuse = |e| Error::argument(argument, format!("cannot be encoded: {e}"));
        if !self.missing.is_empty() {
            let mut normalized = NormalizedString::from(text);
            self.tokenizer.get_normalizer().map_or(Ok(()), |n| n.normalize(&mut normalized)).map_err(refuse)?;
            let bytes = normalized.get().as_bytes();
            if let Some(at) = bytes.iter().position(|byte| self.missing.contains(byte)) {
                return Err(no_token(argument, bytes, at));
            }
        }
        Ok(self.tokenizer.encode_fast(text, false).map_err(refuse)?.get_ids().to_vec())
    }

    /// The token that ends a text, under the name that GPT-NeoX gave it.
    pub(super) fn end_of_text(&self) -> Option<u32> {
        self.tokenizer.token_to_id("<|endoftext|>")
    }
}

/// What the ids 0 to `highest` stand for in a text. Special tokens stand for nothing.
fn token_bytes(tokenizer: &Tokenizer, highest: u32) -> impl Iterator<Item = Vec<u8>> {
    let added = tokenizer.get_added_tokens_decoder();
    (0..=highest).map(move |id| match (added.get(&id), tokenizer.id_to_token(id)) {
        (Some(added), _) if added.special => Vec::new(),
        (Some(added), _) => added.content.clone().into_bytes(),
        (None, Some(token)) => decode_byte_level(&token).unwrap_or_else(|| token.into_bytes()),
        (None, None) => Vec::new(),
    })
}

/// The bytes for which there is no token. None if there is a token for what is unknown.
fn missing_bytes(tokenizer: &Tokenizer) -> Vec<u8> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return Vec::new() };
    if model.unk_token.is_some() {
        return Vec::new();
    }
    let lacks = |c: &char| model.token_to_id(&c.to_string()).is_none();
    let missing = ByteLevel::alphabet().into_iter().filter(lacks);
    missing.filter_map(|c| decode_byte_level(&c.to_string())).flatten().collect()
}

/// Undoes GPT-2's alphabet (`bytes_to_unicode`): printable bytes stand for themselves, and the others, in their order,
/// for the characters from U+0100 on.
fn decode_byte_level(token: &str) -> Option<Vec<u8>> {
    let byte = |c: char| {
        Some(match u32::from(c) {
            code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => code as u8,
            code @ 0x100..=0x120 => (code - 0x100) as u8,
            code @ 0x121..=0x142 => (code - 0x121 + 0x7f) as u8,
            0x143 => 0xad,
            _ => return None,
        })
    };
    token.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_level_alphabet_covers_all_bytes_once() {
        let alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        let mut bytes: Vec<u8> = alphabet.iter().filter_map(|c| decode_byte_level(&c.to_string())?.pop()).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(decode_byte_level("ĠçĬ¬"), Some(" 犬".into()));
        assert_eq!(decode_byte_level("犬"), None);
    }
}
