//! Roundings that compilers turn into vector instructions, unlike those of the standard library on the oldest x86-64.

use half::f16;

/// Largest finite number of half precision.
const MOST: f32 = 65504.0;

/// 1.5 * 2^23: adding it leaves no room for a fraction.
const MAGIC: f32 = 12_582_912.0;

/// The nearest whole number of a size below 2^22, a tie going to the even one.
#[inline(always)]
pub(super) fn nearest(x: f32) -> f32 {
    (x + MAGIC) - MAGIC
}

/// `nearest` as ggml's K-quants take it, which is defined for every number: those too large give what their bits hold.
#[inline(always)]
pub(super) fn nearest_level(x: f32) -> i32 {
    ((x + MAGIC).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

/// The nearest whole number, a tie going away from zero, cut to what an `i8` holds.
#[inline(always)]
pub(super) fn away_from_zero(x: f32) -> i8 {
    // One half would round 0.49999997 up to 1.
    const ALMOST_HALF: f32 = 0.5 - f32::EPSILON / 4.0;
    (x + ALMOST_HALF.copysign(x)) as i8
}

/// Clamps as two vector instructions; `f32::clamp` takes care of NaN.
#[inline(always)]
pub(super) fn clamp(x: f32, lowest: f32, highest: f32) -> f32 {
    let x = if x > lowest { x } else { lowest };
    if x < highest { x } else { highest }
}

/// What half precision makes of a number, without infinities.
#[inline(always)]
pub(super) fn through_half(x: f32) -> f32 {
    f16::from_f32(clamp(x, -MOST, MOST)).to_f32()
}

/// Half precision's bytes. All NaN are one, as in ggml.
#[inline(always)]
pub(super) fn half_bytes(x: f32) -> [u8; 2] {
    const NAN: u16 = 0xfe00;
    let bits = if x.is_nan() { NAN } else { f16::from_f32(x).to_bits() };
    bits.to_le_bytes()
}
