//! Decoders of ggml's K-quants (`ggml-quants.c`): super-blocks of 256 numbers, divided into sub-blocks of 16 or 32
//! whose scales, and minima, are themselves quantized.

use super::blocks::{for_each_block, half_at, run_at, scaled};

/// Numbers in a super-block.
pub(super) const SUPER: usize = 256;

/// `y = d * scale * q - dmin * min`, 2 bits a number; a scale byte holds the scale (low nibble) and the minimum of 16
/// numbers.
#[inline(always)]
pub(super) fn q2_k(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 84, out: SUPER| {
        let (scales, packed) = (&block[..16], &block[16..80]);
        let (d, dmin) = (half_at(block, 80), half_at(block, 82));
        for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let (half, shift, part) = (sub / 8, sub % 8 / 2 * 2, sub % 2);
            let dl = d * f32::from(scales[sub] & 15);
            let ml = dmin * f32::from(scales[sub] >> 4);
            let q = run_at::<16>(packed, 32 * half + 16 * part).map(|byte| byte >> shift & 3);
            scaled(&q, out, |q| dl * q as f32 - ml);
        }
    });
}

/// `y = d * (scale - 32) * q`, 3 bits a number: two packed like those of `q2_k`, the third in a mask, where a bit that
/// is *not* set takes 4 away.
#[inline(always)]
pub(super) fn q3_k(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 110, out: SUPER| {
        let (mask, packed) = (&block[..32], &block[32..96]);
        let d = half_at(block, 108);
        let scales = q3_k_scales(&block[96..108]);
        for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let (half, shift, part) = (sub / 8, sub % 8 / 2 * 2, sub % 2);
            let bit = 4 * half + shift / 2;
            let dl = d * (i32::from(scales[sub]) - 32) as f32;
            let (low, third) = (run_at::<16>(packed, 32 * half + 16 * part), run_at::<16>(mask, 16 * part));
            let q: [u8; 16] = std::array::from_fn(|i| (low[i] >> shift & 3) | (third[i] >> bit & 1) << 2);
            scaled(&q, out, |q| dl * (q - 4) as f32);
        }
    });
}

/// The sixteen 6-bit scales of `q3_k`: four low bits in the first eight bytes' nibbles, two high ones in the last four.
#[inline(always)]
pub(super) fn q3_k_scales(packed: &[u8]) -> [u8; 16] {
    std::array::from_fn(|j| {
        let low = packed[j % 8] >> (4 * (j / 8)) & 15;
        let high = packed[8 + j % 4] >> (2 * (j / 4)) & 3;
        low | high << 4
    })
}

/// Packs what `q3_k_scales` reads.
#[inline(always)]
pub(super) fn q3_k_scale_bytes(scales: &[u8; 16]) -> [u8; 12] {
    std::array::from_fn(|byte| match byte {
        0..8 => scales[byte] & 15 | (scales[byte + 8] & 15) << 4,
        _ => (0..4).fold(0, |bits, row| bits | scales[byte - 8 + 4 * row] >> 4 << (2 * row)),
    })
}

/// `y = d * scale * q - dmin * min`, 4 bits a number: of each 64 the first half in the low nibbles.
#[inline(always)]
pub(super) fn q4_k(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 144, out: SUPER| {
        let (d, dmin) = (half_at(block, 0), half_at(block, 2));
        for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = scale_and_min(&block[4..16], sub);
            let (dl, ml) = (d * f32::from(scale), dmin * f32::from(min));
            let shift = sub % 2 * 4;
            let q = run_at::<32>(block, 16 + 32 * (sub / 2)).map(|byte| byte >> shift & 15);
            scaled(&q, out, |q| dl * q as f32 - ml);
        }
    });
}

/// As `q4_k`, with a fifth bit of number `l` of sub-block `s` in bit `s` of byte `l` of a mask.
#[inline(always)]
pub(super) fn q5_k(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 176, out: SUPER| {
        let (d, dmin) = (half_at(block, 0), half_at(block, 2));
        for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = scale_and_min(&block[4..16], sub);
            let (dl, ml) = (d * f32::from(scale), dmin * f32::from(min));
            let shift = sub % 2 * 4;
            let (low, fifth) = (run_at::<32>(block, 48 + 32 * (sub / 2)), run_at::<32>(block, 16));
            let q: [u8; 32] = std::array::from_fn(|i| (low[i] >> shift & 15) | (fifth[i] >> sub & 1) << 4);
            scaled(&q, out, |q| dl * q as f32 - ml);
        }
    });
}

/// The 6-bit scale and minimum of a sub-block of `q4_k` and `q5_k`, out of their twelve bytes.
#[inline(always)]
pub(super) fn scale_and_min(packed: &[u8], sub: usize) -> (u8, u8) {
    if sub < 4 {
        (packed[sub] & 63, packed[sub + 4] & 63)
    } else {
        let scale = packed[sub + 4] & 15 | packed[sub - 4] >> 6 << 4;
        let min = packed[sub + 4] >> 4 | packed[sub] >> 6 << 4;
        (scale, min)
    }
}

/// Packs what `scale_and_min` reads.
#[inline(always)]
pub(super) fn scale_and_min_bytes(scales: &[u8; 8], mins: &[u8; 8]) -> [u8; 12] {
    std::array::from_fn(|byte| match byte {
        0..4 => scales[byte] | scales[byte + 4] >> 4 << 6,
        4..8 => mins[byte - 4] | mins[byte] >> 4 << 6,
        _ => scales[byte - 4] & 15 | (mins[byte - 4] & 15) << 4,
    })
}

/// `y = d * scale * (q - 32)`, 6 bits a number: four in nibbles, two in the bytes after them.
#[inline(always)]
pub(super) fn q6_k(bytes: &[u8], out: &mut [f32]) {
    for_each_block!(bytes, out, |block: 210, out: SUPER| {
        let d = half_at(block, 208);
        for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            // Of each 128 numbers, the quarter tells which nibbles and which pairs of bits are theirs.
            let (half, quarter, part) = (sub / 8, sub % 8 / 2, sub % 2);
            let nibbles = run_at::<16>(block, 64 * half + 32 * (quarter % 2) + 16 * part);
            let pairs = run_at::<16>(block, 128 + 32 * half + 16 * part);
            let dl = d * f32::from(block[192 + sub] as i8);
            let (nibble, pair) = (quarter / 2 * 4, 2 * quarter);
            let q: [u8; 16] = std::array::from_fn(|i| (nibbles[i] >> nibble & 15) | (pairs[i] >> pair & 3) << 4);
            scaled(&q, out, |q| dl * (q - 32) as f32);
        }
    });
}
