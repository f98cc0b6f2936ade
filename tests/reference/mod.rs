//! The golden files (see `tests/golden/README.md`) and NumPy's file form.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};

/// The tokens behind every golden `.logits.npy`.
pub fn tokens() -> Vec<u32> {
    (0..16).map(|i| (7919 * i + 13) % 256).collect()
}

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Shape and numbers of a float32 `.npy` file of version 1.
pub fn read_npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{}", path.display());
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!(end % 64, 0, "NumPy aligns the numbers to 64 bytes");
    let header = std::str::from_utf8(&bytes[10..end]).unwrap();
    assert!(header.contains("'descr': '<f4'") && header.contains("'fortran_order': False"), "{header}");
    let (_, shape) = header.split_once("'shape': (").unwrap();
    let (shape, _) = shape.split_once(')').unwrap();
    let shape: Vec<usize> =
        shape.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect();
    let numbers = bytes[end..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (shape, numbers)
}

/// `[n_tokens, n_vocab]` after each of [`tokens`].
pub fn golden_logits(name: &str) -> Vec<f32> {
    let (shape, logits) = read_npy(&golden(&format!("{name}.logits.npy")));
    assert_eq!(shape, [16, 256]);
    logits
}

/// The largest absolute difference; a NaN anywhere counts as infinite.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() }).fold(0.0, f32::max)
}

/// The root mean square of the differences, as a share of the expected numbers' own.
pub fn relative_rms(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let squares = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let off = squares(&mut got.iter().zip(expected).map(|(a, b)| a - b));
    (off / squares(&mut expected.iter().copied())).sqrt() as f32
}
