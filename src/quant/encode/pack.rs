//! Layouts of the blocks of one scale: the counterparts of the decoders in `quant::blocks` and `quant::legacy`.

use super::Block;
use super::rounding::half_bytes;

#[inline(always)]
pub(super) fn q4_0(block: &Block<32>, out: &mut [u8; 18]) {
    put(out, 0, half_bytes(block.d));
    put(out, 2, split_nibbles(&block.q));
}

#[inline(always)]
pub(super) fn q4_1(block: &Block<32>, out: &mut [u8; 20]) {
    put(out, 0, half_bytes(block.d));
    put(out, 2, half_bytes(block.m));
    put(out, 4, split_nibbles(&block.q));
}

#[inline(always)]
pub(super) fn q5_0(block: &Block<32>, out: &mut [u8; 22]) {
    put(out, 0, half_bytes(block.d));
    put(out, 2, fifth_bits(&block.q));
    put(out, 6, split_nibbles(&block.q));
}

#[inline(always)]
pub(super) fn q5_1(block: &Block<32>, out: &mut [u8; 24]) {
    put(out, 0, half_bytes(block.d));
    put(out, 2, half_bytes(block.m));
    put(out, 4, fifth_bits(&block.q));
    put(out, 8, split_nibbles(&block.q));
}

#[inline(always)]
pub(super) fn q8_0(block: &Block<32>, out: &mut [u8; 34]) {
    put(out, 0, half_bytes(block.d));
    put(out, 2, block.q);
}

/// Nibbles two by two instead of sixteen apart, and in some the scale in single precision.
pub(super) mod v100 {
    use super::super::legacy::WithOutlier;
    use super::{Block, fifth_bits, half_bytes, interleaved_nibbles, put};

    #[inline(always)]
    pub(in super::super) fn q4_0(block: &Block<32>, out: &mut [u8; 20]) {
        put(out, 0, block.d.to_le_bytes());
        put(out, 4, interleaved_nibbles::<32, 16>(&block.q));
    }

    #[inline(always)]
    pub(in super::super) fn q4_1(block: &Block<32>, out: &mut [u8; 24]) {
        put(out, 0, block.d.to_le_bytes());
        put(out, 4, block.m.to_le_bytes());
        put(out, 8, interleaved_nibbles::<32, 16>(&block.q));
    }

    #[inline(always)]
    pub(in super::super) fn q4_1_o(block: &WithOutlier, out: &mut [u8; 24]) {
        put(out, 0, half_bytes(block.rest.d));
        put(out, 2, half_bytes(block.rest.m));
        put(out, 4, block.index.to_le_bytes());
        put(out, 6, half_bytes(block.value));
        put(out, 8, interleaved_nibbles::<32, 16>(&block.rest.q));
    }

    #[inline(always)]
    pub(in super::super) fn q4_2(block: &Block<16>, out: &mut [u8; 10]) {
        put(out, 0, half_bytes(block.d));
        put(out, 2, interleaved_nibbles::<16, 8>(&block.q));
    }

    #[inline(always)]
    pub(in super::super) fn q4_3(block: &Block<16>, out: &mut [u8; 12]) {
        put(out, 0, half_bytes(block.d));
        put(out, 2, half_bytes(block.m));
        put(out, 4, interleaved_nibbles::<16, 8>(&block.q));
    }

    #[inline(always)]
    pub(in super::super) fn q5_0(block: &Block<32>, out: &mut [u8; 22]) {
        put(out, 0, half_bytes(block.d));
        put(out, 2, fifth_bits(&block.q));
        put(out, 6, interleaved_nibbles::<32, 16>(&block.q));
    }

    #[inline(always)]
    pub(in super::super) fn q5_1(block: &Block<32>, out: &mut [u8; 24]) {
        put(out, 0, half_bytes(block.d));
        put(out, 2, half_bytes(block.m));
        put(out, 4, fifth_bits(&block.q));
        put(out, 8, interleaved_nibbles::<32, 16>(&block.q));
    }

    #[inline(always)]
    pub(in super::super) fn q8_0(block: &Block<32>, out: &mut [u8; 36]) {
        put(out, 0, block.d.to_le_bytes());
        put(out, 4, block.q);
    }
}

#[inline(always)]
pub(super) fn put<const LEN: usize>(out: &mut [u8], at: usize, bytes: [u8; LEN]) {
    out[at..at + LEN].copy_from_slice(&bytes);
}

/// Low nibbles of the first half, high ones of the second.
#[inline(always)]
pub(super) fn split_nibbles(q: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|j| (q[j] & 15) | q[j + 16] << 4)
}

#[inline(always)]
fn interleaved_nibbles<const N: usize, const BYTES: usize>(q: &[u8; N]) -> [u8; BYTES] {
    std::array::from_fn(|j| (q[2 * j] & 15) | q[2 * j + 1] << 4)
}

/// Bit `i` of the word is the fifth bit of number `i`.
#[inline(always)]
fn fifth_bits(q: &[u8; 32]) -> [u8; 4] {
    let bits = q.iter().enumerate().fold(0, |bits, (i, q)| bits | u32::from(q >> 4 & 1) << i);
    bits.to_le_bytes()
}
