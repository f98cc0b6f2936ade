//! Merging gives what the trainers' scripts give, to the bit, in a file and while a model is loaded.
#![allow(clippy::unwrap_used)]

mod reference;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reference::{distance, golden, read_npy, tokens};
use safetensors::SafeTensors;
use volary::checkpoint::{Checkpoint, Lora, MergeSummary};
use volary::model::{Logits, Sequence};
use volary::{Error, MergeOptions, Model, ModelOptions, merge_lora};

/// As in the other golden tests.
const TOLERANCE: f32 = 1e-4;

/// A golden LoRA: its base, its file, and what it takes.
struct Case {
    base: &'static str,
    name: &'static str,
    alpha: Option<f32>,
    has_init: bool,
    /// LoRA, PiSSA, DiSHA, Bat, replaced.
    counts: [usize; 5],
}

const CASES: [Case; 5] = [
    Case { base: "v4", name: "v4-lora", alpha: Some(3.0), has_init: false, counts: [3, 0, 0, 0, 4] },
    Case { base: "v7", name: "v7-lora", alpha: Some(32.0), has_init: false, counts: [2, 0, 0, 0, 5] },
    Case { base: "v7", name: "v7-pissa", alpha: None, has_init: true, counts: [0, 1, 0, 0, 0] },
    Case { base: "v7", name: "v7-disha", alpha: None, has_init: false, counts: [0, 0, 2, 0, 0] },
    Case { base: "v7", name: "v7-bat", alpha: None, has_init: false, counts: [0, 0, 0, 1, 0] },
];

impl Case {
    fn base(&self) -> PathBuf {
        golden(&format!("{}.pth", self.base))
    }

    fn lora(&self) -> Lora {
        let file = |suffix| golden(&format!("lora/{}{suffix}", self.name));
        Lora { path: file(".pth"), alpha: self.alpha, pissa_init: self.has_init.then(|| file("-init.pth")) }
    }
}

fn merge(base: &Path, lora: &Lora, dst: &Path) -> MergeSummary {
    merge_lora(base, lora, dst, MergeOptions { threads: Some(2), progress: None }).unwrap()
}

fn logits(model: &Model) -> Vec<f32> {
    let tokens = tokens();
    let mut state = model.new_state();
    let batch = &mut [Sequence { state: &mut state, tokens: &tokens, logits: Logits::All }];
    model.forward(batch).unwrap().remove(0)
}

fn with_loras(base: &Path, loras: &[Lora]) -> Model {
    Model::open_with(base, ModelOptions { loras: loras.to_vec(), threads: Some(2), ..Default::default() }).unwrap()
}

#[test]
fn merged_tensors_are_the_references_to_the_bit_and_the_others_the_bases() {
    let folder = tempfile::tempdir().unwrap();
    for case in CASES {
        let dst = folder.path().join("merged.safetensors");
        let MergeSummary { lora, pissa, disha, bat, replaced, .. } = merge(&case.base(), &case.lora(), &dst);
        assert_eq!([lora, pissa, disha, bat, replaced], case.counts, "{}", case.name);

        let bytes = std::fs::read(&dst).unwrap();
        let expected = std::fs::read(golden(&format!("lora/{}.merged.safetensors", case.name))).unwrap();
        let [stored, expected] = [&bytes, &expected].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        assert_eq!(expected.len(), case.counts.iter().sum::<usize>(), "{}", case.name);
        for (name, wanted) in expected.tensors() {
            let found = stored.tensor(&name).unwrap();
            assert_eq!((found.dtype(), found.shape()), (wanted.dtype(), wanted.shape()), "{}: {name}", case.name);
            assert!(found.data() == wanted.data(), "{}: {name}", case.name);
        }
        let [merged, base] = [&dst, &case.base()].map(|path| Checkpoint::open(path).unwrap());
        assert_eq!(merged.tensors().count(), base.tensors().count());
        for (name, shape, format) in base.tensors().filter(|(name, ..)| expected.tensor(name).is_err()) {
            let found = merged.tensor(name).unwrap();
            assert_eq!((found.shape, found.format), (shape, format), "{}: {name}", case.name);
            assert!(found.data == base.tensor(name).unwrap().data, "{}: {name}", case.name);
        }
    }
}

#[test]
fn a_merged_model_gives_the_logits_of_blinkdls_package() {
    let folder = tempfile::tempdir().unwrap();
    for case in &CASES[..2] {
        let (_, expected) = read_npy(&golden(&format!("lora/{}.logits.npy", case.name)));
        for file in ["merged.pth", "merged.safetensors"] {
            let dst = folder.path().join(file);
            merge(&case.base(), &case.lora(), &dst);
            let off = distance(&logits(&Model::open(&dst).unwrap()), &expected);
            assert!(off <= TOLERANCE, "{} as {file}: off by {off}", case.name);
        }
        let off = distance(&logits(&Model::open(case.base()).unwrap()), &expected);
        assert!(off > TOLERANCE, "{}: the LoRA changes nothing", case.name);
    }
}

#[test]
fn merging_while_loading_is_merging_to_a_file_first_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    for case in CASES {
        let dst = folder.path().join("merged.pth");
        merge(&case.base(), &case.lora(), &dst);
        let (loaded, merged) = (with_loras(&case.base(), &[case.lora()]), Model::open(&dst).unwrap());
        assert_eq!(logits(&loaded), logits(&merged), "{}", case.name);
        assert_eq!(loaded.fingerprint(), merged.fingerprint(), "{}", case.name);
        assert_ne!(loaded.fingerprint(), Model::open(case.base()).unwrap().fingerprint(), "{}", case.name);
    }
}

#[test]
fn several_loras_apply_in_their_order_as_through_files() {
    let folder = tempfile::tempdir().unwrap();
    let [lora, disha] = [CASES[1].lora(), CASES[3].lora()];
    let [first, second] = ["first.pth", "second.safetensors"].map(|name| folder.path().join(name));
    merge(&golden("v7.pth"), &lora, &first);
    merge(&first, &disha, &second);
    merge(&second, &lora, &first);
    let loaded = with_loras(&golden("v7.pth"), &[lora.clone(), disha, lora]);
    assert_eq!(logits(&loaded), logits(&Model::open(&first).unwrap()));
}

#[test]
fn a_replaced_decay_gets_the_bases_transformation_whatever_its_file_looks_like() {
    // By itself the LoRA's file could be of any generation. RWKV-4's decay is -exp(x) in use, RWKV-5's exp(-exp(x)).
    let trained = std::fs::read(golden("lora/v4-lora.merged.safetensors")).unwrap();
    let trained = SafeTensors::deserialize(&trained).unwrap();
    let raw = trained.tensor("blocks.0.att.time_decay").unwrap();
    let raw: Vec<f32> =
        raw.data().chunks_exact(2).map(|b| f32::from_bits(u32::from_le_bytes([0, 0, b[0], b[1]]))).collect();
    for base in ["v4.pth", "v4-101.bin", "v4-transformers.safetensors"] {
        let mut checkpoint = Checkpoint::open(golden(base)).unwrap();
        checkpoint.merge(&CASES[0].lora()).unwrap();
        let decay = checkpoint.tensor("blocks.0.att.time_decay").unwrap().to_f32();
        assert_eq!(decay, raw.iter().map(|x| -x.exp()).collect::<Vec<_>>(), "{base}");
    }
}

#[test]
fn bases_of_other_types_and_names_take_the_same_lora() {
    let expected = logits(&with_loras(&golden("v7.pth"), &[CASES[1].lora()]));
    for base in ["v7.safetensors", "v7.gguf", "v7-101.bin", "v7-fla/model.safetensors.index.json"] {
        let found = logits(&with_loras(&golden(base), &[CASES[1].lora()]));
        // They hold the base's numbers in other formats, to which the merged ones are rounded.
        let off = distance(&found, &expected);
        assert!(off < 0.2, "{base}: off by {off}");
    }
    assert!(distance(&logits(&Model::open(golden("v7.pth")).unwrap()), &expected) > 1.0);
}

#[test]
fn a_merged_file_keeps_the_names_of_its_base() {
    let folder = tempfile::tempdir().unwrap();
    for (base, lora) in
        [("v7-fla/model.safetensors.index.json", CASES[1].lora()), ("v4-transformers.safetensors", CASES[0].lora())]
    {
        let dst = folder.path().join("merged.safetensors");
        merge(&golden(base), &lora, &dst);
        let bytes = std::fs::read(&dst).unwrap();
        let stored = SafeTensors::deserialize(&bytes).unwrap();
        assert!(
            stored
                .names()
                .iter()
                .all(|name| name.starts_with("model.") || name.starts_with("rwkv.") || name.contains("head"))
        );
        assert_eq!(logits(&Model::open(&dst).unwrap()), logits(&with_loras(&golden(base), &[lora])), "{base}");
    }
}

#[test]
fn merging_into_another_file_type_gives_the_model_that_merging_while_loading_gives() {
    let folder = tempfile::tempdir().unwrap();
    for (case, base) in [(&CASES[0], "v4.pth"), (&CASES[1], "v7.pth")] {
        let expected = logits(&with_loras(&golden(base), &[case.lora()]));
        for name in ["merged.gguf", "merged.bin"] {
            let dst = folder.path().join(name);
            merge(&golden(base), &case.lora(), &dst);
            // A .bin cannot say that RWKV-4's embedding is rounded: v4 in that type is the rounding apart.
            let tolerance = if base == "v4.pth" && name == "merged.bin" { 0.5 } else { 1e-4 };
            let off = distance(&logits(&Model::open(&dst).unwrap()), &expected);
            assert!(off <= tolerance, "{base} as {name}: off by {off}");
        }
    }
}

#[test]
fn a_gguf_that_divides_its_outputs_gets_its_lora_divided_alike() {
    let folder = tempfile::tempdir().unwrap();
    // v6.gguf halves the residual stream after two layers: layer 2 is stored divided by 2.
    let layers = [0, 2].map(|layer| format!("blocks.{layer}.att.output"));
    let [a, b] = [(1..=32), (33..=64)]
        .map(|range| range.map(|i| i as f32 / 32.0).flat_map(f32::to_le_bytes).collect::<Vec<_>>());
    let view = |shape: [usize; 2], data| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), data).unwrap()
    };
    let tensors = layers.iter().flat_map(|layer| {
        [(format!("{layer}.lora_A"), view([1, 32], &a)), (format!("{layer}.lora_B"), view([32, 1], &b))]
    });
    let path = folder.path().join("lora.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let lora = Lora { path, alpha: Some(1.0), pissa_init: None };
    let [plain, divided] = ["v6.pth", "v6.gguf"].map(|base| {
        let mut checkpoint = Checkpoint::open(golden(base)).unwrap();
        checkpoint.merge(&lora).unwrap();
        layers.each_ref().map(|layer| checkpoint.tensor(&format!("{layer}.weight")).unwrap().to_f32())
    });
    for (layer, divisor) in [(0, 1.0), (1, 2.0)] {
        for (plain, divided) in plain[layer].iter().zip(&divided[layer]) {
            // bfloat16 has 8 bits.
            assert!((plain - divided * divisor).abs() <= plain.abs() / 256.0, "{plain} {divided}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_written_so_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let lora = CASES[1].lora();
    for (base, dst, cause) in [
        ("v7.gguf", "merged.pth", "write .gguf or .bin instead"),
        ("v7-101.bin", "merged.safetensors", "write .gguf or .bin instead"),
        ("v7.pth", "merged", "must end in"),
        ("v7.pth", "merged.zip", "must end in"),
        ("v7.pth", "no such folder/merged.pth", "its folder does not exist"),
    ] {
        let dst = folder.path().join(dst);
        let message = merge_lora(golden(base), &lora, &dst, MergeOptions::default()).unwrap_err().to_string();
        assert!(message.contains(cause) && message.lines().count() == 1, "{message}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn progress_rises_to_one_and_cancels_wherever_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dst = folder.path().join("merged.pth");
    std::fs::write(&dst, "what was there").unwrap();
    let reports = Arc::new(std::sync::Mutex::new(Vec::new()));
    let all = reports.clone();
    let progress = move |done| {
        all.lock().unwrap().push(done);
        true
    };
    let options = MergeOptions { threads: Some(1), progress: Some(Arc::new(progress)) };
    let elsewhere = folder.path().join("elsewhere.pth");
    merge_lora(CASES[1].base(), &CASES[1].lora(), &elsewhere, options).unwrap();
    std::fs::remove_file(elsewhere).unwrap();
    let reports = reports.lock().unwrap();
    assert!(reports.is_sorted() && reports[0] == 0.0 && reports.last() == Some(&1.0), "{reports:?}");

    for limit in [0, 1, reports.len() / 2, reports.len() - 1] {
        let count = AtomicUsize::new(0);
        let progress = move |_| count.fetch_add(1, Ordering::Relaxed) < limit;
        let options = MergeOptions { threads: Some(1), progress: Some(Arc::new(progress)) };
        let error = merge_lora(CASES[1].base(), &CASES[1].lora(), &dst, options).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(std::fs::read(&dst).unwrap(), b"what was there");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_checkpoint_can_be_merged_over_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    std::fs::copy(golden("v7.pth"), &path).unwrap();
    merge(&path, &CASES[1].lora(), &path);
    assert_eq!(logits(&Model::open(&path).unwrap()), logits(&with_loras(&golden("v7.pth"), &[CASES[1].lora()])));
}

#[test]
fn a_lora_with_a_flipped_bit_is_refused_by_its_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let dst = folder.path().join("merged.pth");
    for case in CASES {
        let mut lora = case.lora();
        let damaged = folder.path().join("damaged.pth");
        let place = if case.has_init { lora.pissa_init.as_mut().unwrap() } else { &mut lora.path };
        let mut bytes = std::fs::read(&*place).unwrap();
        // In the numbers, which any change leaves plausible: PyTorch puts each storage behind a padding of `Z`s.
        let numbers = bytes.windows(4).rposition(|window| window == b"ZZZZ").unwrap() + 4;
        bytes[numbers] ^= 1;
        std::fs::write(&damaged, bytes).unwrap();
        *place = damaged;
        let error = merge_lora(case.base(), &lora, &dst, MergeOptions::default()).unwrap_err().to_string();
        assert!(error.contains("damaged.pth") && error.contains("checksum") && !dst.exists(), "{error}");
    }
}
