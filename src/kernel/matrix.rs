//! A weight matrix in memory and its product with rows of activations.

use half::slice::HalfBitsSliceExt;

use super::Kernels;
use crate::checkpoint::Tensor;
use crate::error::{Error, Result};
use crate::pool::Pool;
use crate::quant::Format;

/// A matrix `[rows, cols]` in the format its file holds: each row makes one output.
#[derive(Debug)]
pub(crate) struct Matrix {
    rows: usize,
    cols: usize,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    F32(Vec<f32>),
    /// The bits of each number.
    F16(Vec<u16>),
    BF16(Vec<u16>),
}

impl Matrix {
    /// Copies a tensor of two dimensions out of its file.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a quantized format.
    pub fn new(tensor: &Tensor<'_>, pool: &Pool) -> Result<Self> {
        let &[rows, cols] = tensor.shape else {
            return Err(Error::format(tensor.name, format!("has the shape {:?}; a matrix is needed", tensor.shape)));
        };
        let numbers = match tensor.format {
            Format::F32 => Numbers::F32(copied(&tensor.data, f32::from_le_bytes, pool)),
            Format::F16 => Numbers::F16(copied(&tensor.data, u16::from_le_bytes, pool)),
            Format::BF16 => Numbers::BF16(copied(&tensor.data, u16::from_le_bytes, pool)),
            other => {
                return Err(Error::unsupported(
                    tensor.name,
                    format!("is quantized in {other}, which cannot be run yet; use an F32, F16 or BF16 file"),
                ));
            }
        };
        Ok(Self { rows, cols, numbers })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes the numbers take in memory.
    pub fn size(&self) -> usize {
        match &self.numbers {
            Numbers::F32(v) => size_of_val(&v[..]),
            Numbers::F16(v) | Numbers::BF16(v) => size_of_val(&v[..]),
        }
    }

    /// One row as f32 into `out`, `[cols]`.
    pub fn read_row(&self, row: usize, kernels: &Kernels, out: &mut [f32]) {
        let range = row * self.cols..(row + 1) * self.cols;
        match &self.numbers {
            Numbers::F32(v) => out.copy_from_slice(&v[range]),
            Numbers::F16(v) => (kernels.widen_f16)(v[range].reinterpret_cast(), out),
            Numbers::BF16(v) => (kernels.widen_bf16)(v[range].reinterpret_cast(), out),
        }
    }

    /// `out[t] = self @ x[t]` for every row of activations: `x` is `[n, cols]`, the result `[n, rows]`.
    ///
    /// A number comes out the same whatever `n` and the number of threads are.
    pub fn multiply(&self, x: &[f32], kernels: &Kernels, pool: &Pool) -> Vec<f32> {
        /// Rows a task computes: enough work to outweigh handing it out.
        const BLOCK: usize = 32;
        let mut out = vec![0.0; x.len() / self.cols * self.rows];
        let tasks = column_blocks(&mut out, self.rows, BLOCK);
        pool.for_each(tasks.into_iter().enumerate().collect(), |(block, columns)| {
            self.multiply_block(block * BLOCK, columns, x, kernels);
        });
        out
    }

    /// Computes the outputs from row `first` on: `columns[t]` are those of activation row `t`.
    fn multiply_block(&self, first: usize, mut columns: Vec<&mut [f32]>, x: &[f32], kernels: &Kernels) {
        let count = columns[0].len();
        let mut buffer = vec![0.0; 4 * self.cols];
        for at in (0..count).step_by(4) {
            let live = (count - at).min(4);
            for (i, row) in buffer.chunks_exact_mut(self.cols).take(live).enumerate() {
                self.read_row(first + at + i, kernels, row);
            }
            let rows = [0, 1, 2, 3].map(|i| &buffer[i * self.cols..(i + 1) * self.cols]);
            for (column, x) in columns.iter_mut().zip(x.chunks_exact(self.cols)) {
                column[at..at + live].copy_from_slice(&(kernels.dot4)(rows, x)[..live]);
            }
        }
    }
}

/// Copies little-endian numbers of `N` bytes out of a file, whose bytes may lie at odd addresses. In parallel: most of
/// the time goes into the first touch of the pages on either side.
fn copied<T: Copy + Default + Send, const N: usize>(
    bytes: &[u8],
    from: impl Fn([u8; N]) -> T + Sync,
    pool: &Pool,
) -> Vec<T> {
    const TASK: usize = 1 << 18;
    let (bytes, _) = bytes.as_chunks::<N>();
    let mut out = vec![T::default(); bytes.len()];
    pool.for_each(out.chunks_mut(TASK).zip(bytes.chunks(TASK)).collect(), |(out, bytes)| {
        out.iter_mut().zip(bytes).for_each(|(out, bytes)| *out = from(*bytes));
    });
    out
}

/// Divides the columns of `[n, width]` into blocks that can be written independently: for each block, its part of
/// each row.
pub(crate) fn column_blocks(out: &mut [f32], width: usize, block: usize) -> Vec<Vec<&mut [f32]>> {
    let mut blocks: Vec<Vec<&mut [f32]>> = (0..width.div_ceil(block)).map(|_| Vec::new()).collect();
    for row in out.chunks_exact_mut(width) {
        for (block, columns) in blocks.iter_mut().zip(row.chunks_mut(block)) {
            block.push(columns);
        }
    }
    blocks
}
