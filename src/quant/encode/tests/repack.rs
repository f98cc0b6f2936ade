use super::*;
use crate::quant::repack;

const PAIRS: [(Format, Format); 5] =
    [(Q4_0, Q4_0_V100), (Q4_1, Q4_1_V100), (Q5_0, Q5_0_V100), (Q5_1, Q5_1_V100), (Q8_0, Q8_0_V100)];

use Format::*;

fn repacked(from: Format, to: Format, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; bytes.len() / from.block_bytes() * to.block_bytes()];
    assert!(repack(from, to, bytes, &mut out));
    out
}

fn decoded(format: Format, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![0.0; bytes.len() / format.block_bytes() * format.block_len()];
    decode(format, bytes, &mut out);
    out
}

#[test]
fn a_block_of_today_means_the_same_in_version_100_and_comes_back_as_it_was() {
    let values = bell(3, 32 * 50);
    for (modern, old) in PAIRS {
        for encoder in [Encoder::Search, Encoder::Reference] {
            let bytes = encoded(modern, encoder, &values);
            let as_old = repacked(modern, old, &bytes);
            assert_eq!(decoded(old, &as_old), decoded(modern, &bytes), "{modern}");
            assert_eq!(repacked(old, modern, &as_old), bytes, "{modern}");
        }
    }
}

#[test]
fn a_block_of_version_100_keeps_its_levels_and_its_scale_as_far_as_half_precision_goes() {
    let values = bell(5, 32 * 50);
    for (modern, old) in PAIRS {
        let bytes = encoded(old, Encoder::Reference, &values);
        let (before, after) = (decoded(old, &bytes), decoded(modern, &repacked(old, modern, &bytes)));
        for (block, (before, after)) in before.chunks(32).zip(after.chunks(32)).enumerate() {
            let largest = before.iter().fold(0f32, |most, x| most.max(x.abs()));
            let off = before.iter().zip(after).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            // Half precision has eleven bits; scale and minimum are both rounded.
            assert!(off <= largest / 1024.0, "{old}, block {block}: {off} of {largest}");
        }
    }
}

#[test]
fn formats_that_are_no_counterparts_are_left_to_the_encoder() {
    for (from, to) in [(Q4_0, Q4_1), (Q4_0, Q4_0), (Q4_2, Q4_0), (F16, F32), (Q5_1_V100, Q5_0)] {
        assert!(!repack(from, to, &[0; 64], &mut [0; 64]), "{from} {to}");
    }
}
