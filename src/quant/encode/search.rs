//! Blocks of one scale, and perhaps a minimum, with less error than rounding to nearest leaves.
//!
//! Scales around the plain one are tried side by side. The best of them gives the levels, least squares the scale for
//! those levels, and, rounded as the file stores it, that scale gives the levels anew. No calibration data: an error
//! counts by the size of the number it is made in.

use std::hint::black_box;

use super::Block;
use super::grid::Grid;
use super::plain::range;

/// Candidates tried side by side, and partial sums of a block. The order of additions follows from it, and so do the
/// bytes: it is the same for every instruction set.
const LANES: usize = 8;

/// Between these sizes of a block's largest number the sums neither overflow nor vanish. Other blocks stay plain.
const SEARCHED: std::ops::Range<f32> = 1e-9..1e9;

/// What a level stands for: `y = q * d + m`.
#[derive(Clone, Copy)]
struct Scale {
    d: f32,
    m: f32,
}

/// The block of least error; `plain`, with its levels picked anew, if nothing is better.
#[inline(never)] // Large, and a copy for each format would not be faster.
pub(super) fn search<const N: usize>(grid: Grid, x: &[f32; N], plain: &Block<N>) -> Block<N> {
    Search { grid, x, weights: weights(grid, x, plain) }.run(plain).0
}

/// The same as if the number at `without` did not count, and the error.
#[inline(always)]
pub(super) fn search_but<const N: usize>(
    grid: Grid,
    x: &[f32; N],
    plain: &Block<N>,
    without: usize,
) -> (Block<N>, f32) {
    let mut weights = weights(grid, x, plain);
    weights[without] = 0.0;
    Search { grid, x, weights }.run(plain)
}

/// What an error costs in each number: `1 + |x| * r`, where `r` is such that either part makes half of the plain
/// block's cost.
///
/// Where most numbers are tiny beside one or two, which the plain block keeps all but exact, `r` is large, and they
/// stay so. Measured on rwkv.cpp's test models of RWKV-4, 5.2 and 7 (660 to 834 thousand parameters) in Q4_0, Q4_1,
/// Q5_0 and Q5_1, as the divergence from the unquantized model's predictions. It is below that of the plain blocks in
/// all twelve cases, by 23, 27, 16 and 29 % in the models' geometric mean. Other weights are not, and are worse by so
/// much in the mean:
/// - uniform: 16, 70, 3, 17 %; RWKV-4 suffers;
/// - `|x|`: 4, 17, -1, 18 %; and zeros, which cost nothing, may become anything;
/// - `x^2 + mean of x^2`, near to what K-quants use: 2, 27, 9, 13 %.
#[inline(always)]
pub(super) fn weights<const N: usize>(grid: Grid, x: &[f32; N], plain: &Block<N>) -> [f32; N] {
    /// Most that a number as large as the largest may count.
    const MOST: f32 = 1e3;
    let uniform = Search { grid, x, weights: [1.0; N] };
    let sized = Search { grid, x, weights: x.map(f32::abs) };
    let scale = uniform.stored(Scale { d: plain.d, m: plain.m });
    let ratio = uniform.error(scale) / sized.error(scale);
    let (min, max) = range(x);
    let most = MOST / max.max(-min);
    // So too where there is no ratio. The errors are zero then, or out of range, and nothing is searched.
    let ratio = if ratio < most { ratio } else { most };
    x.map(|x| 1.0 + x.abs() * ratio)
}

struct Search<'a, const N: usize> {
    grid: Grid,
    x: &'a [f32; N],
    weights: [f32; N],
}

impl<const N: usize> Search<'_, N> {
    #[inline(always)]
    fn run(&self, plain: &Block<N>) -> (Block<N>, f32) {
        let Self { grid, x, .. } = *self;
        let (min, max) = range(x);
        let largest = if max > -min { max } else { min };
        let mut best = self.stored(Scale { d: plain.d, m: plain.m });
        let mut least = self.error(best);
        if least > 0.0 && SEARCHED.contains(&largest.abs()) {
            let mut scale = if grid.affine { self.best_range(min, max) } else { self.best_multiple(largest) };
            // Once for the candidate's levels, once more for those of the scale that follows from them. A third time
            // takes less than 0.05 % off the error.
            for _ in 0..2 {
                scale = self.stored(self.least_squares(scale));
                let error = self.error(scale);
                if error < least {
                    (best, least) = (scale, error);
                }
            }
        }
        let inverse = inverse(best.d);
        let q = x.map(|x| grid.code(grid.level((x - best.m) * inverse)));
        (Block { d: best.d, m: best.m, q }, least)
    }

    #[inline(always)]
    fn stored(&self, scale: Scale) -> Scale {
        Scale { d: self.grid.stored(scale.d), m: self.grid.stored(scale.m) }
    }

    /// The scale's weighted squared error with the nearest levels.
    #[inline(always)]
    fn error(&self, scale: Scale) -> f32 {
        let inverse = inverse(scale.d);
        self.sum(|x, weight| {
            let error = self.grid.level((x - scale.m) * inverse) * scale.d + scale.m - x;
            weight * error * error
        })
    }

    /// Of multiples of the scale that takes the largest number to the lowest or the highest level, the best.
    #[inline(always)]
    fn best_multiple(&self, largest: f32) -> Scale {
        let Grid { lowest, highest, .. } = self.grid;
        let steps = self.grid.steps();
        let mut best = Best::default();
        for inverses in [steps.map(|step| (lowest - step) / largest), steps.map(|step| (highest + step) / largest)] {
            best.offer(0.0, inverses, self.explained(0.0, inverses, 0.0));
        }
        best.scale()
    }

    /// Of ranges that begin some steps above or below the minimum and end some below or above the maximum, the best.
    #[inline(always)]
    fn best_range(&self, min: f32, max: f32) -> Scale {
        let highest = self.grid.highest;
        let mean = self.sum(|x, w| w * x) / self.sum(|_, w| w);
        let steps = self.grid.steps().map(|step| step * (max - min) / highest);
        let mut best = Best::default();
        for first in steps {
            let low = min + first;
            let inverses = steps.map(|last| highest / (max - last - low));
            best.offer(low, inverses, self.explained(low, inverses, mean));
        }
        best.scale()
    }

    /// For each candidate, the part of the numbers' weighted squares (around the mean, if there is a minimum) that its
    /// levels explain once least squares have scaled them.
    #[inline(always)]
    fn explained(&self, low: f32, inverses: [f32; LANES], mean: f32) -> [f32; LANES] {
        // Out of memory they come as vectors. Out of the registers they were computed in, LLVM takes half of this
        // function's arithmetic apart into scalars.
        let inverses = *black_box(&inverses);
        let (mut q1, mut q2, mut xq) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        let mut sum_w = 0.0;
        for (x, w) in self.x.iter().zip(&self.weights) {
            let (shifted, centered) = (x - low, w * (x - mean));
            sum_w += w;
            for i in 0..LANES {
                let q = self.grid.level(shifted * inverses[i]);
                let wq = w * q;
                if self.grid.affine {
                    q1[i] += wq;
                }
                q2[i] += wq * q;
                xq[i] += centered * q;
            }
        }
        let (q1, q2, xq) = *black_box(&(q1, q2, xq));
        std::array::from_fn(|i| {
            let squares = if self.grid.affine { q2[i] - q1[i] * q1[i] / sum_w } else { q2[i] };
            if squares > 0.0 { xq[i] * xq[i] / squares } else { 0.0 }
        })
    }

    /// The best scale and minimum for the levels that a scale picks.
    ///
    /// It keeps the numbers' weighted variance. The usual solution, `xq / qq`, has a little less error, but makes all
    /// matrices smaller: the perplexity of RWKV-7's test model is 0.01 to 0.02 % higher for it in all four formats.
    #[inline(always)]
    fn least_squares(&self, scale: Scale) -> Scale {
        let inverse = inverse(scale.d);
        let level = |x: f32| self.grid.level((x - scale.m) * inverse);
        let (mut mean_x, mut mean_q) = (0.0, 0.0);
        if self.grid.affine {
            let sum_w = self.sum(|_, w| w);
            mean_x = self.sum(|x, w| w * x) / sum_w;
            mean_q = self.sum(|x, w| w * level(x)) / sum_w;
        }
        let xx = self.sum(|x, w| w * (x - mean_x) * (x - mean_x));
        let xq = self.sum(|x, w| w * (x - mean_x) * (level(x) - mean_q));
        let d = if xq == 0.0 { 0.0 } else { xx / xq };
        Scale { d, m: mean_x - d * mean_q }
    }

    #[inline(always)]
    fn sum(&self, term: impl Fn(f32, f32) -> f32) -> f32 {
        lane_sum(self.x, &self.weights, term)
    }
}

/// The candidate that explains most so far.
#[derive(Default)]
struct Best {
    explained: f32,
    low: f32,
    inverse: f32,
}

impl Best {
    #[inline(always)]
    fn offer(&mut self, low: f32, inverses: [f32; LANES], explained: [f32; LANES]) {
        for (inverse, explained) in inverses.into_iter().zip(explained) {
            if explained > self.explained {
                *self = Self { explained, low, inverse };
            }
        }
    }

    #[inline(always)]
    fn scale(&self) -> Scale {
        Scale { d: inverse(self.inverse), m: self.low }
    }
}

/// `1 / d`, or 0 if that is infinite.
#[inline(always)]
fn inverse(d: f32) -> f32 {
    let inverse = 1.0 / d;
    if inverse.is_finite() { inverse } else { 0.0 }
}

#[inline(always)]
fn lane_sum<const N: usize>(x: &[f32; N], weights: &[f32; N], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    for (x, weights) in x.as_chunks::<LANES>().0.iter().zip(weights.as_chunks::<LANES>().0) {
        for i in 0..LANES {
            sums[i] += term(x[i], weights[i]);
        }
    }
    total(sums)
}

#[inline(always)]
fn total([a, b, c, d, e, f, g, h]: [f32; LANES]) -> f32 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
