//! The portable kernels compiled for AVX2 and FMA.
#![allow(unsafe_code, reason = "calling a function compiled for more than the baseline processor is unsafe")]

use half::bf16;

use super::{Kernels, scalar, wkv};

static KERNELS: Kernels = Kernels { isa: "avx2", dot4, widen_f16: scalar::widen_f16, widen_bf16, wkv5, wkv7 };

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

compile!(dot4(rows: [&[f32]; 4], x: &[f32]) -> [f32; 4] = scalar::dot4::<true>);
compile!(widen_bf16(from: &[bf16], to: &mut [f32]) = scalar::widen_bf16);
compile!(wkv5(state: &mut [f32], head: wkv::Head5<'_>, out: &mut [f32]) = wkv::wkv5::<true>);
compile!(wkv7(state: &mut [f32], head: wkv::Head7<'_>, out: &mut [f32]) = wkv::wkv7::<true>);
