//! Functions of every number of a slice, written so that compilers make vector instructions of them.
//!
//! The polynomials' coefficients are those of Cephes (`expf.c`, `tanhf.c`). Largest errors where the result is a
//! normal number, against f64, with fused multiplications: `exp` 1 ULP, `sigmoid` 2 ULP, `tanh` 2 ULP; unfused a half more.

#![allow(clippy::excessive_precision, reason = "the coefficients' digits are their source's")]

use super::scalar::multiply_add;

/// `e^x`
#[inline(always)]
pub(super) fn exp<const FUSED: bool>(numbers: &mut [f32]) {
    numbers.iter_mut().for_each(|x| *x = exp_one::<FUSED>(*x));
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(super) fn sigmoid<const FUSED: bool>(numbers: &mut [f32]) {
    numbers.iter_mut().for_each(|x| *x = sigmoid_one::<FUSED>(*x));
}

#[inline(always)]
pub(super) fn sigmoid_one<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp_one::<FUSED>(-x))
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh<const FUSED: bool>(numbers: &mut [f32]) {
    /// Below it the difference from 1 has too few digits, and the polynomial has enough.
    const SMALL: f32 = 0.625;
    for x in numbers {
        let square = *x * *x;
        let mut p = -5.704_988_7e-3;
        for coefficient in [2.063_908_9e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328_2e-1] {
            p = multiply_add::<FUSED>(p, square, coefficient);
        }
        let near = multiply_add::<FUSED>(p * square, *x, *x);
        let far = (1.0 - 2.0 / (exp_one::<FUSED>(2.0 * x.abs()) + 1.0)).copysign(*x);
        *x = if x.abs() < SMALL { near } else { far };
    }
}

#[inline(always)]
pub(super) fn exp_one<const FUSED: bool>(x: f32) -> f32 {
    /// Beyond these the result is zero or infinite.
    const RANGE: (f32, f32) = (-105.0, 89.0);
    /// 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    /// ln 2 in two parts, so that multiples of the first are exact.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    let x = x.clamp(RANGE.0, RANGE.1);
    let rounded = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUNDER);
    let (power, n) = (rounded.to_bits().wrapping_sub(ROUNDER.to_bits()) as i32, rounded - ROUNDER);
    let r = multiply_add::<FUSED>(n, -LN_2.1, multiply_add::<FUSED>(n, -LN_2.0, x));
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = multiply_add::<FUSED>(p, r, coefficient);
    }
    let p = multiply_add::<FUSED>(p * r, r, r) + 1.0;
    // In two steps, since 2^n itself may be too large or too small for a normal number.
    let half = power >> 1;
    p * power_of_two(half) * power_of_two(power - half)
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `x + (previous - x) * mix`: how much of the previous token flows in.
#[inline(always)]
pub(super) fn lerp([x, previous, mix]: [&[f32]; 3], out: &mut [f32]) {
    for (((out, x), previous), mix) in out.iter_mut().zip(x).zip(previous).zip(mix) {
        *out = x + (previous - x) * mix;
    }
}

/// `max(x, 0)^2`
#[inline(always)]
pub(super) fn relu_squared(numbers: &mut [f32]) {
    for x in numbers {
        // Not `max`, which would make 0 of NaN.
        let positive = if *x < 0.0 { 0.0 } else { *x };
        *x = positive * positive;
    }
}
