//! Kernels for AVX2 and FMA, and the same with the dot products of bytes of AVX-VNNI.
#![allow(unsafe_code, reason = "calling a function compiled for more than the baseline processor is unsafe")]

use std::arch::asm;
use std::arch::x86_64::*;

use super::Kernels;
use super::layouts::BLOCK;
use super::product::Line;
use super::simd::{LANES, Simd, pair, row_dots, tile_dots};
use crate::quant::{self, Format};

/// The kernels, if this processor can run them.
pub(super) fn kernels() -> Option<&'static Kernels> {
    Avx2::<false>::new().map(|_| &plain::KERNELS)
}

/// The kernels with AVX-VNNI, if this processor can run them.
pub(super) fn vnni_kernels() -> Option<&'static Kernels> {
    Avx2::<true>::new().map(|_| &vnni::KERNELS)
}

mod plain {
    compile!("avx2", "avx2,fma,f16c", super::Avx2::<false>(()), super::decode);
}

mod vnni {
    compile!("avxvnni", "avx2,fma,f16c,avxvnni", super::Avx2::<true>(()), super::decode);
}

// The newer instruction sets gain nothing here, and it is large.
compile!(@ "avx2,fma,f16c", pub(super) decode(format: Format, bytes: &[u8], out: &mut [f32]) {
    quant::decode_here(format, bytes, out);
});

/// Proof that the processor has AVX2, FMA and F16C, and AVX-VNNI if `VNNI`.
#[derive(Clone, Copy)]
struct Avx2<const VNNI: bool>(());

impl<const VNNI: bool> Avx2<VNNI> {
    fn new() -> Option<Self> {
        let has =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        (has && (!VNNI || is_x86_feature_detected!("avxvnni"))).then_some(Self(()))
    }
}

// SAFETY of all that follows: `Avx2` proves the instructions, and loads and stores are of arrays of their size.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl<const VNNI: bool> Simd for Avx2<VNNI> {
    type Bytes = [__m256i; 2];
    type Ints = [__m256i; 2];
    type Floats = [__m256; 2];

    const REGISTERS: usize = 16;
    const SPANS: bool = !VNNI;
    const SIGNED_OFFSET: i32 = if VNNI { 128 } else { 0 };

    #[inline(always)]
    fn vectorize(self, part: impl FnOnce()) {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma,f16c")]
        fn plain(part: impl FnOnce()) {
            part();
        }
        #[inline(never)]
        #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
        fn vnni(part: impl FnOnce()) {
            part();
        }
        unsafe { if VNNI { vnni(part) } else { plain(part) } }
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> [__m256i; 2] {
        unsafe { [_mm256_loadu_si256(bytes.as_ptr().cast()), _mm256_loadu_si256(bytes[32..].as_ptr().cast())] }
    }

    #[inline(always)]
    fn store(self, bytes: [__m256i; 2], out: &mut [u8; 64]) {
        let (low, high) = out.split_at_mut(32);
        unsafe {
            _mm256_storeu_si256(low.as_mut_ptr().cast(), bytes[0]);
            _mm256_storeu_si256(high.as_mut_ptr().cast(), bytes[1]);
        }
    }

    #[inline(always)]
    fn and(self, bytes: [__m256i; 2], mask: u8) -> [__m256i; 2] {
        unsafe {
            let mask = _mm256_set1_epi8(mask as i8);
            [_mm256_and_si256(bytes[0], mask), _mm256_and_si256(bytes[1], mask)]
        }
    }

    #[inline(always)]
    fn or(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        unsafe { [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])] }
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, bytes: [__m256i; 2]) -> [__m256i; 2] {
        // The instruction for AVX2 counts in i32; a shift by a constant in a register becomes the same.
        unsafe {
            let bits = _mm_cvtsi32_si128(BITS as i32);
            [_mm256_srl_epi16(bytes[0], bits), _mm256_srl_epi16(bytes[1], bits)]
        }
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, bytes: [__m256i; 2]) -> [__m256i; 2] {
        // The instruction for AVX2 counts in i32; a shift by a constant in a register becomes the same.
        unsafe {
            let bits = _mm_cvtsi32_si128(BITS as i32);
            [_mm256_sll_epi16(bytes[0], bits), _mm256_sll_epi16(bytes[1], bits)]
        }
    }

    #[inline(always)]
    fn look_up(self, table: &[i8; 16], bytes: [__m256i; 2]) -> [__m256i; 2] {
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            [_mm256_shuffle_epi8(table, bytes[0]), _mm256_shuffle_epi8(table, bytes[1])]
        }
    }

    #[inline(always)]
    fn dot(self, sum: [__m256i; 2], weights: [__m256i; 2], x: i32) -> [__m256i; 2] {
        unsafe {
            let x = _mm256_set1_epi32(x);
            if VNNI {
                [_mm256_dpbusd_avx_epi32(sum[0], weights[0], x), _mm256_dpbusd_avx_epi32(sum[1], weights[1], x)]
            } else {
                [add_dot(sum[0], weights[0], x), add_dot(sum[1], weights[1], x)]
            }
        }
    }

    #[inline(always)]
    fn signed(self, weights: [__m256i; 2]) -> [__m256i; 2] {
        if !VNNI {
            return weights;
        }
        unsafe {
            let offset = _mm256_set1_epi8(-128);
            [_mm256_xor_si256(weights[0], offset), _mm256_xor_si256(weights[1], offset)]
        }
    }

    #[inline(always)]
    fn dot_signed(self, sum: [__m256i; 2], weights: [__m256i; 2], x: i32) -> [__m256i; 2] {
        if VNNI {
            return self.dot(sum, weights, x);
        }
        // Unsigned weights above 127 would overflow the sums of two products: the signs go to the activations.
        unsafe {
            let x = _mm256_set1_epi32(x);
            let signed = [_mm256_sign_epi8(x, weights[0]), _mm256_sign_epi8(x, weights[1])];
            let weights = [_mm256_abs_epi8(weights[0]), _mm256_abs_epi8(weights[1])];
            [add_dot(sum[0], weights[0], signed[0]), add_dot(sum[1], weights[1], signed[1])]
        }
    }

    #[inline(always)]
    fn row_dots(
        self,
        start: [__m256i; 2],
        groups: &[[__m256i; 2]],
        signed: bool,
        span: usize,
        x: &[i32],
    ) -> [__m256i; 2] {
        if VNNI || signed {
            return row_dots(self, start, groups, signed, x);
        }
        let mut sum = start;
        for (groups, x) in groups.chunks(span).zip(x.chunks(span)) {
            let mut pairs = unsafe { [_mm256_setzero_si256(); 2] };
            for g in 0..groups.len() {
                pairs = self.add_pairs(pairs, groups[g], x[g]);
            }
            sum = self.add_sums(sum, pairs);
        }
        sum
    }

    #[inline(always)]
    fn tile_dots<const P: usize, const N: usize>(
        self,
        start: [[__m256i; 2]; N],
        groups: [&[Line]; P],
        signed: bool,
        span: usize,
        x: [&[i32]; N],
    ) -> [[[__m256i; 2]; N]; P] {
        if VNNI || signed {
            return tile_dots(self, start, groups, signed, x);
        }
        let mut dots = [start; P];
        for first in (0..x[0].len()).step_by(span) {
            let mut pairs = unsafe { [[[_mm256_setzero_si256(); 2]; N]; P] };
            for p in 0..P {
                // Not a loop, since the compiler would not unroll it around `stay`, which is slower.
                self.add_groups(&mut pairs[p], groups[p], x, first);
                if span > 2 {
                    self.add_groups(&mut pairs[p], groups[p], x, first + 2);
                }
                if span > 4 {
                    self.add_groups(&mut pairs[p], groups[p], x, first + 4);
                    self.add_groups(&mut pairs[p], groups[p], x, first + 6);
                }
            }
            for p in 0..P {
                for t in 0..N {
                    dots[p][t] = self.add_sums(dots[p][t], pairs[p][t]);
                }
            }
        }
        dots
    }

    #[inline(always)]
    fn dot_pair(self, factors: [i16; 2], numbers: [i16; 2]) -> [__m256i; 2] {
        let sum = unsafe { _mm256_madd_epi16(_mm256_set1_epi32(pair(factors)), _mm256_set1_epi32(pair(numbers))) };
        [sum; 2]
    }

    #[inline(always)]
    fn ints(self, x: i32) -> [__m256i; 2] {
        unsafe { [_mm256_set1_epi32(x); 2] }
    }

    #[inline(always)]
    fn to_floats(self, ints: [__m256i; 2]) -> [__m256; 2] {
        unsafe { [_mm256_cvtepi32_ps(ints[0]), _mm256_cvtepi32_ps(ints[1])] }
    }

    #[inline(always)]
    fn round(self, x: &[f32; BLOCK], inverse: f32) -> ([i32; 8], [i16; 2]) {
        let mut quads = [0; 8];
        let mut sums = [0u64; 4];
        let eights = x.as_chunks::<8>().0;
        unsafe {
            let inverse = _mm256_set1_ps(inverse);
            let mut ints = [_mm256_setzero_si256(); 4];
            for i in 0..4 {
                ints[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(eights[i].as_ptr()), inverse));
            }
            // Each half of the registers is packed by itself.
            let packed = _mm256_packs_epi16(_mm256_packs_epi32(ints[0], ints[1]), _mm256_packs_epi32(ints[2], ints[3]));
            let bytes = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
            _mm256_storeu_si256(quads.as_mut_ptr().cast(), bytes);
            // Sums of absolute differences are there for unsigned bytes only.
            let unsigned = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
            _mm256_storeu_si256(sums.as_mut_ptr().cast(), _mm256_sad_epu8(unsigned, _mm256_setzero_si256()));
        }
        (quads, [(sums[0] + sums[1]) as i16 - 16 * 128, (sums[2] + sums[3]) as i16 - 16 * 128])
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [__m256; 2] {
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    fn floats(self, x: &[f32; LANES]) -> [__m256; 2] {
        unsafe { [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x[8..].as_ptr())] }
    }

    #[inline(always)]
    fn singles(self, x: &[u8; 64]) -> [__m256; 2] {
        unsafe { [_mm256_loadu_ps(x.as_ptr().cast()), _mm256_loadu_ps(x[32..].as_ptr().cast())] }
    }

    #[inline(always)]
    fn halves(self, x: &[u8; 32]) -> [__m256; 2] {
        unsafe {
            [
                _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(x[16..].as_ptr().cast())),
            ]
        }
    }

    #[inline(always)]
    fn brains(self, x: &[u8; 32]) -> [__m256; 2] {
        unsafe {
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().cast()));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(x[16..].as_ptr().cast()));
            [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)), _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high))]
        }
    }

    #[inline(always)]
    fn unsigned_bytes(self, x: &[u8; 16]) -> [__m256; 2] {
        unsafe {
            let bytes = _mm_loadu_si128(x.as_ptr().cast());
            let high = _mm_srli_si128::<8>(bytes);
            [_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(high))]
        }
    }

    #[inline(always)]
    fn signed_bytes(self, x: &[u8; 16]) -> [__m256; 2] {
        unsafe {
            let bytes = _mm_loadu_si128(x.as_ptr().cast());
            let high = _mm_srli_si128::<8>(bytes);
            [_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high))]
        }
    }

    #[inline(always)]
    fn store_floats(self, x: [__m256; 2], out: &mut [f32; LANES]) {
        let (low, high) = out.split_at_mut(8);
        unsafe {
            _mm256_storeu_ps(low.as_mut_ptr(), x[0]);
            _mm256_storeu_ps(high.as_mut_ptr(), x[1]);
        }
    }

    #[inline(always)]
    fn mul(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul_add(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "as above")]
impl<const VNNI: bool> Avx2<VNNI> {
    /// Adds two groups' products to the sums of pairs of several rows of activations.
    #[inline(always)]
    fn add_groups<const N: usize>(self, pairs: &mut [[__m256i; 2]; N], groups: &[Line], x: [&[i32]; N], first: usize) {
        for g in first..first + 2 {
            let weights = self.load(&groups[g].0);
            for t in 0..N {
                pairs[t] = self.add_pairs(pairs[t], weights, x[t][g]);
                unsafe { stay(&mut pairs[t]) };
            }
        }
    }

    /// Adds to each pair of weights' sum, of 16 bits, their products.
    #[inline(always)]
    fn add_pairs(self, sums: [__m256i; 2], weights: [__m256i; 2], x: i32) -> [__m256i; 2] {
        unsafe {
            let x = _mm256_set1_epi32(x);
            let products = [_mm256_maddubs_epi16(weights[0], x), _mm256_maddubs_epi16(weights[1], x)];
            [_mm256_add_epi16(sums[0], products[0]), _mm256_add_epi16(sums[1], products[1])]
        }
    }

    /// Adds to each lane the sums of its two pairs.
    #[inline(always)]
    fn add_sums(self, lanes: [__m256i; 2], pairs: [__m256i; 2]) -> [__m256i; 2] {
        unsafe { [add_pairs_of_pairs(lanes[0], pairs[0]), add_pairs_of_pairs(lanes[1], pairs[1])] }
    }
}

/// No instruction: the compiler would add up row by row otherwise, for which it lacks registers, and load all weights again
/// for each.
#[inline]
#[target_feature(enable = "avx2")]
fn stay(sums: &mut [__m256i; 2]) {
    let [a, b] = sums;
    // SAFETY: it is no instruction.
    unsafe { asm!("/* {0} {1} */", inout(ymm_reg) * a, inout(ymm_reg) * b, options(nomem, nostack, preserves_flags)) };
}

/// The dot product of bytes without the instruction for it. Exact for weights up to 128.
#[inline]
#[target_feature(enable = "avx2")]
fn add_dot(sum: __m256i, weights: __m256i, x: __m256i) -> __m256i {
    add_pairs_of_pairs(sum, _mm256_maddubs_epi16(weights, x))
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_pairs_of_pairs(sum: __m256i, pairs: __m256i) -> __m256i {
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}
