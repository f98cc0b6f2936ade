//! Products of panels of floats with rows of activations in float32.
//!
//! An output is summed column by column, whatever is multiplied beside it.

use super::product::{Panels, rows_of};
use super::simd::{LANES, Simd};

/// What panels of floats are made of.
pub(super) trait Columns {
    /// 16 numbers.
    type Column: Copy;
    fn numbers<S: Simd>(simd: S, column: &Self::Column) -> S::Floats;
}

pub(super) struct F32;
pub(super) struct F16;
pub(super) struct BF16;
/// Columns that were taken out of a quantized panel.
pub(super) struct Unpacked;

impl Columns for F32 {
    type Column = [u8; 64];

    #[inline(always)]
    fn numbers<S: Simd>(simd: S, column: &[u8; 64]) -> S::Floats {
        simd.singles(column)
    }
}

impl Columns for F16 {
    type Column = [u8; 32];

    #[inline(always)]
    fn numbers<S: Simd>(simd: S, column: &[u8; 32]) -> S::Floats {
        simd.halves(column)
    }
}

impl Columns for BF16 {
    type Column = [u8; 32];

    #[inline(always)]
    fn numbers<S: Simd>(simd: S, column: &[u8; 32]) -> S::Floats {
        simd.brains(column)
    }
}

impl Columns for Unpacked {
    type Column = [f32; LANES];

    #[inline(always)]
    fn numbers<S: Simd>(simd: S, column: &[f32; LANES]) -> S::Floats {
        simd.floats(column)
    }
}

/// Some rows of activations.
#[derive(Clone, Copy)]
pub(super) struct Floats<'a> {
    pub data: &'a [f32],
    pub cols: usize,
}

/// As many panels and rows at a time as there are registers for. Rows stay in the nearest cache while the panels pass.
#[inline(always)]
pub(super) fn floats<S: Simd, C: Columns>(
    simd: S,
    panels: Panels<'_, C::Column>,
    x: Floats<'_>,
    out: &mut [[f32; LANES]],
) {
    let n = x.data.len() / x.cols;
    let mut row = 0;
    if S::REGISTERS >= 32 {
        while row + 8 <= n {
            row = float_tiles::<S, C, 2, 8>(simd, panels, x, row, out);
        }
    }
    if S::REGISTERS >= 16 {
        while row + 6 <= n {
            row = float_tiles::<S, C, 1, 6>(simd, panels, x, row, out);
        }
        while row + 2 <= n {
            row = float_tiles::<S, C, 1, 2>(simd, panels, x, row, out);
        }
    }
    while row < n {
        row = float_tiles::<S, C, 4, 1>(simd, panels, x, row, out);
    }
}

/// All panels, `P` at a time, with `N` rows from `row` on; gives the row after them.
#[inline(always)]
fn float_tiles<S: Simd, C: Columns, const P: usize, const N: usize>(
    simd: S,
    panels: Panels<'_, C::Column>,
    x: Floats<'_>,
    row: usize,
    out: &mut [[f32; LANES]],
) -> usize {
    let rows: [_; N] = rows_of(x.data, row, x.cols);
    let (count, out) = (panels.len(), &mut out[panels.len() * row..]);
    let mut panel = 0;
    while panel + P <= count {
        float_tile::<S, C, P, N>(simd, rows_of(panels.parts, panel, panels.size), rows, count, &mut out[panel..]);
        panel += P;
    }
    while panel < count {
        float_tile::<S, C, 1, N>(simd, rows_of(panels.parts, panel, panels.size), rows, count, &mut out[panel..]);
        panel += 1;
    }
    row + N
}

/// Each output is summed column by column, whatever `P` and `N` are.
#[allow(clippy::needless_range_loop, reason = "indices of several arrays at once")]
#[inline(always)]
fn float_tile<S: Simd, C: Columns, const P: usize, const N: usize>(
    simd: S,
    mut panels: [&[C::Column]; P],
    mut rows: [&[f32]; N],
    stride: usize,
    out: &mut [[f32; LANES]],
) {
    // Of one length all, which the loop then need not compare with: that would take as long as the products.
    let cols = rows[0].len();
    for panel in &mut panels {
        *panel = &panel[..cols];
    }
    for row in &mut rows {
        *row = &row[..cols];
    }
    let mut sums = [[simd.splat(0.0); N]; P];
    for column in 0..cols {
        // One register more than there are would be written and read for each column.
        if N > P {
            let mut weights = [simd.splat(0.0); P];
            for p in 0..P {
                weights[p] = C::numbers(simd, &panels[p][column]);
            }
            for t in 0..N {
                let x = simd.splat(rows[t][column]);
                for p in 0..P {
                    sums[p][t] = simd.mul_add(weights[p], x, sums[p][t]);
                }
            }
        } else {
            let mut x = [simd.splat(0.0); N];
            for t in 0..N {
                x[t] = simd.splat(rows[t][column]);
            }
            for p in 0..P {
                let weights = C::numbers(simd, &panels[p][column]);
                for t in 0..N {
                    sums[p][t] = simd.mul_add(weights, x[t], sums[p][t]);
                }
            }
        }
    }
    for p in 0..P {
        for t in 0..N {
            simd.store_floats(sums[p][t], &mut out[stride * t + p]);
        }
    }
}
