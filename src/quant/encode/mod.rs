//! Encoders: numbers to blocks.
//!
//! A block of one scale is chosen first (`plain`: as ggml and rwkv.cpp do; `search`: with less error), then `pack` lays
//! it out. K-quants and IQ4_NL have their own search in ggml, which both encoders use.

mod grid;
mod iq4_nl;
mod kquants;
mod legacy;
mod pack;
mod plain;
mod repack;
mod rounding;
mod search;
mod sub_block;

use std::str::FromStr;

use half::bf16;
use half::slice::HalfFloatSliceExt;

use super::Format;
use crate::error::{Error, Result};
use grid::Grid;
use search::search;

pub(crate) use repack::repack;

/// How quantized blocks are chosen; by name `search` or `reference`. Both write the same layouts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoder {
    /// Scale and minimum are searched for less weighted error.
    #[default]
    Search,
    /// Bit for bit what rwkv.cpp and ggml write.
    Reference,
}

impl Encoder {
    /// By which [`from_str`](str::parse) knows them.
    pub const NAMES: [&str; 2] = ["search", "reference"];
}

impl FromStr for Encoder {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "search" => Ok(Self::Search),
            "reference" => Ok(Self::Reference),
            _ => Err(Error::unknown("encoder", name, &Self::NAMES)),
        }
    }
}

/// A block of one scale before it is packed: `y = (q - zero) * d + m`, where `zero` is the format's.
#[derive(Clone, Copy, Debug)]
struct Block<const N: usize> {
    d: f32,
    m: f32,
    q: [u8; N],
}

/// Encodes whole rows: `values` divides into blocks, and `out` has their bytes. The values are finite.
///
/// The bytes are the same on every instruction set: sums have a fixed order, and nothing is contracted.
#[inline(always)]
pub(crate) fn encode(format: Format, encoder: Encoder, values: &[f32], out: &mut [u8]) {
    use Format::*;
    let job = Job { encoder, values, out };
    match format {
        F32 => job.each(|x: &[f32; 1], out| *out = x[0].to_le_bytes()),
        F16 => f16(values, out),
        BF16 => job.each(|x: &[f32; 1], out| *out = bf16::from_f32(x[0]).to_le_bytes()),
        Q4_0 => job.one_scale(Grid::Q4_0, plain::symmetric::<32, 8>, pack::q4_0),
        Q4_1 => job.one_scale(Grid::Q4_1, plain::affine::<32, 15>, pack::q4_1),
        Q5_0 => job.one_scale(Grid::Q5_0, plain::symmetric::<32, 16>, pack::q5_0),
        Q5_1 => job.one_scale(Grid::Q5_1, plain::affine::<32, 31>, pack::q5_1),
        Q8_0 => job.one_scale(Grid::Q8_0, plain::rounded::<32, 127, 0>, pack::q8_0),
        Q4_0_V100 => job.one_scale(Grid::Q4_0.wide(), plain::rounded::<32, 7, 8>, pack::v100::q4_0),
        Q4_1_V100 => job.one_scale(Grid::Q4_1.wide(), legacy::rounded_affine::<32, 15>, pack::v100::q4_1),
        Q4_2 => job.one_scale(Grid::Q4_0, legacy::q4_2, pack::v100::q4_2),
        Q4_3 => job.one_scale(Grid::Q4_1, plain::affine::<16, 15>, pack::v100::q4_3),
        Q5_0_V100 => job.one_scale(Grid::Q5_0, plain::symmetric::<32, 16>, pack::v100::q5_0),
        Q5_1_V100 => job.one_scale(Grid::Q5_1, plain::affine::<32, 31>, pack::v100::q5_1),
        Q8_0_V100 => job.one_scale(Grid::Q8_0.wide(), plain::rounded::<32, 127, 0>, pack::v100::q8_0),
        Q4_1_O => match encoder {
            Encoder::Search => job.each(|x, out| pack::v100::q4_1_o(&legacy::outlier_searched(x), out)),
            Encoder::Reference => job.each(|x, out| pack::v100::q4_1_o(&legacy::outlier(x), out)),
        },
        Q2_K => job.ggml(kquants::q2_k),
        Q3_K => job.ggml(kquants::q3_k),
        Q4_K => job.ggml(kquants::q4_k),
        Q5_K => job.ggml(kquants::q5_k),
        Q6_K => job.ggml(kquants::q6_k),
        IQ4_NL => job.ggml(iq4_nl::encode),
    }
}

struct Job<'a> {
    encoder: Encoder,
    values: &'a [f32],
    out: &'a mut [u8],
}

impl Job<'_> {
    #[inline(always)]
    fn each<const N: usize, const BYTES: usize>(self, encode: impl Fn(&[f32; N], &mut [u8; BYTES])) {
        for (x, out) in self.values.as_chunks().0.iter().zip(self.out.as_chunks_mut().0) {
            encode(x, out);
        }
    }

    #[inline(always)]
    fn one_scale<const N: usize, const BYTES: usize>(
        self,
        grid: Grid,
        plain: impl Fn(&[f32; N]) -> Block<N>,
        pack: impl Fn(&Block<N>, &mut [u8; BYTES]),
    ) {
        match self.encoder {
            Encoder::Search => self.each(|x, out| pack(&search(grid, x, &plain(x)), out)),
            Encoder::Reference => self.each(|x, out| pack(&plain(x), out)),
        }
    }

    /// For the formats that are searched in ggml already.
    #[inline(always)]
    fn ggml<const N: usize, const BYTES: usize>(self, encode: impl Fn(&[f32; N], &mut [u8; BYTES])) {
        // Half-precision scales become infinite at different sizes in these formats, from a million on; no weight of
        // a working model comes near.
        const MOST: f32 = 524_288.0;
        match self.encoder {
            Encoder::Search if self.values.iter().any(|x| x.abs() > MOST) => {
                self.each(|x, out| encode(&x.map(|x| x.clamp(-MOST, MOST)), out));
            }
            _ => self.each(encode),
        }
    }
}

/// `half` uses the processor's conversion where there is one, if it gets many numbers at a time.
#[inline(always)]
fn f16(values: &[f32], out: &mut [u8]) {
    const RUN: usize = 64;
    for (values, out) in values.chunks(RUN).zip(out.chunks_mut(2 * RUN)) {
        let mut numbers = [half::f16::ZERO; RUN];
        numbers[..values.len()].convert_from_f32_slice(values);
        for (number, out) in numbers.iter().zip(out.as_chunks_mut().0) {
            *out = number.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests;
