//! The portable kernels, and the truth that every other kernel is tested against.
//!
//! Functions are generic over whether multiply and add may be fused, so that `avx2` can compile the same text for
//! processors that do both in one instruction.

use super::{Kernels, wkv};
use crate::quant;

pub(super) static KERNELS: Kernels = Kernels {
    isa: "scalar",
    dot4: dot4::<false>,
    decode: quant::decode,
    wkv5: wkv::wkv5::<false>,
    wkv7: wkv::wkv7::<false>,
};

/// Partial sums a dot product keeps, so that independent additions hide each other's latency.
const LANES: usize = 32;

#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Dot products of four rows with `x`, one after the other: four at once make the compiler gather the lanes of
/// different rows into one register, and shuffle more than it multiplies (1.6x slower on Zen 4).
#[inline(always)]
pub(super) fn dot4<const FUSED: bool>(rows: [&[f32]; 4], x: &[f32]) -> [f32; 4] {
    let [a, b, c, d] = rows;
    [dot::<FUSED>(a, x), dot::<FUSED>(b, x), dot::<FUSED>(c, x), dot::<FUSED>(d, x)]
}

#[inline(always)]
fn dot<const FUSED: bool>(row: &[f32], x: &[f32]) -> f32 {
    let (row, row_tail) = row.as_chunks::<LANES>();
    let (x, x_tail) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (row, x) in row.iter().zip(x) {
        for lane in 0..LANES {
            sums[lane] = multiply_add::<FUSED>(row[lane], x[lane], sums[lane]);
        }
    }
    let tail = row_tail.iter().zip(x_tail).fold(0.0, |sum, (&w, &x)| multiply_add::<FUSED>(w, x, sum));
    sum_lanes(sums) + tail
}

#[inline(always)]
fn sum_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}
