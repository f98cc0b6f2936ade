//! Every generation from every file type gives the logits of BlinkDL's `rwkv` package.
#![allow(clippy::unwrap_used)]

mod reference;

use reference::{distance, golden, golden_logits, read_npy, tokens};
use volary::model::{Generation, Logits, Sequence};
use volary::{Model, ModelOptions, State};

/// Largest absolute difference to the reference's float32 logits, which range over about 25.
const TOLERANCE: f32 = 1e-4;

/// Each file, and whose logits it must give.
const FILES: [(&str, &str); 17] = [
    ("v4.pth", "v4-bf16"),
    ("v4-transformers.safetensors", "v4-fp16"),
    ("v4-100.bin", "v4"),
    ("v4-101.bin", "v4"),
    ("v5.0.pth", "v5.0-fp16"),
    ("v5.0-101.bin", "v5.0"),
    ("v5.1.pth", "v5.1"),
    ("v5.2.pth", "v5.2-bf16"),
    ("v5.2-101.bin", "v5.2"),
    ("v6.pth", "v6-bf16"),
    ("v6-101.bin", "v6"),
    ("v6.gguf", "v6"),
    ("v7.pth", "v7"),
    ("v7-101.bin", "v7"),
    ("v7.gguf", "v7"),
    ("v7.safetensors", "v7"),
    ("v7-fla/model.safetensors.index.json", "v7"),
];

/// One of each generation.
const GENERATIONS: [(&str, Generation); 6] = [
    ("v4.pth", Generation::V4),
    ("v5.0.pth", Generation::V5_0),
    ("v5.1.pth", Generation::V5_1),
    ("v5.2.pth", Generation::V5_2),
    ("v6.pth", Generation::V6),
    ("v7.pth", Generation::V7),
];

fn open(file: &str) -> Model {
    Model::open_with(golden(file), ModelOptions { threads: Some(2), ..Default::default() }).unwrap()
}

fn all_logits(model: &Model, state: &mut State, tokens: &[u32], chunk: usize) -> Vec<f32> {
    let mut batch = [Sequence { state, tokens, logits: Logits::All }];
    model.forward_in_chunks(&mut batch, chunk).unwrap().remove(0)
}

#[test]
fn every_file_gives_the_references_logits_in_any_chunk_size() {
    for (file, reference) in FILES {
        let model = open(file);
        let expected = golden_logits(reference);
        for chunk in [1, 7, 64] {
            let off = distance(&all_logits(&model, &mut model.new_state(), &tokens(), chunk), &expected);
            assert!(off <= TOLERANCE, "{file}, chunk {chunk}: off by {off}");
        }
    }
}

#[test]
fn either_shard_of_a_sharded_checkpoint_opens_all_of_it() {
    let model = open("v7-fla/model-00002-of-00002.safetensors");
    let logits = all_logits(&model, &mut model.new_state(), &tokens(), 64);
    assert!(distance(&logits, &golden_logits("v7")) <= TOLERANCE);
}

#[test]
fn the_generation_is_told_from_names_and_shapes() {
    for (file, generation) in GENERATIONS {
        assert_eq!(open(file).config().generation, generation, "{file}");
    }
    for (file, reference) in FILES {
        let (model, _) = reference.split_once('-').unwrap_or((reference, ""));
        assert_eq!(open(file).config().generation, open(&format!("{model}.pth")).config().generation, "{file}");
    }
}

#[test]
fn a_tuned_initial_state_gives_the_references_logits() {
    for name in ["v5.2", "v6", "v7"] {
        let initial_state = Some(golden(&format!("{name}-state.pth")));
        let options = ModelOptions { initial_state, ..Default::default() };
        let model = Model::open_with(golden(&format!("{name}.pth")), options).unwrap();
        let logits = all_logits(&model, &mut model.new_state(), &tokens(), 5);
        let off = distance(&logits, &golden_logits(&format!("{name}-state")));
        assert!(off <= TOLERANCE, "{name}: off by {off}");
    }
}

#[test]
fn a_wrong_group_norm_epsilon_shows() {
    let options = ModelOptions { group_norm_eps: Some(1e-5), ..Default::default() };
    let model = Model::open_with(golden("v5.2.pth"), options).unwrap();
    let logits = all_logits(&model, &mut model.new_state(), &tokens(), 64);
    assert!(distance(&logits, &golden_logits("v5.2-bf16")) > TOLERANCE);
}

#[test]
fn a_batch_of_sessions_gives_each_the_numbers_it_gets_alone() {
    for (file, _) in GENERATIONS {
        let model = open(file);
        let prompts: Vec<Vec<u32>> =
            [1, 16, 3, 9, 5].iter().map(|&len| tokens().into_iter().rev().take(len).collect()).collect();
        let mut states: Vec<State> = prompts.iter().map(|_| model.new_state()).collect();
        let mut batch: Vec<Sequence<'_>> = states
            .iter_mut()
            .zip(&prompts)
            .map(|(state, tokens)| Sequence { state, tokens, logits: Logits::All })
            .collect();
        let together = model.forward_in_chunks(&mut batch, 8).unwrap();
        for ((prompt, logits), state) in prompts.iter().zip(together).zip(states) {
            let mut alone = model.new_state();
            assert_eq!(logits, all_logits(&model, &mut alone, prompt, 64), "{file}, {} tokens", prompt.len());
            assert_eq!(state.to_bytes(), alone.to_bytes(), "{file}, {} tokens", prompt.len());
        }
    }
}

#[test]
fn logits_come_for_the_last_token_for_all_or_not_at_all() {
    let model = open("v7.pth");
    let tokens = tokens();
    let all = all_logits(&model, &mut model.new_state(), &tokens, 64);
    for (logits, expected) in [(Logits::None, &[][..]), (Logits::Last, &all[15 * 256..]), (Logits::All, &all)] {
        let mut state = model.new_state();
        let batch = &mut [Sequence { state: &mut state, tokens: &tokens, logits }];
        assert_eq!(model.forward(batch).unwrap()[0], expected, "{logits:?}");
    }
}

#[test]
fn a_saved_and_reloaded_state_goes_on_with_the_same_numbers() {
    for (file, _) in GENERATIONS {
        let model = open(file);
        let (seen, rest) = (&tokens()[..9], &tokens()[9..]);
        let mut state = model.new_state();
        model.prefill(&mut state, seen).unwrap();
        let mut reloaded = State::from_bytes(&state.to_bytes()).unwrap();
        assert_eq!(all_logits(&model, &mut reloaded, rest, 64), all_logits(&model, &mut state, rest, 64), "{file}");
    }
}

#[test]
fn a_state_fits_only_the_weights_it_was_made_with() {
    let (v7, v5) = (open("v7.pth"), open("v5.2.pth"));
    let bytes = v7.new_state().to_bytes();
    let error = v5.prefill(&mut State::from_bytes(&bytes).unwrap(), &[1]).unwrap_err();
    assert!(matches!(error, volary::Error::Mismatch { .. }), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    v7.new_state().save(file.path()).unwrap();
    let error = State::load(&v5, file.path()).unwrap_err();
    assert!(matches!(error, volary::Error::Mismatch { .. }), "{error}");
}

#[test]
fn a_state_whose_sizes_contradict_it_is_refused_whatever_its_checksum_says() {
    let bytes = open("v7.pth").new_state().to_bytes();
    let (body, _) = bytes.split_at(bytes.len() - 8);
    // Generation, layers, width, head size. (RWKV-5 and 6 have states of the same sizes as 7.)
    for (at, values) in
        [(20, [0u32, 9, u32::MAX]), (24, [0, 3, u32::MAX]), (28, [0, 3, u32::MAX]), (32, [0, 3, u32::MAX])]
    {
        for value in values {
            let mut changed = body.to_vec();
            changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
            changed.extend(xxhash_rust::xxh3::xxh3_64(&changed).to_le_bytes());
            let error = State::from_bytes(&changed).unwrap_err();
            assert!(matches!(error, volary::Error::Format { .. }), "{at} {value}: {error}");
        }
    }
    let message = State::from_bytes(b"a picture, not a state").unwrap_err().to_string();
    assert_eq!(message, "data: is not a state saved by Volary; give one that save or to_bytes wrote");
}

#[test]
fn the_same_weights_have_the_same_fingerprint_in_every_float_file() {
    for file in ["v7.safetensors", "v7.gguf", "v7-101.bin", "v7-fla/model.safetensors.index.json"] {
        assert_eq!(open(file).fingerprint(), open("v7.pth").fingerprint(), "{file}");
    }
}

#[test]
fn a_state_as_floats_is_the_references_state_and_goes_on_from_there() {
    for (file, reference) in [
        ("v4-101.bin", "v4"),
        ("v5.0-101.bin", "v5.0"),
        ("v5.2-101.bin", "v5.2"),
        ("v6-101.bin", "v6"),
        ("v7.pth", "v7"),
    ] {
        let model = open(file);
        let mut state = model.new_state();
        model.prefill(&mut state, &tokens()).unwrap();
        let (_, expected) = read_npy(&golden(&format!("{reference}.state.npy")));
        let floats = state.to_floats();
        let off = distance(&floats, &expected);
        assert!(off <= TOLERANCE, "{file}: off by {off}");

        let mut imported = State::from_floats(&model, &floats).unwrap();
        assert_eq!(model.decode(&mut imported, 9).unwrap(), model.decode(&mut state, 9).unwrap(), "{file}");
        let message = State::from_floats(&model, &floats[1..]).unwrap_err().to_string();
        assert!(message.starts_with("floats: has ") && message.ends_with("; give those of to_floats"), "{message}");
    }
}

#[test]
fn an_unknown_variant_is_refused_by_name_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(golden("v7.safetensors")).unwrap();
    let name = b"blocks.1.ffn.x_k";
    let at = whole.windows(name.len()).position(|bytes| bytes == name).unwrap();
    for (renamed, told) in [(b"blocks.1.ffn.s0x", "RWKV-7a"), (b"blocks.1.ffn.new", "blocks.1.ffn.new")] {
        let mut bytes = whole.clone();
        bytes[at..at + name.len()].copy_from_slice(renamed);
        let path = folder.path().join("variant.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let message = Model::open(&path).unwrap_err().to_string();
        assert!(message.contains("variant.safetensors") && message.contains(told), "{message}");
        assert!(message.contains("not supported"), "{message}");
    }
}

#[test]
fn tensors_that_are_missing_or_of_another_shape_are_told_with_a_remedy() {
    use safetensors::SafeTensors;
    use safetensors::tensor::TensorView;
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(golden("v7.safetensors")).unwrap();
    let whole = SafeTensors::deserialize(&whole).unwrap();
    for (name, shape, told) in [
        ("emb.weight", Some(vec![256 * 64]), "emb.weight must be a matrix, and is [16384]"),
        ("emb.weight", Some(vec![256 * 64, 1]), "has impossible sizes: 16384 tokens, 1 channels"),
        ("blocks.0.att.r_k", Some(vec![1, 2, 32]), "must tell heads and head size, and is [1, 2, 32]"),
        ("blocks.0.ln1.weight", None, "names layer 1 but lacks layer 0"),
        ("blocks.1.att.w1", None, "blocks.1.att.w1 is missing or no matrix"),
        ("blocks.1.att.key.weight", Some(vec![32, 128]), "is [32, 128], but RWKV-7 of this size needs [64, 64]"),
    ] {
        let mut tensors = whole.tensors();
        tensors.retain(|(other, _)| other != name);
        if let Some(shape) = shape {
            let own = whole.tensor(name).unwrap();
            tensors.push((name.into(), TensorView::new(own.dtype(), shape, own.data()).unwrap()));
        }
        let path = folder.path().join("changed.safetensors");
        std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        let message = Model::open(&path).unwrap_err().to_string();
        assert!(
            message.contains(told) && message.ends_with("; it is damaged, download or convert it again"),
            "{message}"
        );
    }
}
