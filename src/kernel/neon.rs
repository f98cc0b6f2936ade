//! Kernels for ARM: of NEON alone, of its dot products of bytes, and of its products of small matrices of bytes.
#![allow(unsafe_code, reason = "loads, and instructions that not every processor has")]

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use super::product::{self, Line};
use super::simd::{LANES, Simd};
use super::{Kernels, Multiply, activations, norm, vecmath, wkv};
use crate::quant;

/// What this processor can run, the fastest first.
pub(super) fn kernels() -> impl Iterator<Item = &'static Kernels> {
    let matrices = Neon::<true, true>::new().map(|_| &MATRICES);
    let dots = Neon::<true, false>::new().map(|_| &DOTS);
    let plain = Neon::<false, false>::new().map(|_| &PLAIN);
    [matrices, dots, plain].into_iter().flatten()
}

/// Every aarch64 processor has NEON, so all but the products is compiled once. The newer instructions are for products of
/// bytes.
const fn table(isa: &'static str, multiply: Multiply) -> Kernels {
    const NEON: Neon<false, false> = Neon(());
    Kernels {
        isa,
        multiply,
        quantize: |row, out| activations::quantize(NEON, row, out),
        decode: quant::decode,
        exp: vecmath::exp::<true>,
        sigmoid: vecmath::sigmoid::<true>,
        tanh: vecmath::tanh::<true>,
        lerp: vecmath::lerp,
        relu_squared: vecmath::relu_squared,
        normalize: norm::normalize,
        wkv4: wkv::wkv4::<true>,
        wkv5: |state, head, out| wkv::wkv5(NEON, state, head, out),
        head7: |state, parameters, tokens, out| wkv::head7::<true, _>(NEON, state, parameters, tokens, out),
    }
}

static PLAIN: Kernels = table("neon", |format, panels, x, out, scratch| {
    product::multiply(Neon::<false, false>(()), format, panels, x, out, scratch)
});
static DOTS: Kernels = table("dotprod", |format, panels, x, out, scratch| {
    product::multiply(Neon::<true, false>(()), format, panels, x, out, scratch)
});
static MATRICES: Kernels = table("i8mm", |format, panels, x, out, scratch| {
    product::multiply(Neon::<true, true>(()), format, panels, x, out, scratch)
});

/// The value for each of a vector's four registers, which `$i` counts. (A closure may stay a function of its own.)
macro_rules! registers {
    ($i:ident => $value:expr) => {
        [
            {
                let $i = 0;
                $value
            },
            {
                let $i = 1;
                $value
            },
            {
                let $i = 2;
                $value
            },
            {
                let $i = 3;
                $value
            },
        ]
    };
}

mod products;

use products::hide;

/// Proof that the processor has NEON, its dot products if `DOTS`, and its products of matrices if `MATRICES`.
#[derive(Clone, Copy)]
struct Neon<const DOTS: bool, const MATRICES: bool>(());

impl<const DOTS: bool, const MATRICES: bool> Neon<DOTS, MATRICES> {
    fn new() -> Option<Self> {
        let has =
            (!DOTS || is_aarch64_feature_detected!("dotprod")) && (!MATRICES || is_aarch64_feature_detected!("i8mm"));
        has.then_some(Self(()))
    }
}

// SAFETY of all that follows: every aarch64 processor has NEON, `Neon` proves the rest, and loads and stores are of arrays
// of their size.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl<const DOTS: bool, const MATRICES: bool> Simd for Neon<DOTS, MATRICES> {
    type Bytes = [uint8x16_t; 4];
    type Ints = [int32x4_t; 4];
    type Floats = [float32x4_t; 4];

    /// There are 32, but half as wide as those of AVX2: they hold as much as its 16.
    const REGISTERS: usize = 16;
    const SIGNED_OFFSET: i32 = 0;
    const PAIRS: bool = MATRICES;
    const SPANS: bool = !DOTS;

    #[inline(always)]
    fn vectorize(self, part: impl FnOnce()) {
        #[inline(never)]
        fn plain(part: impl FnOnce()) {
            part();
        }
        #[inline(never)]
        #[target_feature(enable = "dotprod")]
        fn dots(part: impl FnOnce()) {
            part();
        }
        #[inline(never)]
        #[target_feature(enable = "dotprod,i8mm")]
        fn matrices(part: impl FnOnce()) {
            part();
        }
        match (DOTS, MATRICES) {
            (_, true) => unsafe { matrices(part) },
            (true, false) => unsafe { dots(part) },
            (false, false) => plain(part),
        }
    }

    #[inline(always)]
    fn signed_tiles(self) -> bool {
        true
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> [uint8x16_t; 4] {
        let parts = bytes.as_chunks().0;
        registers!(i => load(&parts[i]))
    }

    #[inline(always)]
    fn store(self, bytes: [uint8x16_t; 4], out: &mut [u8; 64]) {
        for (bytes, out) in bytes.into_iter().zip(out.as_chunks_mut::<16>().0) {
            unsafe { vst1q_u8(out.as_mut_ptr(), bytes) };
        }
    }

    #[inline(always)]
    fn and(self, bytes: [uint8x16_t; 4], mask: u8) -> [uint8x16_t; 4] {
        unsafe { registers!(i => vandq_u8(bytes[i], vdupq_n_u8(mask))) }
    }

    #[inline(always)]
    fn or(self, a: [uint8x16_t; 4], b: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
        unsafe { registers!(i => vorrq_u8(a[i], b[i])) }
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, bytes: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
        // The instruction for bytes counts in i32; a shift by a constant in a register becomes the same.
        unsafe { registers!(i => vshlq_u8(bytes[i], vdupq_n_s8(-(BITS as i8)))) }
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, bytes: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
        unsafe { registers!(i => vshlq_u8(bytes[i], vdupq_n_s8(BITS as i8))) }
    }

    #[inline(always)]
    fn look_up(self, table: &[i8; 16], bytes: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
        let table = load(&table.map(|level| level as u8));
        unsafe { registers!(i => vqtbl1q_u8(table, bytes[i])) }
    }

    /// Pairs of products, which fit 16 bits for all weights there are, then pairs of pairs.
    #[inline(always)]
    fn dot(self, sum: [int32x4_t; 4], weights: [uint8x16_t; 4], x: i32) -> [int32x4_t; 4] {
        unsafe {
            let mut x = vreinterpretq_s8_s32(vdupq_n_s32(x));
            hide(&mut x);
            registers!(i => {
                let weights = vreinterpretq_s8_u8(weights[i]);
                let low = vmull_s8(vget_low_s8(weights), vget_low_s8(x));
                vpadalq_s16(sum[i], vpaddq_s16(low, vmull_high_s8(weights, x)))
            })
        }
    }

    #[inline(always)]
    fn signed(self, weights: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
        weights
    }

    #[inline(always)]
    fn dot_signed(self, sum: [int32x4_t; 4], weights: [uint8x16_t; 4], x: i32) -> [int32x4_t; 4] {
        self.dot(sum, weights, x)
    }

    #[inline(always)]
    fn ints(self, x: i32) -> [int32x4_t; 4] {
        unsafe { [vdupq_n_s32(x); 4] }
    }

    #[inline(always)]
    fn row_dots(
        self,
        start: [int32x4_t; 4],
        groups: &[[uint8x16_t; 4]],
        _: bool,
        span: usize,
        x: &[i32],
    ) -> [int32x4_t; 4] {
        // Weights that are counted through would go from registers to memory first.
        let mut sums = [start];
        self.add_groups(&mut sums, |g, i| groups[g][i], [x], 0, span);
        if groups.len() == 8 {
            self.add_groups(&mut sums, |g, i| groups[g][i], [x], 4, span);
        }
        sums[0]
    }

    #[inline(always)]
    fn tile_dots<const P: usize, const N: usize>(
        self,
        start: [[int32x4_t; 4]; N],
        groups: [&[Line]; P],
        _: bool,
        span: usize,
        x: [&[i32]; N],
    ) -> [[[int32x4_t; 4]; N]; P] {
        let mut dots = [start; P];
        for (dots, groups) in dots.iter_mut().zip(groups) {
            if MATRICES {
                self.add_matrices(dots, groups, x);
                continue;
            }
            // In one piece the compiler loads weights too early, and runs out of registers.
            for first in (0..groups.len()).step_by(4) {
                self.add_groups(dots, |g, i| load(&groups[g].0.as_chunks().0[i]), x, first, span);
            }
        }
        dots
    }

    /// For products of matrices, eight consecutive numbers of a row together: of two groups first the even pairs of rows,
    /// then the odd ones.
    #[inline(always)]
    fn arrange(self, groups: [[uint8x16_t; 4]; 8], offset: u8) -> [[uint8x16_t; 4]; 8] {
        let mut arranged = groups;
        for group in &mut arranged {
            *group = unsafe { registers!(i => vsubq_u8(group[i], vdupq_n_u8(offset))) };
        }
        if !MATRICES {
            return arranged;
        }
        for pair in arranged.as_chunks_mut::<2>().0 {
            unsafe {
                let first = registers!(i => vreinterpretq_u32_u8(pair[0][i]));
                let second = registers!(i => vreinterpretq_u32_u8(pair[1][i]));
                pair[0] = registers!(i => vreinterpretq_u8_u32(vzip1q_u32(first[i], second[i])));
                pair[1] = registers!(i => vreinterpretq_u8_u32(vzip2q_u32(first[i], second[i])));
            }
        }
        arranged
    }

    #[inline(always)]
    fn to_floats(self, ints: [int32x4_t; 4]) -> [float32x4_t; 4] {
        unsafe { registers!(i => vcvtq_f32_s32(ints[i])) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [float32x4_t; 4] {
        unsafe { [vdupq_n_f32(x); 4] }
    }

    #[inline(always)]
    fn floats(self, x: &[f32; LANES]) -> [float32x4_t; 4] {
        let parts = x.as_chunks::<4>().0;
        unsafe { registers!(i => vld1q_f32(parts[i].as_ptr())) }
    }

    #[inline(always)]
    fn singles(self, x: &[u8; 64]) -> [float32x4_t; 4] {
        let parts = x.as_chunks().0;
        unsafe { registers!(i => vreinterpretq_f32_u8(load(&parts[i]))) }
    }

    #[inline(always)]
    fn halves(self, x: &[u8; 32]) -> [float32x4_t; 4] {
        unsafe {
            let [first, second] = eighths(x);
            let (first, second) = (vreinterpretq_f16_u16(first), vreinterpretq_f16_u16(second));
            [
                vcvt_f32_f16(vget_low_f16(first)),
                vcvt_high_f32_f16(first),
                vcvt_f32_f16(vget_low_f16(second)),
                vcvt_high_f32_f16(second),
            ]
        }
    }

    #[inline(always)]
    fn brains(self, x: &[u8; 32]) -> [float32x4_t; 4] {
        unsafe {
            let [first, second] = eighths(x);
            let wide = [
                vshll_n_u16::<16>(vget_low_u16(first)),
                vshll_high_n_u16::<16>(first),
                vshll_n_u16::<16>(vget_low_u16(second)),
                vshll_high_n_u16::<16>(second),
            ];
            registers!(i => vreinterpretq_f32_u32(wide[i]))
        }
    }

    #[inline(always)]
    fn unsigned_bytes(self, x: &[u8; 16]) -> [float32x4_t; 4] {
        unsafe {
            let bytes = load(x);
            let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
            [
                vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))),
                vcvtq_f32_u32(vmovl_high_u16(low)),
                vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))),
                vcvtq_f32_u32(vmovl_high_u16(high)),
            ]
        }
    }

    #[inline(always)]
    fn signed_bytes(self, x: &[u8; 16]) -> [float32x4_t; 4] {
        unsafe {
            let bytes = vreinterpretq_s8_u8(load(x));
            let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
            [
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                vcvtq_f32_s32(vmovl_high_s16(low)),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                vcvtq_f32_s32(vmovl_high_s16(high)),
            ]
        }
    }

    #[inline(always)]
    fn store_floats(self, x: [float32x4_t; 4], out: &mut [f32; LANES]) {
        for (x, out) in x.into_iter().zip(out.as_chunks_mut::<4>().0) {
            unsafe { vst1q_f32(out.as_mut_ptr(), x) };
        }
    }

    #[inline(always)]
    fn mul(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        unsafe { registers!(i => vmulq_f32(a[i], b[i])) }
    }

    #[inline(always)]
    fn mul_add(self, a: [float32x4_t; 4], b: [float32x4_t; 4], c: [float32x4_t; 4]) -> [float32x4_t; 4] {
        unsafe { registers!(i => vfmaq_f32(c[i], a[i], b[i])) }
    }
}

#[inline(always)]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the array has the 16 bytes that are loaded.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// 16 numbers of 16 bits.
#[inline(always)]
fn eighths(x: &[u8; 32]) -> [uint16x8_t; 2] {
    let parts = x.as_chunks().0;
    // SAFETY: every aarch64 processor has NEON.
    unsafe { [vreinterpretq_u16_u8(load(&parts[0])), vreinterpretq_u16_u8(load(&parts[1]))] }
}
