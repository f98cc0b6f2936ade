//! IQ4_NL: sixteen levels that are closer together around zero. ggml's search (`quantize_row_iq4_nl_impl`): sixteen
//! scales, weights `x^2`, least squares for the length.

use super::super::blocks::IQ4_NL_LEVELS as LEVELS;
use super::pack::{put, split_nibbles};
use super::rounding::half_bytes;
use super::sub_block::largest;

/// Scales tried side by side. The sums over the numbers keep ggml's order.
const LANES: usize = 8;

#[inline(always)]
pub(super) fn encode(x: &[f32; 32], out: &mut [u8; 18]) {
    let Some(max) = largest(x) else {
        // ggml leaves the levels alone where the scale is zero, whose nearest is that of zero.
        *out = [0; 18];
        put(out, 2, split_nibbles(&x.map(|_| nearest(0.0))));
        return;
    };
    let lowest = f32::from(LEVELS[0]);
    let (qx, qq) = sums(x, [1.0 / (-max / lowest); LANES]);
    let mut d = if qq[0] > 0.0 { qx[0] / qq[0] } else { 0.0 };
    let mut best = d * qx[0];
    for first in [-7.0, 1.0] {
        let (qx, qq) = sums(x, std::array::from_fn(|i| (first + i as f32 + lowest) / max));
        for i in 0..LANES {
            // The last try is one too many.
            if first + i as f32 <= 7.0 && qq[i] > 0.0 && qx[i] * qx[i] > best * qq[i] {
                d = qx[i] / qq[i];
                best = d * qx[i];
            }
        }
    }
    let id = if d == 0.0 { 0.0 } else { 1.0 / d };
    put(out, 0, half_bytes(d));
    put(out, 2, split_nibbles(&x.map(|x| nearest(id * x))));
}

#[inline(always)]
fn sums(x: &[f32; 32], inverses: [f32; LANES]) -> ([f32; LANES], [f32; LANES]) {
    let (mut qx, mut qq) = ([0.0; LANES], [0.0; LANES]);
    for x in x {
        let w = x * x;
        for i in 0..LANES {
            let q = nearest_value(inverses[i] * x);
            qx[i] += w * q * x;
            qq[i] += w * q * q;
        }
    }
    (qx, qq)
}

/// Halfway between each level and the next.
const MIDPOINTS: [f32; 15] = {
    let mut midpoints = [0.0; 15];
    let mut i = 0;
    while i < midpoints.len() {
        midpoints[i] = (LEVELS[i] as f32 + LEVELS[i + 1] as f32) / 2.0;
        i += 1;
    }
    midpoints
};

/// The index of the nearest level, the upper one of two. NaN is above all of them, as in ggml's binary search.
#[inline(always)]
fn nearest(x: f32) -> u8 {
    15 - MIDPOINTS.iter().map(|midpoint| u8::from(x < *midpoint)).sum::<u8>()
}

/// The nearest level itself.
#[inline(always)]
fn nearest_value(x: f32) -> f32 {
    let mut value = f32::from(LEVELS[0]);
    for (midpoint, upper) in MIDPOINTS.iter().zip(&LEVELS[1..]) {
        value = if x < *midpoint { value } else { f32::from(*upper) };
    }
    value
}
