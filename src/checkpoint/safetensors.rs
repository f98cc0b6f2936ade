//! Hugging Face's `.safetensors`: a JSON header and the tensors' bytes. Large models come in several files, shards,
//! and an index that tells which tensor is in which.

mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata as Header;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Contents, Mapped, Stored};
use crate::error::{Error, Result};
use crate::quant::Format;
pub(super) use write::write;

/// A header or index takes about 120 bytes a tensor; the largest RWKV has some 3,000 tensors.
const MAX_JSON_SIZE: usize = 4 << 20;

const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// Lists the tensors of a file, or of all shards where the file is an index, or a shard that an index beside it lists.
pub(super) fn read(file: Mapped) -> Result<Contents> {
    let path = file.path().to_path_buf();
    let mut contents = if is_index(&path) {
        read_shards(&path, &json(file.path(), file.bytes())?)?
    } else {
        match index_beside(&path)? {
            Some((index_path, index)) => read_shards(&index_path, &index)?,
            None => {
                let mut contents = Contents::default();
                append(&mut contents, file)?;
                contents
            }
        }
    };
    contents.metadata.architecture = model_type_beside(&path);
    Ok(contents)
}

fn is_index(path: &Path) -> bool {
    path.to_string_lossy().ends_with(INDEX_SUFFIX)
}

/// Adds a file and its tensors.
fn append(contents: &mut Contents, file: Mapped) -> Result<()> {
    let (header, start) = header(&file)?;
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let format = match info.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::BF16,
            other => {
                let cause = format!("the tensor {name} is {other:?}; save it as F32, F16 or BF16");
                return Err(Error::unsupported(file.path().display(), cause));
            }
        };
        contents.stored.push(Stored {
            name,
            shape: info.shape.clone(),
            strides: None,
            format,
            file: contents.files.len(),
            offset: start + info.data_offsets.0,
            elementwise: None,
        });
    }
    // Shards repeat what they say about the model.
    let pairs: BTreeSet<_> = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    let known = &mut contents.metadata.pairs;
    let new: Vec<_> = pairs.into_iter().filter(|pair| !known.contains(pair)).collect();
    known.extend(new);
    contents.files.push(file);
    Ok(())
}

/// A file's header, and where the tensors begin. The crate checks that the tensors fill the file's rest without a gap
/// or an overlap, each as long as its shape and type demand, as far as that can be told without the file.
fn header(file: &Mapped) -> Result<(Header, usize)> {
    let bytes = file.bytes();
    let damaged = |cause: &str| Error::format(file.path(), format!("{cause}; download or convert it again"));
    let (length, rest) = bytes.split_first_chunk().ok_or_else(|| damaged("is no .safetensors file"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let header: Header = match rest.get(..length) {
        Some(header) => json(file.path(), header)?,
        None => return Err(damaged("is truncated within its header, or no .safetensors file")),
    };
    let start = bytes.len() - rest.len() + length;
    // `data_len` is the end of the last tensor.
    match start.checked_add(header.data_len()) {
        Some(end) if end == bytes.len() => Ok((header, start)),
        Some(end) if end < bytes.len() => Err(damaged("has bytes after its last tensor")),
        _ => Err(damaged("is truncated, or its header lies")),
    }
}

fn json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    if bytes.len() > MAX_JSON_SIZE {
        let cause = "its header or index is larger than any model's; it is damaged, or no .safetensors file";
        return Err(Error::format(path, cause));
    }
    serde_json::from_slice(bytes)
        .map_err(|e| Error::format(path, format!("its header or index is damaged ({e}); download or convert it again")))
}

/// `model.safetensors.index.json`: which shard holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn read_shards(index_path: &Path, index: &Index) -> Result<Contents> {
    let mut contents = Contents::default();
    let shards: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
    for &shard in &shards {
        if !is_plain_name(shard) {
            let cause = format!("names the shard {shard:?}, which is no plain file name; download the index again");
            return Err(Error::format(index_path, cause));
        }
        append(&mut contents, Mapped::open(&index_path.with_file_name(shard))?)?;
    }
    let shards: Vec<&str> = shards.into_iter().collect();
    let held: BTreeSet<_> =
        contents.stored.iter().filter_map(|t| Some((t.name.as_str(), *shards.get(t.file)?))).collect();
    for (name, shard) in &index.weight_map {
        if !held.contains(&(name.as_str(), shard.as_str())) {
            let cause =
                format!("lists the tensor {name} in {shard}, which lacks it; download the index and all shards again");
            return Err(Error::format(index_path, cause));
        }
    }
    Ok(contents)
}

/// Whether a name can only mean a file in the index's own folder, on any operating system.
fn is_plain_name(name: &str) -> bool {
    const LONGEST: usize = 255;
    let means_more = |c: char| matches!(c, '/' | '\\' | ':') || c.is_control();
    !matches!(name, "" | "." | "..") && name.len() <= LONGEST && !name.contains(means_more)
}

/// The index that lists a shard, if the file is one. It stands beside it, named like it without the shard's number.
fn index_beside(path: &Path) -> Result<Option<(PathBuf, Index)>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    let numbered = numbered_shard(name);
    for stem in numbered.map(|(stem, _)| stem).into_iter().chain(["model"]) {
        let index_path = path.with_file_name(format!("{stem}{INDEX_SUFFIX}"));
        if index_path.is_file() {
            let index: Index = match Mapped::open(&index_path).and_then(|file| json(&index_path, file.bytes())) {
                Ok(index) => index,
                // Another model's index in the same folder is none of this file's business.
                Err(_) if numbered.is_none() => continue,
                Err(e) => return Err(e),
            };
            if index.weight_map.values().any(|shard| shard == name) {
                return Ok(Some((index_path, index)));
            }
        }
    }
    match numbered {
        Some((stem, count)) if count > 1 => {
            let cause = format!(
                "is one of {count} shards, but no index lists it; put all shards and {stem}{INDEX_SUFFIX} into one folder"
            );
            Err(Error::format(path, cause))
        }
        _ => Ok(None),
    }
}

/// `model` and 3 of `model-00001-of-00003.safetensors`.
fn numbered_shard(name: &str) -> Option<(&str, u32)> {
    let (rest, count) = name.strip_suffix(".safetensors")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    number.parse::<u32>().ok()?;
    Some((stem, count.parse().ok()?))
}

/// What a `config.json` in the same folder calls the model. It may belong to something else: nothing about it fails.
fn model_type_beside(path: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        model_type: String,
    }
    let path = path.with_file_name("config.json");
    let file = if path.is_file() { Mapped::open(&path).ok()? } else { return None };
    json(&path, file.bytes()).ok().map(|config: Config| config.model_type)
}

#[cfg(test)]
mod tests;
