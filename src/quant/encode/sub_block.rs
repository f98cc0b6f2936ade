//! Scales of the 16 or 32 numbers that share one in a K-quant, found as ggml finds them (`make_qx_quants`,
//! `make_q3_quants`, `make_qkx2_quants`): many candidates are tried, and least squares give each its best length.
//!
//! Sums run over the numbers in ggml's order, so that every bit is the same; eight candidates make them side by side.

use super::rounding::nearest_level;

/// Blocks in which no number is larger than this are zero to ggml.
const NOTHING: f32 = 1e-15;
const LANES: usize = 8;

/// A scale, and the level of each number.
pub(super) struct Scaled<const N: usize> {
    pub scale: f32,
    pub levels: [i32; N],
}

/// A scale, what is to be taken away after it, and the level of each number.
pub(super) struct Shifted<const N: usize> {
    pub scale: f32,
    pub min: f32,
    pub levels: [i32; N],
}

/// How `shifted` searches.
#[derive(Clone, Copy)]
pub(super) struct Shifts {
    /// The highest level.
    pub highest: i32,
    /// The range is divided into `highest + first` levels at first, then in steps of 0.1 up to `tries` times.
    pub first: f32,
    pub tries: usize,
    /// Errors count by their size, not by their square.
    pub absolute: bool,
}

/// The number of largest size with its sign, the first of several; `None` if that is nothing.
#[inline(always)]
pub(super) fn largest<const N: usize>(x: &[f32; N]) -> Option<f32> {
    let (mut size, mut largest) = (0.0, 0.0);
    for x in x {
        if x.abs() > size {
            (size, largest) = (x.abs(), *x);
        }
    }
    (size >= NOTHING).then_some(largest)
}

/// Levels from `-levels` to `levels - 1`, weights `x^2`: nineteen scales around the plain one.
#[inline(always)]
pub(super) fn scaled<const N: usize>(x: &[f32; N], levels: i32) -> Scaled<N> {
    const TRIES: [i8; 18] = [-9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    let Some(max) = largest(x) else {
        return Scaled { scale: 0.0, levels: [0; N] };
    };
    let most = levels as f32;
    let level = |x: f32, inverse: f32| nearest_level(inverse * x).clamp(-levels, levels - 1);
    let sums = |inverses: [f32; LANES]| {
        let (mut xl, mut ll) = ([0.0f32; LANES], [0.0f32; LANES]);
        for x in x {
            let w = x * x;
            for i in 0..LANES {
                let l = level(*x, inverses[i]) as f32;
                xl[i] += w * x * l;
                ll[i] += w * l * l;
            }
        }
        (xl, ll)
    };
    let mut inverse = -most / max;
    let (xl, ll) = sums([inverse; LANES]);
    let mut scale = if ll[0] != 0.0 { xl[0] / ll[0] } else { 0.0 };
    let mut best = scale * xl[0];
    for tries in TRIES.chunks(LANES) {
        let inverses = std::array::from_fn(|i| -(most + 0.1 * f32::from(tries[i.min(tries.len() - 1)])) / max);
        let (xl, ll) = sums(inverses);
        for i in 0..tries.len() {
            if ll[i] > 0.0 && xl[i] * xl[i] > best * ll[i] {
                inverse = inverses[i];
                scale = xl[i] / ll[i];
                best = scale * xl[i];
            }
        }
    }
    Scaled { scale, levels: x.map(|x| level(x, inverse) + levels) }
}

/// As `scaled`, but from the plain scale on, number after number moves to the level that suits the others better, five
/// times at most.
#[inline(always)]
pub(super) fn relaxed<const N: usize>(x: &[f32; N], most: i32) -> Scaled<N> {
    let Some(max) = largest(x) else {
        return Scaled { scale: 0.0, levels: [0; N] };
    };
    let inverse = -most as f32 / max;
    let mut levels = x.map(|x| nearest_level(inverse * x).clamp(-most, most - 1));
    let (mut xl, mut ll) = (0.0, 0.0);
    for (x, l) in x.iter().zip(&levels) {
        let (w, l) = (x * x, *l as f32);
        xl += w * x * l;
        ll += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for (x, level) in x.iter().zip(&mut levels) {
            let (w, l) = (x * x, *level as f32);
            let mut other_xl = xl - w * x * l;
            if other_xl > 0.0 {
                let mut other_ll = ll - w * l * l;
                let new = nearest_level(x * other_ll / other_xl).clamp(-most, most - 1);
                if new != *level {
                    let l = new as f32;
                    other_xl += w * x * l;
                    other_ll += w * l * l;
                    if other_ll > 0.0 && other_xl * other_xl * ll > xl * xl * other_ll {
                        (*level, xl, ll) = (new, other_xl, other_ll);
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    Scaled { scale: if ll > 0.0 { xl / ll } else { 0.0 }, levels: levels.map(|l| l + most) }
}

/// Levels from 0 to `highest` of a range that holds zero.
#[inline(always)]
pub(super) fn shifted<const N: usize>(x: &[f32; N], weights: &[f32; N], shifts: Shifts) -> Shifted<N> {
    let (mut min, mut max) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (weights[0], weights[0] * x[0]);
    for (x, w) in x.iter().zip(weights).skip(1) {
        min = if *x < min { *x } else { min };
        max = if *x > max { *x } else { max };
        sum_w += w;
        sum_x += w * x;
    }
    if min > 0.0 {
        min = 0.0;
    }
    if max == min {
        return Shifted { scale: 0.0, min: -min, levels: [0; N] };
    }
    let highest = shifts.highest as f32;
    let level = |x: f32, min: f32, inverse: f32| nearest_level(inverse * (x - min)).clamp(0, shifts.highest);
    let cost = |w: f32, difference: f32| w * if shifts.absolute { difference.abs() } else { difference * difference };

    // The range that the levels divide, and what they then stand for.
    let (mut low, mut inverse) = (min, highest / (max - min));
    let (mut scale, mut shift) = (1.0 / inverse, min);
    let mut least = 0.0;
    for (x, w) in x.iter().zip(weights) {
        least += cost(*w, scale * level(*x, low, inverse) as f32 + shift - x);
    }
    let mut next = 0;
    while next < shifts.tries {
        // A better shift is where the range begins from then on: the candidates after it are tried anew.
        let inverses: [f32; LANES] =
            std::array::from_fn(|i| (shifts.first + 0.1 * (next + i) as f32 + highest) / (max - shift));
        let (scales, new_shifts, costs) =
            least_squares(x, weights, sum_w, sum_x, |x, i| level(x, shift, inverses[i]), cost);
        let tried = LANES.min(shifts.tries - next);
        match (0..tried).find(|&i| costs[i] < least) {
            Some(i) => {
                (low, inverse) = (shift, inverses[i]);
                (least, scale, shift) = (costs[i], scales[i], new_shifts[i]);
                next += i + 1;
            }
            None => next += tried,
        }
    }
    Shifted { scale, min: -shift, levels: x.map(|x| level(x, low, inverse)) }
}

/// For each candidate's levels the best scale and shift, and their cost. The shift is not to be above zero.
#[inline(always)]
fn least_squares<const N: usize>(
    x: &[f32; N],
    weights: &[f32; N],
    sum_w: f32,
    sum_x: f32,
    level: impl Fn(f32, usize) -> i32,
    cost: impl Fn(f32, f32) -> f32,
) -> ([f32; LANES], [f32; LANES], [f32; LANES]) {
    let (mut l1, mut l2, mut xl) = ([0.0f32; LANES], [0.0f32; LANES], [0.0f32; LANES]);
    for (x, w) in x.iter().zip(weights) {
        for i in 0..LANES {
            let l = level(*x, i) as f32;
            l1[i] += w * l;
            l2[i] += w * l * l;
            xl[i] += w * l * x;
        }
    }
    let determinants: [f32; LANES] = std::array::from_fn(|i| sum_w * l2[i] - l1[i] * l1[i]);
    let mut scales: [f32; LANES] = std::array::from_fn(|i| (sum_w * xl[i] - sum_x * l1[i]) / determinants[i]);
    let mut shifts: [f32; LANES] = std::array::from_fn(|i| (l2[i] * sum_x - l1[i] * xl[i]) / determinants[i]);
    for i in 0..LANES {
        if shifts[i] > 0.0 {
            (scales[i], shifts[i]) = (xl[i] / l2[i], 0.0);
        }
    }
    let mut costs = [0.0f32; LANES];
    for (x, w) in x.iter().zip(weights) {
        for i in 0..LANES {
            costs[i] += cost(*w, scales[i] * level(*x, i) as f32 + shifts[i] - x);
        }
    }
    for (cost, determinant) in costs.iter_mut().zip(determinants) {
        // NaN makes no candidate either.
        *cost = if determinant > 0.0 { *cost } else { f32::INFINITY };
    }
    (scales, shifts, costs)
}
