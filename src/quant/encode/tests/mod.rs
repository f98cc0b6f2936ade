//! The encoders against ggml's own bytes, against formulas written down anew, and against each other.

mod golden;
mod legacy;
mod repack;
mod rounding;
mod search;

use super::*;
use crate::quant::decode;

/// Numbers between -1 and 1, of 24 bits; `make_quant.py` computes the same.
fn noise(seed: u32, n: usize) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_769).wrapping_add(12_345);
    std::iter::repeat_with(|| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(n)
    .collect()
}

/// Sums of four such numbers: nearly a bell curve.
fn bell(seed: u32, n: usize) -> Vec<f32> {
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| noise(seed + i, n));
    (0..n).map(|i| (a[i] + b[i]) + (c[i] + d[i])).collect()
}

/// Mostly small numbers with a few large ones.
fn heavy(seed: u32, n: usize) -> Vec<f32> {
    noise(seed, n).iter().map(|x| x * x * x * x * x).collect()
}

fn encoded(format: Format, encoder: Encoder, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; format.size_of(&[values.len()]).unwrap()];
    encode(format, encoder, values, &mut bytes);
    bytes
}

/// What is left of the numbers once they are encoded.
fn through(format: Format, encoder: Encoder, values: &[f32]) -> Vec<f32> {
    let mut decoded = vec![0.0; values.len()];
    decode(format, &encoded(format, encoder, values), &mut decoded);
    decoded
}

#[test]
fn floats_are_rounded_to_nearest_even() {
    // 67 numbers: one more run than the conversion takes at a time.
    let values: Vec<f32> = bell(1, 67);
    assert_eq!(through(F32, Encoder::Search, &values), values);
    let halves: Vec<f32> = values.iter().map(|x| half::f16::from_f32_const(*x).to_f32_const()).collect();
    assert_eq!(through(F16, Encoder::Search, &values), halves);
    let bfloats: Vec<f32> = values.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
    assert_eq!(through(BF16, Encoder::Search, &values), bfloats);
    // Halfway between two neighbours of each: to the even one.
    assert_eq!(through(F16, Encoder::Search, &[1.0 + 1.0 / 2048.0, 1.0 + 3.0 / 2048.0]), [1.0, 1.0 + 2.0 / 1024.0]);
    assert_eq!(through(BF16, Encoder::Search, &[1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0]), [1.0, 1.0 + 2.0 / 128.0]);
}

use Format::*;
