//! Damage that leaves a file well-formed: what is lost or changed is told from the rest of it, and nothing is written.
#![allow(clippy::unwrap_used)]

mod reference;

use std::path::Path;

use reference::golden;
use volary::convert::{ConvertOptions, convert};
use volary::{Error, Model};

/// Six numbers begin a `.bin`.
const HEADER: usize = 24;

/// A tensor of a `.bin` in F32 or F16, as it stands in the file.
#[derive(Clone)]
struct Tensor {
    name: String,
    data_type: u32,
    /// Innermost first.
    dims: Vec<u32>,
    data: Vec<u8>,
}

impl Tensor {
    fn bytes(&self) -> Vec<u8> {
        let fields = [self.dims.len() as u32, self.name.len() as u32, self.data_type];
        let fields = fields.iter().chain(&self.dims).flat_map(|n| n.to_le_bytes());
        fields.chain(self.name.bytes()).chain(self.data.iter().copied()).collect()
    }
}

/// Takes a `.bin` apart and puts it together again, changed.
fn changed(name: &str, change: impl Fn(&mut Vec<Tensor>)) -> Vec<u8> {
    let bytes = std::fs::read(golden(name)).unwrap();
    let (header, mut rest) = bytes.split_at(HEADER);
    let mut tensors = Vec::new();
    while !rest.is_empty() {
        let mut take = |n: usize| rest.split_off(..n).unwrap();
        let mut number = || u32::from_le_bytes(take(4).try_into().unwrap());
        let [n_dims, name_len, data_type] = [number(), number(), number()];
        let dims: Vec<u32> = (0..n_dims).map(|_| number()).collect();
        let name = String::from_utf8(take(name_len as usize).to_vec()).unwrap();
        let size = dims.iter().product::<u32>() as usize * [4, 2][data_type as usize];
        tensors.push(Tensor { name, data_type, dims, data: take(size).to_vec() });
    }
    change(&mut tensors);
    [header.to_vec(), tensors.iter().flat_map(Tensor::bytes).collect()].concat()
}

/// The reason why a file is not converted to another of that name.
fn refusal(folder: &Path, source: &str, bytes: &[u8], target: &str) -> Error {
    let (source, target) = (folder.join(source), folder.join(target));
    std::fs::write(&source, bytes).unwrap();
    let error = convert(&source, &target, &ConvertOptions::default()).unwrap_err();
    assert!(!target.exists(), "{error}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error
}

/// Changes the number after a key of a GGUF file.
fn with_number(bytes: &[u8], key: &str, number: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap() + key.len() + 4;
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    bytes
}

#[test]
fn a_bin_whose_header_states_other_sizes_than_its_tensors_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(golden("v7-101.bin")).unwrap();
    for (at, told) in [(8, "tokens"), (12, "channels"), (16, "layers")] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 4;
        let error = refusal(folder.path(), "source.bin", &bytes, "model.gguf").to_string();
        assert!(error.contains(told), "{error}");
        assert_eq!(Model::open(folder.path().join("source.bin")).unwrap_err().to_string(), error);
    }
}

#[test]
fn a_bin_that_lost_its_last_layer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = changed("v7-101.bin", |tensors| tensors.retain(|tensor| !tensor.name.starts_with("blocks.1.")));
    let error = refusal(folder.path(), "source.bin", &bytes, "model.gguf").to_string();
    assert!(error.contains("says that it has 2 layers, but has 1"), "{error}");
}

#[test]
fn a_gguf_file_whose_pairs_state_other_sizes_than_its_tensors_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(golden("v7.gguf")).unwrap();
    for (key, told) in [
        ("rwkv7.block_count", "layers"),
        ("rwkv7.embedding_length", "channels"),
        ("rwkv7.feed_forward_length", "hidden channels"),
    ] {
        let error = refusal(folder.path(), "source.gguf", &with_number(&bytes, key, 1), "model.bin").to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_gguf_file_whose_head_size_does_not_divide_its_channels_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(golden("v7.gguf")).unwrap();
    for head_size in [0, 7, 1 << 20] {
        let bytes = with_number(&bytes, "rwkv7.wkv.head_size", head_size);
        let error = refusal(folder.path(), "source.gguf", &bytes, "model.bin").to_string();
        assert!(error.contains("head size"), "{error}");
    }
}

#[test]
fn a_gate_missing_from_the_first_layer_does_not_make_an_older_model() {
    let folder = tempfile::tempdir().unwrap();
    let lost = ["blocks.0.att.gate.weight", "blocks.0.att.time_mix_g"];
    for lost in [&lost[..1], &lost] {
        let bytes = changed("v5.2-101.bin", |tensors| tensors.retain(|tensor| !lost.contains(&&*tensor.name)));
        for target in ["model.gguf", "model.bin"] {
            let error = refusal(folder.path(), "source.bin", &bytes, target).to_string();
            assert!(error.contains("RWKV-5.0"), "{error}");
        }
    }
}

#[test]
fn a_first_norm_that_lost_its_weight_is_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    for lost in ["blocks.0.ln0.weight", "blocks.0.ln0.bias"] {
        let bytes = changed("v7-101.bin", |tensors| tensors.retain(|tensor| tensor.name != lost));
        let error = refusal(folder.path(), "source.bin", &bytes, "model.gguf").to_string();
        assert!(error.contains(lost), "{error}");
    }
}

#[test]
fn both_names_of_rwkv_5s_bonus_in_one_layer_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = changed("v5.2-101.bin", |tensors| {
        let bonus = tensors.iter().find(|tensor| tensor.name == "blocks.1.att.time_faaaa").unwrap().clone();
        tensors.push(Tensor { name: "blocks.1.att.time_first".into(), ..bonus });
    });
    for target in ["model.gguf", "model.bin"] {
        let error = refusal(folder.path(), "source.bin", &bytes, target).to_string();
        assert!(error.contains("blocks.1.att.time_first"), "{error}");
    }
}

#[test]
fn a_bin_is_not_written_with_fewer_numbers_than_its_shapes_say() {
    let folder = tempfile::tempdir().unwrap();
    // The model can run with one bonus a head, but rwkv.cpp wants one a channel.
    let bytes = changed("v5.2-101.bin", |tensors| {
        let bonus = tensors.iter_mut().find(|tensor| tensor.name == "blocks.1.att.time_faaaa").unwrap();
        bonus.dims = vec![1, 1, bonus.dims[2]];
        bonus.data.truncate(4 * bonus.dims[2] as usize);
    });
    let error = refusal(folder.path(), "source.bin", &bytes, "model.bin").to_string();
    assert!(error.contains("blocks.1.att.time_faaaa"), "{error}");
    Model::open(folder.path().join("source.bin")).unwrap();
}

#[test]
fn a_tensor_that_no_model_has_is_not_carried_into_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = changed("v4-101.bin", |tensors| {
        let norm = tensors.iter().find(|tensor| tensor.name == "ln_out.bias").unwrap().clone();
        tensors.push(Tensor { name: "ln_oux.bias".into(), ..norm });
    });
    for target in ["model.gguf", "model.bin"] {
        let error = refusal(folder.path(), "source.bin", &bytes, target).to_string();
        assert!(error.contains("no place for the tensor ln_oux.bias"), "{error}");
    }
}

#[test]
fn a_gguf_file_with_something_put_in_between_its_numbers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(golden("v7.gguf")).unwrap();
    let middle = bytes.len() / 2;
    bytes.splice(middle..middle, [0; 64]);
    let error = refusal(folder.path(), "source.gguf", &bytes, "model.bin").to_string();
    assert!(error.contains("after its last tensor"), "{error}");
}
