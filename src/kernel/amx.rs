//! Products of many rows of activations by AMX, whose instructions multiply small matrices of bytes.
//!
//! A block's groups are such a matrix as they lie, once their weights are signed, and so are the blocks of up to 16 rows of
//! activations. The sums of a block are exact, and are added up as those of a single row are.
#![allow(unsafe_code, reason = "instructions for which there are no functions yet")]

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::offset_of;

use super::activations::Block;
use super::product::{Job, Line, STEP};
use super::simd::LANES;

/// Rows of activations that are multiplied at once.
const ROWS: usize = 16;

/// Units, blocks or halves of them, that are multiplied while the sums of as many others are added up.
const TOGETHER: usize = 4;

/// The exact sums of a unit: of each row of activations those of a panel's 16 rows.
type Sums = [Line; ROWS];

/// The value for each row of activations, which `$t` counts: as registers, which a loop over an array might not become.
macro_rules! rows {
    ($t:ident => $value:expr) => {
        rows!(@ $t => $value; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $t:ident => $value:expr; $($row:literal)*) => {
        [$({
            let $t = $row;
            $value
        }),*]
    };
}

/// Whether the processor has AMX, and the system lets this process use it: its registers are large, so Linux wants to be
/// asked before they are saved with a thread's others.
#[cfg(target_os = "linux")]
pub(super) fn allowed() -> bool {
    // Intel's manual, CPUID leaf 7: AMX-TILE and AMX-INT8.
    const FEATURES: u32 = 1 << 24 | 1 << 25;
    // Linux, Documentation/arch/x86/xstate.rst.
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    if __cpuid_count(7, 0).edx & FEATURES != FEATURES {
        return false;
    }
    // SAFETY: it allows this process something and changes nothing else.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn allowed() -> bool {
    false
}

/// The registers that hold matrices, in shapes of this thread's choice as long as this lives.
struct Tiles;

/// The shapes of matrices, as `ldtilecfg` takes them: the first four are sums, then two of activations, two of weights.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    /// Bytes of a row.
    columns: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// For so many rows of activations, and blocks in so many parts.
    #[inline(always)]
    fn new(rows: usize, parts: usize) -> Self {
        let (rows, groups, quads) = (rows as u8, (8 / parts) as u8, (32 / parts) as u16);
        let mut shapes = Shapes { palette: 1, start: 0, reserved: [0; 14], columns: [0; 16], rows: [0; 16] };
        shapes.columns[..8].copy_from_slice(&[64, 64, 64, 64, quads, quads, 64, 64]);
        shapes.rows[..8].copy_from_slice(&[rows, rows, rows, rows, rows, rows, groups, groups]);
        // SAFETY: only where `allowed` said so; the shapes are within what there is.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly, preserves_flags)) };
        Self
    }
}

impl Drop for Tiles {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: as for `new`.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// A panel's units and the same units of rows of activations.
struct Factors<'a> {
    groups: &'a [[Line; 8]],
    /// Of the first row, and as far as to the last unit of the last row.
    x: &'a [Block],
    /// Bytes from row to row.
    stride: usize,
}

impl Factors<'_> {
    /// The sums of one unit and, if there are as many, of those after it.
    ///
    /// # Safety
    /// The registers have the shapes of these rows and of `PARTS`. `first` is a multiple of `TOGETHER`, and there is such a
    /// unit.
    #[inline(always)]
    unsafe fn multiply<const PARTS: usize>(&self, first: usize, sums: &mut [Sums; TOGETHER]) {
        const fn weights<const PARTS: usize>(unit: usize) -> usize {
            unit * size_of::<[Line; 8]>() / PARTS
        }
        const fn activations<const PARTS: usize>(unit: usize) -> usize {
            let part = unit % PARTS * size_of::<[i32; 8]>() / PARTS;
            offset_of!(Block, quads) + unit / PARTS * size_of::<Block>() + part
        }
        /// From the first of `TOGETHER` units, which begins a block, to another of them.
        const fn apart<const PARTS: usize>(units: usize) -> usize {
            activations::<PARTS>(units) - activations::<PARTS>(0)
        }
        if first + TOGETHER <= PARTS * self.groups.len() {
            // SAFETY: these units are there, and so are they in all rows.
            unsafe {
                asm!(
                    "tileloadd tmm4, [{x} + {stride}]",
                    "tileloadd tmm6, [{w} + {line}]",
                    "tileloadd tmm5, [{x} + {stride} + {x1}]",
                    "tileloadd tmm7, [{w} + {line} + {w1}]",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "tdpbssd tmm0, tmm4, tmm6",
                    "tileloadd tmm4, [{x} + {stride} + {x2}]",
                    "tileloadd tmm6, [{w} + {line} + {w2}]",
                    "tdpbssd tmm1, tmm5, tmm7",
                    "tileloadd tmm5, [{x} + {stride} + {x3}]",
                    "tileloadd tmm7, [{w} + {line} + {w3}]",
                    "tilestored [{out} + {line}], tmm0",
                    "tdpbssd tmm2, tmm4, tmm6",
                    "tilestored [{out} + {line} + 1024], tmm1",
                    "tdpbssd tmm3, tmm5, tmm7",
                    "tilestored [{out} + {line} + 2048], tmm2",
                    "tilestored [{out} + {line} + 3072], tmm3",
                    x = in(reg) self.x.as_ptr().byte_add(activations::<PARTS>(first)),
                    w = in(reg) self.groups.as_ptr().byte_add(weights::<PARTS>(first)),
                    out = in(reg) sums.as_mut_ptr(),
                    stride = in(reg) self.stride,
                    line = in(reg) size_of::<Line>(),
                    x1 = const apart::<PARTS>(1),
                    x2 = const apart::<PARTS>(2),
                    x3 = const apart::<PARTS>(3),
                    w1 = const weights::<PARTS>(1),
                    w2 = const weights::<PARTS>(2),
                    w3 = const weights::<PARTS>(3),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, preserves_flags)
                );
            }
            return;
        }
        for (unit, sums) in (first..PARTS * self.groups.len()).zip(sums) {
            // SAFETY: as above, for one unit.
            unsafe {
                asm!(
                    "tileloadd tmm4, [{x} + {stride}]",
                    "tileloadd tmm6, [{w} + {line}]",
                    "tilezero tmm0",
                    "tdpbssd tmm0, tmm4, tmm6",
                    "tilestored [{out} + {line}], tmm0",
                    x = in(reg) self.x.as_ptr().byte_add(activations::<PARTS>(unit)),
                    w = in(reg) self.groups.as_ptr().byte_add(weights::<PARTS>(unit)),
                    out = in(reg) sums.as_mut_ptr(),
                    stride = in(reg) self.stride,
                    line = in(reg) size_of::<Line>(),
                    out("tmm0") _, out("tmm4") _, out("tmm6") _,
                    options(nostack, preserves_flags)
                );
            }
        }
    }
}

/// What the sums of a block are multiplied by, one number for each row of activations.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Multipliers {
    scale: [f32; ROWS],
    totals: [[f32; ROWS]; 2],
}

/// All panels of a job times all rows.
///
/// # Safety
/// `allowed` has said so, and the processor has AVX-512.
#[inline(always)]
pub(super) unsafe fn tiles<const PARTS: usize, const MIN: bool>(job: &Job<'_>, out: &mut [[f32; LANES]]) {
    let (x, n, n_blocks) = (&job.x, job.x.len(), job.x.columns.len());
    let mut multipliers = [Multipliers { scale: [0.0; ROWS], totals: [[0.0; ROWS]; 2] }; STEP];
    let mut sums = [[[Line([0; 64]); ROWS]; TOGETHER]; 2];
    for first in (0..n).step_by(ROWS) {
        let rows = ROWS.min(n - first);
        let _tiles = Tiles::new(rows, PARTS);
        for t in 0..rows {
            let blocks = &x.data[(first + t) * x.per_row..][x.columns.clone()];
            for (block, multipliers) in blocks.iter().zip(&mut multipliers) {
                multipliers.scale[t] = block.scale;
                if MIN {
                    for part in 0..PARTS {
                        multipliers.totals[part][t] = block.totals[job.totals + part];
                    }
                }
            }
        }
        let x = &x.data[first * x.per_row + x.columns.start..][..(rows - 1) * x.per_row + n_blocks];
        for panel in 0..job.scratch.panels {
            let groups = &job.scratch.groups[panel * n_blocks..][..n_blocks];
            let factors = Factors { groups, x, stride: job.x.per_row * size_of::<Block>() };
            let out = &mut out[job.stride * first + panel..];
            // SAFETY: the shapes are those of these rows, and the rest was promised.
            unsafe { tile::<PARTS, MIN>(job, panel, &factors, &multipliers, &mut sums, rows, out) };
        }
    }
}

/// One panel times up to 16 rows.
///
/// # Safety
/// As for [`Factors::multiply`] and [`tiles`].
#[inline(always)]
unsafe fn tile<const PARTS: usize, const MIN: bool>(
    job: &Job<'_>,
    panel: usize,
    factors: &Factors<'_>,
    multipliers: &[Multipliers; STEP],
    sums: &mut [[Sums; TOGETHER]; 2],
    rows: usize,
    out: &mut [[f32; LANES]],
) {
    let units = PARTS * factors.groups.len();
    let scales = &job.scratch.scales[panel * units..][..units];
    let mins = if MIN { &job.scratch.mins[panel * units..][..units] } else { &[] };
    // SAFETY: loads and stores are of arrays of their size, and the rest was promised.
    unsafe {
        let mut totals = [_mm512_setzero_ps(); ROWS];
        if job.x.columns.start > 0 {
            totals = rows!(t => if t < rows { _mm512_loadu_ps(out[job.stride * t].as_ptr()) } else { totals[t] });
        }
        let [mut now, mut next] = sums.each_mut();
        // While units are multiplied, the sums of those before them are added up.
        for next_unit in (0..units + TOGETHER).step_by(TOGETHER) {
            if next_unit < units {
                factors.multiply::<PARTS>(next_unit, next);
            }
            let first = next_unit.saturating_sub(TOGETHER);
            for (unit, sums) in (first..next_unit.min(units)).zip(now.iter()) {
                let (block, part) = (unit / PARTS, unit % PARTS);
                let multipliers = &multipliers[block];
                let scale = _mm512_loadu_ps(scales[unit].as_ptr());
                totals = rows!(t => {
                    let sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums[t].0.as_ptr().cast()));
                    _mm512_fmadd_ps(scale, _mm512_mul_ps(sum, _mm512_set1_ps(multipliers.scale[t])), totals[t])
                });
                if MIN {
                    let min = _mm512_loadu_ps(mins[unit].as_ptr());
                    totals = rows!(t => {
                        _mm512_fmadd_ps(min, _mm512_set1_ps(multipliers.totals[part][t]), totals[t])
                    });
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        for (t, total) in totals.iter().enumerate().take(rows) {
            _mm512_storeu_ps(out[job.stride * t].as_mut_ptr(), *total);
        }
    }
}
