//! Decoders of the float formats and of ggml's blocks of 32, as GGUF and rwkv.cpp files of version 101 hold them
//! (`ggml-quants.c`). Nibbles are split: byte `j` of a block holds the numbers `j` (low) and `j + 16` (high).

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Reads the half-precision number at `at`.
#[inline(always)]
pub(super) fn half_at(block: &[u8], at: usize) -> f32 {
    widened(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// A half-precision number as f32. `half`'s own conversion of a single number looks for the processor's instruction each
/// time, which takes as long as the rest of a block.
#[inline(always)]
fn widened(half: u16) -> f32 {
    /// 2^(127 - 15), the difference of the exponents' biases: makes subnormal numbers right as well.
    const REBIAS: f32 = f32::from_bits((254 - 15) << 23);
    const INFINITE: u32 = 0x7c00;
    let (sign, magnitude) = (u32::from(half & 0x8000) << 16, u32::from(half & 0x7fff));
    let finite = (f32::from_bits(magnitude << 13) * REBIAS).to_bits();
    let special = if magnitude >= INFINITE { 0x7f80_0000 } else { 0 };
    f32::from_bits(finite | special | sign)
}

/// Runs a body for each block and the numbers it stands for.
///
/// A macro, not a function with a closure: a large closure stays a function of its own, and is compiled for the oldest
/// instruction set wherever it is called from.
macro_rules! for_each_block {
    ($bytes:expr, $out:expr, |$block:ident: $size:literal, $numbers:ident: $len:tt| $body:expr) => {
        for ($block, $numbers) in $bytes.as_chunks::<$size>().0.iter().zip($out.as_chunks_mut::<{ $len }>().0) {
            $body
        }
    };
}
pub(super) use for_each_block;

#[inline(always)]
pub(super) fn f32(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 4, out: 1| out[0] = f32::from_le_bytes(*block));
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
    for_each_block!(bytes, out, |block: 2, out: 1| {
        out[0] = f32::from_bits(u32::from(u16::from_le_bytes(*block)) << 16);
    });
}

/// `y = (q - 8) * d`
#[inline(always)]
pub(super) fn q4_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 18, out: 32| {
        let d = half_at(block, 0);
        scaled(&split_nibbles(block, 2), out, |q| (q - 8) as f32 * d);
    });
}

/// `y = q * d + m`
#[inline(always)]
pub(super) fn q4_1(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 20, out: 32| {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        scaled(&split_nibbles(block, 4), out, |q| q as f32 * d + m);
    });
}

/// `y = (q - 16) * d`; bit `i` of the word after the scale is the fifth bit of number `i`.
#[inline(always)]
pub(super) fn q5_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 22, out: 32| {
        let d = half_at(block, 0);
        let q = with_fifths(split_nibbles(block, 6), word_at(block, 2));
        scaled(&q, out, |q| (q - 16) as f32 * d);
    });
}

/// `y = q * d + m`, the fifth bits as in `q5_0`.
#[inline(always)]
pub(super) fn q5_1(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 24, out: 32| {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        let q = with_fifths(split_nibbles(block, 8), word_at(block, 4));
        scaled(&q, out, |q| q as f32 * d + m);
    });
}

/// `y = q * d`
#[inline(always)]
pub(super) fn q8_0(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 34, out: 32| {
        let d = half_at(block, 0);
        signed_bytes(&block[2..], out, d);
    });
}

/// `y = d * LEVELS[q]`
#[inline(always)]
pub(super) fn iq4_nl(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 18, out: 32| {
        let d = half_at(block, 0);
        scaled(&split_nibbles(block, 2), out, |q| d * f32::from(IQ4_NL_LEVELS[q as usize]));
    });
}

/// The levels of `IQ4_NL`: closer together around zero, where most weights are.
pub(crate) const IQ4_NL_LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The levels in the 16 bytes at `at`: the low nibbles, then the high ones.
///
/// Levels are first unpacked, all of a block, and then scaled: compilers make vector instructions of the two loops, but
/// not of one that does both.
#[inline(always)]
fn split_nibbles(block: &[u8], at: usize) -> [u8; 32] {
    let mut q = [0; 32];
    let (low, high) = q.split_at_mut(16);
    for ((low, high), byte) in low.iter_mut().zip(high).zip(&block[at..at + 16]) {
        *low = byte & 15;
        *high = byte >> 4;
    }
    q
}

/// Adds 16 to the levels whose bit is set.
#[inline(always)]
pub(super) fn with_fifths(q: [u8; 32], bits: u32) -> [u8; 32] {
    std::array::from_fn(|i| q[i] | ((bits >> i & 1) as u8) << 4)
}

/// What each level stands for.
#[inline(always)]
pub(super) fn scaled<const N: usize>(q: &[u8; N], out: &mut [f32; N], value: impl Fn(i32) -> f32) {
    for (out, q) in out.iter_mut().zip(q) {
        *out = value(i32::from(*q));
    }
}

#[inline(always)]
pub(super) fn signed_bytes(packed: &[u8], out: &mut [f32], d: f32) {
    for (out, byte) in out.iter_mut().zip(packed) {
        *out = f32::from(*byte as i8) * d;
    }
}

/// The `N` bytes at `at`.
#[inline(always)]
pub(super) fn run_at<const N: usize>(block: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| block[at..at + N][i])
}

#[inline(always)]
pub(super) fn word_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(run_at(block, at))
}
