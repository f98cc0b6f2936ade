//! Writing GGUF: everything before the tensors' data is known before the first of them is read.

use super::{FLOAT32, INT32, LIST, TEXT, TYPES, UINT32};
use crate::quant::Format;

/// Every tensor's data begin at a multiple of this, as llama.cpp writes and, by default, expects them.
const ALIGNMENT: usize = 32;

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    U32(u32),
    F32(f32),
    Text(String),
    /// Texts that need not be UTF-8: a vocabulary.
    Texts(Vec<Vec<u8>>),
    I32s(Vec<i32>),
}

/// A tensor as the file's table lists it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub name: String,
    /// Row-major, outermost dimension first.
    pub shape: Vec<usize>,
    pub format: Format,
}

/// What stands before the data: pairs, and the table of tensors in the order of their data.
#[derive(Default)]
pub(crate) struct Header {
    pub pairs: Vec<(String, Value)>,
    pub entries: Vec<Entry>,
}

/// Whether a GGUF file can hold tensors of this format.
pub(crate) fn can_hold(format: Format) -> bool {
    type_id(format).is_some()
}

fn type_id(format: Format) -> Option<u32> {
    TYPES.iter().find(|(_, known)| *known == format).map(|&(id, _)| id)
}

impl Header {
    /// The file up to the first tensor's data. Every format is one that [`can_hold`] allows.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        bytes.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, value) in &self.pairs {
            put_text(&mut bytes, key.as_bytes());
            value.put(&mut bytes);
        }
        let mut offset = 0;
        for Entry { name, shape, format } in &self.entries {
            put_text(&mut bytes, name.as_bytes());
            bytes.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&len| bytes.extend((len as u64).to_le_bytes()));
            bytes.extend(type_id(*format).unwrap_or_default().to_le_bytes());
            bytes.extend((offset as u64).to_le_bytes());
            let size = format.size_of(shape).unwrap_or(0);
            offset += size + padding(size).len();
        }
        bytes.extend(padding(bytes.len()));
        bytes
    }
}

/// What follows data of this size, up to the next tensor's.
#[allow(clippy::indexing_slicing, reason = "the difference is below the alignment")]
pub(crate) fn padding(size: usize) -> &'static [u8] {
    &[0; ALIGNMENT][..size.next_multiple_of(ALIGNMENT) - size]
}

impl Value {
    fn put(&self, bytes: &mut Vec<u8>) {
        let list = |bytes: &mut Vec<u8>, kind: u32, len: usize| {
            bytes.extend(LIST.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend((len as u64).to_le_bytes());
        };
        match self {
            Self::U32(number) => bytes.extend([UINT32.to_le_bytes(), number.to_le_bytes()].concat()),
            Self::F32(number) => bytes.extend([FLOAT32.to_le_bytes(), number.to_le_bytes()].concat()),
            Self::Text(text) => {
                bytes.extend(TEXT.to_le_bytes());
                put_text(bytes, text.as_bytes());
            }
            Self::Texts(texts) => {
                list(bytes, TEXT, texts.len());
                texts.iter().for_each(|text| put_text(bytes, text));
            }
            Self::I32s(numbers) => {
                list(bytes, INT32, numbers.len());
                numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            }
        }
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text);
}

/// A token's bytes as llama.cpp's converter writes them: Python's `repr` of bytes, between the quotes.
pub(crate) fn escape(token: &[u8]) -> Vec<u8> {
    let both_quotes = token.contains(&b'\'') && token.contains(&b'"');
    let mut out = Vec::with_capacity(token.len());
    for &byte in token {
        match byte {
            b'\t' => out.extend(b"\\t"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\\' => out.extend(b"\\\\"),
            b'\'' if both_quotes => out.extend(b"\\'"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend(format!("\\x{byte:02x}").into_bytes()),
        }
    }
    out
}
