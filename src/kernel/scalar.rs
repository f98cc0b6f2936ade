//! The portable kernels, and the truth that every other kernel is tested against.
//!
//! Functions are generic over whether multiply and add may be fused, so that `avx2` can compile the same text for
//! processors that do both in one instruction.

use half::{bf16, f16};

use super::activations;
use super::product;
use super::simd::{LANES, Simd};
use super::{Kernels, norm, vecmath, wkv};
use crate::quant;

pub(super) static KERNELS: Kernels = Kernels {
    isa: "scalar",
    decode: quant::decode,
    wkv4: wkv::wkv4::<false>,
    wkv5: |state, head, out| wkv::wkv5(Scalar, state, head, out),
    head7: |state, parameters, tokens, out| wkv::head7::<false, _>(Scalar, state, parameters, tokens, out),
    exp: vecmath::exp::<false>,
    sigmoid: vecmath::sigmoid::<false>,
    tanh: vecmath::tanh::<false>,
    lerp: vecmath::lerp,
    relu_squared: vecmath::relu_squared,
    normalize: norm::normalize,
    quantize: |row, out| activations::quantize(Scalar, row, out),
    multiply: |format, panels, x, out, scratch| product::multiply(Scalar, format, panels, x, out, scratch),
};

/// No instruction set in particular.
#[derive(Clone, Copy)]
struct Scalar;

impl Simd for Scalar {
    type Bytes = [u8; 64];
    type Ints = [i32; LANES];
    type Floats = [f32; LANES];

    const REGISTERS: usize = 1;
    const SIGNED_OFFSET: i32 = 0;

    #[inline(never)]
    fn vectorize(self, part: impl FnOnce()) {
        part();
    }

    fn load(self, bytes: &[u8; 64]) -> [u8; 64] {
        *bytes
    }

    fn store(self, bytes: [u8; 64], out: &mut [u8; 64]) {
        *out = bytes;
    }

    fn and(self, bytes: [u8; 64], mask: u8) -> [u8; 64] {
        bytes.map(|byte| byte & mask)
    }

    fn or(self, a: [u8; 64], b: [u8; 64]) -> [u8; 64] {
        std::array::from_fn(|i| a[i] | b[i])
    }

    fn shift_right<const BITS: u32>(self, bytes: [u8; 64]) -> [u8; 64] {
        bytes.map(|byte| byte >> BITS)
    }

    fn shift_left<const BITS: u32>(self, bytes: [u8; 64]) -> [u8; 64] {
        bytes.map(|byte| byte << BITS)
    }

    fn look_up(self, table: &[i8; 16], bytes: [u8; 64]) -> [u8; 64] {
        bytes.map(|byte| table[usize::from(byte)] as u8)
    }

    fn dot(self, sum: [i32; LANES], weights: [u8; 64], x: i32) -> [i32; LANES] {
        let x = x.to_le_bytes().map(|x| i32::from(x as i8));
        std::array::from_fn(|lane| (0..4).fold(sum[lane], |sum, i| sum + i32::from(weights[4 * lane + i]) * x[i]))
    }

    fn signed(self, weights: [u8; 64]) -> [u8; 64] {
        weights
    }

    fn dot_signed(self, sum: [i32; LANES], weights: [u8; 64], x: i32) -> [i32; LANES] {
        let x = x.to_le_bytes().map(|x| i32::from(x as i8));
        std::array::from_fn(|lane| (0..4).fold(sum[lane], |sum, i| sum + i32::from(weights[4 * lane + i] as i8) * x[i]))
    }

    fn ints(self, x: i32) -> [i32; LANES] {
        [x; LANES]
    }

    fn to_floats(self, ints: [i32; LANES]) -> [f32; LANES] {
        ints.map(|x| x as f32)
    }

    fn splat(self, x: f32) -> [f32; LANES] {
        [x; LANES]
    }

    fn floats(self, x: &[f32; LANES]) -> [f32; LANES] {
        *x
    }

    fn singles(self, x: &[u8; 64]) -> [f32; LANES] {
        std::array::from_fn(|i| f32::from_le_bytes(x.as_chunks().0[i]))
    }

    fn halves(self, x: &[u8; 32]) -> [f32; LANES] {
        std::array::from_fn(|i| f16::from_le_bytes(x.as_chunks().0[i]).to_f32())
    }

    fn brains(self, x: &[u8; 32]) -> [f32; LANES] {
        std::array::from_fn(|i| bf16::from_le_bytes(x.as_chunks().0[i]).to_f32())
    }

    fn unsigned_bytes(self, x: &[u8; 16]) -> [f32; LANES] {
        x.map(f32::from)
    }

    fn signed_bytes(self, x: &[u8; 16]) -> [f32; LANES] {
        x.map(|x| f32::from(x as i8))
    }

    fn store_floats(self, x: [f32; LANES], out: &mut [f32; LANES]) {
        *out = x;
    }

    fn mul(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    fn mul_add(self, a: [f32; LANES], b: [f32; LANES], c: [f32; LANES]) -> [f32; LANES] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
}

#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}
