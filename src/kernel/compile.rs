//! The portable kernels, compiled once for each instruction set.

/// Defines the functions of a [`Kernels`](super::Kernels) table, compiled for some features of the processor. `$simd` is
/// an expression for their `Simd`; its type proves the features, and so does whoever hands out the table.
macro_rules! compile {
    ($features:literal, $simd:expr, $dot4:path) => {
        use crate::kernel::activations::{Block, Input};
        use crate::kernel::product::Scratch;
        use crate::kernel::simd::LANES;
        use crate::kernel::wkv::{Head5, Head7};
        use crate::quant::Format;

        compile!(@ $features, dot4(rows: [&[f32]; 4], x: &[f32]) -> [f32; 4] { $dot4(rows, x) });
        compile!(@ $features, wkv5(state: &mut [f32], head: Head5<'_>, out: &mut [f32]) {
            crate::kernel::wkv::wkv5::<true>(state, head, out);
        });
        compile!(@ $features, wkv7(state: &mut [f32], head: Head7<'_>, out: &mut [f32]) {
            crate::kernel::wkv::wkv7::<true>(state, head, out);
        });
        compile!(@ $features, exp(numbers: &mut [f32]) { crate::kernel::vecmath::exp::<true>(numbers); });
        compile!(@ $features, sigmoid(numbers: &mut [f32]) { crate::kernel::vecmath::sigmoid::<true>(numbers); });
        compile!(@ $features, tanh(numbers: &mut [f32]) { crate::kernel::vecmath::tanh::<true>(numbers); });
        compile!(@ $features, standardize(row: &mut [f32], eps: f32) { crate::kernel::norm::standardize(row, eps); });
        compile!(@ $features, quantize(row: &[f32], out: &mut [Block]) {
            crate::kernel::activations::quantize(row, out);
        });
        compile!(@ $features, multiply(
            format: Format, panel: &[u8], x: Input<'_>, out: &mut [[f32; LANES]], scratch: &mut Scratch
        ) {
            crate::kernel::product::multiply($simd, format, panel, x, out, scratch);
        });
    };
    // One function.
    (@ $features:literal, $visibility:vis $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $body:block) => {
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[target_feature(enable = $features)]
            fn compiled($($argument: $type),*) $(-> $result)? $body
            // SAFETY: the table is handed out only where the features were detected.
            unsafe { compiled($($argument),*) }
        }
    };
}
