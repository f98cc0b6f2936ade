//! Where the numbers and the parts of a binary file stand, found by walking through a sound one.

use std::ops::Range;

#[derive(Default)]
pub struct Fields {
    /// Lengths, counts, dimensions, offsets, types: where each begins, and its bytes.
    pub numbers: Vec<(usize, usize)>,
    /// Names, texts, entries: what can be lost, doubled or exchanged.
    pub parts: Vec<Range<usize>>,
    /// Where the tensors' numbers are.
    pub data: Vec<Range<usize>>,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    fields: Fields,
}

impl Walk<'_> {
    /// A little-endian number of `width` bytes.
    fn number(&mut self, width: usize) -> Option<usize> {
        let bytes = self.bytes.get(self.at..self.at + width)?;
        self.fields.numbers.push((self.at, width));
        self.at += width;
        Some(bytes.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte)))
    }

    fn part(&mut self, len: usize) -> Option<()> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len())?;
        self.fields.parts.push(self.at..end);
        self.at = end;
        Some(())
    }
}

/// The fields of a file of this kind, as far as they can be found.
pub fn fields(bytes: &[u8]) -> Fields {
    let mut walk = Walk { bytes, at: 0, fields: Fields::default() };
    let _ = match bytes {
        [b'G', b'G', b'U', b'F', ..] => gguf(&mut walk),
        [b'f', b'm', b'g', b'g', ..] => bin(&mut walk),
        [b'P', b'K', 3, 4, ..] => zip(&mut walk),
        [b'V', b'O', b'L', b'A', b'R', b'Y', b's', b't', ..] => state(&mut walk),
        [b'V', b'O', b'L', b'A', b'R', b'Y', b'c', b'h', ..] => chat(&mut walk),
        [0x80, 2..=5, ..] => pickle(&mut walk),
        _ => None,
    };
    walk.fields
}

fn gguf(walk: &mut Walk<'_>) -> Option<()> {
    walk.at = 4;
    let (_, n_tensors, n_pairs) = (walk.number(4)?, walk.number(8)?, walk.number(8)?);
    for _ in 0..n_pairs {
        let start = walk.at;
        let len = walk.number(8)?;
        walk.part(len)?;
        let kind = walk.number(4)?;
        gguf_value(walk, kind)?;
        walk.fields.parts.push(start..walk.at);
    }
    for _ in 0..n_tensors {
        let start = walk.at;
        let len = walk.number(8)?;
        walk.part(len)?;
        for _ in 0..walk.number(4)? {
            walk.number(8)?;
        }
        walk.number(4)?;
        walk.number(8)?;
        walk.fields.parts.push(start..walk.at);
    }
    walk.fields.data.push(walk.at..walk.bytes.len());
    Some(())
}

fn gguf_value(walk: &mut Walk<'_>, kind: usize) -> Option<()> {
    match kind {
        8 => {
            let len = walk.number(8)?;
            walk.part(len)
        }
        9 => {
            let (kind, count) = (walk.number(4)?, walk.number(8)?);
            (0..count).try_for_each(|_| gguf_value(walk, kind))
        }
        0 | 1 | 7 => walk.number(1).map(|_| ()),
        2 | 3 => walk.number(2).map(|_| ()),
        10..=12 => walk.number(8).map(|_| ()),
        _ => walk.number(4).map(|_| ()),
    }
}

/// Sizes of blocks and numbers in them by the data types of the golden files.
fn bin(walk: &mut Walk<'_>) -> Option<()> {
    for _ in 0..6 {
        walk.number(4)?;
    }
    while walk.at < walk.bytes.len() {
        let start = walk.at;
        let (n_dims, name, kind) = (walk.number(4)?, walk.number(4)?, walk.number(4)?);
        let mut count = 1usize;
        for _ in 0..n_dims {
            count = count.checked_mul(walk.number(4)?)?;
        }
        walk.part(name)?;
        let size = match kind {
            0 => count.checked_mul(4)?,
            1 => count.checked_mul(2)?,
            2 => (count / 32).checked_mul(18)?,
            3 => (count / 32).checked_mul(20)?,
            _ => return None,
        };
        let end = walk.at.checked_add(size).filter(|&end| end <= walk.bytes.len())?;
        walk.fields.data.push(walk.at..end);
        walk.at = end;
        walk.fields.parts.push(start..walk.at);
    }
    Some(())
}

/// The archive's own records, wherever they are; what is in the entries has fields of its own.
fn zip(walk: &mut Walk<'_>) -> Option<()> {
    /// Signature, and the widths of the fields after it.
    const RECORDS: [(&[u8; 4], &[usize]); 5] = [
        (b"PK\x03\x04", &[2, 2, 2, 2, 2, 4, 4, 4, 2, 2]),
        (b"PK\x01\x02", &[2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4]),
        (b"PK\x05\x06", &[2, 2, 2, 2, 4, 4, 2]),
        (b"PK\x06\x06", &[8, 2, 2, 4, 4, 8, 8, 8, 8]),
        (b"PK\x06\x07", &[4, 8, 4]),
    ];
    for at in 0..walk.bytes.len().saturating_sub(4) {
        let Some((_, widths)) = RECORDS.iter().find(|(signature, _)| walk.bytes[at..].starts_with(*signature)) else {
            continue;
        };
        walk.at = at + 4;
        for &width in *widths {
            walk.number(width);
        }
        let end = walk.at;
        walk.fields.parts.push(at..end);
    }
    let len = walk.bytes.len();
    walk.fields.data.push(0..len);
    Some(())
}

fn state(walk: &mut Walk<'_>) -> Option<()> {
    walk.at = 8;
    walk.number(4)?;
    walk.number(8)?;
    for _ in 0..4 {
        walk.number(4)?;
    }
    let end = walk.bytes.len().checked_sub(8)?;
    walk.fields.data.push(walk.at..end);
    Some(())
}

fn chat(walk: &mut Walk<'_>) -> Option<()> {
    walk.at = 8;
    walk.number(4)?;
    let json = walk.number(8)?;
    walk.part(json)?;
    walk.at += 8;
    state(walk)
}

/// Each instruction is a part, each argument a number.
fn pickle(walk: &mut Walk<'_>) -> Option<()> {
    while walk.at < walk.bytes.len() {
        let start = walk.at;
        walk.at += 1;
        match walk.bytes[start] {
            b'K' | b'h' | b'q' | 0x80 => _ = walk.number(1)?,
            b'M' => _ = walk.number(2)?,
            b'J' | b'j' | b'r' => _ = walk.number(4)?,
            0x95 => _ = walk.number(8)?,
            0x8a => {
                let len = walk.number(1)?;
                (0..len).try_for_each(|_| walk.number(1).map(|_| ()))?;
            }
            0x8c => {
                let len = walk.number(1)?;
                walk.part(len)?;
            }
            b'X' => {
                let len = walk.number(4)?;
                walk.part(len)?;
            }
            b'c' => {
                for _ in 0..2 {
                    let len = walk.bytes[walk.at..].iter().position(|&byte| byte == b'\n')?;
                    walk.part(len)?;
                    walk.at += 1;
                }
            }
            b'G' => walk.part(8)?,
            _ => {}
        }
        walk.fields.parts.push(start..walk.at);
    }
    Some(())
}
