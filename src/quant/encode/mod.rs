//! Encoders: numbers to blocks.

use half::{bf16, f16};

use super::Format;

/// How quantized blocks are chosen. Both write the same layouts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoder {
    /// Scale and minimum are searched for less weighted error.
    #[default]
    Search,
    /// Bit for bit what rwkv.cpp and ggml write.
    Reference,
}

/// Encodes whole rows: `values` divides into blocks, and `out` has their bytes.
pub(crate) fn encode(format: Format, _encoder: Encoder, values: &[f32], out: &mut [u8]) {
    match format {
        Format::F32 => out.as_chunks_mut().0.iter_mut().zip(values).for_each(|(out, x)| *out = x.to_le_bytes()),
        Format::F16 => {
            out.as_chunks_mut().0.iter_mut().zip(values).for_each(|(out, x)| *out = f16::from_f32(*x).to_le_bytes());
        }
        Format::BF16 => {
            out.as_chunks_mut().0.iter_mut().zip(values).for_each(|(out, x)| *out = bf16::from_f32(*x).to_le_bytes());
        }
        _ => {}
    }
}
