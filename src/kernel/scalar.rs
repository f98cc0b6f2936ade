//! The portable kernels, and the truth that every other kernel is tested against.
//!
//! Functions are generic over whether multiply and add may be fused, so that `avx2` can compile the same text for
//! processors that do both in one instruction.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::{Kernels, wkv};

pub(super) static KERNELS: Kernels = Kernels {
    isa: "scalar",
    dot4: dot4::<false>,
    widen_f16,
    widen_bf16,
    wkv5: wkv::wkv5::<false>,
    wkv7: wkv::wkv7::<false>,
};

/// Partial sums a dot product keeps: enough for two AVX registers, which hides an addition's latency.
const LANES: usize = 16;

#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Dot products of four rows with `x`. A row's sum is formed in the same order whatever its neighbours are.
///
/// Each row has its own local array of sums: an array of arrays stays in memory, 5 times slower (Zen 4, AVX2).
#[inline(always)]
pub(super) fn dot4<const FUSED: bool>(rows: [&[f32]; 4], x: &[f32]) -> [f32; 4] {
    let (x, x_tail) = x.as_chunks::<LANES>();
    let [(a, a_tail), (b, b_tail), (c, c_tail), (d, d_tail)] = rows.map(|row| row.as_chunks::<LANES>());
    let (mut sum_a, mut sum_b, mut sum_c, mut sum_d) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for ((((x, a), b), c), d) in x.iter().zip(a).zip(b).zip(c).zip(d) {
        accumulate::<FUSED>(&mut sum_a, a, x);
        accumulate::<FUSED>(&mut sum_b, b, x);
        accumulate::<FUSED>(&mut sum_c, c, x);
        accumulate::<FUSED>(&mut sum_d, d, x);
    }
    let tail = |row: &[f32]| row.iter().zip(x_tail).fold(0.0, |sum, (&w, &x)| multiply_add::<FUSED>(w, x, sum));
    [
        sum_lanes(sum_a) + tail(a_tail),
        sum_lanes(sum_b) + tail(b_tail),
        sum_lanes(sum_c) + tail(c_tail),
        sum_lanes(sum_d) + tail(d_tail),
    ]
}

#[inline(always)]
fn accumulate<const FUSED: bool>(sum: &mut [f32; LANES], row: &[f32; LANES], x: &[f32; LANES]) {
    for lane in 0..LANES {
        sum[lane] = multiply_add::<FUSED>(row[lane], x[lane], sum[lane]);
    }
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

/// `half` uses the processor's conversion where there is one.
pub(super) fn widen_f16(from: &[f16], to: &mut [f32]) {
    from.convert_to_f32_slice(to);
}

#[inline(always)]
pub(super) fn widen_bf16(from: &[bf16], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f32::from_bits(u32::from(from.to_bits()) << 16);
    }
}
