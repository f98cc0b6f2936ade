//! A weight matrix in memory and its product with rows of activations.

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
    format: Format,
    /// The rows' blocks, one row after the other.
    bytes: Vec<u8>,
}

impl Matrix {
    /// Copies a tensor of two dimensions out of its file.
    ///
    /// # Errors
    /// [`Error::Format`] if it has other dimensions.
    pub fn new(tensor: &Tensor<'_>, pool: &Pool) -> Result<Self> {
        let &[rows, cols] = tensor.shape else {
            return Err(Error::format(tensor.name, format!("has the shape {:?}; a matrix is needed", tensor.shape)));
        };
        Ok(Self { rows, cols, format: tensor.format, bytes: copied(&tensor.data, pool) })
    }

    /// A matrix that is never used.
    pub fn empty() -> Self {
        Self { rows: 0, cols: 0, format: Format::F32, bytes: Vec::new() }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes the numbers take in memory.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// One row as f32 into `out`, `[cols]`.
    pub fn read_row(&self, row: usize, kernels: &Kernels, out: &mut [f32]) {
        let size = self.bytes.len() / self.rows;
        (kernels.decode)(self.format, &self.bytes[row * size..(row + 1) * size], out);
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

/// Copies bytes out of a file. In parallel: most of the time goes into the first touch of the pages on either side.
fn copied(bytes: &[u8], pool: &Pool) -> Vec<u8> {
    const TASK: usize = 1 << 20;
    let mut out = vec![0; bytes.len()];
    pool.for_each(out.chunks_mut(TASK).zip(bytes.chunks(TASK)).collect(), |(out, bytes)| out.copy_from_slice(bytes));
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
