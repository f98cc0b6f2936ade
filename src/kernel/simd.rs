//! What the products need of an instruction set: vectors of sixteen lanes, one for each row of a panel.

use super::activations;
use super::layouts::BLOCK;

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

    /// Vector registers of the processor: how much a kernel may keep at hand.
    const REGISTERS: usize;
    /// `dot_signed` computes with weights this much larger than they are.
    const SIGNED_OFFSET: i32;

    /// Brings numbers that are used soon into the nearest cache.
    #[inline(always)]
    fn prefetch(self, _numbers: &[f32]) {}

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
        let products = [0, 1].map(|i| i32::from(factors[i]) * i32::from(numbers[i]));
        self.ints(products[0] + products[1])
    }
    fn ints(self, x: i32) -> Self::Ints;
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
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`
    fn mul_add(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
}

/// The `N` bytes at `at`.
#[inline(always)]
pub(super) fn part<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    match bytes[at..].first_chunk() {
        Some(part) => part,
        None => panic!("a panel ends early"),
    }
}
