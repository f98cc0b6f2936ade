//! rwkv.cpp's `.bin`, versions 100 and 101 (its `docs/FILE_FORMAT.md`): a header of six numbers, then tensors to the
//! end of the file, each with its own small header and nothing between them.

mod read;
mod write;

use crate::quant::Format;

pub(super) use read::read;
pub(crate) use write::{Version, file_header, tensor_header};

/// `ggmf`, read as a little-endian number.
const MAGIC: u32 = 0x6767_6d66;

/// The data types of both versions by number. Version 100 packs nibbles in another order than 101, and has formats of
/// its own.
const TYPES: [(u32, u32, Format); 22] = [
    (100, 0, Format::F32),
    (100, 1, Format::F16),
    (100, 2, Format::Q4_0_V100),
    (100, 3, Format::Q4_1_V100),
    (100, 4, Format::Q4_1_O),
    (100, 5, Format::Q4_2),
    (100, 6, Format::Q4_3),
    (100, 7, Format::Q5_0_V100),
    (100, 8, Format::Q5_1_V100),
    (100, 9, Format::Q8_0_V100),
    (101, 0, Format::F32),
    (101, 1, Format::F16),
    (101, 2, Format::Q4_0),
    (101, 3, Format::Q4_1),
    (101, 7, Format::Q5_0),
    (101, 8, Format::Q5_1),
    (101, 9, Format::Q8_0),
    (101, 11, Format::Q2_K),
    (101, 12, Format::Q3_K),
    (101, 13, Format::Q4_K),
    (101, 14, Format::Q5_K),
    (101, 15, Format::Q6_K),
];
