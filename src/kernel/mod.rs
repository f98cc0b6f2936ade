//! The arithmetic that takes the time: chosen once for the processor at hand, behind one table of functions.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod matrix;
mod norm;
mod scalar;
mod wkv;

use crate::error::{Error, Result};
use crate::quant::Format;

pub(crate) use matrix::{Matrix, column_blocks};
pub(crate) use norm::{Norm, group_norm, l2_normalize};
pub(crate) use wkv::{Head5, Head7, wkv4};

/// One instruction set's kernels.
#[derive(Debug)]
pub(crate) struct Kernels {
    /// Its name in `VOLARY_ISA`.
    pub isa: &'static str,
    /// Dot products of four rows with one vector of the same length.
    dot4: fn([&[f32]; 4], &[f32]) -> [f32; 4],
    /// The numbers that whole blocks of a format stand for.
    decode: fn(Format, &[u8], &mut [f32]),
    /// One token of one RWKV-5 or 6 head: state `[head_size, head_size]`, inputs, output `[head_size]`.
    pub wkv5: fn(&mut [f32], Head5<'_>, &mut [f32]),
    /// The same for RWKV-7.
    pub wkv7: fn(&mut [f32], Head7<'_>, &mut [f32]),
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
    available.extend(avx2::kernels());
    available.push(&scalar::KERNELS);
    available
}

#[cfg(test)]
mod tests;
