//! Activations as the products take them.

use super::layouts::BLOCK;

/// 32 activations in bytes, for quantized weights: number `i` is `byte * scale`, within half a step of 1/127 of the
/// largest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Block {
    /// Four bytes each, the first in the lowest.
    pub quads: [i32; 8],
    pub scale: f32,
    /// Sums of each half's bytes, which make up for the levels' offsets.
    pub sums: [i16; 2],
    /// The same times the scale, for the weights' minima.
    pub totals: [f32; 2],
}

/// Rows of activations, `[n, cols]`, as one matrix takes them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    Floats { data: &'a [f32], cols: usize },
    Blocks { data: &'a [Block], per_row: usize },
}

impl Input<'_> {
    /// Rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats { data, cols } => data.len() / cols,
            Self::Blocks { data, per_row } => data.len() / per_row,
        }
    }
}

/// Quantizes one row; a last block that is not full is filled up with zeros. What is not finite makes its block NaN.
#[inline(always)]
pub(super) fn quantize(row: &[f32], out: &mut [Block]) {
    let (whole, rest) = row.as_chunks::<BLOCK>();
    for (x, out) in whole.iter().zip(out.iter_mut()) {
        *out = quantize_block(x);
    }
    if !rest.is_empty() {
        let mut last = [0.0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        out[whole.len()] = quantize_block(&last);
    }
}

#[inline(always)]
fn quantize_block(x: &[f32; BLOCK]) -> Block {
    /// Below it the inverse would overflow; such numbers are zeros.
    const SMALLEST: f32 = 1e-30;
    /// 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    let mut largest = [0.0f32; 8];
    let mut poison = [0.0f32; 8];
    for x in x.as_chunks::<8>().0 {
        for lane in 0..8 {
            largest[lane] = largest[lane].max(x[lane].abs());
            poison[lane] += x[lane] * 0.0;
        }
    }
    let (mut most, mut poisoned) = (0.0f32, 0.0f32);
    for lane in 0..8 {
        most = most.max(largest[lane]);
        poisoned += poison[lane];
    }
    let inverse = if most > SMALLEST && poisoned == 0.0 { 127.0 / most } else { 0.0 };
    let mut bytes = [0; BLOCK];
    for (byte, x) in bytes.iter_mut().zip(x) {
        *byte = ((x * inverse + ROUNDER).to_bits() as i32 - ROUNDER.to_bits() as i32) as i8;
    }
    let scale = if inverse == 0.0 { poisoned } else { most / 127.0 };
    let mut sums = [0i16; 2];
    for (sum, half) in sums.iter_mut().zip(bytes.as_chunks::<16>().0) {
        for byte in half {
            *sum += i16::from(*byte);
        }
    }
    let mut quads = [0; 8];
    for (quad, bytes) in quads.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *quad = i32::from_le_bytes(bytes.map(|byte| byte as u8));
    }
    Block { quads, scale, sums, totals: [f32::from(sums[0]) * scale, f32::from(sums[1]) * scale] }
}
