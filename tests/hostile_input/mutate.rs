//! Files that are almost sound: a sound one with a few of its fields, parts or numbers changed.

use std::io::{Cursor, Read, Write};

use serde_json::{Map, Value};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::fields::fields;
use super::random::Random;

/// A sound input of this kind, changed in one to three places.
pub fn mutant(kind: &str, seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    // A part that another part doubles must not grow into gigabytes by itself.
    const LARGEST: usize = 4 << 20;
    for _ in 0..=random.below(3) {
        let changed = match kind {
            "tokenizer" | "index" if !random.one_in(4) => json_text(&bytes, random),
            "vocabulary" | "chat-format" | "stop" | "arguments" => Some(text(&bytes, random)),
            "sizes" => Some(random_bytes(&bytes, random)),
            "options" => Some(words(&bytes, random)),
            _ if bytes.starts_with(b"PK\x03\x04") && !random.one_in(4) => archive(&bytes, random),
            _ if bytes.get(8) == Some(&b'{') && !random.one_in(4) => safetensors(&bytes, random),
            _ if bytes.starts_with(b"VOLARYch") && !random.one_in(3) => chat(&bytes, random),
            _ => None,
        };
        bytes = changed.unwrap_or_else(|| binary(&bytes, random));
        bytes.truncate(LARGEST);
    }
    bytes
}

/// Numbers at which things change.
fn number(random: &mut Random, old: u64, width: usize) -> u64 {
    let bits = 8 * width as u32;
    let most = u64::MAX >> (64 - bits);
    let power = 1 << random.below(bits as usize);
    match random.below(12) {
        0 => 0,
        1 => 1,
        2 => most,
        3 => most >> 1,
        4 => (most >> 1) + 1,
        5 => old.wrapping_add(1),
        6 => old.wrapping_sub(1),
        7 => old.wrapping_mul(2),
        8 => old / 2,
        9 => power,
        10 => power - 1,
        _ => random.number() >> random.below(64),
    }
}

/// Any binary file, by its fields.
fn binary(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let fields = fields(bytes);
    let mut out = bytes.to_vec();
    match random.below(12) {
        0..=3 => {
            if let Some(&(at, width)) = random.choose(&fields.numbers) {
                let mut old = [0; 8];
                old[..width].copy_from_slice(&bytes[at..at + width]);
                let other = random.choose(&fields.numbers).filter(|(_, other)| *other == width);
                let new = match other.filter(|_| random.one_in(4)) {
                    Some(&(other, _)) => bytes[other..other + width].to_vec(),
                    None => number(random, u64::from_le_bytes(old), width).to_le_bytes()[..width].to_vec(),
                };
                out[at..at + width].copy_from_slice(&new);
            }
        }
        4 | 5 => {
            if let (Some(part), Some(other)) = (random.choose(&fields.parts).cloned(), random.choose(&fields.parts)) {
                let other = bytes[other.clone()].to_vec();
                match random.below(4) {
                    // Lost, doubled, another's, another's as far as it fits.
                    0 => _ = out.splice(part, []),
                    1 => _ = out.splice(part.start..part.start, bytes[part].to_vec()),
                    2 => _ = out.splice(part, other),
                    _ => {
                        let len = part.len().min(other.len());
                        out[part.start..part.start + len].copy_from_slice(&other[..len]);
                    }
                }
            }
        }
        6 | 7 => {
            if let Some(data) = random.choose(&fields.data).filter(|data| data.len() >= 8) {
                put_float(&mut out[data.clone()], random);
            }
        }
        8 => out.truncate(cut(bytes, &fields.numbers, random)),
        9 => {
            let at = random.below(out.len() + 1);
            let inserted = vec![random.number() as u8; 1 + random.below(64)];
            out.splice(at..at, inserted);
        }
        _ => {
            // The beginning is where most of the meaning is.
            let end = if random.one_in(2) { out.len().min(512) } else { out.len() };
            if let Some(byte) = out.get_mut(random.below(end)) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
    out
}

/// Where a file may break off: at a field, or anywhere.
fn cut(bytes: &[u8], numbers: &[(usize, usize)], random: &mut Random) -> usize {
    match random.choose(numbers).filter(|_| random.one_in(2)) {
        Some((at, _)) => *at,
        None => random.below(bytes.len() + 1),
    }
}

/// Puts what is no number, or a large one, into a run of numbers, as f32 and as 16 bits.
fn put_float(data: &mut [u8], random: &mut Random) {
    const PATTERNS: [u32; 8] =
        [0x7fc0_0000, 0x7f80_0000, 0xff80_0000, 0x7f7f_ffff, 0xff7f_ffff, 0x7c00_7c00, 0x7e00_7e00, 0x0000_0001];
    let pattern = random.choose(&PATTERNS).copied().unwrap_or(0).to_le_bytes();
    let count = 1 + random.below(8);
    let first = random.below(data.len() / 4 - 1);
    for chunk in data.chunks_exact_mut(4).skip(first).take(count) {
        chunk.copy_from_slice(&pattern);
    }
}

/// A `.pth` whose pickle or entries have changed, and whose archive is sound again.
fn archive(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).ok()?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).ok()?;
        entries.push((String::from_utf8_lossy(entry.name_raw()).into_owned(), content));
    }
    if entries.is_empty() {
        return None;
    }
    let chosen = random.below(entries.len());
    match random.below(16) {
        0 => _ = entries.remove(chosen),
        1 => {
            let other = random.choose(&entries)?.1.clone();
            entries[chosen].1 = other;
        }
        2..=4 => entries[chosen].1 = binary(&entries[chosen].1, random),
        5..=7 if entries[chosen].1.len() >= 8 => put_float(&mut entries[chosen].1, random),
        _ => {
            let pickle = entries.iter_mut().find(|(name, _)| name.ends_with("data.pkl"))?;
            pickle.1 = binary(&pickle.1, random);
        }
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in entries {
        zip.start_file(name, options).ok()?;
        zip.write_all(&content).ok()?;
    }
    Some(zip.finish().ok()?.into_inner())
}

/// A `.safetensors` whose header has changed, with the length that it has now.
fn safetensors(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let len = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().ok()?)).ok()?;
    let header = json_text(bytes.get(8..)?.get(..len)?, random)?;
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header);
    out.extend(&bytes[8 + len..]);
    Some(out)
}

/// A saved chat whose conversation has changed.
fn chat(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let len = usize::try_from(u64::from_le_bytes(bytes.get(12..20)?.try_into().ok()?)).ok()?;
    let json = json_text(bytes.get(20..)?.get(..len)?, random)?;
    let mut out = bytes[..12].to_vec();
    out.extend((json.len() as u64).to_le_bytes());
    out.extend(json);
    out.extend(&bytes[20 + len..]);
    Some(out)
}

/// JSON with one of its values changed.
fn json_text(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut json: Value = serde_json::from_slice(bytes).ok()?;
    let donor = pick(&json, random).clone();
    change(pick_mut(&mut json, random), donor, random);
    serde_json::to_vec(&json).ok()
}

/// A value anywhere inside.
fn pick<'a>(value: &'a Value, random: &mut Random) -> &'a Value {
    let inside: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(pairs) => pairs.values().collect(),
        _ => return value,
    };
    match random.choose(&inside) {
        Some(inside) if !random.one_in(5) => pick(inside, random),
        _ => value,
    }
}

fn pick_mut<'a>(value: &'a mut Value, random: &mut Random) -> &'a mut Value {
    let stops = random.one_in(5);
    let has_parts = match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(pairs) => !pairs.is_empty(),
        _ => false,
    };
    if stops || !has_parts {
        return value;
    }
    match value {
        Value::Array(items) => {
            let index = random.below(items.len());
            pick_mut(&mut items[index], random)
        }
        Value::Object(pairs) => {
            let index = random.below(pairs.len());
            pick_mut(pairs.values_mut().nth(index).unwrap(), random)
        }
        _ => unreachable!("only these have parts"),
    }
}

fn change(value: &mut Value, donor: Value, random: &mut Random) {
    let new = match (&mut *value, random.below(8)) {
        (_, 0) => donor,
        (_, 1) => Value::Null,
        (_, 2) => Value::Array(vec![value.take(); 1 + random.below(3)]),
        (Value::Array(items), 3..=5) if !items.is_empty() => {
            let index = random.below(items.len());
            match random.below(3) {
                0 => _ = items.remove(index),
                1 => items.push(donor),
                _ => items.swap(index, 0),
            }
            return;
        }
        (Value::Object(pairs), 3..=5) if !pairs.is_empty() => {
            let (key, item) = pairs.iter().nth(random.below(pairs.len())).map(|(k, v)| (k.clone(), v.clone())).unwrap();
            match random.below(3) {
                0 => _ = pairs.remove(&key),
                1 => _ = pairs.insert(key, donor),
                _ => {
                    pairs.remove(&key);
                    pairs.insert(changed_text(&key, random), item);
                }
            }
            return;
        }
        (Value::String(text), _) => Value::String(changed_text(text, random)),
        (Value::Bool(x), _) => Value::Bool(!*x),
        (Value::Number(n), _) => {
            let old = n.as_u64().unwrap_or(1);
            match random.below(6) {
                0 => Value::from(-1),
                1 => Value::from(0.5),
                2 => Value::from(1e300),
                _ => Value::from(number(random, old, 8)),
            }
        }
        (_, 6) => {
            // Deeper than anybody nests.
            let mut nested = Value::Object(Map::new());
            for _ in 0..random.below(200) {
                nested = Value::Array(vec![nested]);
            }
            nested
        }
        _ => Value::from(random.number()),
    };
    *value = new;
}

/// Words that mean something somewhere.
const WORDS: [&str; 33] = [
    "",
    "F64",
    "BF16",
    "F16",
    "__metadata__",
    "emb.weight",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "..",
    "blocks.0.att.time_state",
    "blocks.1.att.r_k",
    "Ġ",
    "Ä ",
    "犬",
    "\u{0}",
    "Regex",
    "String",
    "Split",
    "Metaspace",
    "Replace",
    "NFKC",
    "(a*)*b",
    "ByteLevel",
    "\\x",
    "--",
    "-1",
    "1e39",
    "NaN",
    "99999999999999999999",
    "--help",
    "User:",
    "\n\n",
    "</think>",
];

fn changed_text(text: &str, random: &mut Random) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut a, mut b) = (random.below(chars.len() + 1), random.below(chars.len() + 1));
    if a > b {
        (a, b) = (b, a);
    }
    let piece = |range: &[char]| range.iter().collect::<String>();
    let word = random.choose(&WORDS).copied().unwrap_or_default();
    match random.below(6) {
        0 => word.to_string(),
        1 => piece(&chars[..a]) + word + &piece(&chars[a..]),
        2 => piece(&chars[..a]) + &piece(&chars[b..]),
        3 => piece(&chars[..b]) + &piece(&chars[a..]),
        4 => piece(&chars[a..b]).repeat(1 + random.below(300)),
        _ => piece(&chars[..a]) + word + &piece(&chars[b..]),
    }
}

fn text(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    match random.one_in(4) {
        true => binary(bytes, random),
        false => changed_text(&String::from_utf8_lossy(bytes), random).into_bytes(),
    }
}

/// Other values in some places.
fn random_bytes(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out: Vec<u8> =
        bytes.iter().map(|&byte| if random.one_in(3) { random.number() as u8 } else { byte }).collect();
    out.extend(vec![0; random.below(3)]);
    out
}

/// Numbers of four bytes, integers and floats alike.
fn words(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    if random.one_in(4) || out.len() < 8 {
        return binary(bytes, random);
    }
    if random.one_in(2) {
        put_float(&mut out, random);
        return out;
    }
    let at = 4 * random.below(out.len() / 4);
    let new = match random.one_in(2) {
        true => number(random, word_at(bytes, at), 4) as u32,
        false => ((random.number() % 4000) as f32 / 1000.0 - 2.0).to_bits(),
    };
    out[at..at + 4].copy_from_slice(&new.to_le_bytes());
    out
}

fn word_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 4].iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
}
