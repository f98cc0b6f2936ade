//! The portable kernels compiled for AVX2 and FMA, and the dot product written for them: compilers gather its operands
//! two by two.
#![allow(unsafe_code, reason = "calling a function compiled for more than the baseline processor is unsafe")]

use std::arch::x86_64::{__m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps};

use super::{Kernels, wkv};
use crate::quant::{self, Format};

static KERNELS: Kernels = Kernels { isa: "avx2", dot4, decode, wkv5, wkv7 };

/// The kernels, if this processor can run them.
pub(super) fn kernels() -> Option<&'static Kernels> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&KERNELS)
}

/// Compiles a portable kernel for AVX2 under a plain function pointer's signature.
macro_rules! compile {
    ($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $portable:path) => {
        fn $name($($argument: $type),*) $(-> $result)? {
            #[target_feature(enable = "avx2,fma")]
            fn compiled($($argument: $type),*) $(-> $result)? {
                $portable($($argument),*)
            }
            // SAFETY: `KERNELS` is private, and `kernels` hands it out only where both features were detected.
            unsafe { compiled($($argument),*) }
        }
    };
}

compile!(dot4(rows: [&[f32]; 4], x: &[f32]) -> [f32; 4] = dot4_in_registers);
compile!(decode(format: Format, bytes: &[u8], out: &mut [f32]) = quant::decode);
compile!(wkv5(state: &mut [f32], head: wkv::Head5<'_>, out: &mut [f32]) = wkv::wkv5::<true>);
compile!(wkv7(state: &mut [f32], head: wkv::Head7<'_>, out: &mut [f32]) = wkv::wkv7::<true>);

/// Two registers of sums for each row, so that eight independent additions hide each other's latency.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn dot4_in_registers(rows: [&[f32]; 4], x: &[f32]) -> [f32; 4] {
    let rows = rows.map(|row| row[..x.len()].as_chunks::<16>());
    let (x, x_tail) = x.as_chunks::<16>();
    let mut sums = [[_mm256_setzero_ps(); 2]; 4];
    for (i, x) in x.iter().enumerate() {
        let x = load(x);
        for (sum, (row, _)) in sums.iter_mut().zip(&rows) {
            let row = load(&row[i]);
            sum[0] = _mm256_fmadd_ps(row[0], x[0], sum[0]);
            sum[1] = _mm256_fmadd_ps(row[1], x[1], sum[1]);
        }
    }
    // Loops, since a closure may stay a function of its own, compiled without these features.
    let mut products = [0.0; 4];
    for ((product, sum), (_, row_tail)) in products.iter_mut().zip(&sums).zip(&rows) {
        let mut tail = 0.0;
        for (w, x) in row_tail.iter().zip(x_tail) {
            tail = w.mul_add(*x, tail);
        }
        *product = sum_lanes(_mm256_add_ps(sum[0], sum[1])) + tail;
    }
    products
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(lanes: &[f32; 16]) -> [__m256; 2] {
    let (halves, _) = lanes.as_chunks::<8>();
    // SAFETY: each half is eight floats, and the load needs no alignment.
    unsafe { [_mm256_loadu_ps(halves[0].as_ptr()), _mm256_loadu_ps(halves[1].as_ptr())] }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_lanes(sums: __m256) -> f32 {
    let mut lanes = [0.0; 8];
    // SAFETY: the array holds eight floats, and the store needs no alignment.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sums) };
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
