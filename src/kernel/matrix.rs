//! Weight matrices in memory, and their products with rows of activations.
#![allow(unsafe_code, reason = "threads write different columns of one output")]

use std::cell::RefCell;
use std::ops::Range;

use super::activations::{ActivationRows, Activations, Input};
use super::memory::{Arena, Memory};
use super::product::{Panels, Scratch};
use super::simd::LANES;
use super::{Buffer, Kernels};
use crate::checkpoint::Tensor;
use crate::error::{Error, Result};
use crate::pool::{Disjoint, Pool};
use crate::quant::{self, Format};

/// A matrix `[rows, cols]`, whose product is asked for: each row makes one output.
#[derive(Debug)]
pub(crate) struct Matrix {
    rows: usize,
    cols: usize,
    format: Format,
    /// Panels of 16 rows, as `quant::panels` makes them, `size` bytes each.
    panels: Memory,
    size: usize,
}

impl Matrix {
    /// Takes a tensor of two dimensions out of its file.
    ///
    /// # Errors
    /// [`Error::Format`] if it has other dimensions, [`Error::Io`] if there is no memory for it.
    pub fn new(tensor: &Tensor<'_>, arena: &mut Arena, pool: &Pool) -> Result<Self> {
        let (rows, cols) = dimensions(tensor)?;
        let format = tensor.format;
        let size = quant::panel_size(format, cols);
        let panels = if size > 0 { size * rows.div_ceil(LANES) } else { 0 };
        let panels = arena.fill(panels, |panels| {
            let row_size = tensor.data.len() / rows;
            let tasks = panels.chunks_exact_mut(size).zip(tensor.data.chunks(row_size * LANES)).collect();
            pool.for_each(tasks, |(panel, rows)| quant::pack(format, rows, row_size, panel));
        })?;
        Ok(Self { rows, cols, format, panels, size })
    }

    /// A matrix without rows, whose products are empty.
    pub const fn empty() -> Self {
        Self { rows: 0, cols: 0, format: Format::F32, panels: Memory::empty(), size: 0 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes the numbers take in memory, without what fills up the last panel.
    pub fn size(&self) -> usize {
        self.size / LANES * self.rows
    }

    /// Whether its kernels take activations in bytes.
    pub(super) fn takes_blocks(&self) -> bool {
        !self.format.is_float() && self.format != Format::Q4_1_O
    }

    /// The outputs of the panels' rows for each row of activations: with `p` panels, `out[p * t + i]` is panel `i`'s part of
    /// row `t`.
    fn multiply_panels(&self, panels: Range<usize>, x: Input<'_>, kernels: &Kernels, out: &mut [[f32; LANES]]) {
        thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
        let parts = &self.panels[panels.start * self.size..panels.end * self.size];
        SCRATCH.with_borrow_mut(|scratch| {
            (kernels.multiply)(self.format, Panels { parts, size: self.size }, x, out, scratch);
        });
    }
}

/// Several products at once, each of a matrix `[rows, cols]` and activations `[n, cols]`: `out[t] = matrix @ x[t]`, `[n, rows]`.
/// One handing out of work, and one wait, for all of them.
///
/// A number comes out the same whatever `n` and the number of threads are.
pub(crate) fn multiply_all<const N: usize>(
    products: [(&Matrix, &Activations); N],
    kernels: &Kernels,
    pool: &Pool,
) -> [Buffer<f32>; N] {
    let mut outs = products.map(|(matrix, x)| Buffer::new(x.len() * matrix.rows));
    let mut rest = outs.iter_mut();
    let products = products.map(|(matrix, x)| {
        let out = rest.next().map_or(&mut [][..], |out| &mut out[..]);
        Product { matrix, x: x.input(matrix), out: Output::Store(Disjoint::new(out)) }
    });
    run_all(&products, kernels, pool);
    outs
}

/// `out[t] += matrix @ x[t]`
pub(crate) fn multiply_add(matrix: &Matrix, x: &Activations, out: &mut [f32], kernels: &Kernels, pool: &Pool) {
    run_all(&[Product { matrix, x: x.input(matrix), out: Output::Add(Disjoint::new(out)) }], kernels, pool);
}

/// The activations `max(matrix @ x[t], 0)^2`, as the matrix `next` takes them.
pub(crate) fn multiply_relu_squared(
    matrix: &Matrix,
    x: &Activations,
    next: &Matrix,
    kernels: &Kernels,
    pool: &Pool,
) -> Activations {
    let mut activations = Activations::new(x.len(), &[next]);
    let out = Output::ReluSquared(activations.rows());
    run_all(&[Product { matrix, x: x.input(matrix), out }], kernels, pool);
    activations
}

/// A product to be computed, its panels by several threads.
struct Product<'a> {
    matrix: &'a Matrix,
    x: Input<'a>,
    out: Output<'a>,
}

/// What becomes of a product.
enum Output<'a> {
    Store(Disjoint<'a, f32>),
    Add(Disjoint<'a, f32>),
    ReluSquared(ActivationRows<'a>),
}

/// Panels that are multiplied together: their columns are whole blocks of the next product's activations.
const TOGETHER: usize = 4;

fn run_all(products: &[Product<'_>], kernels: &Kernels, pool: &Pool) {
    /// Parts of a product for each thread, for one row of activations and for more: when all are taken, the last to finish
    /// is not far behind.
    const PARTS: [usize; 2] = [4, 8];
    /// Bytes of weights, times rows of activations, below which handing out costs more than it saves.
    const LEAST: usize = 1 << 15;
    // RWKV-7's first layer has an empty one.
    let products = || products.iter().filter(|product| product.matrix.rows > 0);
    let step = |product: &Product<'_>| {
        let parts = PARTS[usize::from(product.x.len() > 1)] * pool.threads();
        product.strips().div_ceil(parts)
    };
    let work: usize = products().map(|product| product.matrix.size() * product.x.len()).sum();
    let parts = products().map(|product| product.strips().div_ceil(step(product))).sum();
    let run = |mut index: usize| {
        for product in products() {
            let (strips, step) = (product.strips(), step(product));
            let parts = strips.div_ceil(step);
            if index < parts {
                // SAFETY: a part is one task's.
                return unsafe { product.run(index * step..((index + 1) * step).min(strips), kernels) };
            }
            index -= parts;
        }
    };
    match work {
        0..LEAST => (0..parts).for_each(run),
        _ => pool.run(parts, &run),
    }
}

impl Product<'_> {
    /// Panels that are multiplied together, `TOGETHER` but for the last.
    fn strips(&self) -> usize {
        self.matrix.rows.div_ceil(LANES * TOGETHER)
    }

    /// Computes some strips.
    ///
    /// # Safety
    /// Nobody else computes these meanwhile.
    unsafe fn run(&self, strips: Range<usize>, kernels: &Kernels) {
        let panels = self.matrix.rows.div_ceil(LANES);
        let mut out = Buffer::new(TOGETHER * LANES * self.x.len());
        for strip in strips {
            let panels = TOGETHER * strip..(TOGETHER * (strip + 1)).min(panels);
            let out = &mut out[..panels.len() * LANES * self.x.len()];
            self.matrix.multiply_panels(panels.clone(), self.x, kernels, out.as_chunks_mut().0);
            // SAFETY: no other strip has these panels.
            unsafe { self.write(panels.start * LANES, out, kernels) };
        }
    }

    /// Writes the columns from `first` on, as many as there are in every row of `rows`, as far as the output has columns.
    ///
    /// # Safety
    /// Nobody else writes or reads these columns meanwhile.
    unsafe fn write(&self, first: usize, rows: &mut [f32], kernels: &Kernels) {
        let width = self.matrix.rows;
        let columns = rows.len() / self.x.len();
        let live = columns.min(width - first);
        if let Output::ReluSquared(_) = self.out {
            (kernels.relu_squared)(rows);
        }
        for (t, row) in rows.chunks_exact(columns).enumerate() {
            let row = &row[..live];
            let at = t * width + first..t * width + first + live;
            match &self.out {
                // SAFETY: as promised.
                Output::Store(out) => unsafe { out.part(at) }.copy_from_slice(row),
                Output::Add(out) => {
                    // SAFETY: as promised.
                    unsafe { out.part(at) }.iter_mut().zip(row).for_each(|(out, x)| *out += x);
                }
                // SAFETY: as promised, and strips begin with whole blocks.
                Output::ReluSquared(out) => unsafe { out.write(t, first, row, kernels) },
            }
        }
    }
}

/// A matrix whose rows are read one at a time: the embedding.
#[derive(Debug)]
pub(crate) struct Table {
    rows: usize,
    format: Format,
    bytes: Memory,
}

impl Table {
    /// Copies a tensor of two dimensions out of its file.
    ///
    /// # Errors
    /// [`Error::Format`] if it has other dimensions, [`Error::Io`] if there is no memory for it.
    pub fn new(tensor: &Tensor<'_>, arena: &mut Arena, pool: &Pool) -> Result<Self> {
        /// In parallel: most of the time goes into the first touch of the pages on either side.
        const TASK: usize = 1 << 20;
        let (rows, _) = dimensions(tensor)?;
        let bytes = arena.fill(tensor.data.len(), |bytes| {
            let tasks = bytes.chunks_mut(TASK).zip(tensor.data.chunks(TASK)).collect();
            pool.for_each(tasks, |(to, from)| to.copy_from_slice(from));
        })?;
        Ok(Self { rows, format: tensor.format, bytes })
    }

    /// A table that is never used.
    pub fn empty() -> Self {
        Self { rows: 0, format: Format::F32, bytes: Memory::empty() }
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
