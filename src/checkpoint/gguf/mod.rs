//! llama.cpp's GGUF, versions 2 and 3 (ggml's `docs/gguf.md`): key-value pairs, a table of tensors, aligned data.

mod read;
mod write;

use crate::quant::Format;

pub(super) use read::read;
pub(crate) use write::{Entry, Header, Value, can_hold, escape, padding};

/// ggml's tensor types by number.
const TYPES: [(u32, Format); 14] = [
    (0, Format::F32),
    (1, Format::F16),
    (2, Format::Q4_0),
    (3, Format::Q4_1),
    (6, Format::Q5_0),
    (7, Format::Q5_1),
    (8, Format::Q8_0),
    (10, Format::Q2_K),
    (11, Format::Q3_K),
    (12, Format::Q4_K),
    (13, Format::Q5_K),
    (14, Format::Q6_K),
    (20, Format::IQ4_NL),
    (30, Format::BF16),
];

/// Kinds of values by number, where we ask for them or write them.
const UINT32: u32 = 4;
const INT32: u32 = 5;
const FLOAT32: u32 = 6;
const TEXT: u32 = 8;
const LIST: u32 = 9;
