//! Dot products of bytes on ARM, one way for each of the three instruction sets.
#![allow(unsafe_code, reason = "instructions that not every processor has")]

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::Neon;
use crate::kernel::product::Line;
use crate::kernel::simd::Simd;

impl<const DOTS: bool, const MATRICES: bool> Neon<DOTS, MATRICES> {
    /// Adds to each row's sums the dot products of four groups, from `first` on; `weights` gives a group's register.
    #[inline(always)]
    pub(super) fn add_groups<const N: usize>(
        self,
        sums: &mut [[int32x4_t; 4]; N],
        weights: impl Fn(usize, usize) -> uint8x16_t,
        x: [&[i32]; N],
        first: usize,
        span: usize,
    ) {
        if !DOTS && span > 1 {
            let span = span.min(4);
            for group in (first..first + 4).step_by(span) {
                self.add_span(sums, &weights, x, group..group + span);
            }
            return;
        }
        if !DOTS {
            for group in first..first + 4 {
                let weights = registers!(i => weights(group, i));
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = self.dot(*sum, weights, x[group]);
                }
            }
            return;
        }
        let mut activations = [load_ints(&[0; 4]); N];
        for (activations, x) in activations.iter_mut().zip(x) {
            *activations = load_ints(&x.as_chunks().0[first / 4]);
        }
        // SAFETY: `Neon` proves the instruction.
        unsafe {
            add_dots::<0, N>(sums, registers!(i => weights(first, i)), &activations);
            add_dots::<1, N>(sums, registers!(i => weights(first + 1, i)), &activations);
            add_dots::<2, N>(sums, registers!(i => weights(first + 2, i)), &activations);
            add_dots::<3, N>(sums, registers!(i => weights(first + 3, i)), &activations);
        }
    }

    /// The same without the instruction for it: the products of some groups, at most four, which fit 16 bits together.
    #[allow(clippy::needless_range_loop, reason = "indices of several arrays at once")]
    #[inline(always)]
    fn add_span<const N: usize>(
        self,
        sums: &mut [[int32x4_t; 4]; N],
        weights: impl Fn(usize, usize) -> uint8x16_t,
        x: [&[i32]; N],
        groups: Range<usize>,
    ) {
        // SAFETY: every aarch64 processor has NEON.
        unsafe {
            let mut activations = [[vdupq_n_s8(0); 4]; N];
            for t in 0..N {
                for g in 0..groups.len() {
                    activations[t][g] = vreinterpretq_s8_s32(vdupq_n_s32(x[t][groups.start + g]));
                    hide(&mut activations[t][g]);
                }
            }
            for i in 0..4 {
                let mut products = [[vdupq_n_s16(0); 2]; N];
                for g in 0..groups.len() {
                    let weights = vreinterpretq_s8_u8(weights(groups.start + g, i));
                    for t in 0..N {
                        if N > 1 {
                            hide_here(&mut activations[t][g]);
                        }
                        let ([low, high], x) = (products[t], activations[t][g]);
                        products[t] = if g == 0 {
                            [vmull_s8(vget_low_s8(weights), vget_low_s8(x)), vmull_high_s8(weights, x)]
                        } else {
                            [vmlal_s8(low, vget_low_s8(weights), vget_low_s8(x)), vmlal_high_s8(high, weights, x)]
                        };
                    }
                }
                for t in 0..N {
                    sums[t][i] = vpadalq_s16(sums[t][i], vpaddq_s16(products[t][0], products[t][1]));
                }
            }
        }
    }

    /// Adds to each row's sums the dot products of groups that were arranged. Two rows of activations at a time, the last
    /// one with itself.
    #[inline(always)]
    pub(super) fn add_matrices<const N: usize>(self, dots: &mut [[int32x4_t; 4]; N], groups: &[Line], x: [&[i32]; N]) {
        let second = |pair: usize| (2 * pair + 1).min(N - 1);
        // Of each pair of rows of activations, with each pair of the panel's; only half of `N` are used.
        let mut sums = [[self.ints(0); 2]; N];
        let weights = |g: usize| self.load(&groups[g].0);
        for four in 0..groups.len() / 4 {
            let mut low = [load_ints(&[0; 4]); N];
            let mut high = low;
            for pair in 0..N.div_ceil(2) {
                let rows = [x[2 * pair], x[second(pair)]].map(|x| load_ints(&x.as_chunks().0[four]));
                (low[pair], high[pair]) = low_and_high_halves(rows[0], rows[1]);
            }
            // SAFETY: `Neon` proves the instruction.
            unsafe {
                add_products::<0, N>(&mut sums, weights(4 * four), &low);
                add_products::<1, N>(&mut sums, weights(4 * four + 1), &low);
                add_products::<0, N>(&mut sums, weights(4 * four + 2), &high);
                add_products::<1, N>(&mut sums, weights(4 * four + 3), &high);
            }
        }
        for (pair, [even, odd]) in sums.into_iter().enumerate().take(N.div_ceil(2)) {
            let rows = registers!(i => low_and_high_halves(even[i], odd[i]));
            // SAFETY: every aarch64 processor has NEON.
            unsafe {
                if second(pair) != 2 * pair {
                    dots[second(pair)] = registers!(i => vaddq_s32(dots[second(pair)][i], rows[i].1));
                }
                dots[2 * pair] = registers!(i => vaddq_s32(dots[2 * pair][i], rows[i].0));
            }
        }
    }
}

#[inline(always)]
fn load_ints(x: &[i32; 4]) -> int32x4_t {
    // SAFETY: the array has the four numbers that are loaded.
    unsafe { vld1q_s32(x.as_ptr()) }
}

/// No instruction: if it knew both halves to be the same, the compiler would move each register's upper weights down rather
/// than multiply them where they are.
#[inline(always)]
pub(super) fn hide(x: &mut int8x16_t) {
    // SAFETY: it is no instruction.
    unsafe { asm!("// {0:v}", inout(vreg) * x, options(pure, nomem, nostack, preserves_flags)) };
}

/// The same at this place: the compiler must not hide once for many, and keep both halves in registers of their own.
#[inline(always)]
fn hide_here(x: &mut int8x16_t) {
    // SAFETY: it is no instruction.
    unsafe { asm!("// {0:v}", inout(vreg) * x, options(nomem, nostack, preserves_flags)) };
}

/// The lower halves of two registers, and the upper ones.
#[inline(always)]
fn low_and_high_halves(a: int32x4_t, b: int32x4_t) -> (int32x4_t, int32x4_t) {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        let (a, b) = (vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b));
        (vreinterpretq_s32_s64(vzip1q_s64(a, b)), vreinterpretq_s32_s64(vzip2q_s64(a, b)))
    }
}

/// Adds to each lane of each row's sums the dot product of its four weights with four activations: those in lane `LANE`
/// of the row's `x`.
#[inline]
#[target_feature(enable = "dotprod")]
fn add_dots<const LANE: usize, const N: usize>(
    sums: &mut [[int32x4_t; 4]; N],
    weights: [uint8x16_t; 4],
    x: &[int32x4_t; N],
) {
    for (sums, x) in sums.iter_mut().zip(x) {
        for (sum, weights) in sums.iter_mut().zip(weights) {
            // SAFETY: the instruction changes nothing but the sum. (Its intrinsic is not stable yet.)
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {weights:v}.16b, {x:v}.4b[{lane}]",
                    sum = inout(vreg) *sum,
                    weights = in(vreg) weights,
                    x = in(vreg) *x,
                    lane = const LANE,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
}

/// Adds to the sums of each pair of rows of activations, `x`, their products with four of the panel's pairs of rows: the
/// even ones, or the odd ones if `ODD` is 1. Eight numbers of each row are used.
#[inline]
#[target_feature(enable = "i8mm")]
fn add_products<const ODD: usize, const N: usize>(
    sums: &mut [[[int32x4_t; 4]; 2]; N],
    weights: [uint8x16_t; 4],
    x: &[int32x4_t; N],
) {
    for (sums, x) in sums.iter_mut().zip(x).take(N.div_ceil(2)) {
        for (sum, weights) in sums[ODD].iter_mut().zip(weights) {
            // SAFETY: the instruction changes nothing but the sum. (Its intrinsic is not stable yet.)
            unsafe {
                asm!(
                    "smmla {sum:v}.4s, {x:v}.16b, {weights:v}.16b",
                    sum = inout(vreg) *sum,
                    x = in(vreg) *x,
                    weights = in(vreg) weights,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
}
