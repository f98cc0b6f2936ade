//! ggml's K-quants: super-blocks of 256 numbers whose sub-blocks' scales, and minima, are quantized in their turn, after
//! which the levels are picked again for the scales as stored.

use half::f16;

use super::super::kquants::{SUPER, q3_k_scale_bytes, scale_and_min_bytes};
use super::pack::put;
use super::rounding::{half_bytes, nearest_level};
use super::sub_block::{Scaled, Shifted, Shifts, relaxed, scaled, shifted};

#[inline(always)]
pub(super) fn q2_k(x: &[f32; SUPER], out: &mut [u8; 84]) {
    const SHIFTS: Shifts = Shifts { highest: 3, first: -0.5, tries: 16, absolute: true };
    let fits = each_sub::<16, 16, _>(x, |x| shifted(x, &x.map(f32::abs), SHIFTS));
    let scales = unsigned_scales(fits.each_ref().map(|fit| fit.scale), 15.0, true);
    let mins = unsigned_scales(fits.each_ref().map(|fit| fit.min), 15.0, true);
    let levels = repicked(x, &fits, &scales, &mins, 3);
    put(out, 0, std::array::from_fn::<u8, 16, _>(|sub| scales.levels[sub] | mins.levels[sub] << 4));
    put(out, 16, two_bits(&levels));
    put(out, 80, half_bytes(scales.unit));
    put(out, 82, half_bytes(mins.unit));
}

#[inline(always)]
pub(super) fn q3_k(x: &[f32; SUPER], out: &mut [u8; 110]) {
    let fits = each_sub::<16, 16, _>(x, |x| relaxed(x, 4));
    let largest = first_largest(&fits);
    let inverse = -32.0 / largest;
    let unit = if largest != 0.0 { 1.0 / inverse } else { 0.0 };
    let scales: [i32; 16] = if largest != 0.0 {
        // ggml cuts to a byte first, which matters to infinite scales alone.
        fits.each_ref().map(|fit| i32::from(nearest_level(inverse * fit.scale) as i8).clamp(-32, 31))
    } else {
        [-32; 16]
    };
    let levels = repicked_around_zero(x, &fits, half(unit), &scales, 4);
    let mut mask = [0; 32];
    for (i, level) in levels.iter().enumerate() {
        mask[i % 32] |= (level >> 2) << (i / 32);
    }
    put(out, 0, mask);
    put(out, 32, two_bits(&levels.map(|level| level & 3)));
    put(out, 96, q3_k_scale_bytes(&scales.map(|scale| (scale + 32) as u8)));
    put(out, 108, half_bytes(unit));
}

#[inline(always)]
pub(super) fn q4_k(x: &[f32; SUPER], out: &mut [u8; 144]) {
    let (head, levels) = shifted_eights(x, Shifts { highest: 15, first: -1.0, tries: 21, absolute: false });
    put(out, 0, head);
    put(out, 16, nibbles(&levels));
}

#[inline(always)]
pub(super) fn q5_k(x: &[f32; SUPER], out: &mut [u8; 176]) {
    let (head, levels) = shifted_eights(x, Shifts { highest: 31, first: -0.5, tries: 16, absolute: false });
    let mut mask = [0; 32];
    for (i, level) in levels.iter().enumerate() {
        mask[i % 32] |= (level >> 4) << (i / 32);
    }
    put(out, 0, head);
    put(out, 16, mask);
    put(out, 48, nibbles(&levels));
}

#[inline(always)]
pub(super) fn q6_k(x: &[f32; SUPER], out: &mut [u8; 210]) {
    let fits = each_sub::<16, 16, _>(x, |x| scaled(x, 32));
    let largest = first_largest(&fits);
    if largest.abs() < 1e-15 {
        *out = [0; 210];
        return;
    }
    let inverse = -128.0 / largest;
    let unit = 1.0 / inverse;
    let scales = fits.each_ref().map(|fit| i32::from(nearest_level(inverse * fit.scale).min(127) as i8));
    let levels = repicked_around_zero(x, &fits, half(unit), &scales, 32);
    for (half, levels) in levels.as_chunks::<128>().0.iter().enumerate() {
        for l in 0..32 {
            let q = [0, 32, 64, 96].map(|quarter| levels[quarter + l]);
            out[64 * half + l] = (q[0] & 15) | q[2] << 4;
            out[64 * half + l + 32] = (q[1] & 15) | q[3] << 4;
            out[128 + 32 * half + l] = q[0] >> 4 | q[1] >> 4 << 2 | q[2] >> 4 << 4 | q[3] >> 4 << 6;
        }
    }
    put(out, 192, scales.map(|scale| scale as u8));
    put(out, 208, half_bytes(unit));
}

/// What Q4_K and Q5_K share: the sixteen bytes of scales and minima, and the levels.
#[inline(always)]
fn shifted_eights(x: &[f32; SUPER], shifts: Shifts) -> ([u8; 16], [u8; SUPER]) {
    let fits = each_sub::<32, 8, _>(x, |x| {
        let squares: f32 = x.iter().fold(0.0, |sum, x| sum + x * x);
        let typical = (squares / 32.0).sqrt();
        shifted(x, &x.map(|x| typical + x.abs()), shifts)
    });
    let scales = unsigned_scales(fits.each_ref().map(|fit| fit.scale), 63.0, false);
    let mins = unsigned_scales(fits.each_ref().map(|fit| fit.min), 63.0, false);
    let levels = repicked(x, &fits, &scales, &mins, shifts.highest);
    let mut head = [0; 16];
    put(&mut head, 0, half_bytes(scales.unit));
    put(&mut head, 2, half_bytes(mins.unit));
    put(&mut head, 4, scale_and_min_bytes(&scales.levels, &mins.levels));
    (head, levels)
}

#[inline(always)]
fn each_sub<const LEN: usize, const SUBS: usize, T>(x: &[f32; SUPER], fit: impl Fn(&[f32; LEN]) -> T) -> [T; SUBS] {
    let subs = x.as_chunks::<LEN>().0;
    std::array::from_fn(|sub| fit(&subs[sub]))
}

/// Scales of sub-blocks as multiples of one unit.
struct Scales<const SUBS: usize> {
    unit: f32,
    levels: [u8; SUBS],
}

/// The largest becomes `highest`. `nibble`: Q2_K keeps four bits of what it rounds to; the others cut at 63.
#[inline(always)]
fn unsigned_scales<const SUBS: usize>(scales: [f32; SUBS], highest: f32, nibble: bool) -> Scales<SUBS> {
    let largest = scales.iter().fold(0.0, |largest, scale| if *scale > largest { *scale } else { largest });
    let inverse = if largest > 0.0 { highest / largest } else { 0.0 };
    let levels = scales.map(|scale| {
        let level = nearest_level(inverse * scale) as u8;
        if nibble { level & 15 } else { level.min(63) }
    });
    Scales { unit: largest / highest, levels }
}

/// Signed scale of largest size, the first of several.
#[inline(always)]
fn first_largest<const LEN: usize>(fits: &[Scaled<LEN>]) -> f32 {
    fits.iter().fold(0.0, |largest: f32, fit| if fit.scale.abs() > largest.abs() { fit.scale } else { largest })
}

#[inline(always)]
fn half(x: f32) -> f32 {
    f16::from_f32(x).to_f32()
}

/// Levels for scales and minima as stored. Sub-blocks whose scale became zero keep those of the fit.
#[inline(always)]
fn repicked<const LEN: usize, const SUBS: usize>(
    x: &[f32; SUPER],
    fits: &[Shifted<LEN>; SUBS],
    scales: &Scales<SUBS>,
    mins: &Scales<SUBS>,
    highest: i32,
) -> [u8; SUPER] {
    let (unit, min_unit) = (half(scales.unit), half(mins.unit));
    let mut levels = [0; SUPER];
    let subs = x.as_chunks::<LEN>().0.iter().zip(levels.as_chunks_mut::<LEN>().0).zip(fits);
    for (sub, ((x, levels), fit)) in subs.enumerate() {
        let d = unit * f32::from(scales.levels[sub]);
        let m = min_unit * f32::from(mins.levels[sub]);
        for ((level, x), fit) in levels.iter_mut().zip(x).zip(&fit.levels) {
            let stored = nearest_level((x + m) / d).clamp(0, highest);
            *level = if d == 0.0 { *fit } else { stored } as u8;
        }
    }
    levels
}

/// The same where `most` stands for zero and scales have signs.
#[inline(always)]
fn repicked_around_zero(
    x: &[f32; SUPER],
    fits: &[Scaled<16>; 16],
    unit: f32,
    scales: &[i32; 16],
    most: i32,
) -> [u8; SUPER] {
    let mut levels = [0; SUPER];
    let subs = x.as_chunks::<16>().0.iter().zip(levels.as_chunks_mut::<16>().0).zip(fits);
    for (sub, ((x, levels), fit)) in subs.enumerate() {
        let d = unit * scales[sub] as f32;
        for ((level, x), fit) in levels.iter_mut().zip(x).zip(&fit.levels) {
            let stored = nearest_level(x / d).clamp(-most, most - 1) + most;
            *level = if d == 0.0 { *fit } else { stored } as u8;
        }
    }
    levels
}

/// Of each 128 levels, byte `l` holds those at `l`, `l + 32`, `l + 64` and `l + 96`.
#[inline(always)]
fn two_bits(levels: &[u8; SUPER]) -> [u8; 64] {
    std::array::from_fn(|byte| {
        let at = byte / 32 * 128 + byte % 32;
        levels[at] | levels[at + 32] << 2 | levels[at + 64] << 4 | levels[at + 96] << 6
    })
}

/// Of each 64 levels the first half in the low nibbles.
#[inline(always)]
fn nibbles(levels: &[u8; SUPER]) -> [u8; 128] {
    std::array::from_fn(|byte| {
        let at = byte / 32 * 64 + byte % 32;
        (levels[at] & 15) | levels[at + 32] << 4
    })
}
