//! What the searching encoder promises beside the reference one.

use super::super::grid::Grid;
use super::super::search::weights;
use super::*;

const SYMMETRIC: [(Format, u8); 6] =
    [(Q4_0, 16), (Q4_0_V100, 15), (Q4_2, 16), (Q5_0, 32), (Q5_0_V100, 32), (Q8_0_V100, 255)];
const AFFINE: [(Format, u8); 5] = [(Q4_1, 16), (Q4_1_V100, 16), (Q4_3, 16), (Q5_1, 32), (Q5_1_V100, 32)];

fn weighted_error<const N: usize>(grid: Grid, plain: Plain<N>, x: &[f32], y: &[f32]) -> f64 {
    let x: &[f32; N] = x.try_into().unwrap();
    let terms = x.iter().zip(y).zip(weights(grid, x, &plain(x)));
    terms.map(|((x, y), w)| f64::from(w) * (f64::from(*x) - f64::from(*y)).powi(2)).sum()
}

type Plain<const N: usize> = fn(&[f32; N]) -> Block<N>;

/// `most`: in how many of ten blocks the search gains more than 1 %, at least.
fn check_errors<const N: usize>(format: Format, grid: Grid, plain: Plain<N>, most: usize) {
    let (mut less, mut blocks) = (0, 0);
    let offset: Vec<f32> = bell(30, 32 * 100).iter().map(|x| x + 3.0).collect();
    for values in [bell(10, 32 * 200), heavy(20, 32 * 200), offset] {
        let searched = through(format, Encoder::Search, &values);
        let reference = through(format, Encoder::Reference, &values);
        for ((x, a), b) in values.chunks(N).zip(searched.chunks(N)).zip(reference.chunks(N)) {
            let (a, b) = (weighted_error(grid, plain, x, a), weighted_error(grid, plain, x, b));
            // Sums in single precision may take two equal errors for different ones.
            assert!(a <= b * 1.0001, "{format}: {a} against {b} of {x:?}");
            less += usize::from(a < 0.99 * b);
            blocks += 1;
        }
    }
    assert!(less * 10 > blocks * most, "{format}: better in {less} of {blocks} blocks only");
}

#[test]
fn the_search_never_leaves_more_weighted_error_than_the_reference_and_mostly_less() {
    check_errors(Q4_0, Grid::Q4_0, plain::symmetric::<32, 8>, 7);
    check_errors(Q4_1, Grid::Q4_1, plain::affine::<32, 15>, 7);
    check_errors(Q5_0, Grid::Q5_0, plain::symmetric::<32, 16>, 7);
    check_errors(Q5_1, Grid::Q5_1, plain::affine::<32, 31>, 7);
    check_errors(Q8_0, Grid::Q8_0, plain::rounded::<32, 127, 0>, 7);
    check_errors(Q4_0_V100, Grid::Q4_0.wide(), plain::rounded::<32, 7, 8>, 7);
    check_errors(Q4_1_V100, Grid::Q4_1.wide(), plain::affine::<32, 15>, 7);
    check_errors(Q4_2, Grid::Q4_0, super::super::legacy::q4_2, 3);
    check_errors(Q4_3, Grid::Q4_1, plain::affine::<16, 15>, 7);
    check_errors(Q8_0_V100, Grid::Q8_0.wide(), plain::rounded::<32, 127, 0>, 7);
}

#[test]
fn an_outlier_is_kept_and_the_others_have_less_error_than_beside_the_largest_number() {
    let values = heavy(40, 32 * 300);
    let error = |y: Vec<f32>| values.iter().zip(&y).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
    let searched = error(through(Q4_1_O, Encoder::Search, &values));
    let reference = error(through(Q4_1_O, Encoder::Reference, &values));
    assert!(searched < 0.9 * reference, "{searched} against {reference}");
}

#[test]
fn numbers_on_a_formats_own_grid_come_back_exactly() {
    for encoder in [Encoder::Search, Encoder::Reference] {
        for (seed, d) in [(1, 0.25), (2, 1.0), (3, 0.001_953_125), (4, 3.0), (5, 1.0 / 3.0f32)] {
            let d = half::f16::from_f32_const(d).to_f32_const();
            // Every block holds its lowest and highest level.
            let levels = |seed, n: usize, count: u8| -> Vec<f32> {
                let mut levels: Vec<f32> =
                    noise(seed, 8 * n).iter().map(|x| ((x + 1.0) / 2.0 * f32::from(count)).floor()).collect();
                for (i, block) in levels.chunks_mut(n).enumerate() {
                    block[i % n] = 0.0;
                    block[(i + 5) % n] = f32::from(count - 1);
                }
                levels
            };
            for (format, count) in SYMMETRIC {
                let lowest = if count % 2 == 1 { -f32::from(count / 2) } else { -f32::from(count) / 2.0 };
                let values: Vec<f32> =
                    levels(seed, format.block_len(), count).iter().map(|level| (level + lowest) * d).collect();
                assert_eq!(through(format, encoder, &values), values, "{format} {encoder:?} {d}");
            }
            for (format, count) in AFFINE {
                let values: Vec<f32> =
                    levels(seed, format.block_len(), count).iter().map(|level| level * d + (-8.0 * d)).collect();
                assert_eq!(through(format, encoder, &values), values, "{format} {encoder:?} {d}");
            }
        }
    }
}

#[test]
fn zeros_and_constants_come_back() {
    for format in Format::ALL {
        for encoder in [Encoder::Search, Encoder::Reference] {
            assert_eq!(through(format, encoder, &[0.0; 256]), [0.0; 256], "{format} {encoder:?}");
            for value in [0.5, -0.5] {
                for y in through(format, encoder, &[value; 256]) {
                    // Formats that have no zero level but an outer one come back within a level of Q2_K's scales.
                    assert!((y - value).abs() < 0.04, "{format} {encoder:?}: {y} for {value}");
                }
            }
        }
    }
}

#[test]
fn a_number_among_zeros_leaves_them_near_zero() {
    for format in Format::ALL {
        let mut values = vec![0.0; 256];
        values[100] = 2.999;
        for (i, y) in through(format, Encoder::Search, &values).into_iter().enumerate() {
            let wanted = if i == 100 { 2.999 } else { 0.0 };
            assert!((y - wanted).abs() < 0.05, "{format}: {y} at {i}");
        }
    }
}

#[test]
fn scales_too_large_for_half_precision_are_infinite_in_the_reference_and_cut_by_the_search() {
    for format in Format::ALL {
        for size in [1e7, 1e15, 3e37, f32::MAX / 4.0] {
            let values: Vec<f32> = bell(50, 512).iter().map(|x| x * size).collect();
            let finite = through(format, Encoder::Search, &values).iter().all(|y| y.is_finite());
            assert!(finite || matches!(format, F16 | BF16), "{format} of {size}");
        }
    }
    let large: Vec<f32> = bell(50, 32).iter().map(|x| x * 1e7).collect();
    let block = encoded(Q4_0, Encoder::Reference, &large);
    assert!(half::f16::from_le_bytes([block[0], block[1]]).is_infinite());
    // As near as the format comes: eight times the largest scale.
    let searched = through(Q4_0, Encoder::Search, &large);
    assert!(searched.iter().zip(&large).all(|(y, x)| y.abs() <= 8.0 * 65504.0 && (y * x > 0.0 || *y == 0.0)));
}

#[test]
fn numbers_too_small_for_a_scale_become_zero_not_nan() {
    for format in Format::ALL {
        for size in [1e-9f32, 1e-20, 1e-38, 1e-44] {
            let values: Vec<f32> = bell(60, 256).iter().map(|x| x * size).collect();
            for (x, y) in values.iter().zip(through(format, Encoder::Search, &values)) {
                assert!(y.abs() <= 4.0 * size && (x - y).abs() <= 8.0 * size, "{format} of {size}: {y} for {x}");
            }
        }
    }
}
