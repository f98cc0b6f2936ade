//! rwkv.cpp's `.bin`, versions 100 and 101 (its `docs/FILE_FORMAT.md`): a header of six numbers, then tensors to the
//! end of the file, each with its own small header and nothing between them.

use super::bytes::Bytes;
use super::{Contents, Mapped, Metadata, Stored};
use crate::error::{Error, Result};
use crate::quant::Format;

pub(super) fn read(file: Mapped) -> Result<Contents> {
    let path = file.path().to_path_buf();
    let mut bytes = Bytes::new(file.bytes(), &path);
    let [_magic, version, n_vocab, n_embd, n_layer, data_type] = header(&mut bytes)?;
    if !matches!(version, 100 | 101) {
        let cause = format!("is an rwkv.cpp file of version {version}; versions 100 and 101 are supported");
        return Err(Error::unsupported(path.display(), cause));
    }
    let mut stored = Vec::new();
    while !bytes.is_at_end() {
        stored.push(tensor(&mut bytes, version)?);
    }
    let named = |name: &str, value: u32| (name.to_string(), value.to_string());
    let data_type = format(data_type, version).map_or(data_type.to_string(), |format| format.to_string());
    let pairs = vec![
        named("version", version),
        named("n_vocab", n_vocab),
        named("n_embed", n_embd),
        named("n_layer", n_layer),
        ("data_type".to_string(), data_type),
    ];
    Ok(Contents { files: vec![file], stored, metadata: Metadata { pairs, ..Metadata::default() } })
}

fn header(bytes: &mut Bytes<'_>) -> Result<[u32; 6]> {
    let mut header = [0; 6];
    for number in &mut header {
        *number = bytes.u32()?;
    }
    Ok(header)
}

fn tensor(bytes: &mut Bytes<'_>, version: u32) -> Result<Stored> {
    const MOST_DIMENSIONS: u32 = 4;
    const LONGEST_NAME: u32 = 1024;
    let (n_dims, name_len, type_id) = (bytes.u32()?, bytes.u32()?, bytes.u32()?);
    if !(1..=MOST_DIMENSIONS).contains(&n_dims) || !(1..=LONGEST_NAME).contains(&name_len) {
        let cause = format!("tells of a tensor with {n_dims} dimensions and a name of {name_len} bytes; it is damaged");
        return Err(bytes.error(cause));
    }
    let mut shape = Vec::new();
    for _ in 0..n_dims {
        shape.push(bytes.u32()? as usize);
    }
    shape.reverse();
    let name = std::str::from_utf8(bytes.take(name_len as usize)?);
    let name = name.map_err(|_| bytes.error("has a tensor whose name is not UTF-8; it is damaged"))?.to_string();
    let Some(format) = format(type_id, version) else {
        let cause = format!("holds {name} in the unknown data type {type_id} of version {version}");
        return Err(bytes.unsupported(cause));
    };
    let Some(size) = format.size_of(&shape).filter(|&size| size > 0) else {
        return Err(
            bytes.error(format!("gives {name} the shape {shape:?}, which {format} cannot store; it is damaged"))
        );
    };
    let offset = bytes.position();
    bytes.take(size)?;
    Ok(Stored { name, shape, strides: None, format, file: 0, offset, elementwise: None })
}

/// The data types by number. Version 100 packs nibbles in another order than 101, and has formats of its own.
fn format(type_id: u32, version: u32) -> Option<Format> {
    use Format::*;
    Some(match (type_id, version) {
        (0, _) => F32,
        (1, _) => F16,
        (2, 100) => Q4_0_V100,
        (3, 100) => Q4_1_V100,
        (4, 100) => Q4_1_O,
        (5, 100) => Q4_2,
        (6, 100) => Q4_3,
        (7, 100) => Q5_0_V100,
        (8, 100) => Q5_1_V100,
        (9, 100) => Q8_0_V100,
        (2, 101) => Q4_0,
        (3, 101) => Q4_1,
        (7, 101) => Q5_0,
        (8, 101) => Q5_1,
        (9, 101) => Q8_0,
        (11, 101) => Q2_K,
        (12, 101) => Q3_K,
        (13, 101) => Q4_K,
        (14, 101) => Q5_K,
        (15, 101) => Q6_K,
        _ => return None,
    })
}
