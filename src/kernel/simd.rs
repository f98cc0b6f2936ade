//! What the products need of an instruction set: vectors of sixteen lanes, one for each row of a panel.
//!
//! The dot products of a block have a default that goes group by group, and can be overridden as a whole where an
//! instruction takes more than one group or row of activations. They are exact, so their order is free.

use super::activations;
use super::layouts::BLOCK;
use super::product::{Job, Line};

/// Rows of a panel, and lanes of a vector.
pub(crate) const LANES: usize = 16;

/// An instruction set. A value of the type proves that the processor has it.
pub(super) trait Simd: Copy {
    /// 64 bytes: four for each lane.
    type Bytes: Copy;
    /// 16 numbers of type i32.
    type Ints: Copy;
    /// 16 numbers of type f32.
    type Floats: Copy;

    /// How much a kernel may keep at hand: 32 registers of a whole vector or 16 of half a one, and 1 where vectors are none.
    const REGISTERS: usize;
    /// Whether `tile_dots` takes no longer for two rows of activations than for one.
    const PAIRS: bool = false;
    /// Whether `tile_dots` depends on the layout's span.
    const SPANS: bool = false;
    /// `dot_signed` computes with weights this much larger than they are.
    const SIGNED_OFFSET: i32;

    /// Runs a part of a kernel as a function of its own, compiled for the instruction set. The part's closure must be
    /// `#[inline(always)]`, or it is compiled for the oldest processor.
    fn vectorize(self, part: impl FnOnce());

    /// Whether `arrange` takes off what levels are larger than weights, so that tiles need not make up for it.
    #[inline(always)]
    fn signed_tiles(self) -> bool {
        self.matrices()
    }

    /// Whether products of several rows of activations are `matrix_tiles`'.
    #[inline(always)]
    fn matrices(self) -> bool {
        false
    }

    /// All panels of a job times all rows of activations.
    #[inline(always)]
    fn matrix_tiles<const PARTS: usize, const MIN: bool>(self, _job: &Job<'_>, _out: &mut [[f32; LANES]]) {}

    /// Brings the line of an address into the nearest cache, if there is anything.
    #[inline(always)]
    fn prefetch(self, _address: *const u8) {}

    fn load(self, bytes: &[u8; 64]) -> Self::Bytes;
    fn store(self, bytes: Self::Bytes, out: &mut [u8; 64]);
    fn and(self, bytes: Self::Bytes, mask: u8) -> Self::Bytes;
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Shifts pairs of bytes: what crosses over from the neighbour must be masked away.
    fn shift_right<const BITS: u32>(self, bytes: Self::Bytes) -> Self::Bytes;
    fn shift_left<const BITS: u32>(self, bytes: Self::Bytes) -> Self::Bytes;
    /// The table's entry for each byte, all of them below 16.
    fn look_up(self, table: &[i8; 16], bytes: Self::Bytes) -> Self::Bytes;

    /// Adds to each lane the dot product of its four weights, 0 to 127, with the activations, the bytes of `x`.
    fn dot(self, sum: Self::Ints, weights: Self::Bytes, x: i32) -> Self::Ints;
    /// Signed weights as `dot_signed` takes them.
    fn signed(self, weights: Self::Bytes) -> Self::Bytes;
    /// `dot` for what `signed` made. No activation is -128.
    fn dot_signed(self, sum: Self::Ints, weights: Self::Bytes, x: i32) -> Self::Ints;
    /// In each lane `factors · numbers`.
    #[inline(always)]
    fn dot_pair(self, factors: [i16; 2], numbers: [i16; 2]) -> Self::Ints {
        let product = |i: usize| i32::from(factors[i]) * i32::from(numbers[i]);
        self.ints(product(0) + product(1))
    }
    fn ints(self, x: i32) -> Self::Ints;

    /// `start`, plus the dot products of a part of a block: those of `groups` of weights with the numbers of `x`, as many.
    /// `span` is the layout's.
    #[inline(always)]
    fn row_dots(self, start: Self::Ints, groups: &[Self::Bytes], signed: bool, _span: usize, x: &[i32]) -> Self::Ints {
        row_dots(self, start, groups, signed, x)
    }

    /// For each of `P` panels and `N` rows of activations the row's `start`, plus the dot products of a part of a block.
    /// The panels' groups were arranged when they were taken apart.
    #[inline(always)]
    fn tile_dots<const P: usize, const N: usize>(
        self,
        start: [Self::Ints; N],
        groups: [&[Line]; P],
        signed: bool,
        _span: usize,
        x: [&[i32]; N],
    ) -> [[Self::Ints; N]; P] {
        tile_dots(self, start, groups, signed, x)
    }

    /// A block's groups as `tile_dots` takes them; halves stay apart. With `signed_tiles` they lose the offset.
    #[inline(always)]
    fn arrange(self, groups: [Self::Bytes; 8], _offset: u8) -> [Self::Bytes; 8] {
        groups
    }

    fn to_floats(self, ints: Self::Ints) -> Self::Floats;

    /// See [`activations::largest`].
    #[inline(always)]
    fn largest(self, x: &[f32; BLOCK]) -> f32 {
        activations::largest(x)
    }

    /// See [`activations::round`].
    #[inline(always)]
    fn round(self, x: &[f32; BLOCK], inverse: f32) -> ([i32; 8], [i16; 2]) {
        activations::round(x, inverse)
    }

    fn splat(self, x: f32) -> Self::Floats;
    fn floats(self, x: &[f32; LANES]) -> Self::Floats;
    /// Single-precision numbers as a file holds them.
    fn singles(self, x: &[u8; 64]) -> Self::Floats;
    /// Half-precision numbers.
    fn halves(self, x: &[u8; 32]) -> Self::Floats;
    /// Numbers of the format BF16.
    fn brains(self, x: &[u8; 32]) -> Self::Floats;
    fn unsigned_bytes(self, x: &[u8; 16]) -> Self::Floats;
    fn signed_bytes(self, x: &[u8; 16]) -> Self::Floats;
    fn store_floats(self, x: Self::Floats, out: &mut [f32; LANES]);
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`
    fn mul_add(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
}

/// [`Simd::row_dots`] group by group.
#[inline(always)]
pub(super) fn row_dots<S: Simd>(simd: S, start: S::Ints, groups: &[S::Bytes], signed: bool, x: &[i32]) -> S::Ints {
    let mut sum = start;
    for g in 0..groups.len() {
        sum = if signed { simd.dot_signed(sum, groups[g], x[g]) } else { simd.dot(sum, groups[g], x[g]) };
    }
    sum
}

/// [`Simd::tile_dots`] group by group.
#[inline(always)]
pub(super) fn tile_dots<S: Simd, const P: usize, const N: usize>(
    simd: S,
    start: [S::Ints; N],
    groups: [&[Line]; P],
    signed: bool,
    x: [&[i32]; N],
) -> [[S::Ints; N]; P] {
    let mut dots = [start; P];
    for g in 0..x[0].len() {
        let mut weights = [simd.load(&groups[0][g].0); P];
        for p in 1..P {
            weights[p] = simd.load(&groups[p][g].0);
        }
        for t in 0..N {
            for p in 0..P {
                dots[p][t] = match signed {
                    true => simd.dot_signed(dots[p][t], weights[p], x[t][g]),
                    false => simd.dot(dots[p][t], weights[p], x[t][g]),
                };
            }
        }
    }
    dots
}

/// Two numbers as x86 multiplies pairs of them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn pair([low, high]: [i16; 2]) -> i32 {
    i32::from(high) << 16 | i32::from(low as u16)
}

/// Brings weights into the nearest cache that come some way after `bytes`. The processor reads ahead by itself, but no
/// further than the end of 4 KiB: it would wait for the beginning of every next 4 KiB.
#[inline(always)]
pub(super) fn prefetch_ahead<S: Simd>(simd: S, bytes: &[u8]) {
    const DISTANCE: usize = 2048;
    for line in bytes.chunks(64) {
        simd.prefetch(line.as_ptr().wrapping_add(DISTANCE));
    }
}

/// The `N` bytes at `at`.
#[inline(always)]
#[expect(clippy::panic, reason = "as for an index: offsets are the layout's, and not of any file")]
pub(super) fn part<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    match bytes[at..].first_chunk() {
        Some(part) => part,
        None => panic!("a panel ends early"),
    }
}
