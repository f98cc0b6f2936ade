//! The arithmetic of merging: one row of a matrix after the other, summed in 64 bits and rounded once.

use std::borrow::Cow;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::super::{Checkpoint, Stored, Tensor};
use super::file::Pair;
use crate::error::{Error, Result};
use crate::quant::{self, Encoder, Format};

/// What is added to a matrix `W` `[out, in]`.
#[derive(Debug)]
pub(in crate::checkpoint) enum Addition {
    LowRank(Vec<Term>),
    /// `[r, out]`
    Disha(Stored),
    /// `[in / r, r, r]`
    Bat(Stored),
}

/// `scale B A`.
#[derive(Debug)]
pub(in crate::checkpoint) struct Term {
    /// `[out, r]`
    b: Stored,
    /// `[r, in]`
    a: Stored,
    scale: f64,
}

impl Term {
    pub fn new(Pair { a, b }: Pair, scale: f64) -> Self {
        Self { b, a, scale }
    }
}

/// An addition with its numbers at hand.
enum Numbers {
    /// `b` `[out, r]` with the scale in it, and `a` `[r, in]`.
    LowRank(Vec<[Vec<f64>; 2]>),
    /// Transposed, so that a row of the matrix needs one row of this: `[out, r]`.
    Disha(Vec<f64>, usize),
    Bat(Vec<f64>, usize),
}

/// The matrix with everything added that was merged into it, one after the other.
pub(in crate::checkpoint) fn add<'a>(
    checkpoint: &Checkpoint,
    matrix: Tensor<'a>,
    additions: &[Addition],
) -> Result<Tensor<'a>> {
    let Tensor { name, shape, format, mut data } = matrix;
    let cols = shape.last().copied().unwrap_or(1);
    let row_size = format.size_of(&[cols]).unwrap_or(0);
    if data.is_empty() {
        return Ok(Tensor { name, shape, format, data });
    }
    let rescaling = checkpoint.rescaling(name);
    for addition in additions {
        let numbers = Numbers::read(checkpoint, addition);
        let mut merged = vec![0; data.len()];
        let rows = merged.par_chunks_mut(row_size).zip(data.par_chunks(row_size)).enumerate();
        let buffers = || (vec![0f32; cols], vec![0f64; cols]);
        rows.try_for_each_init(buffers, |(narrow, wide), (index, (merged, row))| {
            quant::decode(format, row, narrow);
            for (wide, narrow) in wide.iter_mut().zip(&*narrow) {
                *wide = f64::from(*narrow) * rescaling;
            }
            numbers.add_to(index, narrow, wide, rescaling);
            for (narrow, wide) in narrow.iter_mut().zip(&*wide) {
                *narrow = (wide / rescaling) as f32;
            }
            if !narrow.iter().all(|x| x.abs() < beyond(format)) {
                return Err(too_large(checkpoint, name, format, index));
            }
            quant::encode(format, Encoder::Reference, narrow, merged);
            Ok(())
        })?;
        data = Cow::Owned(merged);
    }
    Ok(Tensor { name, shape, format, data })
}

#[allow(clippy::indexing_slicing, reason = "merging has compared the shapes with the matrix's")]
impl Numbers {
    fn read(checkpoint: &Checkpoint, addition: &Addition) -> Self {
        let numbers = |stored: &Stored| -> Vec<f64> {
            let tensor = stored.read(&checkpoint.files);
            tensor.to_f32().into_iter().map(f64::from).collect()
        };
        match addition {
            Addition::LowRank(terms) => {
                let term = |Term { b, a, scale }: &Term| {
                    let mut b = numbers(b);
                    b.iter_mut().for_each(|x| *x *= scale);
                    [b, numbers(a)]
                };
                Self::LowRank(terms.iter().map(term).collect())
            }
            Addition::Disha(block) => {
                let turned = block.clone().transposed(0, 1);
                Self::Disha(numbers(&turned), turned.shape[1])
            }
            Addition::Bat(block) => Self::Bat(numbers(block), block.shape[1]),
        }
    }

    /// Adds what row `index` gets to `sums`. `row` is the row before, still divided by `rescaling`.
    fn add_to(&self, index: usize, row: &[f32], sums: &mut [f64], rescaling: f64) {
        match self {
            Self::LowRank(terms) => {
                for [b, a] in terms {
                    let rank = a.len() / sums.len();
                    for (factor, a) in b[index * rank..][..rank].iter().zip(a.chunks_exact(sums.len())) {
                        sums.iter_mut().zip(a).for_each(|(sum, a)| *sum += factor * a);
                    }
                }
            }
            Self::Disha(turned, r) => {
                let own = &turned[index * r..][..*r];
                for sums in sums.chunks_mut(*r) {
                    sums.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
                }
            }
            Self::Bat(blocks, r) => {
                let columns = sums.chunks_exact_mut(*r).zip(row.chunks_exact(*r)).zip(blocks.chunks_exact(r * r));
                for ((sums, row), block) in columns {
                    for (x, line) in row.iter().zip(block.chunks_exact(*r)) {
                        let x = f64::from(*x) * rescaling;
                        sums.iter_mut().zip(line).for_each(|(sum, d)| *sum += x * d);
                    }
                    let own = &block[index % r * r..][..*r];
                    sums.iter_mut().zip(own).for_each(|(sum, d)| *sum += d);
                }
            }
        }
    }
}

/// The least magnitude that no longer rounds to a number of the format.
fn beyond(format: Format) -> f32 {
    /// Halfway between the largest number of 16 bits and the next one that there would be.
    const F16: f32 = 65520.0;
    const BF16: f32 = f32::from_bits(0x7f7f_8000);
    match format {
        Format::F16 => F16,
        Format::BF16 => BF16,
        _ => f32::INFINITY,
    }
}

fn too_large(checkpoint: &Checkpoint, name: &str, format: Format, row: usize) -> Error {
    let cause =
        format!("merging makes row {row} of {name} too large for {format}, or no number; check alpha and the LoRA");
    Error::format(checkpoint.path(), cause)
}
