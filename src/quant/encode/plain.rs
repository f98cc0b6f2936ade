//! Rounding to nearest, as ggml's reference quantizers do (`ggml-quants.c`, `quantize_row_*_ref`): no search. Each
//! operation is in their order, for every bit to be the same.

use super::Block;
use super::rounding::away_from_zero;

/// The scale takes the number of largest size to the lowest level, `-LEVELS`: Q4_0 and Q5_0.
#[inline(always)]
pub(super) fn symmetric<const N: usize, const LEVELS: u8>(x: &[f32; N]) -> Block<N> {
    let levels = f32::from(LEVELS);
    let d = largest(x) / -levels;
    let (id, half) = inverse(d, levels + 0.5);
    let q = x.map(|x| (x * id + half) as u8).map(|q| q.min(2 * LEVELS - 1));
    Block { d, m: 0.0, q }
}

/// The scale takes the largest size to `LEVELS`, and ties round away from zero: Q8_0, and Q4_0 of version 100.
#[inline(always)]
pub(super) fn rounded<const N: usize, const LEVELS: u8, const ZERO: u8>(x: &[f32; N]) -> Block<N> {
    let d = largest(x).abs() / f32::from(LEVELS);
    let (id, _) = inverse(d, 0.0);
    Block { d, m: 0.0, q: x.map(|x| (away_from_zero(x * id) as u8).wrapping_add(ZERO)) }
}

/// Minimum and maximum become the lowest and the highest level: Q4_1, Q5_1, Q4_3.
#[inline(always)]
pub(super) fn affine<const N: usize, const LEVELS: u8>(x: &[f32; N]) -> Block<N> {
    let (m, max) = range(x);
    let d = (max - m) / f32::from(LEVELS);
    let (id, half) = inverse(d, 0.5);
    let q = x.map(|x| ((x - m) * id + half) as u8).map(|q| q.min(LEVELS));
    Block { d, m, q }
}

/// `1 / d`, and what to add before cutting off the fraction. The inverse of a scale below 2^-128 is infinite, and C's
/// conversion makes zeros of all such levels.
#[inline(always)]
pub(super) fn inverse(d: f32, half: f32) -> (f32, f32) {
    let id = if d == 0.0 { 0.0 } else { 1.0 / d };
    if id.is_finite() { (id, half) } else { (0.0, 0.0) }
}

/// The number of largest size with its sign; the first of several.
#[inline(always)]
pub(super) fn largest<const N: usize>(x: &[f32; N]) -> f32 {
    let (min, max) = lanes_range(x);
    if max != -min {
        return if max > -min { max } else { min };
    }
    // Zeros are never larger than the zero that ggml begins with.
    x.iter().copied().find(|x| x.abs() == max && max != 0.0).unwrap_or(0.0)
}

/// Minimum and maximum.
#[inline(always)]
pub(super) fn range<const N: usize>(x: &[f32; N]) -> (f32, f32) {
    let (min, max) = lanes_range(x);
    // The first zero is the minimum, with its sign.
    let min = if min == 0.0 { x.iter().copied().find(|x| *x == 0.0).unwrap_or(0.0) } else { min };
    (min, max)
}

/// Minimum and maximum but for the sign of a zero, eight numbers at a time.
#[inline(always)]
fn lanes_range<const N: usize>(x: &[f32; N]) -> (f32, f32) {
    const { assert!(N.is_multiple_of(8)) };
    let (mut min, mut max) = ([f32::MAX; 8], [f32::MIN; 8]);
    for x in x.as_chunks::<8>().0 {
        for i in 0..8 {
            min[i] = if x[i] < min[i] { x[i] } else { min[i] };
            max[i] = if x[i] > max[i] { x[i] } else { max[i] };
        }
    }
    let least = min.into_iter().fold(f32::MAX, |a, b| if b < a { b } else { a });
    let most = max.into_iter().fold(f32::MIN, |a, b| if b > a { b } else { a });
    (least, most)
}
