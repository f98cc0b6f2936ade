//! Quantizers of version 100 that are like no later one: those of the files' first weeks (saharNooby's ggml, commits
//! fbf4d60 to bfa8d5b).

use super::Block;
use super::grid::Grid;
use super::plain::{inverse, largest, range};
use super::rounding::{away_from_zero, clamp, nearest};
use super::search::search_but;

/// As `plain::affine`, but rounding to nearest: Q4_1, and Q4_1_O beside its outlier.
#[inline(always)]
pub(super) fn rounded_affine<const N: usize, const LEVELS: u8>(x: &[f32; N]) -> Block<N> {
    let (m, max) = range(x);
    let d = (max - m) / f32::from(LEVELS);
    let (id, _) = inverse(d, 0.0);
    Block { d, m, q: x.map(|x| away_from_zero((x - m) * id) as u8) }
}

/// A block of Q4_1_O: one number keeps its value, and the range of the others needs not hold it.
pub(super) struct WithOutlier {
    pub index: u16,
    pub value: f32,
    pub rest: Block<32>,
}

/// The outlier is the first number of largest size.
#[inline(always)]
pub(super) fn outlier(x: &[f32; 32]) -> WithOutlier {
    let value = largest(x);
    let at = if value == 0.0 { None } else { x.iter().position(|x| *x == value) };
    let mut rest = rounded_affine::<32, 15>(&without(x, at));
    if let Some(at) = at {
        rest.q[at] = 0;
    }
    // A block of zeros has no outlier. rwkv.cpp writes its index, -1, all the same.
    WithOutlier { index: at.map_or(u16::MAX, |at| at as u16), value, rest }
}

/// The outlier is the minimum or the maximum, whichever leaves less error.
#[inline(always)]
pub(super) fn outlier_searched(x: &[f32; 32]) -> WithOutlier {
    let (min, max) = range(x);
    let [a, b] = [min, max].map(|value| {
        let at = x.iter().position(|x| *x == value).unwrap_or(0);
        let others = without(x, Some(at));
        let (mut rest, error) = search_but(Grid::Q4_1, &others, &rounded_affine::<32, 15>(&others), at);
        rest.q[at] = 0;
        (WithOutlier { index: at as u16, value: clamp(value, -65504.0, 65504.0), rest }, error)
    });
    if a.1 < b.1 { a.0 } else { b.0 }
}

/// The block with another of its numbers in the outlier's place.
#[inline(always)]
fn without(x: &[f32; 32], at: Option<usize>) -> [f32; 32] {
    let mut rest = *x;
    if let Some(at) = at {
        rest[at] = x[(at + 1) % 32];
    }
    rest
}

/// Of sixteen scales, the one that correlates best with the numbers, with the length that least squares give it.
#[inline(always)]
pub(super) fn q4_2(x: &[f32; 16]) -> Block<16> {
    const CANDIDATES: [f32; 8] = [8.7, 8.3, 8.1, 7.8, 7.3, 7.0, 6.3, 5.7];
    let amax = largest(x).abs();
    if amax == 0.0 {
        return Block { d: 1.0, m: 0.0, q: [8; 16] };
    }
    // `xl^2 / ll` is what a scale explains of the numbers' squares.
    let (mut best, mut explained) = (0.0, 0.0);
    for candidate in CANDIDATES {
        let [plus, minus] = [candidate / amax, -candidate / amax].map(|scale| {
            let (xl, ll) = correlation(x, scale);
            (scale, xl * xl, ll)
        });
        let (scale, xl2, ll) = if plus.1 * minus.2 > minus.1 * plus.2 { plus } else { minus };
        if xl2 > explained * ll {
            (best, explained) = (scale, xl2 / ll);
        }
    }
    let (xl, ll) = correlation(x, best);
    Block { d: xl / ll, m: 0.0, q: x.map(|x| (level(x, best) + 8.0) as u8) }
}

#[inline(always)]
fn correlation(x: &[f32; 16], scale: f32) -> (f32, f32) {
    x.iter().fold((0.0, 0.0), |(xl, ll), x| {
        let l = level(*x, scale);
        (xl + x * l, ll + l * l)
    })
}

#[inline(always)]
fn level(x: f32, scale: f32) -> f32 {
    clamp(nearest(x * scale), -8.0, 7.0)
}
