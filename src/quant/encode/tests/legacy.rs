//! The formats of version 100 against their formulas, written down once more with the standard library's roundings.

use half::f16;

use super::*;

/// Blocks that each tell something: bell curves, outliers, a constant, zeros, one sign only.
fn rows() -> Vec<Vec<f32>> {
    let mut single = vec![0.0; 32];
    single[13] = -1.5;
    let mut rows = vec![single, vec![0.0; 32], vec![0.25; 32], vec![-3.0; 32]];
    for seed in 0..200 {
        rows.push(bell(seed, 32));
        rows.push(heavy(seed, 32));
        rows.push(noise(seed, 32).iter().map(|x| x.abs() + 0.1).collect());
    }
    rows
}

fn half_of(x: f32) -> f32 {
    f16::from_f32_const(x).to_f32_const()
}

fn min_max(x: &[f32]) -> (f32, f32) {
    x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), x| (min.min(*x), max.max(*x)))
}

fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// Of several numbers of largest size, the first.
fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |largest: f32, x| if x.abs() > largest.abs() { *x } else { largest })
}

fn check(format: Format, formula: impl Fn(&[f32]) -> Vec<f32>) {
    for row in rows() {
        let expected: Vec<f32> = row.chunks(format.block_len()).flat_map(&formula).collect();
        assert_eq!(through(format, Encoder::Reference, &row), expected, "{format} of {row:?}");
    }
}

#[test]
fn q4_0_divides_the_largest_size_by_7() {
    check(Q4_0_V100, |x| {
        let d = largest(x).abs() / 7.0;
        x.iter().map(|x| (x * inverse(d)).round() * d).collect()
    });
}

#[test]
fn q4_1_divides_the_range_by_15() {
    check(Q4_1_V100, |x| {
        let (min, max) = min_max(x);
        let d = (max - min) / 15.0;
        x.iter().map(|x| ((x - min) * inverse(d)).round() * d + min).collect()
    });
}

#[test]
fn q4_1_o_keeps_the_largest_number_and_divides_the_range_of_the_others() {
    check(Q4_1_O, |x| {
        let value = largest(x);
        let at = x.iter().position(|x| *x == value).unwrap();
        let mut rest = x.to_vec();
        if value != 0.0 {
            rest.remove(at);
        }
        let (min, max) = min_max(&rest);
        let d = (max - min) / 15.0;
        let stored = |x: &f32| ((x - min) * inverse(d)).round() * half_of(d) + half_of(min);
        let mut y: Vec<f32> = x.iter().map(stored).collect();
        y[at] = half_of(value);
        y
    });
}

#[test]
fn q4_1_o_of_zeros_has_the_index_that_rwkv_cpp_writes() {
    let block = encoded(Q4_1_O, Encoder::Reference, &[0.0; 32]);
    assert_eq!(block[4..6], [0xff, 0xff]);
}

#[test]
fn q4_2_takes_the_best_of_sixteen_scales() {
    check(Q4_2, |x| {
        let amax = largest(x).abs();
        if amax == 0.0 {
            return vec![0.0; 16];
        }
        let levels =
            |scale: f32| -> Vec<f32> { x.iter().map(|x| (x * scale).round_ties_even().clamp(-8.0, 7.0)).collect() };
        let sums = |levels: &[f32]| {
            let xl: f32 = x.iter().zip(levels).map(|(x, l)| x * l).sum();
            (xl, levels.iter().map(|l| l * l).sum::<f32>())
        };
        let (mut best, mut most) = (0.0, 0.0);
        for candidate in [8.7, 8.3, 8.1, 7.8, 7.3, 7.0, 6.3, 5.7] {
            // The negative one wins a draw.
            let [plus, minus] = [candidate / amax, -candidate / amax].map(|scale| (scale, sums(&levels(scale))));
            let square = |(_, (xl, _)): (f32, (f32, f32))| xl * xl;
            let chosen = if square(plus) * minus.1.1 > square(minus) * plus.1.1 { plus } else { minus };
            if square(chosen) > most * chosen.1.1 {
                (best, most) = (chosen.0, square(chosen) / chosen.1.1);
            }
        }
        let levels = levels(best);
        let (xl, ll) = sums(&levels);
        levels.iter().map(|l| l * half_of(xl / ll)).collect()
    });
}

#[test]
fn q4_3_and_q5_1_divide_the_range() {
    for (format, levels) in [(Q4_3, 15.0), (Q5_1_V100, 31.0)] {
        check(format, |x| {
            let (min, max) = min_max(x);
            let d = (max - min) / levels;
            x.iter().map(|x| ((x - min) * inverse(d) + 0.5).floor() * half_of(d) + half_of(min)).collect()
        });
    }
}

#[test]
fn q5_0_takes_the_number_of_largest_size_to_the_lowest_level() {
    check(Q5_0_V100, |x| {
        let d = largest(x) / -16.0;
        x.iter().map(|x| ((x * inverse(d) + 16.5).floor().min(31.0) - 16.0) * half_of(d)).collect()
    });
}

#[test]
fn q8_0_divides_the_largest_size_by_127() {
    check(Q8_0_V100, |x| {
        let d = largest(x).abs() / 127.0;
        x.iter().map(|x| (x * inverse(d)).round() * d).collect()
    });
}
