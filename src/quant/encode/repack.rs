//! The same levels in the other layout that goes by a format's name: that of version 100, or today's.
//!
//! Exact, but that `Q4_0`, `Q4_1` and `Q8_0` of version 100 have scales in single precision, which today's layouts
//! round to half.

use super::{Block, pack};
use crate::quant::Format;
use crate::quant::blocks::half_at;

/// Copies whole blocks of `from` as blocks of `to`. `false`: the two are not counterparts, and nothing was written.
pub(crate) fn repack(from: Format, to: Format, bytes: &[u8], out: &mut [u8]) -> bool {
    if from.modern() != Some(to) && from.of_version_100() != Some(to) {
        return false;
    }
    let blocks = bytes.chunks_exact(from.block_bytes()).zip(out.chunks_exact_mut(to.block_bytes()));
    blocks.for_each(|(block, out)| put(to, &unpack(from, block), out));
    true
}

fn unpack(format: Format, bytes: &[u8]) -> Block<32> {
    use Format::*;
    let is_wide = matches!(format, Q4_0_V100 | Q4_1_V100 | Q8_0_V100);
    let is_affine = matches!(format, Q4_1 | Q5_1 | Q4_1_V100 | Q5_1_V100);
    let has_fifths = matches!(format, Q5_0 | Q5_1 | Q5_0_V100 | Q5_1_V100);
    let single_at = |at: usize| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let number_at = |at: usize| if is_wide { single_at(at) } else { half_at(bytes, at) };
    let width = if is_wide { 4 } else { 2 };
    let fifths = if is_affine { 2 * width } else { width };
    let levels = if has_fifths { fifths + 4 } else { fifths };
    let q = std::array::from_fn(|i| {
        let nibble = match format {
            Q8_0 | Q8_0_V100 => return bytes[levels + i],
            Q4_0 | Q4_1 | Q5_0 | Q5_1 => bytes[levels + i % 16] >> (4 * (i / 16)) & 15,
            _ => bytes[levels + i / 2] >> (4 * (i % 2)) & 15,
        };
        let fifth = if has_fifths { bytes[fifths + i / 8] >> (i % 8) & 1 } else { 0 };
        nibble | fifth << 4
    });
    Block { d: number_at(0), m: if is_affine { number_at(width) } else { 0.0 }, q }
}

fn put(format: Format, block: &Block<32>, out: &mut [u8]) {
    use Format::*;
    match format {
        Q4_0 => laid_out(pack::q4_0, block, out),
        Q4_1 => laid_out(pack::q4_1, block, out),
        Q5_0 => laid_out(pack::q5_0, block, out),
        Q5_1 => laid_out(pack::q5_1, block, out),
        Q8_0 => laid_out(pack::q8_0, block, out),
        Q4_0_V100 => laid_out(pack::v100::q4_0, block, out),
        Q4_1_V100 => laid_out(pack::v100::q4_1, block, out),
        Q5_0_V100 => laid_out(pack::v100::q5_0, block, out),
        Q5_1_V100 => laid_out(pack::v100::q5_1, block, out),
        Q8_0_V100 => laid_out(pack::v100::q8_0, block, out),
        // No other format has a counterpart.
        _ => {}
    }
}

fn laid_out<const BYTES: usize>(pack: impl Fn(&Block<32>, &mut [u8; BYTES]), block: &Block<32>, out: &mut [u8]) {
    if let Some(out) = out.first_chunk_mut() {
        pack(block, out);
    }
}
