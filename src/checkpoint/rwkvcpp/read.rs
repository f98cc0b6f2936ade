//! Reading rwkv.cpp's `.bin`.

use super::super::bytes::Bytes;
use super::super::{Contents, MOST_ENTRIES, Mapped, Metadata, Sizes, Stored};
use super::TYPES;
use crate::error::{Error, Result};
use crate::quant::Format;

pub(in crate::checkpoint) fn read(file: Mapped) -> Result<Contents> {
    let path = file.path().to_path_buf();
    let mut bytes = Bytes::new(file.bytes(), &path);
    let [_magic, version, n_vocab, n_embd, n_layer, data_type] = header(&mut bytes)?;
    if !matches!(version, 100 | 101) {
        let cause = format!("is an rwkv.cpp file of version {version}; versions 100 and 101 are supported");
        return Err(Error::unsupported(path.display(), cause));
    }
    let mut stored = Vec::new();
    while !bytes.is_at_end() {
        if stored.len() == MOST_ENTRIES {
            return Err(bytes.damaged(format!("holds more than {MOST_ENTRIES} tensors")));
        }
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
    let size = |stated: u32| Some(stated as usize);
    let sizes = Sizes { n_layer: size(n_layer), n_embd: size(n_embd), n_vocab: size(n_vocab), n_ffn: None };
    let metadata = Metadata { pairs, sizes, ..Metadata::default() };
    Ok(Contents { files: vec![file], stored, metadata, checksums: Vec::new() })
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
        let cause = format!("tells of a tensor with {n_dims} dimensions and a name of {name_len} bytes");
        return Err(bytes.damaged(cause));
    }
    let mut shape = Vec::new();
    for _ in 0..n_dims {
        shape.push(bytes.u32()? as usize);
    }
    shape.reverse();
    let name = std::str::from_utf8(bytes.take(name_len as usize)?);
    let name = name.map_err(|_| bytes.damaged("has a tensor whose name is not UTF-8"))?.to_string();
    let Some(format) = format(type_id, version) else {
        let cause =
            format!("holds {name} in the unknown data type {type_id} of version {version}; convert the original again");
        return Err(bytes.unsupported(cause));
    };
    let Some(size) = format.size_of(&shape).filter(|&size| size > 0) else {
        return Err(bytes.damaged(format!("gives {name} the shape {shape:?}, which {format} cannot store")));
    };
    let offset = bytes.position();
    bytes.take(size)?;
    Ok(Stored { name, shape, strides: None, format, file: 0, offset, elementwise: None })
}

fn format(type_id: u32, version: u32) -> Option<Format> {
    TYPES.iter().find(|&&(of, id, _)| (of, id) == (version, type_id)).map(|&(.., format)| format)
}
