use half::{bf16, f16};

use super::*;
use crate::checkpoint::Tensor;
use crate::pool::Pool;
use crate::quant::Format;

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
fn every_instruction_set_agrees_with_f64_on_dot_products_of_odd_lengths() {
    for kernels in available() {
        for n in [1, 3, 15, 16, 17, 31, 64, 100, 257] {
            let rows: Vec<_> = (0..4).map(|i| noise(i, n)).collect();
            let x = noise(9, n);
            let got = (kernels.dot4)([&rows[0], &rows[1], &rows[2], &rows[3]], &x);
            let exact: Vec<f32> =
                rows.iter().map(|row| row.iter().zip(&x).map(|(a, b)| f64::from(a * b)).sum::<f64>() as f32).collect();
            close(&got, &exact, 1e-5);
        }
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
    for n in [1, 7, 32, 64] {
        let inputs: Vec<_> = (0..6).map(|i| noise(i, n)).collect();
        let decay: Vec<f32> = inputs[3].iter().map(|x| x.abs()).collect();
        let head5 =
            Head5 { receptance: &inputs[0], key: &inputs[1], value: &inputs[2], decay: &decay, bonus: &inputs[4] };
        let head7 = Head7 {
            receptance: &inputs[0],
            key: &inputs[1],
            value: &inputs[2],
            decay: &decay,
            removal: &inputs[4],
            rate: &inputs[5],
        };
        let run = |kernels: &Kernels| {
            let (mut s5, mut s7) = (noise(7, n * n), noise(8, n * n));
            let (mut out5, mut out7) = (vec![0.0; n], vec![0.0; n]);
            (kernels.wkv5)(&mut s5, head5, &mut out5);
            (kernels.wkv7)(&mut s7, head7, &mut out7);
            [s5, s7, out5, out7]
        };
        let truth = run(&scalar::KERNELS);
        for kernels in available() {
            for (got, want) in run(kernels).iter().zip(&truth) {
                close(got, want, 1e-5);
            }
        }
    }
}

#[test]
fn a_product_is_the_same_to_the_bit_for_any_number_of_rows_and_threads() {
    let (rows, cols) = (37, 50);
    let bytes: Vec<u8> = noise(1, rows * cols).iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensor = Tensor { name: "w", shape: &[rows, cols], format: Format::F32, data: bytes.into() };
    let matrix = Matrix::new(&tensor, &Pool::new(Some(2)).unwrap()).unwrap();
    let x = noise(2, 5 * cols);
    for kernels in available() {
        let one = Pool::new(Some(1)).unwrap();
        let singly: Vec<f32> = x.chunks(cols).flat_map(|x| matrix.multiply(x, kernels, &one)).collect();
        for threads in [1, 3] {
            let pool = Pool::new(Some(threads)).unwrap();
            assert_eq!(matrix.multiply(&x, kernels, &pool), singly);
        }
    }
}

#[test]
fn an_instruction_set_that_does_not_exist_is_refused_by_name() {
    assert_eq!(select(Some("scalar")).unwrap().isa, "scalar");
    let message = select(Some("mmx")).unwrap_err().to_string();
    assert!(message.contains("mmx") && message.contains("scalar"), "{message}");
}
