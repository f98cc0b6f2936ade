//! Writing rwkv.cpp's `.bin`.

use super::{MAGIC, TYPES};
use crate::quant::Format;

/// A version of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Until May 2023, for RWKV-4 only.
    V100,
    V101,
}

impl Version {
    pub fn number(self) -> u32 {
        match self {
            Self::V100 => 100,
            Self::V101 => 101,
        }
    }

    /// Whether a file of this version can hold tensors of a format.
    pub fn can_hold(self, format: Format) -> bool {
        self.type_id(format).is_some()
    }

    fn type_id(self, format: Format) -> Option<u32> {
        let found = TYPES.iter().find(|&&(version, _, known)| version == self.number() && known == format);
        found.map(|&(_, id, _)| id)
    }
}

/// The file's beginning. `format` is that of the matrices; every format is one that [`Version::can_hold`] allows.
pub(crate) fn file_header(version: Version, sizes: [usize; 3], format: Format) -> Vec<u8> {
    let [n_vocab, n_embd, n_layer] = sizes.map(|size| size as u32);
    let data_type = version.type_id(format).unwrap_or_default();
    [MAGIC, version.number(), n_vocab, n_embd, n_layer, data_type].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// What stands before a tensor's data. `shape` has its outermost dimension first.
pub(crate) fn tensor_header(version: Version, name: &str, shape: &[usize], format: Format) -> Vec<u8> {
    let data_type = version.type_id(format).unwrap_or_default();
    let dimensions = shape.iter().rev().map(|&len| len as u32);
    let fields = [shape.len() as u32, name.len() as u32, data_type].into_iter().chain(dimensions);
    fields.flat_map(u32::to_le_bytes).chain(name.bytes()).collect()
}
