//! The portable kernels, compiled once for each instruction set.

/// Defines a [`Kernels`](super::Kernels) table and its functions, compiled for some features of the processor. `$simd` is
/// an expression for their `Simd`; its type proves the features, and so does whoever hands out the table.
macro_rules! compile {
    ($isa:literal, $features:literal, $simd:expr, $decode:path) => {
        pub(super) static KERNELS: crate::kernel::Kernels = crate::kernel::Kernels {
            isa: $isa,
            multiply: |format, panels, x, out, scratch| {
                crate::kernel::product::multiply($simd, format, panels, x, out, scratch)
            },
            quantize,
            decode: $decode,
            exp,
            sigmoid,
            tanh,
            lerp,
            relu_squared,
            normalize,
            wkv4,
            wkv5,
            head7,
        };

        use crate::kernel::activations::Block;
        use crate::kernel::norm::NormPart;
        use crate::kernel::wkv::{Head4, Head5, Parameters7, Token7};

        compile!(@ $features, wkv4(state: [&mut [f32]; 3], head: Head4<'_>, out: &mut [f32]) {
            crate::kernel::wkv::wkv4::<true>(state, head, out);
        });
        compile!(@ $features, wkv5(state: &mut [f32], head: Head5<'_>, out: &mut [f32]) {
            crate::kernel::wkv::wkv5($simd, state, head, out);
        });
        compile!(@ $features, head7(state: &mut [f32], parameters: Parameters7<'_>, tokens: [Token7<'_>; 2], out: &mut [f32]) {
            crate::kernel::wkv::head7::<true, _>($simd, state, parameters, tokens, out);
        });
        compile!(@ $features, exp(numbers: &mut [f32]) { crate::kernel::vecmath::exp::<true>(numbers); });
        compile!(@ $features, sigmoid(numbers: &mut [f32]) { crate::kernel::vecmath::sigmoid::<true>(numbers); });
        compile!(@ $features, tanh(numbers: &mut [f32]) { crate::kernel::vecmath::tanh::<true>(numbers); });
        compile!(@ $features, lerp(x: [&[f32]; 3], out: &mut [f32]) { crate::kernel::vecmath::lerp(x, out); });
        compile!(@ $features, relu_squared(numbers: &mut [f32]) {
            crate::kernel::vecmath::relu_squared(numbers);
        });
        compile!(@ $features, normalize(row: &mut [f32], norm: NormPart<'_>) {
            crate::kernel::norm::normalize(row, norm);
        });
        compile!(@ $features, quantize(row: &[f32], out: &mut [Block]) {
            crate::kernel::activations::quantize($simd, row, out);
        });
    };
    // One function.
    (@ $features:literal, $visibility:vis $name:ident($($argument:ident: $type:ty),*) $body:block) => {
        $visibility fn $name($($argument: $type),*) {
            #[target_feature(enable = $features)]
            fn compiled($($argument: $type),*) $body
            // SAFETY: the table is handed out only where the features were detected.
            unsafe { compiled($($argument),*) }
        }
    };
}
