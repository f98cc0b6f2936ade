//! Decoders of the float formats and of ggml's blocks of 32, as GGUF and rwkv.cpp files of version 101 hold them
//! (`ggml-quants.c`). Nibbles are split: byte `j` of a block holds the numbers `j` (low) and `j + 16` (high).

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Reads the half-precision number at `at`.
#[inline(always)]
pub(super) fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Calls `decode` on each block and the numbers it stands for.
#[inline(always)]
pub(super) fn for_each_block<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; LEN]),
) {
    for (block, out) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        decode(block, out);
    }
}

#[inline(always)]
pub(super) fn f32(bytes: &[u8], out: &mut [f32]) {
    for_each_block(bytes, out, |block, out: &mut [f32; 1]| out[0] = f32::from_le_bytes(*block));
}

/// `half` uses the processor's conversion where there is one, if it gets many numbers at a time.
#[inline(always)]
pub(super) fn f16(bytes: &[u8], out: &mut [f32]) {
    const RUN: usize = 64;
    for (bytes, out) in bytes.chunks(2 * RUN).zip(out.chunks_mut(RUN)) {
        let mut numbers = [f16::ZERO; RUN];
        for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
            *number = f16::from_le_bytes(*bytes);
        }
        numbers[..out.len()].convert_to_f32_slice(out);
    }
}

#[inline(always)]
pub(super) fn bf16(bytes: &[u8], out: &mut [f32]) {
    for_each_block(bytes, out, |block, out: &mut [f32; 1]| {
        out[0] = f32::from_bits(u32::from(u16::from_le_bytes(*block)) << 16);
    });
}

/// `y = (q - 8) * d`
#[inline(always)]
pub(super) fn q4_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block(bytes, out, |block: &[u8; 18], out: &mut [f32; 32]| {
        let d = half_at(block, 0);
        split_nibbles(&block[2..], out, |q| (i32::from(q) - 8) as f32 * d);
    });
}

/// `y = q * d + m`
#[inline(always)]
pub(super) fn q4_1(bytes: &[u8], out: &mut [f32]) {
    for_each_block(bytes, out, |block: &[u8; 20], out: &mut [f32; 32]| {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        split_nibbles(&block[4..], out, |q| f32::from(q) * d + m);
    });
}

/// `y = (q - 16) * d`; bit `i` of the word after the scale is the fifth bit of number `i`.
#[inline(always)]
pub(super) fn q5_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block(bytes, out, |block: &[u8; 22], out: &mut [f32; 32]| {
        let d = half_at(block, 0);
        let fifths = fifth_bits(block, 2);
        split_nibbles(&block[6..], out, f32::from);
        add_fifths(out, fifths, |q| (q - 16.0) * d);
    });
}

/// `y = q * d + m`, the fifth bits as in `q5_0`.
#[inline(always)]
pub(super) fn q5_1(bytes: &[u8], out: &mut [f32]) {
    for_each_block(bytes, out, |block: &[u8; 24], out: &mut [f32; 32]| {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        let fifths = fifth_bits(block, 4);
        split_nibbles(&block[8..], out, f32::from);
        add_fifths(out, fifths, |q| q * d + m);
    });
}

/// `y = q * d`
#[inline(always)]
pub(super) fn q8_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block(bytes, out, |block: &[u8; 34], out: &mut [f32; 32]| {
        let d = half_at(block, 0);
        signed_bytes(&block[2..], out, d);
    });
}

/// `y = d * LEVELS[q]`
#[inline(always)]
pub(super) fn iq4_nl(bytes: &[u8], out: &mut [f32]) {
    for_each_block(bytes, out, |block: &[u8; 18], out: &mut [f32; 32]| {
        let d = half_at(block, 0);
        split_nibbles(&block[2..], out, |q| d * f32::from(IQ4_NL_LEVELS[usize::from(q)]));
    });
}

/// The levels of `IQ4_NL`: closer together around zero, where most weights are.
pub(super) const IQ4_NL_LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// 32 numbers out of 16 bytes: the low nibbles, then the high ones.
#[inline(always)]
fn split_nibbles(packed: &[u8], out: &mut [f32; 32], value: impl Fn(u8) -> f32) {
    let (low, high) = out.split_at_mut(16);
    for ((low, high), byte) in low.iter_mut().zip(high).zip(packed) {
        *low = value(byte & 15);
        *high = value(byte >> 4);
    }
}

#[inline(always)]
pub(super) fn signed_bytes(packed: &[u8], out: &mut [f32], d: f32) {
    for (out, byte) in out.iter_mut().zip(packed) {
        *out = f32::from(*byte as i8) * d;
    }
}

#[inline(always)]
pub(super) fn fifth_bits(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// Adds 16 to the numbers whose bit is set, then turns each into its value.
#[inline(always)]
pub(super) fn add_fifths(out: &mut [f32; 32], bits: u32, value: impl Fn(f32) -> f32) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = value(*out + (bits >> i << 4 & 16) as f32);
    }
}
