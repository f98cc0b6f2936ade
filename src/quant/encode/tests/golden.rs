//! The bytes that ggml writes (`tests/golden/make_quant.py`).

use std::path::PathBuf;

use super::*;

const LEN: usize = 256;
const FORMATS: [Format; 11] = [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL];

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/quant").join(name)
}

/// The rows of `make_quant.py`.
fn rows() -> Vec<Vec<f32>> {
    let (bell, heavy) = (bell(0, LEN), heavy(4, LEN));
    let (u5, u6, u7) = (noise(5, LEN), noise(6, LEN), noise(7, LEN));
    let map = |x: &[f32], f: &dyn Fn(f32) -> f32| -> Vec<f32> { x.iter().map(|x| f(*x)).collect() };
    let mut outlier = map(&u5, &|x| x / 1024.0);
    outlier[77] = 3.0;
    vec![
        bell.clone(),
        heavy.clone(),
        outlier,
        vec![0.0; LEN],
        map(&u6, &|x| if x < 0.0 { -0.0 } else { 0.0 }),
        vec![-0.37; LEN],
        map(&bell, &|x| -x.abs()),
        map(&heavy, &f32::abs),
        u6.iter().zip(&u7).map(|(choice, x)| if choice.abs() < 0.9 { 0.0 } else { *x }).collect(),
        map(&bell, &|x| (x * 4.0).round_ties_even() / 8.0),
        map(&bell, &|x| x + 5.0),
        map(&bell, &|x| x * (-21f32).exp2()),
        map(&bell, &|x| x * (-60f32).exp2()),
        heavy.iter().zip(&bell).map(|(a, b)| a * b).collect(),
        map(&bell, &|x| x * 25f32.exp2()),
    ]
}

#[test]
fn the_reference_encoder_writes_ggmls_bytes() {
    let rows = rows();
    for format in FORMATS {
        let expected = std::fs::read(golden(&format!("{format}.bin"))).unwrap();
        let size = format.size_of(&[LEN]).unwrap();
        assert_eq!(expected.len(), rows.len() * size, "{format}");
        for (i, (row, expected)) in rows.iter().zip(expected.chunks(size)).enumerate() {
            assert_eq!(encoded(format, Encoder::Reference, row), expected, "{format}, row {i}");
        }
    }
}

#[test]
fn the_decoders_read_ggmls_bytes_as_ggml_does() {
    let checksums: serde_json::Value = serde_json::from_slice(&std::fs::read(golden("decoded.json")).unwrap()).unwrap();
    for format in FORMATS {
        let bytes = std::fs::read(golden(&format!("{format}.bin"))).unwrap();
        // The last row overflows half precision, and NaN are not all alike.
        let mut decoded = vec![0.0; (rows().len() - 1) * LEN];
        decode(format, &bytes[..format.size_of(&[decoded.len()]).unwrap()], &mut decoded);
        // FNV-1a, 64 bits.
        let checksum = decoded
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        assert_eq!(checksums[format.name()], format!("{checksum:016x}"), "{format}");
    }
}

#[test]
fn the_formats_that_ggml_searches_are_the_same_from_both_encoders() {
    for format in [Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL] {
        for row in &rows()[..14] {
            assert_eq!(encoded(format, Encoder::Search, row), encoded(format, Encoder::Reference, row), "{format}");
        }
    }
}
