#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::TempDir;

use super::*;
use crate::quant::{self, Encoder, Format};

const KEY: &str = "blocks.0.att.key";
const WEIGHT: &str = "blocks.0.att.key.weight";

/// A tensor's name, shape and numbers.
type Tensor<'a> = (&'a str, &'a [usize], &'a [f32]);

/// A base with one matrix `[2, 4]` and one vector.
const BASE: [Tensor<'static>; 2] =
    [(WEIGHT, &[2, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), ("blocks.0.ln1.weight", &[4], &[1.0; 4])];
const A: Tensor<'static> = ("blocks.0.att.key.lora_A", &[1, 4], &[1.0, 0.0, 0.0, -1.0]);
const B: Tensor<'static> = ("blocks.0.att.key.lora_B", &[2, 1], &[0.5, 2.0]);
const INIT_A: Tensor<'static> = ("blocks.0.att.key.init_lora_A", &[1, 4], &[1.0; 4]);
const INIT_B: Tensor<'static> = ("blocks.0.att.key.init_lora_B", &[2, 1], &[1.0; 2]);
const DISHA: Tensor<'static> = ("blocks.0.att.key.disha", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);

fn write(folder: &TempDir, name: &str, format: Format, tensors: &[Tensor<'_>]) -> PathBuf {
    let dtype = match format {
        Format::F16 => Dtype::F16,
        _ => Dtype::F32,
    };
    let data: Vec<_> = tensors
        .iter()
        .map(|(_, shape, numbers)| {
            let mut data = vec![0; format.size_of(shape).unwrap()];
            quant::encode(format, Encoder::Reference, numbers, &mut data);
            data
        })
        .collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape, _), data)| (name.to_string(), TensorView::new(dtype, shape.to_vec(), data).unwrap()));
    let path = folder.path().join(name);
    // What an earlier file of this name was merged into still reads from it.
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

fn base(folder: &TempDir, format: Format) -> Checkpoint {
    Checkpoint::open(write(folder, "base.safetensors", format, &BASE)).unwrap()
}

fn lora(folder: &TempDir, alpha: Option<f32>, tensors: &[Tensor<'_>]) -> Lora {
    Lora { path: write(folder, "lora.safetensors", Format::F32, tensors), alpha, pissa_init: None }
}

fn weight(checkpoint: &Checkpoint) -> Vec<f32> {
    checkpoint.tensor(WEIGHT).unwrap().to_f32()
}

/// The one line that merging these tensors fails with, having changed nothing.
fn refusal(alpha: Option<f32>, trained: &[Tensor<'_>], init: Option<&[Tensor<'_>]>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = base(&folder, Format::F32);
    let mut lora = lora(&folder, alpha, trained);
    lora.pissa_init = init.map(|init| write(&folder, "init.safetensors", Format::F32, init));
    let message = checkpoint.merge(&lora).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    assert_eq!(weight(&checkpoint), BASE[0].2);
    message
}

fn assert_names(message: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(message.contains(word), "{word:?} is not in: {message}"));
}

#[test]
fn a_lora_adds_its_product_times_alpha_over_rank() {
    let folder = tempfile::tempdir().unwrap();
    for suffix in ["", ".weight"] {
        let (a, b) = (format!("{}{suffix}", A.0), format!("{}{suffix}", B.0));
        let mut checkpoint = base(&folder, Format::F32);
        let summary = checkpoint.merge(&lora(&folder, Some(3.0), &[(&a, A.1, A.2), (&b, B.1, B.2)])).unwrap();
        assert_eq!(summary, MergeSummary { lora: 1, ..Default::default() });
        assert_eq!(weight(&checkpoint), [2.5, 2.0, 3.0, 2.5, 11.0, 6.0, 7.0, 2.0]);
        assert_eq!(checkpoint.tensor("blocks.0.ln1.weight").unwrap().to_f32(), [1.0; 4]);
    }
}

#[test]
fn a_disha_adds_each_input_its_row_whatever_the_rank_divides() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = base(&folder, Format::F32);
    checkpoint.merge(&lora(&folder, None, &[DISHA])).unwrap();
    assert_eq!(weight(&checkpoint), [2.0, 5.0, 8.0, 5.0, 7.0, 10.0, 13.0, 10.0]);
}

#[test]
fn several_merges_round_like_several_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = base(&folder, Format::F16);
    // A third of the distance between neighbours at 1 to 2 is lost when it is rounded, each time.
    let small = [(A.0, A.1, &[1.0 / 3072.0, 0.0, 0.0, 0.0][..]), (B.0, B.1, &[1.0, 0.0])];
    for _ in 0..3 {
        checkpoint.merge(&lora(&folder, Some(1.0), &small)).unwrap();
    }
    assert_eq!(weight(&checkpoint), BASE[0].2);
    assert_eq!(checkpoint.tensor(WEIGHT).unwrap().format, Format::F16);
    // A tensor in full takes the place of what was merged before, and is merged into after.
    let whole = (WEIGHT, BASE[0].1, &[0.0; 8][..]);
    checkpoint.merge(&lora(&folder, None, &[whole, ("blocks.0.ln1.disha", &[1, 4], &[0.0; 4])])).unwrap_err();
    let other = ("blocks.0.ffn.key.lora_A", A.1, A.2);
    checkpoint.merge(&lora(&folder, Some(1.0), &[whole, other])).unwrap_err();
    assert_eq!(weight(&checkpoint), BASE[0].2, "a merge that fails changes nothing");
}

#[test]
fn a_whole_tensor_replaces_and_later_merges_add_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = BASE.to_vec();
    tensors.push(("blocks.0.att.value.weight", &[2, 4], &[0.0; 8]));
    let mut checkpoint = Checkpoint::open(write(&folder, "base.safetensors", Format::F16, &tensors)).unwrap();
    checkpoint.merge(&lora(&folder, Some(1.0), &[A, B])).unwrap();
    let value = |part, shape, numbers| (part, shape, numbers);
    let elsewhere = [
        value("blocks.0.att.value.lora_A", A.1, A.2),
        value("blocks.0.att.value.lora_B", B.1, B.2),
        value(WEIGHT, BASE[0].1, &[0.1; 8]),
    ];
    let summary = checkpoint.merge(&lora(&folder, Some(1.0), &elsewhere)).unwrap();
    assert_eq!(summary, MergeSummary { lora: 1, replaced: 1, ..Default::default() });
    assert_eq!(weight(&checkpoint), [0.1; 8], "in its own format, f32");
    checkpoint.merge(&lora(&folder, Some(1.0), &[A, B])).unwrap();
    assert_eq!(weight(&checkpoint), [0.6, 0.1, 0.1, -0.4, 2.1, 0.1, 0.1, -1.9]);
}

#[test]
fn tensors_that_do_not_fit_the_base_are_refused_by_name() {
    let unknown = ("blocks.7.att.key.lora_A", A.1, A.2);
    let unknown_b = ("blocks.7.att.key.lora_B", B.1, B.2);
    let message = refusal(Some(1.0), &[unknown, unknown_b], None);
    assert_names(&message, &["lora.safetensors", "blocks.7.att.key.weight", "base.safetensors", "another model"]);
    let message = refusal(Some(1.0), &[A, B, ("blocks.7.ln1.weight", &[4], &[0.0; 4])], None);
    assert_names(&message, &["blocks.7.ln1.weight", "base.safetensors"]);
    let vector = ("blocks.0.ln1.lora_A", A.1, A.2);
    let message = refusal(Some(1.0), &[vector, ("blocks.0.ln1.lora_B", B.1, B.2)], None);
    assert_names(&message, &["blocks.0.ln1.weight", "no matrix"]);

    for (a, b) in [
        ((A.0, &[1usize, 2][..], &[0.0; 2][..]), B),
        ((A.0, &[4, 1], &[0.0; 4]), B),
        (A, (B.0, &[1, 2], &[0.0; 2])),
        (A, (B.0, &[2, 2], &[0.0; 4])),
        ((A.0, &[0, 4], &[]), (B.0, &[2, 0], &[])),
        ((A.0, &[4], &[0.0; 4]), B),
    ] {
        assert_names(&refusal(Some(1.0), &[a, b], None), &["lora.safetensors", A.0, B.0, WEIGHT, "[2, 4]"]);
    }
    for shape in [&[3usize, 3][..], &[2, 3], &[9], &[4, 2, 1], &[1, 4, 4], &[2, 2, 4]] {
        let numbers = vec![0.0; shape.iter().product()];
        let message = refusal(None, &[(DISHA.0, shape, &numbers)], None);
        assert_names(&message, &["lora.safetensors", DISHA.0, WEIGHT, "[2, 4]"]);
    }
    let message = refusal(Some(1.0), &[A, B, ("blocks.0.ln1.weight", &[3], &[0.0; 3])], None);
    assert_names(&message, &["lora.safetensors", "blocks.0.ln1.weight", "[3]", "[4]"]);
}

#[test]
fn half_a_pair_and_mixtures_are_refused_by_name() {
    assert_names(&refusal(Some(1.0), &[A], None), &["lora.safetensors", WEIGHT, "lora_B"]);
    assert_names(&refusal(Some(1.0), &[B], None), &["lora.safetensors", WEIGHT, "lora_A"]);
    let message = refusal(Some(1.0), &[A, B, ("blocks.0.att.key.lora_A.weight", A.1, A.2)], None);
    assert_names(&message, &["lora.safetensors", "lora_A", "twice", "leave one out"]);
    for second in [DISHA, BASE[0]] {
        assert_names(&refusal(Some(1.0), &[A, B, second], None), &["lora.safetensors", WEIGHT, "several ways"]);
    }
    assert_names(&refusal(None, &[DISHA, BASE[0]], None), &[WEIGHT, "several ways"]);
}

#[test]
fn a_file_without_a_lora_is_refused() {
    for tensors in [&BASE[..], &[]] {
        assert_names(&refusal(Some(1.0), tensors, None), &["lora.safetensors", "holds no LoRA"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v7.gguf");
    let message = base(&folder, Format::F32).merge(&Lora { path, ..Default::default() }).unwrap_err().to_string();
    assert_names(&message, &["v7.gguf", ".pth or .safetensors"]);
    let missing = Lora { path: folder.path().join("missing.pth"), ..Default::default() };
    assert_names(
        &base(&folder, Format::F32).merge(&missing).unwrap_err().to_string(),
        &["missing.pth", "no such file"],
    );
}

#[test]
fn each_kind_takes_its_own_options_only() {
    assert_names(&refusal(None, &[A, B], None), &["alpha: is missing", "lora.safetensors", "pissa_init"]);
    for alpha in [f32::NAN, f32::INFINITY] {
        assert_names(&refusal(Some(alpha), &[A, B], None), &["alpha", &alpha.to_string()]);
    }
    assert_names(&refusal(Some(1.0), &[DISHA], None), &["alpha: must be left out", "lora.safetensors"]);
    assert_names(&refusal(None, &[DISHA], Some(&[INIT_A, INIT_B])), &["pissa_init: must be left out"]);
    assert_names(&refusal(Some(1.0), &[A, B], Some(&[INIT_A, INIT_B])), &["alpha", "pissa_init"]);
}

#[test]
fn initial_values_must_be_those_of_the_same_training() {
    assert_names(&refusal(None, &[A, B], Some(&[])), &["init.safetensors", WEIGHT, "another training"]);
    assert_names(&refusal(None, &[A, B], Some(&[INIT_A])), &["init.safetensors", WEIGHT, "init_lora_B"]);
    assert_names(&refusal(None, &[A, B], Some(&[A, B])), &["init.safetensors", A.0, "init_pissa.pth"]);
    let more = ["blocks.1.att.key.init_lora_A", "blocks.1.att.key.init_lora_B"];
    let message = refusal(None, &[A, B], Some(&[INIT_A, INIT_B, (more[0], A.1, A.2), (more[1], B.1, B.2)]));
    assert_names(&message, &["init.safetensors", "blocks.1.att.key.weight", "lora.safetensors"]);
    let short = (INIT_A.0, &[1, 3][..], &[0.0; 3][..]);
    assert_names(&refusal(None, &[A, B], Some(&[short, INIT_B])), &["init.safetensors", INIT_A.0]);
    assert_names(&refusal(None, &[INIT_A, INIT_B], None), &["lora.safetensors", INIT_A.0, "pissa_init"]);
}

#[test]
fn what_other_trainers_save_is_refused_by_what_it_is() {
    for (part, kind) in [
        ("lora_M", "DoRA"),
        ("lora_magnitude_vector.weight", "DoRA"),
        ("miss_block", "MiSS"),
        ("bone_block", "Bone"),
        ("lora.0", "web-rwkv"),
        ("time_state", "initial state"),
    ] {
        let name = if part == "time_state" { "blocks.0.att.time_state".to_string() } else { format!("{KEY}.{part}") };
        let message = refusal(Some(1.0), &[A, B, (&name, &[1], &[0.0])], None);
        assert_names(&message, &["lora.safetensors", &name, kind]);
    }
}

#[test]
fn an_adapter_of_hugging_faces_peft_merges_unless_its_scale_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["A", "B"].map(|part| format!("base_model.model.{KEY}.lora_{part}.weight"));
    let adapter = lora(&folder, Some(3.0), &[(&a, A.1, A.2), (&b, B.1, B.2)]);
    let config = folder.path().join("adapter_config.json");
    for (text, cause) in [
        (r#"{"use_rslora": true, "lora_alpha": 3}"#, "rsLoRA"),
        (r#"{"alpha_pattern": {"key": 4}}"#, "alpha_pattern"),
        ("no JSON", "repair or remove it"),
    ] {
        std::fs::write(&config, text).unwrap();
        assert_names(
            &base(&folder, Format::F32).merge(&adapter).unwrap_err().to_string(),
            &["adapter_config.json", cause],
        );
    }
    std::fs::write(&config, r#"{"use_rslora": false, "alpha_pattern": {}, "r": 1}"#).unwrap();
    let mut checkpoint = base(&folder, Format::F32);
    checkpoint.merge(&adapter).unwrap();
    assert_eq!(weight(&checkpoint), [2.5, 2.0, 3.0, 2.5, 11.0, 6.0, 7.0, 2.0]);
}

#[test]
fn a_quantized_base_is_refused_by_tensor_and_format() {
    let folder = tempfile::tempdir().unwrap();
    let lora = lora(&folder, Some(1.0), &[("emb.lora_A", &[1, 32], &[0.0; 32]), ("emb.lora_B", &[1, 1], &[0.0])]);
    // An rwkv.cpp file of version 101 with one tensor, a block of Q8_0.
    let numbers = [0x6767_6d66, 101, 1, 32, 1, 9, 2, 10, 9, 32, 1].map(u32::to_le_bytes).concat();
    let path = folder.path().join("base.bin");
    std::fs::write(&path, [&numbers[..], b"emb.weight", &[0; 34]].concat()).unwrap();
    let error = Checkpoint::open(&path).unwrap().merge(&lora).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_names(&error.to_string(), &["base.bin", "emb.weight", "Q8_0", "quantized bases cannot be merged"]);

    // bitsandbytes' nf4 and int8 are bytes with scales beside them.
    let bytes = TensorView::new(Dtype::U8, vec![4], &[0; 4]).unwrap();
    let path = folder.path().join("nf4.safetensors");
    std::fs::write(&path, safetensors::serialize([(WEIGHT, bytes)], None).unwrap()).unwrap();
    assert_names(&Checkpoint::open(&path).unwrap_err().to_string(), &["nf4.safetensors", WEIGHT, "U8"]);
}

#[test]
fn numbers_too_large_for_the_bases_format_are_an_error_not_infinity() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = base(&folder, Format::F16);
    checkpoint.merge(&lora(&folder, Some(65517.0 * 2.0), &[A, B])).unwrap();
    let message = checkpoint.tensor(WEIGHT).unwrap_err().to_string();
    assert_names(&message, &["base.safetensors", WEIGHT, "row 1", "F16"]);
    let mut checkpoint = base(&folder, Format::F16);
    checkpoint.merge(&lora(&folder, Some(65510.0), &[A, (B.0, B.1, &[1.0, 0.0])])).unwrap();
    assert_eq!(weight(&checkpoint)[0], 65504.0, "what rounds to the largest number is none too large");
    let mut checkpoint = base(&folder, Format::F32);
    checkpoint.merge(&lora(&folder, Some(1.0), &[A, (B.0, B.1, &[f32::NAN, 0.0])])).unwrap();
    assert_names(&checkpoint.tensor(WEIGHT).unwrap_err().to_string(), &[WEIGHT, "row 0", "no number"]);
}
