//! How panels hold quantized weights, and how a block of 16 rows x 32 numbers is taken out of them.
//!
//! Four consecutive numbers of each row lie together, 64 bytes for the 16 rows: the operand of the processor's dot
//! products of bytes. Such a *group* has 16 lanes; a block has eight groups. `quant::panels` writes what is read here.

use super::simd::{LANES, Simd, part};

/// Numbers of a row in a block.
pub(crate) const BLOCK: usize = 32;

/// A block's weights: `(level - OFFSET) * scale + min`.
pub(super) struct Levels<S: Simd> {
    pub groups: [S::Bytes; 8],
    /// For all of the block, or for each half.
    pub scale: [S::Floats; 2],
    pub min: [S::Floats; 2],
}

/// A format's panels.
pub(super) trait Layout {
    /// Bytes of one unit of 16 rows: a block, or a super-block of eight.
    const BYTES: usize;
    /// Blocks in a unit.
    const BLOCKS: usize = 1;
    /// 1 if the block has one scale, 2 if each half has its own.
    const PARTS: usize = 1;
    /// What is taken off the levels of unsigned layouts.
    const OFFSET: u8 = 0;
    /// Whether levels are signed.
    const SIGNED: bool = false;
    /// Groups whose products with activations, two of each lane, fit 16 bits together: 128 / levels, and at most all.
    const SPAN: usize = 8;
    /// Whether there are minima.
    const MIN: bool = false;
    /// Which of an activation block's totals the minima are multiplied by: from `PARTS` on those of the block or its
    /// halves as they are, at 0 the one that is rounded as in ggml.
    const TOTALS: usize = Self::PARTS;

    /// A block of a unit, `unit` having `BYTES` bytes.
    fn block<S: Simd>(simd: S, unit: &[u8], index: usize) -> Levels<S>;
}

/// Levels with one scale and no minimum.
#[inline(always)]
fn scaled<S: Simd>(simd: S, groups: [S::Bytes; 8], scale: S::Floats) -> Levels<S> {
    let zero = simd.splat(0.0);
    Levels { groups, scale: [scale, zero], min: [zero, zero] }
}

/// Bytes of 16 scales or minima, in half precision or, as in files of version 100, in single (`WIDE`).
const fn size<const WIDE: bool>() -> usize {
    if WIDE { 64 } else { 32 }
}

/// Such scales or minima.
#[inline(always)]
fn numbers<S: Simd, const WIDE: bool>(simd: S, unit: &[u8], at: usize) -> S::Floats {
    if WIDE { simd.singles(part(unit, at)) } else { simd.halves(part(unit, at)) }
}

/// Eight groups in four times 64 bytes: the first four in the low nibbles.
#[inline(always)]
fn nibbles<S: Simd>(simd: S, unit: &[u8], at: usize) -> [S::Bytes; 8] {
    let [a, b, c, d] = [
        simd.load(part(unit, at)),
        simd.load(part(unit, at + 64)),
        simd.load(part(unit, at + 128)),
        simd.load(part(unit, at + 192)),
    ];
    [
        simd.and(a, 15),
        simd.and(b, 15),
        simd.and(c, 15),
        simd.and(d, 15),
        high(simd, a),
        high(simd, b),
        high(simd, c),
        high(simd, d),
    ]
}

#[inline(always)]
fn high<S: Simd>(simd: S, bytes: S::Bytes) -> S::Bytes {
    simd.and(simd.shift_right::<4>(bytes), 15)
}

/// Eight groups of pairs of bits in twice 64 bytes, moved to the bits 0 and 1.
#[inline(always)]
fn low_pairs<S: Simd>(simd: S, unit: &[u8], at: usize) -> [S::Bytes; 8] {
    let (a, b) = (simd.load(part(unit, at)), simd.load(part(unit, at + 64)));
    [
        simd.and(a, 3),
        simd.and(simd.shift_right::<2>(a), 3),
        simd.and(simd.shift_right::<4>(a), 3),
        simd.and(simd.shift_right::<6>(a), 3),
        simd.and(b, 3),
        simd.and(simd.shift_right::<2>(b), 3),
        simd.and(simd.shift_right::<4>(b), 3),
        simd.and(simd.shift_right::<6>(b), 3),
    ]
}

/// Adds to each group its bit of 64 bytes, as the bit 4. Group `g` has the bit `g + 4 mod 8` there.
#[inline(always)]
fn with_fifths<S: Simd>(simd: S, groups: [S::Bytes; 8], bytes: &[u8; 64]) -> [S::Bytes; 8] {
    let first = simd.load(bytes);
    let second = simd.shift_left::<4>(first);
    let [a, b, c, d, e, f, g, h] = groups;
    [
        simd.or(a, simd.and(first, 16)),
        simd.or(b, simd.and(simd.shift_right::<1>(first), 16)),
        simd.or(c, simd.and(simd.shift_right::<2>(first), 16)),
        simd.or(d, simd.and(simd.shift_right::<3>(first), 16)),
        simd.or(e, simd.and(second, 16)),
        simd.or(f, simd.and(simd.shift_right::<1>(second), 16)),
        simd.or(g, simd.and(simd.shift_right::<2>(second), 16)),
        simd.or(h, simd.and(simd.shift_right::<3>(second), 16)),
    ]
}

/// Nibbles and a scale.
pub(super) struct Q4_0<const WIDE: bool>;

impl<const WIDE: bool> Layout for Q4_0<WIDE> {
    const BYTES: usize = 256 + size::<WIDE>();
    const OFFSET: u8 = 8;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], _: usize) -> Levels<S> {
        scaled(simd, nibbles(simd, unit, 0), numbers::<S, WIDE>(simd, unit, 256))
    }
}

/// As `Q4_0`, with nibbles that stand for the levels of a table.
pub(super) struct Iq4Nl;

impl Layout for Iq4Nl {
    const BYTES: usize = 288;
    const SIGNED: bool = true;
    const SPAN: usize = 1;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], _: usize) -> Levels<S> {
        let [a, b, c, d, e, f, g, h] = nibbles(simd, unit, 0);
        let groups = [
            level(simd, a),
            level(simd, b),
            level(simd, c),
            level(simd, d),
            level(simd, e),
            level(simd, f),
            level(simd, g),
            level(simd, h),
        ];
        scaled(simd, groups, simd.halves(part(unit, 256)))
    }
}

#[inline(always)]
fn level<S: Simd>(simd: S, nibbles: S::Bytes) -> S::Bytes {
    simd.signed(simd.look_up(&crate::quant::IQ4_NL_LEVELS, nibbles))
}

/// Nibbles, a scale, a minimum.
pub(super) struct Q4_1<const WIDE: bool>;

impl<const WIDE: bool> Layout for Q4_1<WIDE> {
    const BYTES: usize = 256 + 2 * size::<WIDE>();
    const MIN: bool = true;
    // In April 2023, ggml did not round them yet.
    const TOTALS: usize = if WIDE { 1 } else { 0 };

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], _: usize) -> Levels<S> {
        let min = [numbers::<S, WIDE>(simd, unit, 256 + size::<WIDE>()), simd.splat(0.0)];
        Levels { min, ..scaled(simd, nibbles(simd, unit, 0), numbers::<S, WIDE>(simd, unit, 256)) }
    }
}

/// Nibbles, the scales of both halves.
pub(super) struct Q4_2;

impl Layout for Q4_2 {
    const BYTES: usize = 320;
    const PARTS: usize = 2;
    const OFFSET: u8 = 8;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], _: usize) -> Levels<S> {
        let scale = [simd.halves(part(unit, 256)), simd.halves(part(unit, 288))];
        Levels { groups: nibbles(simd, unit, 0), scale, min: [simd.splat(0.0); 2] }
    }
}

/// Nibbles, the scales and the minima of both halves.
pub(super) struct Q4_3;

impl Layout for Q4_3 {
    const BYTES: usize = 384;
    const PARTS: usize = 2;
    const MIN: bool = true;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], _: usize) -> Levels<S> {
        let scale = [simd.halves(part(unit, 256)), simd.halves(part(unit, 288))];
        let min = [simd.halves(part(unit, 320)), simd.halves(part(unit, 352))];
        Levels { groups: nibbles(simd, unit, 0), scale, min }
    }
}

/// Nibbles, fifth bits, a scale.
pub(super) struct Q5_0;

impl Layout for Q5_0 {
    const BYTES: usize = 352;
    const OFFSET: u8 = 16;
    const SPAN: usize = 4;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], _: usize) -> Levels<S> {
        let groups = with_fifths(simd, nibbles(simd, unit, 0), part(unit, 256));
        scaled(simd, groups, simd.halves(part(unit, 320)))
    }
}

/// Nibbles, fifth bits, a scale, a minimum.
pub(super) struct Q5_1;

impl Layout for Q5_1 {
    const BYTES: usize = 384;
    const MIN: bool = true;
    const TOTALS: usize = 0;
    const SPAN: usize = 4;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], _: usize) -> Levels<S> {
        let groups = with_fifths(simd, nibbles(simd, unit, 0), part(unit, 256));
        let min = [simd.halves(part(unit, 352)), simd.splat(0.0)];
        Levels { min, ..scaled(simd, groups, simd.halves(part(unit, 320))) }
    }
}

/// Bytes and a scale.
pub(super) struct Q8_0<const WIDE: bool>;

impl<const WIDE: bool> Layout for Q8_0<WIDE> {
    const BYTES: usize = 512 + size::<WIDE>();
    const SIGNED: bool = true;
    const SPAN: usize = 1;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], _: usize) -> Levels<S> {
        let groups = [
            simd.signed(simd.load(part(unit, 0))),
            simd.signed(simd.load(part(unit, 64))),
            simd.signed(simd.load(part(unit, 128))),
            simd.signed(simd.load(part(unit, 192))),
            simd.signed(simd.load(part(unit, 256))),
            simd.signed(simd.load(part(unit, 320))),
            simd.signed(simd.load(part(unit, 384))),
            simd.signed(simd.load(part(unit, 448))),
        ];
        scaled(simd, groups, numbers::<S, WIDE>(simd, unit, 512))
    }
}

/// Scale and minimum of a block of `Q4_K` and `Q5_K`: bytes at `at`, to be multiplied with those of the super-block.
#[inline(always)]
fn scale_and_min<S: Simd>(simd: S, unit: &[u8], at: usize) -> ([S::Floats; 2], [S::Floats; 2]) {
    let scale = simd.mul(simd.halves(part(unit, 0)), simd.unsigned_bytes(part(unit, at)));
    let min = simd.mul(simd.halves(part(unit, 32)), simd.unsigned_bytes(part(unit, at + 16)));
    let zero = simd.splat(0.0);
    ([scale, zero], [simd.mul(min, simd.splat(-1.0)), zero])
}

/// The super-block's scale and minimum; for each block nibbles, scales, minima.
pub(super) struct Q4K;

impl Layout for Q4K {
    const BYTES: usize = 64 + 8 * 288;
    const BLOCKS: usize = 8;
    const MIN: bool = true;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], index: usize) -> Levels<S> {
        let at = 64 + 288 * index;
        let (scale, min) = scale_and_min(simd, unit, at + 256);
        Levels { groups: nibbles(simd, unit, at), scale, min }
    }
}

/// As `Q4K`, with fifth bits.
pub(super) struct Q5K;

impl Layout for Q5K {
    const BYTES: usize = 64 + 8 * 352;
    const BLOCKS: usize = 8;
    const MIN: bool = true;
    const SPAN: usize = 4;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], index: usize) -> Levels<S> {
        let at = 64 + 352 * index;
        let (scale, min) = scale_and_min(simd, unit, at + 320);
        Levels { groups: with_fifths(simd, nibbles(simd, unit, at), part(unit, at + 256)), scale, min }
    }
}

/// The super-block's scale, times the signed scales of a block's halves.
#[inline(always)]
fn signed_scales<S: Simd>(simd: S, unit: &[u8], at: usize) -> [S::Floats; 2] {
    let scale = simd.halves(part(unit, 0));
    [simd.mul(scale, simd.signed_bytes(part(unit, at))), simd.mul(scale, simd.signed_bytes(part(unit, at + 16)))]
}

/// The super-block's scale; for each block nibbles, pairs of high bits, signed scales of both halves.
pub(super) struct Q6K;

impl Layout for Q6K {
    const BYTES: usize = 32 + 8 * 416;
    const BLOCKS: usize = 8;
    const PARTS: usize = 2;
    const OFFSET: u8 = 32;
    const SPAN: usize = 2;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], index: usize) -> Levels<S> {
        let at = 32 + 416 * index;
        let [a, b, c, d, e, f, g, h] = nibbles(simd, unit, at);
        let (first, second) = (simd.load(part(unit, at + 256)), simd.load(part(unit, at + 320)));
        let (first_low, second_low) = (simd.shift_left::<4>(first), simd.shift_left::<4>(second));
        let groups = [
            simd.or(a, simd.and(first, 48)),
            simd.or(b, simd.and(simd.shift_right::<2>(first), 48)),
            simd.or(c, simd.and(first_low, 48)),
            simd.or(d, simd.and(simd.shift_right::<2>(first_low), 48)),
            simd.or(e, simd.and(second, 48)),
            simd.or(f, simd.and(simd.shift_right::<2>(second), 48)),
            simd.or(g, simd.and(second_low, 48)),
            simd.or(h, simd.and(simd.shift_right::<2>(second_low), 48)),
        ];
        Levels { groups, scale: signed_scales(simd, unit, at + 384), min: [simd.splat(0.0); 2] }
    }
}

/// The super-block's scale; for each block pairs of bits, third bits, signed scales of both halves.
pub(super) struct Q3K;

impl Layout for Q3K {
    const BYTES: usize = 32 + 8 * 224;
    const BLOCKS: usize = 8;
    const PARTS: usize = 2;
    const OFFSET: u8 = 4;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], index: usize) -> Levels<S> {
        let at = 32 + 224 * index;
        let [a, b, c, d, e, f, g, h] = low_pairs(simd, unit, at);
        let bits = simd.load(part(unit, at + 128));
        let last = simd.shift_left::<4>(bits);
        let groups = [
            simd.or(a, simd.and(bits, 4)),
            simd.or(b, simd.and(simd.shift_right::<1>(bits), 4)),
            simd.or(c, simd.and(simd.shift_right::<2>(bits), 4)),
            simd.or(d, simd.and(simd.shift_right::<3>(bits), 4)),
            simd.or(e, simd.and(simd.shift_right::<4>(bits), 4)),
            simd.or(f, simd.and(simd.shift_right::<5>(bits), 4)),
            simd.or(g, simd.and(simd.shift_right::<2>(last), 4)),
            simd.or(h, simd.and(simd.shift_right::<3>(last), 4)),
        ];
        Levels { groups, scale: signed_scales(simd, unit, at + 192), min: [simd.splat(0.0); 2] }
    }
}

/// The super-block's scale and minimum; for each block pairs of bits, and bytes with scale (low nibble) and minimum of
/// each half.
pub(super) struct Q2K;

impl Layout for Q2K {
    const BYTES: usize = 64 + 8 * 160;
    const BLOCKS: usize = 8;
    const PARTS: usize = 2;
    const MIN: bool = true;

    #[inline(always)]
    fn block<S: Simd>(simd: S, unit: &[u8], index: usize) -> Levels<S> {
        let at = 64 + 160 * index;
        let d = simd.halves(part(unit, 0));
        let dmin = simd.mul(simd.halves(part(unit, 32)), simd.splat(-1.0));
        let (first, second): (&[u8; 16], &[u8; 16]) = (part(unit, at + 128), part(unit, at + 144));
        let scale = [
            simd.mul(d, simd.unsigned_bytes(&low_nibbles(first))),
            simd.mul(d, simd.unsigned_bytes(&low_nibbles(second))),
        ];
        let min = [
            simd.mul(dmin, simd.unsigned_bytes(&high_nibbles(first))),
            simd.mul(dmin, simd.unsigned_bytes(&high_nibbles(second))),
        ];
        Levels { groups: low_pairs(simd, unit, at), scale, min }
    }
}

/// A panel of `Q4_1_O` as columns of numbers. Its units are 16 columns of nibbles, the other 16 in the high ones; scales,
/// minima, and of each row the one number that is kept as it is, and where it belongs.
#[inline(always)]
pub(super) fn with_outliers<S: Simd>(simd: S, panel: &[u8], columns: &mut [[f32; LANES]]) {
    for (unit, out) in panel.chunks_exact(384).zip(columns.as_chunks_mut::<BLOCK>().0) {
        let (scale, min) = (simd.halves(part(unit, 256)), simd.halves(part(unit, 288)));
        for i in 0..16 {
            let levels = part(unit, 16 * i);
            let [low, high] = [low_nibbles(levels), high_nibbles(levels)];
            simd.store_floats(simd.mul_add(simd.unsigned_bytes(&low), scale, min), &mut out[i]);
            simd.store_floats(simd.mul_add(simd.unsigned_bytes(&high), scale, min), &mut out[i + 16]);
        }
        let mut outliers = [0.0; LANES];
        simd.store_floats(simd.halves(part(unit, 320)), &mut outliers);
        for (r, outlier) in outliers.into_iter().enumerate() {
            // A block of zeros has the index 0xFFFF, and its value is zero like all others.
            out[usize::from(unit[352 + 2 * r]) % BLOCK][r] = outlier;
        }
    }
}

#[inline(always)]
fn low_nibbles(bytes: &[u8; 16]) -> [u8; 16] {
    (u128::from_le_bytes(*bytes) & u128::from_le_bytes([0x0f; 16])).to_le_bytes()
}

#[inline(always)]
fn high_nibbles(bytes: &[u8; 16]) -> [u8; 16] {
    (u128::from_le_bytes(*bytes) >> 4 & u128::from_le_bytes([0x0f; 16])).to_le_bytes()
}
