//! Whatever comes in gives a sound result or an error of a kind: the inputs kept in `fuzz/corpus`, and some hundred
//! files that are almost sound. `cargo xtask mutate` makes as many as one likes.
#![allow(clippy::unwrap_used)]

mod hostile_input;
mod reference;

use std::path::Path;

use hostile_input::{ENTRIES, Outcome, Random, mutant, seeds};
use reference::golden;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use volary::{Error, GenerateOptions, Model, ModelOptions, Result, State};

/// One layer's part of `v7.pth`'s tuned state.
const STATE: [usize; 3] = [2, 32, 32];

#[test]
fn what_every_kind_of_mutation_begins_with_is_sound() {
    for entry in ENTRIES {
        for (index, seed) in seeds(entry.name).iter().enumerate() {
            assert_eq!(entry.run(seed), Outcome::Runs, "{} {index}", entry.name);
        }
    }
}

#[test]
fn the_kept_inputs_lead_to_a_result_or_an_error() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for folder in std::fs::read_dir(&corpus).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name();
        let entry = ENTRIES.iter().find(|entry| name == entry.name);
        let Some(entry) = entry else {
            // Without the command there is nothing to give arguments to.
            assert!(name == "arguments" && cfg!(not(feature = "cli")), "no entry is called {name:?}");
            continue;
        };
        for file in std::fs::read_dir(folder.path()).unwrap() {
            entry.run(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn files_that_are_almost_sound_lead_to_a_result_or_an_error() {
    const EACH: u64 = 40;
    for entry in ENTRIES {
        let seeds = seeds(entry.name);
        for seed in 0..EACH {
            let mut random = Random::new(seed);
            let sound = random.choose(&seeds).unwrap();
            entry.run(&mutant(entry.name, sound, &mut random));
        }
    }
}

/// A golden `.safetensors` in BF16 with NaN in place of one tensor's first number.
fn with_nan(tensor: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(golden("v7.safetensors")).unwrap();
    let (header, content) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let start = 8 + header + content.info(tensor).unwrap().data_offsets.0;
    bytes[start..start + 2].copy_from_slice(&[0xff, 0x7f]);
    bytes
}

fn open(bytes: &[u8]) -> Result<Model> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, bytes).unwrap();
    Model::open(path)
}

#[test]
fn weights_that_are_no_numbers_are_an_error_of_the_pass_that_meets_them() {
    // Only the logits come past these.
    const LAST: [&str; 3] = ["head.weight", "ln_out.bias", "ln_out.weight"];
    let sound = std::fs::read(golden("v7.safetensors")).unwrap();
    let (_, content) = safetensors::SafeTensors::read_metadata(&sound).unwrap();
    let tensors = content.tensors();
    // The first layer has no value of a layer before it to mix in.
    let unused = ["v0", "v1", "v2"].map(|name| format!("blocks.0.att.{name}"));
    let used: Vec<_> = tensors.keys().filter(|name| !unused.contains(name)).collect();
    assert!(used.len() > 60, "{used:?}");
    for tensor in used {
        let model = open(&with_nan(tensor)).unwrap();
        let read = model.prefill(&mut model.new_state(), &[0, 1]);
        if LAST.contains(&tensor.as_str()) {
            read.unwrap();
            assert!(matches!(model.eval(0, None), Err(Error::Format { .. })), "{tensor}");
            assert!(matches!(model.complete("a", GenerateOptions::default()), Err(Error::Format { .. })), "{tensor}");
        } else {
            let error = read.expect_err(tensor);
            assert!(matches!(error, Error::Format { .. }) && error.to_string().contains("NaN"), "{tensor}: {error}");
        }
    }
}

#[test]
fn a_state_that_holds_no_numbers_is_refused_however_it_comes() {
    let model = Model::open(golden("v7.pth")).unwrap();
    let mut floats = model.new_state().to_floats();
    floats[5] = f32::INFINITY;
    assert!(matches!(State::from_floats(&model, &floats), Err(Error::InvalidArgument { .. })));

    let mut bytes = model.new_state().to_bytes();
    let (first, end) = (36, bytes.len() - 8);
    bytes[first..first + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..end]);
    bytes[end..].copy_from_slice(&checksum.to_le_bytes());
    let error = State::from_bytes(&bytes).unwrap_err();
    assert!(matches!(error, Error::Format { .. }) && error.to_string().contains("NaN"), "{error}");
}

#[test]
fn a_tuned_state_that_holds_no_numbers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let data: Vec<Vec<u8>> = [1.0, f32::NAN].map(|x| x.to_le_bytes().repeat(STATE.iter().product())).into();
    let views = data.iter().enumerate().map(|(layer, data)| {
        (format!("blocks.{layer}.att.time_state"), TensorView::new(Dtype::F32, STATE.to_vec(), data).unwrap())
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let options = ModelOptions { initial_state: Some(path), ..Default::default() };
    let error = Model::open_with(golden("v7.pth"), options).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error}");
    assert!(error.to_string().contains("blocks.1.att.time_state holds NaN"), "{error}");
}
