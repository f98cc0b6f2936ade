//! Products of a panel, 16 rows of a matrix, with rows of activations: the algorithm once, for all formats and
//! instruction sets.
//!
//! An output is summed over its row's blocks in order, with the same operations for any number of activation rows, so it
//! comes out the same to the bit whether tokens are read one by one or together.

use super::activations::{Block, Input};
use super::layouts::{self, BLOCK, Layout, Levels};
use super::simd::{LANES, Simd, part};
use crate::quant::Format;

/// A panel taken apart, to be used for many rows of activations.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    groups: Vec<Line>,
    /// For each block or half of one the scales of 16 rows, and their minima.
    scales: Vec<[f32; LANES]>,
    mins: Vec<[f32; LANES]>,
}

/// 64 bytes that lie in one line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Line(pub [u8; 64]);

/// `out[t]` = the panel times row `t` of the activations.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    simd: S,
    format: Format,
    panel: &[u8],
    x: Input<'_>,
    out: &mut [[f32; LANES]],
    scratch: &mut Scratch,
) {
    match x {
        Input::Floats { data, cols } => match format {
            Format::F32 => floats::<S, F32>(simd, panel, data, cols, out),
            Format::F16 => floats::<S, F16>(simd, panel, data, cols, out),
            _ => floats::<S, BF16>(simd, panel, data, cols, out),
        },
        Input::Blocks { data, per_row } => match format {
            Format::Q4_0 => blocks::<S, layouts::Q4_0>(simd, panel, data, per_row, out, scratch),
            Format::Q4_1 => blocks::<S, layouts::Q4_1>(simd, panel, data, per_row, out, scratch),
            Format::Q5_0 => blocks::<S, layouts::Q5_0>(simd, panel, data, per_row, out, scratch),
            Format::Q5_1 => blocks::<S, layouts::Q5_1>(simd, panel, data, per_row, out, scratch),
            Format::Q8_0 => blocks::<S, layouts::Q8_0>(simd, panel, data, per_row, out, scratch),
            Format::IQ4_NL => blocks::<S, layouts::Iq4Nl>(simd, panel, data, per_row, out, scratch),
            Format::Q2_K => blocks::<S, layouts::Q2K>(simd, panel, data, per_row, out, scratch),
            Format::Q3_K => blocks::<S, layouts::Q3K>(simd, panel, data, per_row, out, scratch),
            Format::Q4_K => blocks::<S, layouts::Q4K>(simd, panel, data, per_row, out, scratch),
            Format::Q5_K => blocks::<S, layouts::Q5K>(simd, panel, data, per_row, out, scratch),
            _ => blocks::<S, layouts::Q6K>(simd, panel, data, per_row, out, scratch),
        },
    }
}

#[inline(always)]
fn blocks<S: Simd, L: Layout>(
    simd: S,
    panel: &[u8],
    x: &[Block],
    per_row: usize,
    out: &mut [[f32; LANES]],
    scratch: &mut Scratch,
) {
    if let [out] = out {
        return one_row::<S, L>(simd, panel, x, out);
    }
    unpack::<S, L>(simd, panel, per_row, scratch);
    let offset = if L::SIGNED { S::SIGNED_OFFSET } else { L::OFFSET };
    match (L::PARTS, L::MIN, L::SIGNED) {
        (1, false, false) => tiles::<S, 1, false, false>(simd, scratch, offset, x, per_row, out),
        (1, true, false) => tiles::<S, 1, true, false>(simd, scratch, offset, x, per_row, out),
        (1, _, true) => tiles::<S, 1, false, true>(simd, scratch, offset, x, per_row, out),
        (_, false, _) => tiles::<S, 2, false, false>(simd, scratch, offset, x, per_row, out),
        (_, true, _) => tiles::<S, 2, true, false>(simd, scratch, offset, x, per_row, out),
    }
}

/// One row of activations: the weights are used once, straight from the panel.
#[inline(always)]
fn one_row<S: Simd, L: Layout>(simd: S, panel: &[u8], x: &[Block], out: &mut [f32; LANES]) {
    let mut sum = simd.splat(0.0);
    let offset = if L::SIGNED { S::SIGNED_OFFSET } else { L::OFFSET };
    for (unit, x) in panel.chunks_exact(L::BYTES).zip(x.chunks_exact(L::BLOCKS)) {
        for (index, x) in x.iter().enumerate() {
            let Levels { groups, scale, min } = L::block(simd, unit, index);
            for p in 0..L::PARTS {
                let (x_sum, x_total) = part_sums(x, L::PARTS, p);
                let mut dot = simd.ints(-offset * x_sum);
                for (weights, x) in part_of(&groups, L::PARTS, p).iter().zip(part_of(&x.quads, L::PARTS, p)) {
                    dot = multiply_group::<S>(simd, L::SIGNED, dot, *weights, *x);
                }
                sum = add_part(simd, scale[p], dot, x.scale, sum);
                if L::MIN {
                    sum = simd.mul_add(min[p], simd.splat(x_total), sum);
                }
            }
        }
    }
    simd.store_floats(sum, out);
}

/// What belongs to part `p` of `parts` of a block's eight groups.
#[inline(always)]
fn part_of<T>(groups: &[T; 8], parts: usize, p: usize) -> &[T] {
    &groups[8 / parts * p..8 / parts * (p + 1)]
}

/// The activations' sum over the whole block or over one half: of the bytes, and times their scale.
#[inline(always)]
fn part_sums(x: &Block, parts: usize, p: usize) -> (i32, f32) {
    match parts {
        1 => (i32::from(x.sums[0]) + i32::from(x.sums[1]), x.totals[0] + x.totals[1]),
        _ => (i32::from(x.sums[p]), x.totals[p]),
    }
}

#[inline(always)]
fn multiply_group<S: Simd>(simd: S, signed: bool, dot: S::Ints, weights: S::Bytes, x: i32) -> S::Ints {
    if signed { simd.dot_signed(dot, weights, x) } else { simd.dot(dot, weights, x) }
}

#[inline(always)]
fn add_part<S: Simd>(simd: S, scale: S::Floats, dot: S::Ints, x_scale: f32, sum: S::Floats) -> S::Floats {
    simd.mul_add(scale, simd.mul(simd.to_floats(dot), simd.splat(x_scale)), sum)
}

#[inline(always)]
fn unpack<S: Simd, L: Layout>(simd: S, panel: &[u8], n_blocks: usize, scratch: &mut Scratch) {
    scratch.groups.resize(8 * n_blocks, Line([0; 64]));
    scratch.scales.resize(L::PARTS * n_blocks, [0.0; LANES]);
    scratch.mins.resize(if L::MIN { L::PARTS * n_blocks } else { 0 }, [0.0; LANES]);
    let units = panel.chunks_exact(L::BYTES).zip(scratch.groups.chunks_exact_mut(8 * L::BLOCKS));
    for (u, (unit, groups)) in units.enumerate() {
        for (index, groups) in groups.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let block = L::block(simd, unit, index);
            for (group, out) in block.groups.iter().zip(groups.iter_mut()) {
                simd.store(*group, &mut out.0);
            }
            let b = u * L::BLOCKS + index;
            for p in 0..L::PARTS {
                simd.store_floats(block.scale[p], &mut scratch.scales[L::PARTS * b + p]);
                if L::MIN {
                    simd.store_floats(block.min[p], &mut scratch.mins[L::PARTS * b + p]);
                }
            }
        }
    }
}

/// Hands `$n` rows of activations, each `$width` long, and their outputs to `$tile`, as long as there are so many.
macro_rules! take_tiles {
    ($rest:ident, $width:expr, $n:literal, |$x:ident, $out:ident| $tile:expr) => {
        while $rest.1.len() >= $n {
            let ($x, others) = $rest.0.split_at($n * $width);
            let ($out, outs) = $rest.1.split_at_mut($n);
            $tile;
            $rest = (others, outs);
        }
    };
}

/// `N` rows that lie one after the other.
#[inline(always)]
fn rows_of<T, const N: usize>(x: &[T], width: usize) -> [&[T]; N] {
    let mut rows = [x; N];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = &x[i * width..(i + 1) * width];
    }
    rows
}

/// Many rows of activations, as many at a time as there are registers for.
#[inline(always)]
fn tiles<S: Simd, const PARTS: usize, const MIN: bool, const SIGNED: bool>(
    simd: S,
    panel: &Scratch,
    offset: i32,
    x: &[Block],
    per_row: usize,
    out: &mut [[f32; LANES]],
) {
    let mut rest = (x, out);
    if S::REGISTERS >= 32 {
        take_tiles!(rest, per_row, 8, |x, out| tile::<S, PARTS, MIN, SIGNED, 8>(simd, panel, offset, x, per_row, out));
    }
    if S::REGISTERS >= 16 {
        take_tiles!(rest, per_row, 4, |x, out| tile::<S, PARTS, MIN, SIGNED, 4>(simd, panel, offset, x, per_row, out));
    }
    take_tiles!(rest, per_row, 1, |x, out| tile::<S, PARTS, MIN, SIGNED, 1>(simd, panel, offset, x, per_row, out));
}

#[inline(always)]
fn tile<S: Simd, const PARTS: usize, const MIN: bool, const SIGNED: bool, const N: usize>(
    simd: S,
    panel: &Scratch,
    offset: i32,
    x: &[Block],
    per_row: usize,
    out: &mut [[f32; LANES]],
) {
    let rows = rows_of::<_, N>(x, per_row);
    let mut sums = [simd.splat(0.0); N];
    for (b, groups) in panel.groups.as_chunks::<8>().0.iter().enumerate().take(per_row) {
        for p in 0..PARTS {
            let mut dots = [simd.ints(0); N];
            for (dot, row) in dots.iter_mut().zip(&rows) {
                *dot = simd.ints(-offset * part_sums(&row[b], PARTS, p).0);
            }
            for (weights, g) in part_of(groups, PARTS, p).iter().zip(8 / PARTS * p..) {
                let weights = simd.load(&weights.0);
                for (dot, row) in dots.iter_mut().zip(&rows) {
                    *dot = multiply_group::<S>(simd, SIGNED, *dot, weights, row[b].quads[g]);
                }
            }
            let scale = simd.floats(&panel.scales[PARTS * b + p]);
            for ((sum, dot), row) in sums.iter_mut().zip(dots).zip(&rows) {
                *sum = add_part(simd, scale, dot, row[b].scale, *sum);
                if MIN {
                    let total = part_sums(&row[b], PARTS, p).1;
                    *sum = simd.mul_add(simd.floats(&panel.mins[PARTS * b + p]), simd.splat(total), *sum);
                }
            }
        }
    }
    for (sum, out) in sums.into_iter().zip(out) {
        simd.store_floats(sum, out);
    }
}

/// A float format: panels hold column after column, 16 numbers each.
trait Float {
    const BYTES: usize;
    fn column<S: Simd>(simd: S, panel: &[u8], index: usize) -> S::Floats;
}

struct F32;
struct F16;
struct BF16;

impl Float for F32 {
    const BYTES: usize = 64;

    #[inline(always)]
    fn column<S: Simd>(simd: S, panel: &[u8], index: usize) -> S::Floats {
        simd.singles(part(panel, 64 * index))
    }
}

impl Float for F16 {
    const BYTES: usize = 32;

    #[inline(always)]
    fn column<S: Simd>(simd: S, panel: &[u8], index: usize) -> S::Floats {
        simd.halves(part(panel, 32 * index))
    }
}

impl Float for BF16 {
    const BYTES: usize = 32;

    #[inline(always)]
    fn column<S: Simd>(simd: S, panel: &[u8], index: usize) -> S::Floats {
        simd.brains(part(panel, 32 * index))
    }
}

#[inline(always)]
fn floats<S: Simd, F: Float>(simd: S, panel: &[u8], x: &[f32], cols: usize, out: &mut [[f32; LANES]]) {
    let mut rest = (x, out);
    if S::REGISTERS >= 32 {
        take_tiles!(rest, cols, 8, |x, out| float_tile::<S, F, 8>(simd, panel, x, cols, out));
    }
    if S::REGISTERS >= 16 {
        take_tiles!(rest, cols, 2, |x, out| float_tile::<S, F, 2>(simd, panel, x, cols, out));
    }
    take_tiles!(rest, cols, 1, |x, out| float_tile::<S, F, 1>(simd, panel, x, cols, out));
}

/// Even and odd columns are summed apart, so that one addition need not wait for the other.
#[inline(always)]
fn float_tile<S: Simd, F: Float, const N: usize>(
    simd: S,
    panel: &[u8],
    x: &[f32],
    cols: usize,
    out: &mut [[f32; LANES]],
) {
    let rows = rows_of::<_, N>(x, cols);
    let mut sums = [[simd.splat(0.0); 2]; N];
    for (pair, columns) in panel.chunks_exact(2 * F::BYTES).enumerate().take(cols / 2) {
        for odd in 0..2 {
            let weights = F::column(simd, columns, odd);
            for (sum, row) in sums.iter_mut().zip(&rows) {
                sum[odd] = simd.mul_add(weights, simd.splat(row[2 * pair + odd]), sum[odd]);
            }
        }
    }
    if cols % 2 == 1 {
        let weights = F::column(simd, panel, cols - 1);
        for (sum, row) in sums.iter_mut().zip(&rows) {
            sum[0] = simd.mul_add(weights, simd.splat(row[cols - 1]), sum[0]);
        }
    }
    for (sum, out) in sums.into_iter().zip(out) {
        simd.store_floats(simd.add(sum[0], sum[1]), out);
    }
}

/// Blocks of activations that a row of so many numbers takes.
pub(super) fn blocks_per_row(cols: usize) -> usize {
    cols.div_ceil(BLOCK)
}
