//! Number formats of tensors: floats, and the quantized blocks of rwkv.cpp and ggml.

mod blocks;
mod encode;
mod kquants;
mod legacy;
mod panels;

use std::fmt;
use std::str::FromStr;

pub(crate) use blocks::IQ4_NL_LEVELS;
pub use encode::Encoder;
pub(crate) use encode::{encode, repack};
pub(crate) use panels::{pack, panel_size};

use crate::error::{Error, Result};

/// How a tensor's numbers are stored. Rows are divided into blocks of [`block_len`](Format::block_len)
/// numbers that take [`block_bytes`](Format::block_bytes) bytes each.
///
/// Names are ggml's. The formats of rwkv.cpp files of version 100 (April 2023) that share a name with a later,
/// different layout carry the suffix `V100`.
#[allow(missing_docs, reason = "each name is the documentation: ggml's name of the format")]
#[allow(non_camel_case_types, reason = "ggml's names, as users type them")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_NL,
    Q4_0_V100,
    Q4_1_V100,
    Q4_1_O,
    Q4_2,
    Q4_3,
    Q5_0_V100,
    Q5_1_V100,
    Q8_0_V100,
}

use Format::*;

/// Format, name, numbers a block, bytes a block.
const LAYOUTS: [(Format, &str, usize, usize); 22] = [
    (F32, "F32", 1, 4),
    (F16, "F16", 1, 2),
    (BF16, "BF16", 1, 2),
    (Q4_0, "Q4_0", 32, 18),
    (Q4_1, "Q4_1", 32, 20),
    (Q5_0, "Q5_0", 32, 22),
    (Q5_1, "Q5_1", 32, 24),
    (Q8_0, "Q8_0", 32, 34),
    (Q2_K, "Q2_K", 256, 84),
    (Q3_K, "Q3_K", 256, 110),
    (Q4_K, "Q4_K", 256, 144),
    (Q5_K, "Q5_K", 256, 176),
    (Q6_K, "Q6_K", 256, 210),
    (IQ4_NL, "IQ4_NL", 32, 18),
    (Q4_0_V100, "Q4_0 (version 100)", 32, 20),
    (Q4_1_V100, "Q4_1 (version 100)", 32, 24),
    (Q4_1_O, "Q4_1_O", 32, 24),
    (Q4_2, "Q4_2", 16, 10),
    (Q4_3, "Q4_3", 16, 12),
    (Q5_0_V100, "Q5_0 (version 100)", 32, 22),
    (Q5_1_V100, "Q5_1 (version 100)", 32, 24),
    (Q8_0_V100, "Q8_0 (version 100)", 32, 36),
];

/// Formats that version 100 lays out in its own way.
const COUNTERPARTS: [(Format, Format); 5] =
    [(Q4_0, Q4_0_V100), (Q4_1, Q4_1_V100), (Q5_0, Q5_0_V100), (Q5_1, Q5_1_V100), (Q8_0, Q8_0_V100)];

impl Format {
    /// Every format.
    pub const ALL: [Self; LAYOUTS.len()] = {
        let mut all = [F32; LAYOUTS.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = LAYOUTS[i].0;
            i += 1;
        }
        all
    };

    fn layout(self) -> (&'static str, usize, usize) {
        let (_, name, len, bytes) = LAYOUTS[self as usize];
        (name, len, bytes)
    }

    /// ggml's name of the format.
    pub fn name(self) -> &'static str {
        self.layout().0
    }

    /// The format of this name, as users type it: in any case, `FP16` for `F16`, and formats of version 100 with the
    /// suffix `_V100`.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let name = match name.as_str() {
            "FP32" => "F32",
            "FP16" => "F16",
            "BFLOAT16" => "BF16",
            name => name,
        };
        Self::ALL.into_iter().find(|format| format.typed_name() == name)
    }

    /// The name by which [`named`](Self::named) knows it.
    pub fn typed_name(self) -> String {
        self.name().replace(" (version 100)", "_V100")
    }

    /// Numbers in one block; 1 for the float formats. A row's length must be a multiple of it.
    pub fn block_len(self) -> usize {
        self.layout().1
    }

    /// Bytes one block takes.
    pub fn block_bytes(self) -> usize {
        self.layout().2
    }

    /// Whether each number stands for itself (`F32`, `F16`, `BF16`) rather than sharing a scale with its block.
    pub fn is_float(self) -> bool {
        matches!(self, F32 | F16 | BF16)
    }

    /// The layout of version 100 that goes by the same name.
    pub(crate) fn of_version_100(self) -> Option<Self> {
        COUNTERPARTS.iter().find(|(modern, _)| *modern == self).map(|&(_, old)| old)
    }

    /// The layout of today that goes by the same name, for one of version 100.
    pub(crate) fn modern(self) -> Option<Self> {
        COUNTERPARTS.iter().find(|(_, old)| *old == self).map(|&(modern, _)| modern)
    }

    /// Bytes that a tensor of this shape (row-major, outermost dimension first) takes.
    /// `None` if its rows do not divide into blocks or the size overflows.
    pub fn size_of(self, shape: &[usize]) -> Option<usize> {
        let row = *shape.last().unwrap_or(&1);
        if !row.is_multiple_of(self.block_len()) {
            return None;
        }
        let rows = shape.iter().rev().skip(1).try_fold(1usize, |n, &d| n.checked_mul(d))?;
        rows.checked_mul(row / self.block_len())?.checked_mul(self.block_bytes())
    }
}

/// The numbers that whole blocks stand for: `out` has as many as `bytes` holds.
// It is large, and would be inlined wherever it is called.
#[inline(never)]
pub(crate) fn decode(format: Format, bytes: &[u8], out: &mut [f32]) {
    decode_here(format, bytes, out);
}

/// The same, compiled for the instruction set of its caller.
#[inline(always)]
pub(crate) fn decode_here(format: Format, bytes: &[u8], out: &mut [f32]) {
    match format {
        F32 => blocks::f32(bytes, out),
        F16 => blocks::f16(bytes, out),
        BF16 => blocks::bf16(bytes, out),
        Q4_0 => blocks::q4_0(bytes, out),
        Q4_1 => blocks::q4_1(bytes, out),
        Q5_0 => blocks::q5_0(bytes, out),
        Q5_1 => blocks::q5_1(bytes, out),
        Q8_0 => blocks::q8_0(bytes, out),
        IQ4_NL => blocks::iq4_nl(bytes, out),
        Q2_K => kquants::q2_k(bytes, out),
        Q3_K => kquants::q3_k(bytes, out),
        Q4_K => kquants::q4_k(bytes, out),
        Q5_K => kquants::q5_k(bytes, out),
        Q6_K => kquants::q6_k(bytes, out),
        Q4_0_V100 => legacy::q4_0(bytes, out),
        Q4_1_V100 => legacy::q4_1(bytes, out),
        Q4_1_O => legacy::q4_1_o(bytes, out),
        Q4_2 => legacy::q4_2(bytes, out),
        Q4_3 => legacy::q4_3(bytes, out),
        Q5_0_V100 => legacy::q5_0(bytes, out),
        Q5_1_V100 => legacy::q5_1(bytes, out),
        Q8_0_V100 => legacy::q8_0(bytes, out),
    }
}

impl Format {
    /// The format of a name that a user typed: one that [`named`](Self::named) knows, or a file type of llama.cpp that
    /// means one, such as `Q4_K_M`: sizes make no difference for RWKV.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an unknown name, with those there are; `argument` is what the user knows it by.
    pub fn of_argument(argument: &str, name: &str) -> Result<Self> {
        let upper = name.to_ascii_uppercase();
        let base = ["_S", "_M", "_L"].iter().find_map(|size| upper.strip_suffix(size));
        let k_quant = base.filter(|base| base.ends_with("_K"));
        Self::named(k_quant.unwrap_or(name))
            .ok_or_else(|| Error::unknown(argument, name, &Self::ALL.map(Self::typed_name)))
    }
}

impl FromStr for Format {
    type Err = Error;

    /// As [`of_argument`](Self::of_argument), of an argument called `type`.
    fn from_str(name: &str) -> Result<Self> {
        Self::of_argument("type", name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_table_is_in_the_order_of_the_enum() {
        for (index, (format, ..)) in LAYOUTS.iter().enumerate() {
            assert_eq!(*format as usize, index);
        }
    }

    #[test]
    fn every_half_precision_number_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            // As the scale of a block whose numbers are all -1.
            let block = [&bits.to_le_bytes()[..], &[0x77; 16]].concat();
            let mut out = [0.0; 32];
            decode(Q4_0, &block, &mut out);
            let expected = -half::f16::from_bits(bits).to_f32_const();
            assert!(
                out.iter().all(|x| x.to_bits() == expected.to_bits() || x.is_nan() && expected.is_nan()),
                "{bits:#x}"
            );
        }
    }

    #[test]
    fn sizes_count_whole_blocks_and_refuse_ragged_rows_and_overflow() {
        assert_eq!(F16.size_of(&[3, 5]), Some(30));
        assert_eq!(Q5_1.size_of(&[2, 64]), Some(96));
        assert_eq!(Q5_1.size_of(&[64, 2]), None);
        assert_eq!(F32.size_of(&[usize::MAX, 2]), None);
        assert_eq!(F32.size_of(&[]), Some(4));
    }
}
