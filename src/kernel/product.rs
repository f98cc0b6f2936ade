//! Products of panels, 16 rows of a matrix each, with rows of activations: the algorithm once, for all formats and
//! instruction sets.
//!
//! An output is summed over its row's blocks in order, with the same operations for any number of activation rows, so it
//! comes out the same to the bit whether tokens are read one by one or together.

use std::ops::Range;

use super::activations::{Block, Input};
use super::floats::{BF16, F16, F32, Floats, Unpacked, floats};
use super::layouts::{self, Layout, Levels};
use super::simd::{LANES, Simd, prefetch_ahead};
use crate::quant::Format;

/// Blocks of a row that are taken out of panels at a time: as many as stay in the nearest cache while they are used. A
/// multiple of a super-block's.
pub(super) const STEP: usize = 16;

/// Panels taken apart, to be used for many rows of activations.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) panels: usize,
    pub(super) groups: Vec<[Line; 8]>,
    /// For each block or half of one the scales of 16 rows, and their minima.
    pub(super) scales: Vec<[f32; LANES]>,
    pub(super) mins: Vec<[f32; LANES]>,
    /// Panels as numbers.
    columns: Vec<[f32; LANES]>,
}

/// 64 bytes that lie in one line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Line(pub [u8; 64]);

/// Runs an expression by [`Simd::vectorize`]. All parts of `multiply` in one function would take minutes to compile.
macro_rules! vectorize {
    ($simd:ident => $body:expr) => {
        $simd.vectorize(
            #[inline(always)]
            || $body,
        )
    };
}

/// Evaluates an expression with the layout of a quantized format as `$layout`.
macro_rules! with_layout {
    ($format:expr, $layout:ident => $body:expr) => {
        with_layout!(@ $format, $layout => $body;
            Q4_0 => Q4_0<false>, Q4_0_V100 => Q4_0<true>, Q4_1 => Q4_1<false>, Q4_1_V100 => Q4_1<true>, Q4_2 => Q4_2,
            Q4_3 => Q4_3, Q5_0 | Q5_0_V100 => Q5_0, Q5_1 | Q5_1_V100 => Q5_1, Q8_0 => Q8_0<false>,
            Q8_0_V100 => Q8_0<true>, IQ4_NL => Iq4Nl, Q2_K => Q2K, Q3_K => Q3K, Q4_K => Q4K, Q5_K => Q5K; Q6K)
    };
    (@ $format:expr, $layout:ident => $body:expr; $($($name:ident)|+ => $type:ident $(<$wide:literal>)?),*; $last:ident) => {
        match $format {
            $($(Format::$name)|+ => {
                type $layout = layouts::$type$(<$wide>)?;
                $body
            })*
            _ => {
                type $layout = layouts::$last;
                $body
            }
        }
    };
}

/// Several panels, each of `size` bytes, times rows of activations: with `p` panels, `out[p * t + i]` is the part of panel
/// `i` in the output of row `t`.
pub(super) fn multiply<S: Simd>(
    simd: S,
    format: Format,
    panels: Panels<'_>,
    x: Input<'_>,
    out: &mut [[f32; LANES]],
    scratch: &mut Scratch,
) {
    match x {
        Input::Floats { data, cols } => {
            let x = Floats { data, cols };
            match format {
                Format::F32 => vectorize!(simd => floats::<S, F32>(simd, panels.columns(), x, out)),
                Format::F16 => vectorize!(simd => floats::<S, F16>(simd, panels.columns(), x, out)),
                Format::Q4_1_O => vectorize!(simd => {
                    scratch.columns.resize(cols * panels.len(), [0.0; LANES]);
                    for (panel, columns) in panels.iter().zip(scratch.columns.chunks_exact_mut(cols)) {
                        layouts::with_outliers(simd, panel, columns);
                    }
                    floats::<S, Unpacked>(simd, Panels { parts: &scratch.columns, size: cols }, x, out);
                }),
                _ => vectorize!(simd => floats::<S, BF16>(simd, panels.columns(), x, out)),
            }
        }
        Input::Blocks { data, per_row } if data.len() == per_row => {
            with_layout!(format, L => vectorize!(simd => one_row::<S, L>(simd, panels, data, out)));
        }
        Input::Blocks { data, per_row } => blocks(simd, format, panels, data, per_row, out, scratch),
    }
}

/// Panels of one matrix that lie one after the other.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a, Part = u8> {
    pub parts: &'a [Part],
    /// Parts of each: bytes, or columns.
    pub size: usize,
}

impl<'a> Panels<'a> {
    /// Panels of floats, in columns of `N` bytes.
    #[inline]
    fn columns<const N: usize>(self) -> Panels<'a, [u8; N]> {
        Panels { parts: self.parts.as_chunks().0, size: self.size / N }
    }
}

impl<'a, Part> Panels<'a, Part> {
    pub fn len(&self) -> usize {
        self.parts.len() / self.size
    }

    #[inline]
    fn iter(&self) -> std::slice::ChunksExact<'a, Part> {
        self.parts.chunks_exact(self.size)
    }
}

/// Several rows. The format is asked for at each step, so that there is one loop over tiles for each kind of layout, and not
/// for each layout: a fifth of a megabyte more in the library.
fn blocks<S: Simd>(
    simd: S,
    format: Format,
    panels: Panels<'_>,
    x: &[Block],
    per_row: usize,
    out: &mut [[f32; LANES]],
    scratch: &mut Scratch,
) {
    let (parts, min, signed, offset, totals, span) =
        with_layout!(format, L => (L::PARTS, L::MIN, L::SIGNED, L::OFFSET, L::TOTALS, L::SPAN));
    // One kind of tiles where they would be the same.
    let span = if S::SPANS { span } else { 8 };
    let offset = match simd.signed_tiles() {
        true => 0,
        false => level_offset::<S>(signed, offset),
    };
    let stride = panels.len();
    // What rows of activations bring along is laid out once for all of these.
    let together = if simd.matrices() { 4 } else { 2 };
    for (index, own) in panels.parts.chunks(together * panels.size).enumerate() {
        let out = &mut out[together * index..];
        for first in (0..per_row).step_by(STEP) {
            let columns = first..(first + STEP).min(per_row);
            let own = Panels { parts: own, ..panels };
            with_layout!(format, L => vectorize!(simd => unpack::<S, L>(simd, own, &columns, scratch)));
            let job = Job { scratch, x: Blocks { data: x, per_row, columns }, offset, totals, stride };
            if simd.matrices() {
                match (parts, min) {
                    (1, false) => vectorize!(simd => simd.matrix_tiles::<1, false>(&job, out)),
                    (1, true) => vectorize!(simd => simd.matrix_tiles::<1, true>(&job, out)),
                    (_, false) => vectorize!(simd => simd.matrix_tiles::<2, false>(&job, out)),
                    (_, true) => vectorize!(simd => simd.matrix_tiles::<2, true>(&job, out)),
                }
                continue;
            }
            // Shorter spans than the layout's are right, too.
            match (parts, min, signed, span) {
                (1, false, false, 8) => vectorize!(simd => tiles::<S, 1, false, false, 8>(simd, &job, out)),
                (1, false, false, _) => vectorize!(simd => tiles::<S, 1, false, false, 4>(simd, &job, out)),
                (1, true, false, 8) => vectorize!(simd => tiles::<S, 1, true, false, 8>(simd, &job, out)),
                (1, true, false, _) => vectorize!(simd => tiles::<S, 1, true, false, 4>(simd, &job, out)),
                (1, _, true, _) => vectorize!(simd => tiles::<S, 1, false, true, 1>(simd, &job, out)),
                (_, false, ..) => vectorize!(simd => tiles::<S, 2, false, false, 2>(simd, &job, out)),
                (_, true, ..) => vectorize!(simd => tiles::<S, 2, true, false, 4>(simd, &job, out)),
            }
        }
    }
}

/// What levels are larger than weights, as `dot` or `dot_signed` takes them.
#[inline(always)]
fn level_offset<S: Simd>(signed: bool, offset: u8) -> i32 {
    if signed { S::SIGNED_OFFSET } else { i32::from(offset) }
}

/// Panels taken apart, to be multiplied with some columns of rows of activations.
pub(super) struct Job<'a> {
    pub scratch: &'a Scratch,
    pub x: Blocks<'a>,
    /// What levels are larger than weights.
    offset: i32,
    /// Where activations have the sums for minima.
    pub totals: usize,
    /// From row to row of the output.
    pub stride: usize,
}

/// Some columns of rows of activations, in blocks.
pub(super) struct Blocks<'a> {
    pub data: &'a [Block],
    pub per_row: usize,
    pub columns: Range<usize>,
}

impl<'a> Blocks<'a> {
    /// Rows.
    pub fn len(&self) -> usize {
        self.data.len() / self.per_row
    }

    /// `N` rows from `first` on.
    #[inline(always)]
    fn rows<const N: usize>(&self, first: usize) -> [&'a [Block]; N] {
        let mut rows = [self.data; N];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = &self.data[(first + i) * self.per_row..][self.columns.clone()];
        }
        rows
    }
}

/// One row of activations: the weights are used once, straight from the panels.
#[inline(always)]
fn one_row<S: Simd, L: Layout>(simd: S, panels: Panels<'_>, x: &[Block], out: &mut [[f32; LANES]]) {
    for (panel, out) in panels.iter().zip(out) {
        row_of_panel::<S, L>(simd, panel, x, out);
    }
}

/// The same for one panel.
#[inline(always)]
fn row_of_panel<S: Simd, L: Layout>(simd: S, panel: &[u8], x: &[Block], out: &mut [f32; LANES]) {
    let mut sum = simd.splat(0.0);
    let offset = level_offset::<S>(L::SIGNED, L::OFFSET);
    for (u, unit) in panel.chunks_exact(L::BYTES).enumerate() {
        for index in 0..L::BLOCKS {
            let size = L::BYTES / L::BLOCKS;
            prefetch_ahead(simd, &unit[size * index..size * (index + 1)]);
            let x = &x[u * L::BLOCKS + index];
            let Levels { groups, scale, min } = L::block(simd, unit, index);
            for p in 0..L::PARTS {
                let first = first_dot(simd, offset, x, L::PARTS, p);
                let (groups, quads) = (part_of(&groups, L::PARTS, p), part_of(&x.quads, L::PARTS, p));
                let dot = simd.row_dots(first, groups, L::SIGNED, L::SPAN, quads);
                sum = add_part(simd, scale[p], dot, x.scale, sum);
                if L::MIN {
                    sum = simd.mul_add(min[p], simd.splat(x.totals[L::TOTALS + p]), sum);
                }
            }
        }
    }
    simd.store_floats(sum, out);
}

/// What makes up for the levels' offset in the sum of one part of a block.
#[inline(always)]
fn first_dot<S: Simd>(simd: S, offset: i32, x: &Block, parts: usize, p: usize) -> S::Ints {
    let factor = -offset as i16;
    match (parts, p) {
        (1, _) => simd.dot_pair([factor, factor], x.sums),
        (_, 0) => simd.dot_pair([factor, 0], x.sums),
        _ => simd.dot_pair([0, factor], x.sums),
    }
}

/// What belongs to part `p` of `parts` of a block's eight groups.
#[inline(always)]
fn part_of<T>(groups: &[T; 8], parts: usize, p: usize) -> &[T] {
    &groups[8 / parts * p..8 / parts * (p + 1)]
}

#[inline(always)]
fn add_part<S: Simd>(simd: S, scale: S::Floats, dot: S::Ints, x_scale: f32, sum: S::Floats) -> S::Floats {
    simd.mul_add(scale, simd.mul(simd.to_floats(dot), simd.splat(x_scale)), sum)
}

/// Takes some columns of panels apart.
#[inline(always)]
fn unpack<S: Simd, L: Layout>(simd: S, panels: Panels<'_>, columns: &Range<usize>, scratch: &mut Scratch) {
    let Scratch { panels: count, groups, scales, mins, .. } = scratch;
    *count = panels.len();
    let n_blocks = columns.len() * panels.len();
    groups.resize(n_blocks, [Line([0; 64]); 8]);
    scales.resize(L::PARTS * n_blocks, [0.0; LANES]);
    mins.resize(if L::MIN { L::PARTS * n_blocks } else { 0 }, [0.0; LANES]);
    let units = columns.start / L::BLOCKS..columns.end / L::BLOCKS;
    let mut b = 0;
    for panel in panels.iter() {
        for unit in panel[units.start * L::BYTES..units.end * L::BYTES].chunks_exact(L::BYTES) {
            for index in 0..L::BLOCKS {
                let block = L::block(simd, unit, index);
                let arranged = simd.arrange(block.groups, level_offset::<S>(L::SIGNED, L::OFFSET) as u8);
                for g in 0..8 {
                    simd.store(arranged[g], &mut groups[b][g].0);
                }
                for part in 0..L::PARTS {
                    simd.store_floats(block.scale[part], &mut scales[L::PARTS * b + part]);
                    if L::MIN {
                        simd.store_floats(block.min[part], &mut mins[L::PARTS * b + part]);
                    }
                }
                b += 1;
            }
        }
    }
}

/// Many rows of activations, as many at a time, and as many panels, as there are registers for.
#[inline(always)]
fn tiles<S: Simd, const PARTS: usize, const MIN: bool, const SIGNED: bool, const SPAN: usize>(
    simd: S,
    job: &Job<'_>,
    out: &mut [[f32; LANES]],
) {
    let n = job.x.len();
    let mut row = 0;
    if S::REGISTERS >= 32 && job.scratch.panels == 2 {
        while row + 4 <= n {
            tile::<S, PARTS, MIN, SIGNED, SPAN, 2, 4>(simd, job, 0, row, out);
            row += 4;
        }
    }
    for panel in 0..job.scratch.panels {
        let mut row = row;
        if S::REGISTERS >= 16 {
            while row + 4 <= n {
                tile::<S, PARTS, MIN, SIGNED, SPAN, 1, 4>(simd, job, panel, row, out);
                row += 4;
            }
        }
        if S::PAIRS {
            while row + 2 <= n {
                tile::<S, PARTS, MIN, SIGNED, SPAN, 1, 2>(simd, job, panel, row, out);
                row += 2;
            }
        }
        while row < n {
            tile::<S, PARTS, MIN, SIGNED, SPAN, 1, 1>(simd, job, panel, row, out);
            row += 1;
        }
    }
}

/// `P` panels from `panel` on, times `N` rows from `row` on. What earlier columns gave is in `out`.
#[allow(clippy::needless_range_loop, reason = "indices of several arrays at once")]
#[inline(always)]
fn tile<
    S: Simd,
    const PARTS: usize,
    const MIN: bool,
    const SIGNED: bool,
    const SPAN: usize,
    const P: usize,
    const N: usize,
>(
    simd: S,
    job: &Job<'_>,
    panel: usize,
    row: usize,
    out: &mut [[f32; LANES]],
) {
    let Job { scratch, x, offset, totals, stride } = job;
    let out = &mut out[stride * row + panel..];
    let n_blocks = x.columns.len();
    let rows = x.rows::<N>(row);
    let groups: [_; P] = rows_of(&scratch.groups, panel, n_blocks);
    let scales: [_; P] = rows_of(&scratch.scales, panel, PARTS * n_blocks);
    let mins: [_; P] = if MIN { rows_of(&scratch.mins, panel, PARTS * n_blocks) } else { [&[][..]; P] };
    let mut sums = [[simd.splat(0.0); N]; P];
    if x.columns.start > 0 {
        for p in 0..P {
            for t in 0..N {
                sums[p][t] = simd.floats(&out[stride * t + p]);
            }
        }
    }
    for b in 0..n_blocks {
        for part in 0..PARTS {
            let mut first = [simd.ints(0); N];
            let mut quads = [&[][..]; N];
            for t in 0..N {
                first[t] = first_dot(simd, *offset, &rows[t][b], PARTS, part);
                quads[t] = part_of(&rows[t][b].quads, PARTS, part);
            }
            let mut weights = [&[][..]; P];
            for p in 0..P {
                weights[p] = part_of(&groups[p][b], PARTS, part);
            }
            let dots = simd.tile_dots(first, weights, SIGNED, SPAN, quads);
            for p in 0..P {
                let scale = simd.floats(&scales[p][PARTS * b + part]);
                for t in 0..N {
                    sums[p][t] = add_part(simd, scale, dots[p][t], rows[t][b].scale, sums[p][t]);
                    if MIN {
                        let min = simd.floats(&mins[p][PARTS * b + part]);
                        sums[p][t] = simd.mul_add(min, simd.splat(rows[t][b].totals[totals + part]), sums[p][t]);
                    }
                }
            }
        }
    }
    for t in 0..N {
        for p in 0..P {
            simd.store_floats(sums[p][t], &mut out[stride * t + p]);
        }
    }
}

/// `N` rows from `first` on.
#[inline(always)]
pub(super) fn rows_of<T, const N: usize>(x: &[T], first: usize, width: usize) -> [&[T]; N] {
    let mut rows = [x; N];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = &x[(first + i) * width..][..width];
    }
    rows
}
