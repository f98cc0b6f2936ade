#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;

use std::path::Path;

use half::{bf16, f16};

use super::*;
use crate::checkpoint::Tensor;
use crate::pool::Pool;
use crate::quant::{self, Encoder, Format};

/// Reproducible numbers between -1 and 1.
fn noise(seed: u32, n: usize) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_769).wrapping_add(12_345);
    std::iter::repeat_with(|| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(n)
    .collect()
}

fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "at {i}: {a} against {b}");
    }
}

#[test]
fn every_instruction_set_widens_every_half_precision_number_exactly() {
    for kernels in available() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let mut wide = vec![0.0f32; bits.len()];
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        (kernels.decode)(Format::F16, &bytes, &mut wide);
        assert!(wide.iter().zip(&bits).all(|(a, bits)| same(*a, f16::from_bits(*bits).to_f32_const())));
        (kernels.decode)(Format::BF16, &bytes, &mut wide);
        assert!(wide.iter().zip(&bits).all(|(a, bits)| same(*a, bf16::from_bits(*bits).to_f32_const())));
    }
}

#[test]
fn every_instruction_set_decodes_every_format_as_scalar_does() {
    const N: usize = 1024;
    for format in Format::ALL {
        let size = format.size_of(&[N]).unwrap();
        let bytes: Vec<u8> = noise(3, size).iter().map(|x| (x * 128.0) as i8 as u8).collect();
        let decoded = |kernels: &Kernels| {
            let mut out = vec![0.0; N];
            (kernels.decode)(format, &bytes, &mut out);
            out.iter().map(|x: &f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect::<Vec<_>>()
        };
        for kernels in available() {
            assert_eq!(decoded(kernels), decoded(&scalar::KERNELS), "{format} {}", kernels.isa);
        }
    }
}

#[test]
fn every_instruction_set_agrees_with_scalar_on_the_recurrences() {
    for n in [1, 7, 16, 37, 64, 80] {
        let inputs: Vec<_> = (0..16).map(|i| noise(i, n)).collect();
        let of = |i: usize| &inputs[i][..];
        let decay: Vec<f32> = inputs[3].iter().map(|x| x.abs()).collect();
        let head4 = Head4 { key: of(0), value: of(1), decay: of(2), bonus: of(4) };
        let head5 = Head5 { receptance: of(0), key: of(1), value: of(2), decay: &decay, bonus: of(4) };
        let token7 = Token7 {
            receptance: of(0),
            decay: of(1),
            key: of(2),
            value: of(3),
            rate: of(4),
            gate: of(5),
            first_value: of(6),
            value_mix: of(7),
        };
        let norm = Norm { weight: inputs[14].clone(), bias: inputs[15].clone(), eps: 1e-3 };
        let first_layer = Parameters7 {
            decay: of(8),
            rate: of(9),
            value_mix: None,
            k_k: of(10),
            k_a: of(11),
            r_k: of(12),
            ln_x: norm.part(0, n),
        };
        let other_layer = Parameters7 { value_mix: Some(of(13)), ..first_layer };
        let run = |kernels: &Kernels| {
            let mut s4 = [noise(5, n), noise(6, n).iter().map(|x| x.abs()).collect(), noise(7, n)];
            let [mut s5, mut s7] = [noise(8, n * n), noise(9, n * n)];
            let mut outs = [vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]];
            let [out4, out5, first, other] = &mut outs;
            (kernels.wkv4)(s4.each_mut().map(|part| &mut part[..]), head4, out4);
            (kernels.wkv5)(&mut s5, head5, out5);
            (kernels.head7)(&mut s7, first_layer, [token7; 2], first);
            (kernels.head7)(&mut s7, other_layer, [token7; 2], other);
            [s4.concat(), s5, s7, outs.concat()]
        };
        let truth = run(&scalar::KERNELS);
        for kernels in available() {
            for (got, want) in run(kernels).iter().zip(&truth) {
                close(got, want, 1e-4);
            }
        }
    }
}

fn matrix(tensor: &Tensor<'_>, pool: &Pool) -> Matrix {
    Matrix::new(tensor, &mut Arena::new(Path::new("a.gguf")), pool).unwrap()
}

/// A matrix of random blocks whose scales are of usual size.
fn random_matrix(format: Format, rows: usize, cols: usize) -> (Matrix, Vec<f32>) {
    let mut values = noise(1, rows * cols);
    // Outliers, zeros, and a block of nothing but zeros.
    values.iter_mut().step_by(17).for_each(|x| *x *= 9.0);
    values.iter_mut().skip(3).step_by(29).for_each(|x| *x = 0.0);
    values[..format.block_len()].fill(0.0);
    quantized_matrix(format, rows, cols, values)
}

/// A matrix of these numbers in a format, and what has become of them.
fn quantized_matrix(format: Format, rows: usize, cols: usize, mut values: Vec<f32>) -> (Matrix, Vec<f32>) {
    let mut bytes = vec![0; format.size_of(&[rows, cols]).unwrap()];
    quant::encode(format, Encoder::Reference, &values, &mut bytes);
    quant::decode(format, &bytes, &mut values);
    let tensor = Tensor { name: "w", shape: &[rows, cols], format, data: bytes.into() };
    (matrix(&tensor, &Pool::new(Some(2)).unwrap()), values)
}

fn product(matrix: &Matrix, x: &[f32], kernels: &Kernels, pool: &Pool) -> Vec<f32> {
    let x = Activations::of(x, matrix, kernels, pool);
    let [out] = multiply_all([(matrix, &x)], kernels, pool);
    out.to_vec()
}

/// What the products of quantized weights make of activations.
fn rounded(x: &[f32]) -> Vec<f32> {
    let mut blocks = vec![Block::default(); x.len().div_ceil(32)];
    (scalar::KERNELS.quantize)(x, &mut blocks);
    let bytes = |block: &Block| block.quads.map(i32::to_le_bytes).concat();
    let values =
        |block: &Block| bytes(block).into_iter().map(|byte| f32::from(byte as i8) * block.scale).collect::<Vec<_>>();
    blocks.iter().flat_map(values).take(x.len()).collect()
}

#[test]
fn every_instruction_set_agrees_with_f64_on_products_in_every_format() {
    let pool = Pool::new(Some(1)).unwrap();
    for format in Format::ALL {
        // Whole and broken panels, one block and many.
        for (rows, blocks) in [(1, 1), (16, 2), (37, 3)] {
            let cols = blocks * format.block_len().max(if format.is_float() { 7 } else { 1 });
            let (matrix, weights) = random_matrix(format, rows, cols);
            for n in [1, 2, 3, 8, 13] {
                let x = noise(9, n * cols);
                let exact: Vec<f64> = x
                    .chunks(cols)
                    .flat_map(|x| {
                        let x = if matrix.takes_blocks() { rounded(x) } else { x.to_vec() };
                        let dot =
                            move |row: &[f32]| row.iter().zip(&x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
                        weights.chunks(cols).map(dot).collect::<Vec<f64>>()
                    })
                    .collect();
                for kernels in available() {
                    for (got, exact) in product(&matrix, &x, kernels, &pool).iter().zip(&exact) {
                        let off = (f64::from(*got) - exact).abs();
                        // Sums of activations, by which minima are multiplied, have eleven binary digits.
                        let rounded_sums = matches!(format, Format::Q4_1 | Format::Q5_1 | Format::Q5_1_V100);
                        let tolerance = if rounded_sums { 3e-4 } else { 1e-5 };
                        assert!(
                            off < tolerance * cols as f64,
                            "{format} {} {rows}x{cols} {n}: {got} {exact}",
                            kernels.isa
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_product_is_the_same_to_the_bit_for_any_number_of_rows_and_threads() {
    for format in Format::ALL {
        // More blocks than stay in the nearest cache, and not all of them full steps.
        let (rows, cols) = (350, 5 * format.block_len().max(128));
        let (matrix, _) = random_matrix(format, rows, cols);
        let x = noise(2, 21 * cols);
        for kernels in available() {
            let one = Pool::new(Some(1)).unwrap();
            let singly: Vec<f32> = x.chunks(cols).flat_map(|x| product(&matrix, x, kernels, &one)).collect();
            for threads in [1, 3] {
                let pool = Pool::new(Some(threads)).unwrap();
                assert_eq!(product(&matrix, &x, kernels, &pool), singly, "{format} {} {threads}", kernels.isa);
            }
        }
    }
}

#[test]
fn activations_in_bytes_are_within_half_a_step() {
    for kernels in available() {
        for n in [1, 31, 32, 33, 100] {
            let x: Vec<f32> = noise(4, n).iter().enumerate().map(|(i, x)| x * (i as f32 + 1.0)).collect();
            let mut blocks = vec![Block::default(); n.div_ceil(32)];
            (kernels.quantize)(&x, &mut blocks);
            for (x, block) in x.chunks(32).zip(&blocks) {
                let bytes = block.quads.map(i32::to_le_bytes).concat();
                let most = x.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                assert!((block.scale - most / 127.0).abs() <= 5e-4 * block.scale);
                for (i, byte) in bytes.iter().enumerate() {
                    let value = f32::from(*byte as i8) * block.scale;
                    let x = x.get(i).copied().unwrap_or(0.0);
                    assert!(
                        (value - x).abs() <= block.scale * 0.5 + 5e-4 * x.abs(),
                        "{} {i}: {value} for {x}",
                        kernels.isa
                    );
                }
                let sum = |half: &[u8]| half.iter().map(|&byte| i16::from(byte as i8)).sum::<i16>();
                assert_eq!(block.sums, [sum(&bytes[..16]), sum(&bytes[16..])]);
                let [first, second] = block.sums.map(|sum| f32::from(sum) * block.scale);
                assert_eq!(block.totals[1..], [first + second, first, second]);
                let [total, exact] = [block.totals[0], first + second];
                assert!((total - exact).abs() <= 1e-3 * exact.abs(), "{} {total} {exact}", kernels.isa);
            }
        }
    }
}

#[test]
fn activations_that_are_not_finite_are_not_lost_and_tiny_ones_are_zeros() {
    for kernels in available() {
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for numbers in [&[1.0, x, -2.0][..], &[x; 32]] {
                let mut block = [Block::default()];
                (kernels.quantize)(numbers, &mut block);
                assert!(block[0].scale.is_nan() && block[0].totals[0].is_nan(), "{} {numbers:?}", kernels.isa);
            }
        }
        let mut tiny = [Block::default()];
        (kernels.quantize)(&[1e-38; 32], &mut tiny);
        assert_eq!((tiny[0].scale, tiny[0].quads), (0.0, [0; 8]));
    }
}

#[test]
fn relu_squared_keeps_what_is_not_finite() {
    for kernels in available() {
        for n in [1, 8, 33] {
            let numbers = |x: f32| (0..n).map(|_| x).collect::<Vec<_>>();
            for (x, expected) in [(-3.0, 0.0), (0.5, 0.25), (f32::NEG_INFINITY, 0.0), (f32::INFINITY, f32::INFINITY)] {
                let mut changed = numbers(x);
                (kernels.relu_squared)(&mut changed);
                assert_eq!(changed, numbers(expected), "{}", kernels.isa);
            }
            let mut lost = numbers(f32::NAN);
            (kernels.relu_squared)(&mut lost);
            assert!(lost.iter().all(|x| x.is_nan()), "{}", kernels.isa);
        }
    }
}

#[test]
fn weights_and_activations_at_the_ends_of_their_ranges_do_not_overflow() {
    let cols = 64;
    for byte in [-128i8, -127, 127] {
        let block = [&half::f16::ONE.to_le_bytes()[..], &[byte as u8; 32]].concat();
        let data = block.repeat(2 * 16);
        let tensor = Tensor { name: "w", shape: &[16, cols], format: Format::Q8_0, data: data.into() };
        let pool = Pool::new(Some(1)).unwrap();
        let matrix = matrix(&tensor, &pool);
        for sign in [1.0, -1.0] {
            for kernels in available() {
                for n in [1, 2, 4, 8, 9] {
                    let out = product(&matrix, &vec![127.0 * sign; n * cols], kernels, &pool);
                    let expected = f32::from(byte) * 127.0 * sign * cols as f32;
                    assert!(out.iter().all(|&x| x == expected), "{} {byte} {sign}: {} {expected}", kernels.isa, out[0]);
                }
            }
        }
    }
}

#[test]
fn products_of_nothing_but_highest_levels_do_not_overflow() {
    let pool = Pool::new(Some(1)).unwrap();
    for format in Format::ALL.into_iter().filter(|format| !format.is_float() && *format != Format::Q4_1_O) {
        let cols = 2 * format.block_len();
        // The one number at the other end makes all others the last level there is.
        let values = (0..16 * cols).map(|i| if i % 32 == 7 { -16.0 } else { 15.0 }).collect();
        let (matrix, weights) = quantized_matrix(format, 16, cols, values);
        for x in [127.0, -127.0] {
            let exact: Vec<f32> = weights.chunks(cols).map(|row| row.iter().sum::<f32>() * x).collect();
            for kernels in available() {
                for n in [1, 2, 4, 9] {
                    for out in product(&matrix, &vec![x; n * cols], kernels, &pool).chunks(16) {
                        for (got, exact) in out.iter().zip(&exact) {
                            let off = (got - exact).abs();
                            assert!(off < 1e-3 * exact.abs(), "{format} {} {n}: {got} {exact}", kernels.isa);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_best_instructions_of_an_x86_processor_come_first() {
    let best = match (is_x86_feature_detected!("avx512vnni"), is_x86_feature_detected!("avx2")) {
        (true, _) if amx::allowed() => "amx",
        (true, _) => "avx512",
        (_, true) if is_x86_feature_detected!("avxvnni") => "avxvnni",
        (_, true) => "avx2",
        _ => "scalar",
    };
    assert_eq!(select(None).unwrap().isa, best);
    let places = available().into_iter().map(|kernels| {
        ["amx", "avx512", "avxvnni", "avx2", "scalar"].iter().position(|isa| *isa == kernels.isa).unwrap()
    });
    assert!(places.is_sorted());
}

#[cfg(target_arch = "aarch64")]
#[test]
fn the_best_instructions_of_an_arm_processor_are_used() {
    let best = match (is_aarch64_feature_detected!("dotprod"), is_aarch64_feature_detected!("i8mm")) {
        (true, true) => "i8mm",
        (true, false) => "dotprod",
        _ => "neon",
    };
    assert_eq!(select(None).unwrap().isa, best);
    let all: Vec<_> = available().iter().map(|kernels| kernels.isa).collect();
    assert!(["i8mm", "dotprod", "neon", "scalar"].ends_with(&all), "{all:?}");
}

#[test]
fn an_instruction_set_that_does_not_exist_is_refused_by_name() {
    assert_eq!(select(Some("scalar")).unwrap().isa, "scalar");
    let message = select(Some("mmx")).unwrap_err().to_string();
    assert!(message.contains("mmx") && message.contains("scalar"), "{message}");
}

/// The largest error of a function in units of its result's last place, over numbers of every size.
fn largest_error(f: fn(&mut [f32]), exact: impl Fn(f64) -> f64) -> f64 {
    let inputs: Vec<f32> =
        (0..=u32::MAX).step_by(9973).map(f32::from_bits).filter(|x| x.is_finite() && x.abs() < 200.0).collect();
    let mut outputs = inputs.clone();
    f(&mut outputs);
    let errors = inputs.iter().zip(&outputs).map(|(&x, &y)| {
        let exact = exact(f64::from(x));
        let rounded = exact as f32;
        if y == rounded {
            return 0.0;
        }
        if exact.abs() < f64::from(f32::MIN_POSITIVE) {
            assert!(y.abs() <= f32::MIN_POSITIVE, "{x}: {y}");
            return 0.0;
        }
        let place = f64::from(rounded.next_up()) - f64::from(rounded);
        (f64::from(y) - exact).abs() / place.abs()
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn every_instruction_set_computes_functions_within_the_stated_bounds() {
    for kernels in available() {
        let slack = if kernels.isa == "scalar" { 0.5 } else { 0.0 };
        let exp = largest_error(kernels.exp, f64::exp);
        let sigmoid = largest_error(kernels.sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
        let tanh = largest_error(kernels.tanh, f64::tanh);
        assert!(
            exp <= 1.0 + slack && sigmoid <= 2.0 + slack && tanh <= 2.0 + slack,
            "{} {exp} {sigmoid} {tanh}",
            kernels.isa
        );
    }
}

#[test]
fn functions_of_what_is_not_finite_are_as_in_the_standard_library() {
    for kernels in available() {
        let of = |f: fn(&mut [f32])| {
            let mut x = [f32::NEG_INFINITY, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN, 0.0];
            f(&mut x);
            assert!(x[2].is_nan(), "{}", kernels.isa);
            [x[0], x[1], x[3], x[4], x[5]]
        };
        assert_eq!(of(kernels.exp), [0.0, f32::INFINITY, f32::INFINITY, 0.0, 1.0], "{}", kernels.isa);
        assert_eq!(of(kernels.sigmoid), [0.0, 1.0, 1.0, 0.0, 0.5], "{}", kernels.isa);
        assert_eq!(of(kernels.tanh), [-1.0, 1.0, 1.0, -1.0, 0.0], "{}", kernels.isa);
    }
}
