//! What distinguishes the formats of one scale to the search.

use super::rounding::{clamp, nearest, through_half};

/// Levels of a format, and how it stores the scale and the minimum.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub lowest: f32,
    pub highest: f32,
    /// There is a minimum beside the scale.
    pub affine: bool,
    /// Both are stored in single precision, not half.
    wide: bool,
    /// How the level 0 is written.
    zero: u8,
    /// How far candidate scales are from the plain one, in levels: the first, and from each to the next. Negative ones
    /// leave levels unused, positive ones cut the largest numbers off. What makes a scale good is mostly that the
    /// numbers happen to lie near its levels; so the more levels, the more of them may go unused.
    steps: (f32, f32),
}

impl Grid {
    pub const Q4_0: Self = Self::symmetric(8.0, (-1.0, 0.25));
    pub const Q4_1: Self = Self::affine(15.0, (-1.25, 0.3));
    pub const Q5_0: Self = Self::symmetric(16.0, (-2.5, 0.4));
    pub const Q5_1: Self = Self::affine(31.0, (-2.0, 0.4));
    /// -128 is never used: neither does ggml, and kernels need not expect it.
    pub const Q8_0: Self = Self { lowest: -127.0, highest: 127.0, zero: 0, ..Self::symmetric(128.0, (-8.0, 1.0)) };

    const fn symmetric(half: f32, steps: (f32, f32)) -> Self {
        Self { lowest: -half, highest: half - 1.0, affine: false, wide: false, zero: half as u8, steps }
    }

    const fn affine(highest: f32, steps: (f32, f32)) -> Self {
        Self { lowest: 0.0, highest, affine: true, wide: false, zero: 0, steps }
    }

    /// The same with scale and minimum in single precision.
    pub const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    /// A scale or minimum as the file will hold it: never infinite, nor large enough for a number to become so.
    #[inline(always)]
    pub fn stored(self, x: f32) -> f32 {
        const MOST: f32 = f32::MAX / 256.0;
        if self.wide { clamp(x, -MOST, MOST) } else { through_half(x) }
    }

    /// The nearest level.
    #[inline(always)]
    pub fn level(self, x: f32) -> f32 {
        nearest(clamp(x, self.lowest, self.highest))
    }

    /// A level as a block holds it.
    #[inline(always)]
    pub fn code(self, level: f32) -> u8 {
        (level as i8 as u8).wrapping_add(self.zero)
    }

    #[inline(always)]
    pub fn steps(self) -> [f32; 8] {
        let (first, by) = self.steps;
        std::array::from_fn(|i| first + by * i as f32)
    }
}
