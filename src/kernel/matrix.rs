//! Weight matrices in memory, and their products with rows of activations.
#![allow(unsafe_code, reason = "threads write different columns of one output")]

use std::cell::RefCell;
use std::marker::PhantomData;

use super::Kernels;
use super::activations::{Block, Input};
use super::product::{Line, Scratch, blocks_per_row};
use super::simd::LANES;
use crate::checkpoint::Tensor;
use crate::error::{Error, Result};
use crate::pool::Pool;
use crate::quant::{self, Format};

/// A matrix `[rows, cols]`, whose product is asked for: each row makes one output.
#[derive(Debug)]
pub(crate) struct Matrix {
    rows: usize,
    cols: usize,
    format: Format,
    store: Store,
}

#[derive(Debug)]
enum Store {
    /// Panels of 16 rows, as `quant::panels` makes them, `size` bytes each.
    Panels { lines: Vec<Line>, size: usize },
    /// Rows as in the file: formats of 2023 that have no panels.
    Rows(Vec<u8>),
}

impl Matrix {
    /// Takes a tensor of two dimensions out of its file.
    ///
    /// # Errors
    /// [`Error::Format`] if it has other dimensions.
    pub fn new(tensor: &Tensor<'_>, pool: &Pool) -> Result<Self> {
        let (rows, cols) = dimensions(tensor)?;
        let format = tensor.format;
        let store = match quant::panel_size(format, cols) {
            Some(size) if rows > 0 && size > 0 => Store::Panels { lines: packed(tensor, rows, size, pool), size },
            _ => Store::Rows(copied(&tensor.data, pool)),
        };
        Ok(Self { rows, cols, format, store })
    }

    /// A matrix without rows, whose products are empty.
    pub const fn empty() -> Self {
        Self { rows: 0, cols: 0, format: Format::F32, store: Store::Rows(Vec::new()) }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes the numbers take in memory, without what fills up the last panel.
    pub fn size(&self) -> usize {
        match &self.store {
            Store::Panels { size, .. } => size / LANES * self.rows,
            Store::Rows(bytes) => bytes.len(),
        }
    }

    /// `out[t] = self @ x[t]` for every row of activations: `x` is `[n, cols]`, the result `[n, rows]`.
    ///
    /// A number comes out the same whatever `n` and the number of threads are.
    pub fn multiply(&self, x: &[f32], kernels: &Kernels, pool: &Pool) -> Vec<f32> {
        multiply_all([(self, x)], kernels, pool).into_iter().flatten().collect()
    }

    /// Whether its kernels take activations in bytes.
    pub(super) fn takes_blocks(&self) -> bool {
        matches!(self.store, Store::Panels { .. }) && !self.format.is_float()
    }

    /// The outputs of the 16 rows from `16 * panel` on, for each row of activations.
    fn multiply_panel(&self, panel: usize, x: Input<'_>, kernels: &Kernels, out: &mut [[f32; LANES]]) {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        match &self.store {
            Store::Panels { lines, size } => SCRATCH.with_borrow_mut(|scratch| {
                let bytes = &bytes_of(lines)[panel * size..(panel + 1) * size];
                (kernels.multiply)(self.format, bytes, x, out, scratch);
            }),
            Store::Rows(bytes) => self.multiply_rows(bytes, panel * LANES, x, kernels, out),
        }
    }

    fn multiply_rows(&self, bytes: &[u8], first: usize, x: Input<'_>, kernels: &Kernels, out: &mut [[f32; LANES]]) {
        let Input::Floats { data, cols } = x else { return };
        let size = bytes.len() / self.rows;
        let mut buffer = vec![0.0; 4 * cols];
        let count = (self.rows - first).min(LANES);
        for at in (0..count).step_by(4) {
            let live = (count - at).min(4);
            let rows = &bytes[(first + at) * size..(first + at + live) * size];
            (kernels.decode)(self.format, rows, &mut buffer[..live * cols]);
            let rows = [0, 1, 2, 3].map(|i| &buffer[i * cols..(i + 1) * cols]);
            for (out, x) in out.iter_mut().zip(data.chunks_exact(cols)) {
                out[at..at + 4].copy_from_slice(&(kernels.dot4)(rows, x));
            }
        }
    }
}

/// Several products at once, each of a matrix `[rows, cols]` and activations `[n, cols]`: `[n, rows]`. One handing out of
/// work, and one wait, for all of them.
pub(crate) fn multiply_all<const N: usize>(
    products: [(&Matrix, &[f32]); N],
    kernels: &Kernels,
    pool: &Pool,
) -> [Vec<f32>; N] {
    /// Bytes of weights, times rows of activations, below which handing out costs more than it saves.
    const LEAST: usize = 1 << 15;
    let blocks = products
        .map(|(matrix, x)| if matrix.takes_blocks() { quantized(matrix.cols, x, kernels, pool) } else { Vec::new() });
    let mut outs = products.map(|(matrix, x)| vec![0.0; x.len() / matrix.cols.max(1) * matrix.rows]);
    let mut parts = Vec::new();
    let mut work = 0;
    for (((matrix, x), blocks), out) in products.iter().zip(&blocks).zip(&mut outs) {
        let input = match matrix.takes_blocks() {
            true => Input::Blocks { data: blocks, per_row: blocks_per_row(matrix.cols) },
            false => Input::Floats { data: x, cols: matrix.cols },
        };
        if out.is_empty() {
            continue;
        }
        let panels = matrix.rows.div_ceil(LANES);
        let step = panels.div_ceil(4 * pool.threads());
        let columns = Columns::new(out, matrix.rows);
        work += matrix.size() * input.len();
        for first in (0..panels).step_by(step) {
            parts.push((*matrix, input, columns, first..(first + step).min(panels)));
        }
    }
    let run = |index: usize| {
        let (matrix, input, columns, panels) = &parts[index];
        let mut out = vec![[0.0; LANES]; input.len()];
        for panel in panels.clone() {
            matrix.multiply_panel(panel, *input, kernels, &mut out);
            // SAFETY: no other part has these panels, so nobody else writes these columns.
            unsafe { columns.write(panel * LANES, &out) };
        }
    };
    match work {
        0..LEAST => (0..parts.len()).for_each(run),
        _ => pool.run(parts.len(), &run),
    }
    outs
}

/// Rows of activations in bytes.
fn quantized(cols: usize, x: &[f32], kernels: &Kernels, pool: &Pool) -> Vec<Block> {
    /// Rows that a task takes.
    const TASK: usize = 8;
    let per_row = blocks_per_row(cols);
    let n = x.len() / cols;
    let mut blocks = vec![Block::default(); n * per_row];
    let mut tasks: Vec<_> = x.chunks(TASK * cols).zip(blocks.chunks_mut(TASK * per_row)).collect();
    pool.run_each(&mut tasks, |(x, blocks)| {
        for (x, blocks) in x.chunks_exact(cols).zip(blocks.chunks_exact_mut(per_row)) {
            (kernels.quantize)(x, blocks);
        }
    });
    drop(tasks);
    blocks
}

/// `[n, width]`, of which each thread writes its own columns.
#[derive(Clone, Copy)]
struct Columns<'a> {
    data: *mut f32,
    len: usize,
    width: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it only gives access through an unsafe function, whose callers promise to stay apart from each other.
unsafe impl Send for Columns<'_> {}
// SAFETY: as above.
unsafe impl Sync for Columns<'_> {}

impl<'a> Columns<'a> {
    fn new(data: &'a mut [f32], width: usize) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), width, borrowed: PhantomData }
    }

    /// Writes the columns from `first` on: `rows[t]` to row `t`, as far as it has columns.
    ///
    /// # Safety
    /// Nobody else writes or reads these columns meanwhile.
    unsafe fn write(self, first: usize, rows: &[[f32; LANES]]) {
        let live = LANES.min(self.width - first);
        for (t, row) in rows.iter().enumerate() {
            let at = t * self.width + first;
            assert!(at + live <= self.len);
            // SAFETY: inside the slice, as just asserted, and no other thread's.
            unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), self.data.add(at), live) };
        }
    }
}

/// A matrix whose rows are read one at a time: the embedding.
#[derive(Debug)]
pub(crate) struct Table {
    rows: usize,
    format: Format,
    bytes: Vec<u8>,
}

impl Table {
    /// Copies a tensor of two dimensions out of its file.
    ///
    /// # Errors
    /// [`Error::Format`] if it has other dimensions.
    pub fn new(tensor: &Tensor<'_>, pool: &Pool) -> Result<Self> {
        let (rows, _) = dimensions(tensor)?;
        Ok(Self { rows, format: tensor.format, bytes: copied(&tensor.data, pool) })
    }

    /// A table that is never used.
    pub fn empty() -> Self {
        Self { rows: 0, format: Format::F32, bytes: Vec::new() }
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
}

fn dimensions(tensor: &Tensor<'_>) -> Result<(usize, usize)> {
    match *tensor.shape {
        [rows, cols] => Ok((rows, cols)),
        _ => Err(Error::format(tensor.name, format!("has the shape {:?}; a matrix is needed", tensor.shape))),
    }
}

fn bytes_of(lines: &[Line]) -> &[u8] {
    // SAFETY: a `Line` is 64 bytes without padding.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
}

/// Packs rows into panels of `size` bytes.
fn packed(tensor: &Tensor<'_>, rows: usize, size: usize, pool: &Pool) -> Vec<Line> {
    let row_size = tensor.data.len() / rows;
    let panels = rows.div_ceil(LANES);
    let mut lines = vec![Line([0; 64]); (panels * size).div_ceil(64)];
    // SAFETY: a `Line` is 64 bytes without padding, and any bytes are one.
    let bytes: &mut [u8] = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), 64 * lines.len()) };
    let tasks = bytes.chunks_exact_mut(size).zip(tensor.data.chunks(row_size * LANES)).collect();
    pool.for_each(tasks, |(panel, rows)| quant::pack(tensor.format, rows, row_size, panel));
    lines
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
