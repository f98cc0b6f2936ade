//! Reading GGUF.

use super::super::bytes::Bytes;
use super::super::names::Architecture;
use super::super::{Contents, MOST_ENTRIES, Mapped, Metadata, Sizes, Stored};
use super::{FLOAT32, INT32, LIST, TEXT, TYPES, UINT32};
use crate::error::Result;
use crate::quant::Format;

pub(in crate::checkpoint) fn read(file: Mapped) -> Result<Contents> {
    /// The smallest a tensor's entry and a pair can be: a name's length, and the fields after it.
    const TENSOR_ENTRY: usize = 8 + 4 + 4 + 8;
    const PAIR: usize = 8 + 4 + 1;
    let path = file.path().to_path_buf();
    let mut bytes = Bytes::new(file.bytes(), &path);
    bytes.take(4)?;
    match bytes.u32()? {
        2 | 3 => {}
        1 => return Err(bytes.unsupported("is a GGUF file of version 1; convert it again with today's llama.cpp")),
        version if matches!(version.swap_bytes(), 1..=3) => {
            return Err(bytes.unsupported("is a big-endian GGUF file; convert it again as little-endian"));
        }
        version => return Err(bytes.unsupported(format!("is a GGUF file of version {version}; 2 and 3 are supported"))),
    }
    let n_tensors = bytes.count(TENSOR_ENTRY)?;
    let n_pairs = bytes.count(PAIR)?;
    if n_tensors.max(n_pairs) > MOST_ENTRIES {
        return Err(bytes.damaged(format!("claims to hold {n_tensors} tensors and {n_pairs} pairs")));
    }
    let mut pairs = Pairs::default();
    for _ in 0..n_pairs {
        let key = name(&mut bytes)?;
        let kind = bytes.u32()?;
        pairs.0.push((key, value(&mut bytes, kind, 0)?));
    }
    let metadata = pairs.metadata(&bytes)?;
    let mut stored = Vec::new();
    for _ in 0..n_tensors {
        stored.push(tensor(&mut bytes)?);
    }
    let alignment = pairs.number("general.alignment").unwrap_or(32.0);
    if !(alignment as usize).is_power_of_two() {
        return Err(bytes.damaged(format!("asks for the impossible alignment {alignment}")));
    }
    let start = bytes.position().next_multiple_of(alignment as usize);
    let mut expected = 0;
    for tensor in &mut stored {
        // As ggml does: a table that leaves gaps or overlaps is damaged, and would give other tensors' numbers.
        if tensor.offset != expected {
            let Stored { name, offset, .. } = tensor;
            return Err(bytes.damaged(format!("has the data of {name} at {offset}, not at {expected}")));
        }
        let end = tensor.format.size_of(&tensor.shape).and_then(|size| tensor.offset.checked_add(size));
        expected =
            end.and_then(|end| end.checked_next_multiple_of(alignment as usize)).ok_or_else(|| bytes.truncated())?;
        tensor.offset = tensor.offset.checked_add(start).ok_or_else(|| bytes.truncated())?;
    }
    // Something put in between would shift the numbers of all that follows, and nothing else would tell.
    if expected.checked_add(start).is_none_or(|end| end < file.bytes().len()) {
        return Err(bytes.damaged("has bytes after its last tensor"));
    }
    Ok(Contents { files: vec![file], stored, metadata, checksums: Vec::new() })
}

/// A tensor's entry; its offset still counts from the beginning of the data.
fn tensor(bytes: &mut Bytes<'_>) -> Result<Stored> {
    const MOST_DIMENSIONS: u32 = 4;
    let name = name(bytes)?.to_string();
    let n_dims = bytes.u32()?;
    if !(1..=MOST_DIMENSIONS).contains(&n_dims) {
        return Err(bytes.damaged(format!("gives {name} {n_dims} dimensions")));
    }
    let mut shape = Vec::new();
    for _ in 0..n_dims {
        let dimension = bytes.u64()?;
        shape.push(usize::try_from(dimension).map_err(|_| bytes.truncated())?);
    }
    shape.reverse();
    if shape.contains(&0) {
        return Err(bytes.damaged(format!("gives {name} the shape {shape:?}")));
    }
    let type_id = bytes.u32()?;
    let Some(&(_, format)) = TYPES.iter().find(|(id, _)| *id == type_id) else {
        let cause = format!("holds {name} in ggml's data type {type_id}, which is not supported");
        return Err(bytes.unsupported(format!("{cause}; quantize the original to another, such as Q4_K")));
    };
    let offset = bytes.u64()?;
    let offset = usize::try_from(offset).map_err(|_| bytes.truncated())?;
    Ok(Stored { name, shape, strides: None, format, file: 0, offset, elementwise: None })
}

/// A value where it stands in the file. A list is read through once when it is found, and its items again when they
/// are wanted: a list of bytes would take many times the file's size as values.
enum Value<'a> {
    Number(f64),
    Bool(bool),
    Text(&'a [u8]),
    List { kind: u32, count: usize, items: Bytes<'a> },
}

/// `depth` counts the lists around the value.
fn value<'a>(bytes: &mut Bytes<'a>, kind: u32, depth: usize) -> Result<Value<'a>> {
    const DEEPEST: usize = 4;
    Ok(match kind {
        0 => Value::Number(f64::from(u8::from_le_bytes(bytes.array()?))),
        1 => Value::Number(f64::from(i8::from_le_bytes(bytes.array()?))),
        2 => Value::Number(f64::from(u16::from_le_bytes(bytes.array()?))),
        3 => Value::Number(f64::from(i16::from_le_bytes(bytes.array()?))),
        UINT32 => Value::Number(f64::from(bytes.u32()?)),
        INT32 => Value::Number(f64::from(i32::from_le_bytes(bytes.array()?))),
        FLOAT32 => Value::Number(f64::from(f32::from_le_bytes(bytes.array()?))),
        7 => Value::Bool(bytes.array::<1>()? != [0]),
        TEXT => {
            let len = bytes.count(1)?;
            Value::Text(bytes.take(len)?)
        }
        LIST if depth < DEEPEST => {
            let kind = bytes.u32()?;
            let count = bytes.count(size_of_kind(kind))?;
            let items = bytes.clone();
            for _ in 0..count {
                value(bytes, kind, depth + 1)?;
            }
            Value::List { kind, count, items }
        }
        LIST => return Err(bytes.damaged(format!("holds lists more than {DEEPEST} deep"))),
        10 => Value::Number(bytes.u64()? as f64),
        11 => Value::Number(i64::from_le_bytes(bytes.array()?) as f64),
        12 => Value::Number(f64::from_le_bytes(bytes.array()?)),
        _ => {
            return Err(bytes.error(format!(
                "holds a value of the unknown kind {kind}; it is damaged or too new, convert the original again"
            )));
        }
    })
}

/// Least bytes that a value of this kind takes.
fn size_of_kind(kind: u32) -> usize {
    match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        UINT32..=FLOAT32 => 4,
        LIST => 12,
        _ => 8,
    }
}

fn name<'a>(bytes: &mut Bytes<'a>) -> Result<&'a str> {
    const LONGEST: usize = 65_535;
    let len = bytes.count(1)?;
    let text = if len <= LONGEST { std::str::from_utf8(bytes.take(len)?).ok() } else { None };
    text.ok_or_else(|| bytes.damaged("has a name that is too long or not UTF-8"))
}

#[derive(Default)]
struct Pairs<'a>(Vec<(&'a str, Value<'a>)>);

impl<'a> Pairs<'a> {
    fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        match self.get(key)? {
            Value::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// A list's items, of one kind, read as they are asked for.
    fn items(&self, key: &str, wanted: u32) -> Option<impl Iterator<Item = Result<Value<'a>>>> {
        match self.get(key)? {
            Value::List { kind, count, items } if *kind == wanted => {
                let mut items = items.clone();
                Some((0..*count).map(move |_| value(&mut items, wanted, 1)))
            }
            _ => None,
        }
    }

    fn metadata(&self, bytes: &Bytes<'_>) -> Result<Metadata> {
        let architecture = match self.text("general.architecture") {
            Some(architecture) if Architecture::named(architecture).is_some() => architecture,
            Some(architecture @ ("rwkv6qwen2" | "arwkv7")) => {
                let cause = "RWKV in a transformer's frame is not supported, rwkv6 and rwkv7 are";
                return Err(bytes.unsupported(format!("is of the architecture {architecture}; {cause}")));
            }
            Some(other) => {
                let cause =
                    format!("is of the architecture {}, no RWKV; rwkv4 to rwkv7 are supported", shortened(other));
                return Err(bytes.unsupported(cause));
            }
            None => return Err(bytes.damaged("does not name its architecture")),
        };
        if self.number("split.count").is_some_and(|count| count > 1.0) {
            return Err(bytes.unsupported("is one part of a split GGUF file; join the parts with gguf-split --merge"));
        }
        let own = |key: &str| self.number(&format!("{architecture}.{key}"));
        let layer_norm_eps = own("attention.layer_norm_epsilon").map(|eps| eps as f32);
        if let Some(eps) = layer_norm_eps.filter(|eps| !(0.0..1.0).contains(eps)) {
            return Err(bytes.damaged(format!("asks for the impossible layer norm epsilon {eps}")));
        }
        let size = |key: &str| own(key).map(|size| size as usize);
        let sizes = Sizes {
            n_layer: size("block_count"),
            n_embd: size("embedding_length"),
            n_vocab: size("vocab_size"),
            n_ffn: size("feed_forward_length"),
        };
        let tokenizer_json = self.text("tokenizer.huggingface.json").map(str::to_string);
        Ok(Metadata {
            architecture: Some(architecture.to_string()),
            vocabulary: if tokenizer_json.is_none() { self.vocabulary(bytes)? } else { None },
            tokenizer_json,
            chat_template: self.text("tokenizer.chat_template").map(str::to_string),
            chat_format: self.text(Metadata::CHAT_FORMAT).map(str::to_string),
            embedding_precision: self.text(Metadata::EMBEDDING_PRECISION).and_then(Format::named),
            general: self.general(),
            layer_norm_eps,
            sizes,
            head_size: size("wkv.head_size"),
            rescale_every: size("rescale_every_n_layers"),
            pairs: self.0.iter().map(|(key, value)| (key.to_string(), value.shown())).collect(),
        })
    }

    fn general(&self) -> Vec<(String, String)> {
        let keys = self.0.iter().map(|(key, _)| *key).filter(|key| key.starts_with("general."));
        keys.filter_map(|key| Some((key.to_string(), self.text(key)?.to_string()))).collect()
    }

    /// The bytes of each token of llama.cpp's `rwkv` tokenizer. Unknown, control and unused tokens are empty: they
    /// never stand for text.
    fn vocabulary(&self, bytes: &Bytes<'_>) -> Result<Option<Vec<Vec<u8>>>> {
        /// Above every vocabulary of an RWKV model.
        const MOST_TOKENS: usize = 1 << 20;
        const UNKNOWN: f64 = 2.0;
        const CONTROL: f64 = 3.0;
        const UNUSED: f64 = 5.0;
        if self.text("tokenizer.ggml.model") != Some("rwkv") {
            return Ok(None);
        }
        let Some(tokens) = self.items("tokenizer.ggml.tokens", TEXT) else {
            return Ok(None);
        };
        let mut kinds = self.items("tokenizer.ggml.token_type", INT32);
        let mut vocabulary = Vec::new();
        for token in tokens {
            if vocabulary.len() == MOST_TOKENS {
                return Err(bytes.damaged(format!("its vocabulary has more than {MOST_TOKENS} tokens")));
            }
            let is_text = match kinds.as_mut().map(Iterator::next) {
                Some(Some(kind)) => !matches!(kind?, Value::Number(UNKNOWN | CONTROL | UNUSED)),
                Some(None) => false,
                // Without kinds: every converter puts the end-of-text token first.
                None => !vocabulary.is_empty(),
            };
            vocabulary.push(match token? {
                Value::Text(text) if is_text => unescape(text),
                _ => Vec::new(),
            });
        }
        Ok(Some(vocabulary))
    }
}

impl Value<'_> {
    /// As a person reads it.
    fn shown(&self) -> String {
        match self {
            // Of a number in 32 bits only the digits that it was written with.
            Self::Number(number) => match *number as f32 {
                single if f64::from(single) == *number => single.to_string(),
                _ => number.to_string(),
            },
            Self::Bool(value) => value.to_string(),
            Self::List { count, .. } => format!("[{count} items]"),
            Self::Text(text) => shortened(&String::from_utf8_lossy(text)),
        }
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// Undoes Python's `repr` of bytes, as llama.cpp's converter writes tokens.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let byte;
        (byte, rest) = match (first, tail) {
            (b'\\', [b't', tail @ ..]) => (b'\t', tail),
            (b'\\', [b'n', tail @ ..]) => (b'\n', tail),
            (b'\\', [b'r', tail @ ..]) => (b'\r', tail),
            (b'\\', [quoted @ (b'\\' | b'\'' | b'"'), tail @ ..]) => (*quoted, tail),
            (b'\\', [b'x', high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (*first, tail),
            },
            _ => (*first, tail),
        };
        out.push(byte);
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|digit| digit as u8)
}
