//! The arithmetic that takes the time: chosen once for the processor at hand, behind one table of functions.

mod activations;
#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
#[macro_use]
mod compile;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod buffer;
mod floats;
mod layouts;
mod matrix;
mod memory;
#[cfg(target_arch = "aarch64")]
mod neon;
mod norm;
mod product;
mod scalar;
mod simd;
mod vecmath;
mod wkv;

use crate::error::{Error, Result};
use crate::quant::Format;

use activations::{Block, Input};
use norm::NormPart;
use product::{Panels, Scratch};
use simd::LANES;

pub(crate) use activations::Activations;
#[cfg(test)]
pub(crate) use buffer::kept_bytes;
pub(crate) use buffer::{Buffer, trim_buffers};
pub(crate) use matrix::{Matrix, Table, multiply_add, multiply_all, multiply_relu_squared};
pub(crate) use memory::Arena;
pub(crate) use norm::Norm;
pub(crate) use wkv::{Head4, Head5, LARGEST_HEAD, Parameters7, Token7};

/// Format, panels, activations, outputs of each row of activations and panel, room to unpack the panels.
type Multiply = fn(Format, Panels<'_>, Input<'_>, &mut [[f32; LANES]], &mut Scratch);

/// One instruction set's kernels.
#[derive(Debug)]
pub(crate) struct Kernels {
    /// Its name in `VOLARY_ISA`.
    pub isa: &'static str,
    /// Some panels of a matrix times rows of activations.
    multiply: Multiply,
    /// One row of activations in bytes.
    quantize: fn(&[f32], &mut [Block]),
    /// The numbers that whole blocks of a format stand for.
    decode: fn(Format, &[u8], &mut [f32]),
    /// `e^x`, the logistic function and the hyperbolic tangent of every number.
    pub exp: fn(&mut [f32]),
    pub sigmoid: fn(&mut [f32]),
    pub tanh: fn(&mut [f32]),
    /// `x + (previous - x) * mix` of `[x, previous, mix]`.
    pub lerp: fn([&[f32]; 3], &mut [f32]),
    /// `max(x, 0)^2`
    relu_squared: fn(&mut [f32]),
    /// A layer norm.
    normalize: fn(&mut [f32], NormPart<'_>),
    /// One token of some channels of RWKV-4: the state's three parts, inputs, output.
    pub wkv4: fn([&mut [f32]; 3], Head4<'_>, &mut [f32]),
    /// One token of one RWKV-5 or 6 head: state `[head_size, head_size]`, inputs, output `[head_size]`.
    pub wkv5: fn(&mut [f32], Head5<'_>, &mut [f32]),
    /// The same for RWKV-7, with what comes before and after it in the head: parameters, this token and the next.
    pub head7: fn(&mut [f32], Parameters7<'_>, [Token7<'_>; 2], &mut [f32]),
}

/// The best kernels that this processor can run and `limit` (the value of `VOLARY_ISA`) allows.
///
/// # Errors
/// [`Error::InvalidArgument`] if the limit is unknown or the processor lacks it.
pub(crate) fn select(limit: Option<&str>) -> Result<&'static Kernels> {
    let available = available();
    match limit {
        None => Ok(available[0]),
        Some(isa) => available.iter().find(|kernels| kernels.isa == isa).copied().ok_or_else(|| {
            let names: Vec<_> = available.iter().map(|kernels| kernels.isa).collect();
            Error::argument("VOLARY_ISA", format!("is {isa:?}; this machine can use {}", names.join(", ")))
        }),
    }
}

/// What this processor can run, the fastest first.
fn available() -> Vec<&'static Kernels> {
    let mut available = Vec::new();
    #[cfg(target_arch = "x86_64")]
    available.extend(avx512::kernels().chain(avx2::vnni_kernels()).chain(avx2::kernels()));
    #[cfg(target_arch = "aarch64")]
    available.extend(neon::kernels());
    available.push(&scalar::KERNELS);
    available
}

#[cfg(test)]
mod tests;
