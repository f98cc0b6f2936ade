//! Trained models with rwkv.cpp's own logits, and its own quantized files, in `../shared/fixtures` beside the project.
//! A clone by itself does not have them: these tests then say so and pass.
#![allow(clippy::unwrap_used)]

mod reference;

use std::path::{Path, PathBuf};

use reference::{read_npy, relative_rms};
use volary::convert::{ConvertOptions, Policy, Quantization, convert};
use volary::model::{Logits, Sequence};
use volary::quant::{Encoder, Format};
use volary::{Model, ModelOptions};

const PROMPT: &str = r#""in the beginning," said the old king, "there was a small house by the sea."#;

/// What float32 arithmetic makes of logits, at most.
const FLOATS: f32 = 1e-6;

/// The folder, if it is there.
fn fixtures() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

/// Every `.bin` of the fixtures.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for kind in ["tiny-rwkv", "seed-v100"] {
        files.extend(std::fs::read_dir(folder.join(kind)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    files.sort();
    assert_eq!(files.len(), 14);
    files
}

fn is_quantized(file: &Path) -> bool {
    !file.to_str().unwrap().ends_with("FP32.bin") || file.to_str().unwrap().contains("-from-FP32")
}

/// `[75, 256]`, after each byte of the prompt.
fn logits(file: &Path) -> Vec<f32> {
    // rwkv.cpp computes RWKV-5 with this epsilon.
    let group_norm_eps = file.to_str().unwrap().contains("5v2").then_some(1e-5);
    let model = Model::open_with(file, ModelOptions { group_norm_eps, ..Default::default() }).unwrap();
    let tokens: Vec<u32> = PROMPT.bytes().map(u32::from).collect();
    let batch = &mut [Sequence { state: &mut model.new_state(), tokens: &tokens, logits: Logits::All }];
    model.forward(batch).unwrap().remove(0)
}

#[test]
fn unquantized_fixtures_give_rwkv_cpps_logits() {
    let Some(folder) = fixtures() else { return };
    for file in files(&folder).iter().filter(|file| !is_quantized(file)) {
        let (shape, expected) = read_npy(&file.with_extension("logits.npy"));
        assert_eq!(shape, [75, 256]);
        let off = relative_rms(&logits(file), &expected);
        assert!(off < FLOATS, "{}: off by {off}", file.display());
    }
}

#[test]
fn quantized_fixtures_come_out_byte_for_byte() {
    let Some(folder) = fixtures() else { return };
    let output = tempfile::tempdir().unwrap();
    let target = output.path().join("model.bin");
    let mut reproduced = 0;
    for file in files(&folder).iter().filter(|file| is_quantized(file)) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let (model, format) = match name.strip_prefix("tiny-4v0-v100-") {
            Some(rest) => ("tiny-rwkv-4v0-660K", rest.split("-from").next().unwrap()),
            None => name.strip_suffix(".bin").unwrap().rsplit_once('-').unwrap(),
        };
        let source = folder.join("tiny-rwkv").join(format!("{model}-FP32.bin"));
        if !source.exists() {
            continue;
        }
        let quantization = Quantization {
            format: Some(Format::named(format).unwrap()),
            encoder: Encoder::Reference,
            policy: Some(Policy::RwkvCpp),
            ..Default::default()
        };
        let file_version = Some(if name.contains("v100") { 100 } else { 101 });
        convert(&source, &target, &ConvertOptions { quantization, file_version, ..Default::default() }).unwrap();
        assert!(std::fs::read(&target).unwrap() == std::fs::read(file).unwrap(), "{name} differs");
        reproduced += 1;
    }
    assert_eq!(reproduced, 10);
}

#[test]
fn quantized_fixtures_are_nearer_to_rwkv_cpp_than_it_is_to_an_exact_dequantization_and_no_further_from_that() {
    let Some(folder) = fixtures() else { return };
    let mut sums = [0.0; 2];
    let output = tempfile::tempdir().unwrap();
    for file in files(&folder).iter().filter(|file| is_quantized(file)) {
        // The version 2 in the name keeps the epsilon's rule above.
        let target = output.path().join(file.file_name().unwrap());
        std::fs::write(&target, dequantized(&std::fs::read(file).unwrap())).unwrap();
        let (exact, ours) = (logits(&target), logits(file));
        let (_, theirs) = read_npy(&file.with_extension("logits.npy"));
        let (off, theirs_off) = (relative_rms(&ours, &exact), relative_rms(&theirs, &exact));
        let apart = relative_rms(&ours, &theirs);
        let name = file.file_name().unwrap().display();
        eprintln!("{name}: off by {off:.2e}, in rwkv.cpp by {theirs_off:.2e}, {apart:.2e} from rwkv.cpp");
        assert!(off < 0.008, "{name}: off by {off}");
        // rwkv.cpp rounds activations; a product that does not is as far from its logits as these are off. The matrices
        // of Q4_1_O it multiplies in float32, too.
        assert!(apart < theirs_off.max(FLOATS), "{name}: {apart} from rwkv.cpp, which is off by {theirs_off}");
        sums = [sums[0] + off, sums[1] + theirs_off];
    }
    assert!(sums[0] < sums[1], "{sums:?}");
}

/// The same `.bin` with every tensor in FP32, by decoders written for this test after rwkv.cpp's and ggml's sources.
fn dequantized(file: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
    let version = number(4);
    let mut out = file[..24].to_vec();
    out[20..24].fill(0);
    let mut at = 24;
    while at < file.len() {
        let (n_dims, name_len, kind) = (number(at) as usize, number(at + 4) as usize, number(at + 8));
        let count: usize = (0..n_dims).map(|i| number(at + 12 + 4 * i) as usize).product();
        let data = at + 12 + 4 * n_dims + name_len;
        out.extend(&file[at..at + 8]);
        out.extend(0u32.to_le_bytes());
        out.extend(&file[at + 12..data]);
        let (len, size) = match (version, kind) {
            (_, 0) => (1, 4),
            (100, 2) => (32, 20),
            (100, 3 | 4) => (32, 24),
            (100, 5) => (16, 10),
            (100, 6) => (16, 12),
            (101, 2) => (32, 18),
            (101, 3) => (32, 20),
            (101, 7) => (32, 22),
            (101, 8) => (32, 24),
            (101, 9) => (32, 34),
            other => panic!("{other:?}"),
        };
        for block in file[data..data + count / len * size].chunks_exact(size) {
            for i in 0..len {
                out.extend(value(version, kind, block, i, len).to_le_bytes());
            }
        }
        at = data + count / len * size;
    }
    out
}

/// Number `i` of a block.
fn value(version: u32, kind: u32, block: &[u8], i: usize, len: usize) -> f32 {
    let single = |at: usize| f32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    let half = |at: usize| half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    let interleaved = |at: usize| f32::from((block[at + i / 2] >> (4 * (i % 2))) & 15);
    let split = |at: usize| f32::from((block[at + i % (len / 2)] >> (4 * (i / (len / 2)))) & 15);
    let fifth = |at: usize| f32::from((block[at + i / 8] >> (i % 8)) & 1) * 16.0;
    match (version, kind) {
        (_, 0) => single(0),
        (100, 2) => (interleaved(4) - 8.0) * single(0),
        (100, 3) => interleaved(8) * single(0) + single(4),
        (100, 4) if usize::from(u16::from_le_bytes([block[4], block[5]])) == i => half(6),
        (100, 4) => interleaved(8) * half(0) + half(2),
        (100, 5) => (interleaved(2) - 8.0) * half(0),
        (100, 6) => interleaved(4) * half(0) + half(2),
        (101, 2) => (split(2) - 8.0) * half(0),
        (101, 3) => split(4) * half(0) + half(2),
        (101, 7) => (split(6) + fifth(2) - 16.0) * half(0),
        (101, 8) => (split(8) + fifth(4)) * half(0) + half(2),
        (101, 9) => f32::from(block[2 + i] as i8) * half(0),
        other => panic!("{other:?}"),
    }
}
