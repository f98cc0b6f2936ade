//! Kernels for AVX-512 with its dot products of bytes (VNNI), and the same with AMX for products of many rows.
#![allow(unsafe_code, reason = "calling a function compiled for more than the baseline processor is unsafe")]

use std::arch::x86_64::*;

use super::layouts::BLOCK;
use super::product::{self, Job};
use super::simd::{LANES, Simd, pair};
use super::{Kernels, amx};

/// What this processor can run, the fastest first.
pub(super) fn kernels() -> impl Iterator<Item = &'static Kernels> {
    let matrices = Avx512::new(true).map(|_| &MATRICES);
    let dots = Avx512::new(false).map(|_| &KERNELS);
    [matrices, dots].into_iter().flatten()
}

compile!(
    "avx512",
    "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    Avx512 { matrices: false },
    super::avx2::decode
);

static MATRICES: Kernels = Kernels {
    isa: "amx",
    multiply: |format, panels, x, out, scratch| {
        product::multiply(Avx512 { matrices: true }, format, panels, x, out, scratch)
    },
    ..KERNELS
};

/// Proof that the processor has AVX-512 F, BW, DQ, VL and VNNI, and AMX for bytes if `matrices`.
#[derive(Clone, Copy)]
pub(super) struct Avx512 {
    matrices: bool,
}

impl Avx512 {
    fn new(matrices: bool) -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        (has && (!matrices || amx::allowed())).then_some(Self { matrices })
    }
}

// SAFETY of all that follows: `Avx512` proves the instructions, and loads and stores are of arrays of their size.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl Simd for Avx512 {
    type Bytes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;

    const REGISTERS: usize = 32;
    const SIGNED_OFFSET: i32 = 128;

    #[inline(always)]
    fn vectorize(self, part: impl FnOnce()) {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn compiled(part: impl FnOnce()) {
            part();
        }
        unsafe { compiled(part) }
    }

    #[inline(always)]
    fn matrices(self) -> bool {
        self.matrices
    }

    #[inline(always)]
    fn matrix_tiles<const PARTS: usize, const MIN: bool>(self, job: &Job<'_>, out: &mut [[f32; LANES]]) {
        assert!(self.matrices, "only with AMX");
        unsafe { amx::tiles::<PARTS, MIN>(job, out) };
    }

    #[inline(always)]
    fn arrange(self, groups: [__m512i; 8], offset: u8) -> [__m512i; 8] {
        if !self.matrices {
            return groups;
        }
        let mut arranged = groups;
        for group in &mut arranged {
            *group = unsafe { _mm512_sub_epi8(*group, _mm512_set1_epi8(offset as i8)) };
        }
        arranged
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> __m512i {
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, bytes: __m512i, out: &mut [u8; 64]) {
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), bytes) }
    }

    #[inline(always)]
    fn and(self, bytes: __m512i, mask: u8) -> __m512i {
        unsafe { _mm512_and_si512(bytes, _mm512_set1_epi8(mask as i8)) }
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, bytes: __m512i) -> __m512i {
        unsafe { _mm512_srli_epi16::<BITS>(bytes) }
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, bytes: __m512i) -> __m512i {
        unsafe { _mm512_slli_epi16::<BITS>(bytes) }
    }

    #[inline(always)]
    fn look_up(self, table: &[i8; 16], bytes: __m512i) -> __m512i {
        unsafe { _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast())), bytes) }
    }

    #[inline(always)]
    fn dot(self, sum: __m512i, weights: __m512i, x: i32) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(x)) }
    }

    #[inline(always)]
    fn signed(self, weights: __m512i) -> __m512i {
        unsafe { _mm512_xor_si512(weights, _mm512_set1_epi8(-128)) }
    }

    #[inline(always)]
    fn dot_signed(self, sum: __m512i, weights: __m512i, x: i32) -> __m512i {
        self.dot(sum, weights, x)
    }

    /// One instruction on what is in memory, instead of three on its way through other registers.
    #[inline(always)]
    fn dot_pair(self, factors: [i16; 2], numbers: [i16; 2]) -> __m512i {
        unsafe {
            let factors = _mm512_set1_epi32(pair(factors));
            _mm512_dpwssd_epi32(_mm512_setzero_si512(), factors, _mm512_set1_epi32(pair(numbers)))
        }
    }

    #[inline(always)]
    fn ints(self, x: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(x) }
    }

    #[inline(always)]
    fn to_floats(self, ints: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(ints) }
    }

    #[inline(always)]
    fn largest(self, x: &[f32; BLOCK]) -> f32 {
        let (low, high) = x.split_at(16);
        unsafe {
            let magnitude = _mm512_set1_epi32(0x7fff_ffff);
            let low = _mm512_and_si512(_mm512_loadu_si512(low.as_ptr().cast()), magnitude);
            let high = _mm512_and_si512(_mm512_loadu_si512(high.as_ptr().cast()), magnitude);
            f32::from_bits(_mm512_reduce_max_epu32(_mm512_max_epu32(low, high)))
        }
    }

    #[inline(always)]
    fn round(self, x: &[f32; BLOCK], inverse: f32) -> ([i32; 8], [i16; 2]) {
        let mut quads = [0; 8];
        let mut sums = [0; 2];
        let halves = x.as_chunks::<16>().0.iter().zip(quads.as_chunks_mut::<4>().0);
        for ((x, quads), sum) in halves.zip(&mut sums) {
            unsafe {
                let scaled = _mm512_mul_ps(_mm512_loadu_ps(x.as_ptr()), _mm512_set1_ps(inverse));
                let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(scaled));
                _mm_storeu_si128(quads.as_mut_ptr().cast(), bytes);
                // Sums of absolute differences are there for unsigned bytes only.
                let unsigned = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
                let parts = _mm_sad_epu8(unsigned, _mm_setzero_si128());
                *sum = (_mm_extract_epi16::<0>(parts) + _mm_extract_epi16::<4>(parts) - 16 * 128) as i16;
            }
        }
        (quads, sums)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn floats(self, x: &[f32; LANES]) -> __m512 {
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }

    #[inline(always)]
    fn singles(self, x: &[u8; 64]) -> __m512 {
        unsafe { _mm512_loadu_ps(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn halves(self, x: &[u8; 32]) -> __m512 {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())) }
    }

    #[inline(always)]
    fn brains(self, x: &[u8; 32]) -> __m512 {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(x.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }

    #[inline(always)]
    fn unsigned_bytes(self, x: &[u8; 16]) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(x.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn signed_bytes(self, x: &[u8; 16]) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn store_floats(self, x: __m512, out: &mut [f32; LANES]) {
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), x) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
}
