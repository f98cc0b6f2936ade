//! Decoders of the formats of rwkv.cpp files of version 100 (April 2023; saharNooby's ggml, commit bfa8d5b).
//! Nibbles are interleaved: byte `j` of a block holds the numbers `2j` (low) and `2j + 1` (high).

use super::blocks::{for_each_block, half_at, scaled, signed_bytes, with_fifths, word_at};

#[inline(always)]
fn single_at(block: &[u8], at: usize) -> f32 {
    f32::from_bits(word_at(block, at))
}

/// `y = (q - 8) * d`
#[inline(always)]
pub(super) fn q4_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 20, out: 32| {
        let d = single_at(block, 0);
        scaled(&interleaved_nibbles(block, 4), out, |q| (q - 8) as f32 * d);
    });
}

/// `y = q * d + m`
#[inline(always)]
pub(super) fn q4_1(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 24, out: 32| {
        let (d, m) = (single_at(block, 0), single_at(block, 4));
        scaled(&interleaved_nibbles(block, 8), out, |q| q as f32 * d + m);
    });
}

/// `y = q * d + m`, but for one number of the block that is kept as it is.
#[inline(always)]
pub(super) fn q4_1_o(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 24, out: 32| {
        let (d, m, outlier) = (half_at(block, 0), half_at(block, 2), half_at(block, 6));
        scaled(&interleaved_nibbles(block, 8), out, |q| q as f32 * d + m);
        // A block of zeros has the index 0xFFFF, and its value is zero like all others.
        out[usize::from(u16::from_le_bytes([block[4], block[5]])) % 32] = outlier;
    });
}

/// `y = (q - 8) * d`, 16 to a block.
#[inline(always)]
pub(super) fn q4_2(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 10, out: 16| {
        let d = half_at(block, 0);
        scaled(&interleaved_nibbles(block, 2), out, |q| (q - 8) as f32 * d);
    });
}

/// `y = q * d + m`, 16 to a block.
#[inline(always)]
pub(super) fn q4_3(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 12, out: 16| {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        scaled(&interleaved_nibbles(block, 4), out, |q| q as f32 * d + m);
    });
}

/// `y = (q - 16) * d`; bit `i` of the word after the scale is the fifth bit of number `i`.
#[inline(always)]
pub(super) fn q5_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 22, out: 32| {
        let d = half_at(block, 0);
        let q = with_fifths(interleaved_nibbles(block, 6), word_at(block, 2));
        scaled(&q, out, |q| (q - 16) as f32 * d);
    });
}

/// `y = q * d + m`, the fifth bits as in `q5_0`.
#[inline(always)]
pub(super) fn q5_1(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 24, out: 32| {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        let q = with_fifths(interleaved_nibbles(block, 8), word_at(block, 4));
        scaled(&q, out, |q| q as f32 * d + m);
    });
}

/// `y = q * d`
#[inline(always)]
pub(super) fn q8_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 36, out: 32| {
        let d = single_at(block, 0);
        signed_bytes(&block[4..], out, d);
    });
}

/// The levels in the bytes from `at` on: of each byte the low nibble, then the high one.
#[inline(always)]
pub(super) fn interleaved_nibbles<const N: usize>(block: &[u8], at: usize) -> [u8; N] {
    let mut q = [0; N];
    for (pair, byte) in q.as_chunks_mut().0.iter_mut().zip(&block[at..at + N / 2]) {
        let byte = u16::from(*byte);
        *pair = ((byte | byte << 4) & 0x0f0f).to_le_bytes();
    }
    q
}
