//! BlinkDL's `.pth`: PyTorch's zip archive of a pickled state dict (`data.pkl`) and its storages (`data/KEY`).
//!
//! The archive's entries are not compressed, so that tensors are read where they lie in the file.

mod write;

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::{Checksum, Contents, MOST_ENTRIES, Mapped, Metadata, Stored, contiguous_strides, pickle};
use crate::error::{Error, Result};
pub(super) use write::write;

/// Lists the tensors of a state dict, in its order and under its names.
pub(super) fn read(file: Mapped) -> Result<Contents> {
    let archive = Archive::open(&file)?;
    if archive.entries.contains_key(&archive.named("byteorder")) && archive.bytes("byteorder")?.starts_with(b"big") {
        let cause = "is a big-endian checkpoint; torch.save it again on a little-endian machine";
        return Err(Error::unsupported(file.path().display(), cause));
    }
    let stored = pickle::state_dict(archive.bytes("data.pkl")?, file.path())?
        .into_iter()
        .map(|(name, tensor)| archive.locate(name, tensor))
        .collect::<Result<_>>()?;
    let checksums = archive.checksums();
    Ok(Contents { files: vec![file], stored, metadata: Metadata::default(), checksums })
}

/// Where the archive's entries lie in the file.
struct Archive<'a> {
    path: &'a Path,
    file: &'a [u8],
    /// The folder that all entries are in, with its slash: `archive/`, or named after the file.
    root: String,
    entries: HashMap<String, Entry>,
}

/// The extent of an entry, which lies inside the file.
struct Entry {
    start: usize,
    size: usize,
    compressed: bool,
    crc32: u32,
}

impl<'a> Archive<'a> {
    fn open(file: &'a Mapped) -> Result<Self> {
        let (path, bytes) = (file.path(), file.bytes());
        let entries = directory(bytes)
            .map_err(|cause| Error::format(path, format!("{cause}; the .pth is truncated or damaged, {AGAIN}")))?;
        let root = entries.keys().filter_map(|name| {
            let root = name.strip_suffix("data.pkl")?;
            (root.find('/') == Some(root.len().checked_sub(1)?)).then(|| root.to_string())
        });
        let Some(root) = root.min() else {
            return Err(Error::format(path, "is a zip archive, but without PyTorch's data.pkl; name a .pth"));
        };
        Ok(Self { path, file: bytes, root, entries })
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.root)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        let name = self.named(name);
        match self.entries.get(&name) {
            None => Err(Error::format(self.path, format!("lacks its entry {name}; it is damaged, {AGAIN}"))),
            Some(Entry { compressed: true, .. }) => {
                let cause = format!("its entry {name} is compressed or encrypted; unpack it and zip it with `zip -0`");
                Err(Error::unsupported(self.path.display(), cause))
            }
            Some(entry) => Ok(entry),
        }
    }

    fn bytes(&self, name: &str) -> Result<&'a [u8]> {
        let Entry { start, size, .. } = *self.entry(name)?;
        Ok(self.file.get(start..start + size).unwrap_or_default())
    }

    fn checksums(&self) -> Vec<Checksum> {
        let checksum = |(name, entry): (&String, &Entry)| Checksum {
            name: name.clone(),
            file: 0,
            range: entry.start..entry.start + entry.size,
            crc32: entry.crc32,
        };
        self.entries.iter().filter(|(_, entry)| !entry.compressed).map(checksum).collect()
    }

    /// Finds a tensor's numbers in the file.
    fn locate(&self, name: &str, tensor: pickle::Tensor) -> Result<Stored> {
        let Some(format) = tensor.dtype.format else {
            let (path, dtype) = (self.path.display(), tensor.dtype.name);
            let cause = format!("the tensor {name} is {dtype}; save it as float32, float16 or bfloat16");
            return Err(Error::unsupported(path, cause));
        };
        let storage = self.entry(&format!("data/{}", tensor.storage_key))?;
        let size = tensor.dtype.size;
        let end = extent(&tensor).and_then(|extent| extent.checked_mul(size));
        if storage.size < tensor.storage_size || end.is_none_or(|end| end > tensor.storage_size) {
            let cause =
                format!("the tensor {name} {:?} exceeds its storage; the file is damaged, {AGAIN}", tensor.shape);
            return Err(Error::format(self.path, cause));
        }
        let contiguous = contiguous_strides(&tensor.shape);
        // The stride of a dimension of one says nothing, and may be anything.
        let strides: Vec<usize> = (tensor.shape.iter().zip(&tensor.strides).zip(&contiguous))
            .map(|((&len, &stride), &contiguous)| if len == 1 { contiguous } else { stride })
            .collect();
        let gapless = strides == contiguous || tensor.shape.contains(&0);
        Ok(Stored {
            name: name.to_string(),
            strides: (!gapless).then_some(strides),
            shape: tensor.shape,
            format,
            file: 0,
            offset: storage.start + tensor.offset * size,
            elementwise: None,
        })
    }
}

const AGAIN: &str = "download it again";

/// Elements of the storage up to the tensor's last one.
fn extent(tensor: &pickle::Tensor) -> Option<usize> {
    if tensor.shape.contains(&0) {
        return Some(tensor.offset);
    }
    let last = (tensor.shape.iter().zip(&tensor.strides))
        .try_fold(tensor.offset, |at, (&len, &stride)| at.checked_add((len - 1).checked_mul(stride)?))?;
    last.checked_add(1)
}

/// Every entry of a zip archive by its name.
fn directory(file: &[u8]) -> Result<HashMap<String, Entry>, String> {
    if !modest_zip64(file) {
        return Err("its directory claims too much".into());
    }
    // Archives begin at the file's first byte: searching for another beginning would read all of a damaged file.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, Cursor::new(file))
        .map_err(|_| "its table of contents, which ends the file, cannot be read")?;
    if archive.has_duplicate_names() {
        return Err("two entries of its archive share a name".into());
    }
    let mut entries = HashMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|_| format!("its entry {index} cannot be read"))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let extent = || {
            let start = usize::try_from(entry.data_start()?).ok()?;
            let size = usize::try_from(entry.compressed_size()).ok()?;
            let inside = start.checked_add(size)? <= file.len();
            let compressed = entry.compression() != CompressionMethod::Stored || entry.encrypted();
            (inside && (compressed || entry.size() == entry.compressed_size())).then_some((start, size, compressed))
        };
        let (start, size, compressed) = extent().ok_or_else(|| format!("its entry {name} lies outside the file"))?;
        entries.insert(name, Entry { start, size, compressed, crc32: entry.crc32() });
    }
    Ok(entries)
}

/// The zip crate reserves memory for as many entries as a zip64 end record claims, and reads all of that record:
/// so look at the claims first. Any record it could find is named by a locator in the file's last 64 KiB.
fn modest_zip64(file: &[u8]) -> bool {
    const LOCATOR_SIZE: usize = 20;
    const END_AND_COMMENT_SIZE: usize = 22 + 0xffff + 4;
    let tail = file.get(file.len().saturating_sub(END_AND_COMMENT_SIZE + LOCATOR_SIZE)..).unwrap_or_default();
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(u64::MAX, |number| u64::from_le_bytes(*number))
    };
    tail.windows(LOCATOR_SIZE).filter(|locator| locator.starts_with(b"PK\x06\x07")).all(|locator| {
        let at = usize::try_from(number(locator, 8)).unwrap_or(usize::MAX);
        match file.get(at..).and_then(|record| record.get(..56)) {
            Some(record) => number(record, 4) <= 1 << 16 && number(record, 32) <= MOST_ENTRIES as u64,
            None => true,
        }
    })
}

#[cfg(test)]
mod tests;
