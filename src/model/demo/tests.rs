//! Models that lie in the program. Miri, which maps no files, can begin on these; it is too slow to come to the end of a pass.

#[path = "../../../tests/reference/mod.rs"]
mod reference;

use super::*;
use crate::convert::Quantization;
use crate::model::{Logits, Sequence};
use crate::quant::Format;
use reference::{distance, golden_logits, relative_rms, tokens};

/// Its name and content.
type File = (&'static str, &'static [u8]);

macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../tests/golden/", $name)).as_slice())
    };
}

fn open((file, bytes): File, format: Option<Format>) -> Model {
    let quantization = format.map(|format| Quantization { format: Some(format), ..Quantization::default() });
    let options = ModelOptions { threads: Some(2), quantization, ..ModelOptions::default() };
    Model::load(Checkpoint::embedded(file, bytes).unwrap(), options).unwrap()
}

/// Of two sessions at once, where the second began with the first's first token.
fn logits(model: &Model) -> [Vec<f32>; 2] {
    let (all, mut states) = (tokens(), [0; 2].map(|_| model.new_state()));
    let [a, b] = &mut states;
    let mut first = model.decode(b, all[0]).unwrap();
    let mut batch = [
        Sequence { state: a, tokens: &all[..3], logits: Logits::All },
        Sequence { state: b, tokens: &all[1..3], logits: Logits::All },
    ];
    let [a, b]: [Vec<f32>; 2] = model.forward(&mut batch).unwrap().try_into().unwrap();
    first.extend(b);
    [a, first]
}

fn check(file: File, reference: &str) {
    let expected = &golden_logits(reference)[..3 * 256];
    for got in logits(&open(file, None)) {
        let off = distance(&got, expected);
        assert!(off <= 1e-4, "off by {off}");
    }
}

#[test]
fn an_rwkv_4_in_the_program_gives_the_references_logits() {
    check(file!("v4-100.bin"), "v4");
}

#[test]
fn an_rwkv_5_in_the_program_gives_the_references_logits() {
    check(file!("v5.2.pth"), "v5.2-bf16");
}

#[test]
fn an_rwkv_6_in_the_program_gives_the_references_logits() {
    check(file!("v6-101.bin"), "v6");
}

#[test]
fn an_rwkv_7_in_the_program_gives_the_references_logits() {
    check(file!("v7.safetensors"), "v7");
}

#[test]
fn a_model_in_the_program_is_quantized_as_it_is_loaded() {
    let expected = &golden_logits("v7")[..3 * 256];
    for (format, tolerance) in [(Format::Q8_0, 0.03), (Format::Q5_1, 0.15)] {
        for got in logits(&open(file!("v7.safetensors"), Some(format))) {
            let off = relative_rms(&got, expected);
            assert!(off > 0.0 && off < tolerance, "{format}: off by {off}");
        }
    }
}
