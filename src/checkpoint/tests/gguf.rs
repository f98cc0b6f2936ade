use super::*;
use crate::checkpoint::MOST_ENTRIES;
use crate::quant::Format;

const U8: u32 = 0;
pub(super) const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const U64: u32 = 10;

/// A GGUF file in the making (ggml's `docs/gguf.md`).
pub(super) struct File {
    version: u32,
    alignment: usize,
    pairs: Vec<Vec<u8>>,
    entries: Vec<Vec<u8>>,
    data: Vec<u8>,
}

fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

fn array(kind: u32, items: &[Vec<u8>]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(items.len() as u64).to_le_bytes(), &items.concat()].concat()
}

impl File {
    pub fn new(architecture: &str) -> Self {
        let file = Self { version: 3, alignment: 32, pairs: vec![], entries: vec![], data: vec![] };
        file.pair("general.architecture", STRING, &text(architecture.as_bytes()))
    }

    pub fn pair(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.pairs.push([&text(key.as_bytes()), &kind.to_le_bytes()[..], value].concat());
        self
    }

    fn entry(mut self, name: &str, ne: &[u64], type_id: u32, offset: u64) -> Self {
        let ne: Vec<u8> = [ne.len() as u32]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .chain(ne.iter().flat_map(|n| n.to_le_bytes()))
            .collect();
        self.entries
            .push([text(name.as_bytes()), ne, type_id.to_le_bytes().to_vec(), offset.to_le_bytes().to_vec()].concat());
        self
    }

    /// `ne` is innermost first.
    fn tensor(mut self, name: &str, ne: &[u64], type_id: u32, data: &[u8]) -> Self {
        let offset = self.data.len().next_multiple_of(self.alignment);
        self.data.resize(offset, 0);
        self.data.extend_from_slice(data);
        self.entry(name, ne, type_id, offset as u64)
    }

    pub fn counted(self, name: &str, ne: &[u64]) -> Self {
        let data = floats(&counting(ne.iter().product::<u64>() as usize));
        self.tensor(name, ne, 0, &data)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        bytes.extend((self.pairs.len() as u64).to_le_bytes());
        bytes.extend(self.pairs.concat());
        bytes.extend(self.entries.concat());
        bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
        bytes.extend(&self.data);
        bytes
    }

    pub fn open(&self) -> Checkpoint {
        open(&self.bytes()).unwrap()
    }

    fn refusal(&self) -> Error {
        refusal(&self.bytes())
    }
}

#[test]
fn tensors_are_found_behind_the_alignment_in_versions_2_and_3() {
    for version in [2, 3] {
        for alignment in [8, 32, 256] {
            let mut file = File::new("rwkv7").pair("general.alignment", U32, &(alignment as u32).to_le_bytes());
            (file.version, file.alignment) = (version, alignment);
            let f16: Vec<u8> = [0x3c00u16, 0xc000, 0].into_iter().flat_map(u16::to_le_bytes).collect();
            let bf16: Vec<u8> = [0x3f80u16, 0xc000].into_iter().flat_map(u16::to_le_bytes).collect();
            let file = file.tensor("output_norm.weight", &[3], 1, &f16);
            let file = file.counted("token_embd.weight", &[3, 2]).tensor("output_norm.bias", &[2], 30, &bf16);
            let checkpoint = file.open();
            assert_eq!(read(&checkpoint, "ln_out.weight"), (vec![3], vec![1.0, -2.0, 0.0]));
            assert_eq!(read(&checkpoint, "emb.weight"), (vec![2, 3], counting(6)));
            assert_eq!(read(&checkpoint, "ln_out.bias"), (vec![2], vec![1.0, -2.0]));
        }
    }
}

#[test]
fn quantized_tensors_are_listed_by_ggmls_type_numbers() {
    // Type ids and bytes of 256 numbers, after ggml.h and ggml-common.h.
    for (id, bytes, format) in [
        (2, 144, Format::Q4_0),
        (3, 160, Format::Q4_1),
        (6, 176, Format::Q5_0),
        (7, 192, Format::Q5_1),
        (8, 272, Format::Q8_0),
        (10, 84, Format::Q2_K),
        (11, 110, Format::Q3_K),
        (12, 144, Format::Q4_K),
        (13, 176, Format::Q5_K),
        (14, 210, Format::Q6_K),
        (20, 144, Format::IQ4_NL),
    ] {
        let file = File::new("rwkv7").tensor("output.weight", &[256, 1], id, &vec![0; bytes]);
        assert_eq!(file.open().tensors().next(), Some(("head.weight", &[1, 256][..], format)));
    }
    let error = File::new("rwkv7").tensor("output.weight", &[256], 16, &[0; 512]).refusal();
    assert!(matches!(&error, Error::Unsupported { .. }) && error.to_string().contains("output.weight"), "{error}");
}

#[test]
fn the_metadata_say_what_the_model_needs_and_what_a_person_reads() {
    let mut file = File::new("rwkv6")
        .pair("rwkv6.attention.layer_norm_epsilon", F32, &1e-5f32.to_le_bytes())
        .pair("rwkv6.wkv.head_size", U32, &64u32.to_le_bytes())
        .pair("rwkv6.rescale_every_n_layers", U32, &6u32.to_le_bytes())
        .pair("tokenizer.chat_template", STRING, &text("€".repeat(300).as_bytes()));
    let scalars: [(u32, &[u8], &str); 12] = [
        (0, &[200], "200"),
        (1, &[200], "-56"),
        (2, &[0, 200], "51200"),
        (3, &[0, 200], "-14336"),
        (4, &[1, 0, 0, 128], "2147483649"),
        (5, &[255; 4], "-1"),
        (6, &[0, 0, 32, 64], "2.5"),
        (7, &[1], "true"),
        (8, &[2, 0, 0, 0, 0, 0, 0, 0, b'h', b'i'], "hi"),
        (10, &[9, 0, 0, 0, 1, 0, 0, 0], "4294967305"),
        (11, &[254, 255, 255, 255, 255, 255, 255, 255], "-2"),
        (12, &[0, 0, 0, 0, 0, 0, 4, 192], "-2.5"),
    ];
    for (kind, value, _) in scalars {
        file = file.pair(&format!("kind.{kind}"), kind, value);
    }
    let nested = array(ARRAY, &[array(U8, &[vec![1], vec![2]]), array(STRING, &[text(b"x")])]);
    let checkpoint = file.pair("list", ARRAY, &nested).counted("output_norm.weight", &[2]).open();
    let metadata = checkpoint.metadata();
    assert_eq!(metadata.architecture.as_deref(), Some("rwkv6"));
    assert_eq!((metadata.layer_norm_eps, metadata.head_size, metadata.rescale_every), (Some(1e-5), Some(64), Some(6)));
    assert_eq!(metadata.chat_template, Some("€".repeat(300)));
    let shown = |key: &str| metadata.pairs.iter().find(|(k, _)| k == key).unwrap().1.clone();
    for (kind, _, expected) in scalars {
        assert_eq!(shown(&format!("kind.{kind}")), expected);
    }
    assert_eq!(shown("list"), "[2 items]");
    assert_eq!(shown("tokenizer.chat_template"), "€".repeat(200) + "…");
}

#[test]
fn the_vocabulary_is_unescaped_and_tokens_that_are_no_text_are_empty() {
    // Left as llama.cpp's converter writes it, `repr(bytes)[2:-1]`; right the bytes.
    let tokens: [(&[u8], i32, &[u8]); 10] = [
        (b"<s>", 3, b""),
        (b"a", 1, b"a"),
        (br"\t\n\r", 1, b"\t\n\r"),
        (br"\\n", 1, b"\\n"),
        (br#"\'""#, 1, b"'\""),
        (br"\x00\xff", 1, b"\x00\xff"),
        (br"\xe4\xbd", 1, b"\xe4\xbd"),
        (br"\xg0\x1", 1, br"\xg0\x1"),
        (b"<tool>", 4, b"<tool>"),
        (b"[PAD9]", 5, b""),
    ];
    let list = array(STRING, &tokens.map(|(token, ..)| text(token)));
    let kinds = array(I32, &tokens.map(|(_, kind, _)| kind.to_le_bytes().to_vec()));
    let with = |model: &[u8]| {
        File::new("rwkv7").pair("tokenizer.ggml.model", STRING, &text(model)).pair(
            "tokenizer.ggml.tokens",
            ARRAY,
            &list,
        )
    };
    let vocabulary = |file: File| file.counted("output.weight", &[2]).open().metadata().vocabulary.clone();
    let expected = tokens.map(|(.., bytes)| bytes.to_vec());
    assert_eq!(vocabulary(with(b"rwkv").pair("tokenizer.ggml.token_type", ARRAY, &kinds)).unwrap(), expected);
    assert_eq!(vocabulary(with(b"rwkv")).unwrap()[..2], expected[..2]);
    assert_eq!(vocabulary(with(b"gpt2")), None);
}

#[test]
fn what_is_no_rwkv_of_ours_is_refused_by_name() {
    for architecture in ["llama", "rwkv6qwen2", "arwkv7"] {
        let error = File::new(architecture).counted("output.weight", &[2]).refusal();
        assert!(matches!(error, Error::Unsupported { .. }));
        assert!(error.to_string().contains(&format!("architecture {architecture}")), "{error}");
    }
    let split = File::new("rwkv7").pair("split.count", U32, &2u32.to_le_bytes());
    assert!(split.refusal().to_string().contains("split"));
    let mut nameless = File::new("rwkv7");
    nameless.pairs.clear();
    assert!(matches!(nameless.refusal(), Error::Format { .. }));
    let newer = File::new("rwkv7").entry("output.weight", &[256], 16, 0).refusal().to_string();
    assert!(newer.ends_with("not supported; quantize the original to another, such as Q4_K"), "{newer}");
}

#[test]
fn version_1_later_ones_and_big_endian_files_are_refused_clearly() {
    for (version, word) in [(1, "version 1"), (4, "version 4"), (3u32.swap_bytes(), "big-endian"), (0, "version 0")] {
        let mut file = File::new("rwkv7");
        file.version = version;
        let error = file.refusal();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_truncated_or_changed_gguf_never_panics() {
    let file = File::new("rwkv7")
        .pair("tokenizer.ggml.model", STRING, &text(b"rwkv"))
        .pair("tokenizer.ggml.tokens", ARRAY, &array(STRING, &[text(b"<s>"), text(br"\n")]))
        .pair("tokenizer.ggml.token_type", ARRAY, &array(I32, &[vec![3, 0, 0, 0], vec![1, 0, 0, 0]]))
        .counted("blk.0.time_mix_lerp_fused.weight", &[2, 1, 1, 6]);
    let bytes = file.bytes();
    assert_eq!(refused_beginnings(&bytes), bytes.len());
}

#[test]
fn impossible_counts_lengths_and_shapes_are_errors_before_they_are_memory() {
    let huge = u64::MAX.to_le_bytes();
    let list_of = |kind: u32, count: u64| [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
    let deep = (0..1000).fold(array(U8, &[]), |inner, _| array(ARRAY, &[inner]));
    let fused = "blk.0.time_mix_lerp_fused.weight";
    let hostile = [
        File::new("rwkv7").pair("x", STRING, &huge),
        File::new("rwkv7").pair("x", ARRAY, &list_of(U8, u64::MAX)),
        File::new("rwkv7").pair("x", ARRAY, &list_of(U64, 1 << 61)),
        File::new("rwkv7").pair("x", ARRAY, &list_of(ARRAY, 1 << 40)),
        File::new("rwkv7").pair("x", ARRAY, &deep),
        File::new("rwkv7").pair("x", 13, &[0; 64]),
        File::new("rwkv7").pair("general.alignment", U32, &0u32.to_le_bytes()),
        File::new("rwkv7").pair("general.alignment", U32, &24u32.to_le_bytes()),
        File::new("rwkv7").pair("general.alignment", F32, &f32::NAN.to_le_bytes()),
        File::new("rwkv7").pair("rwkv7.attention.layer_norm_epsilon", F32, &f32::NAN.to_le_bytes()),
        File::new("rwkv7").entry("output.weight", &[u64::MAX, 2], 0, 0),
        File::new("rwkv7").entry("output.weight", &[1 << 62], 0, 0),
        File::new("rwkv7").entry("output.weight", &[0], 0, 0),
        File::new("rwkv7").entry("output.weight", &[1], 0, u64::MAX),
        File::new("rwkv7").entry("output.weight", &[], 0, 0),
        File::new("rwkv7").entry("output.weight", &[1; 5], 0, 0),
        File::new("rwkv7").entry("output.weight", &[31], 2, 0),
        // Splitting a tensor must not compute with sizes that were never checked.
        File::new("rwkv7").entry(fused, &[1 << 61, 1, 1, 6], 0, 0),
        File::new("rwkv7").entry(fused, &[2, 1, 1, 6], 0, u64::MAX - 64),
        File::new("rwkv7").counted("output.weight", &[2]).counted("output.weight", &[2]),
        File::new("rwkv7").counted(fused, &[2, 1, 1, 6]).counted("blk.0.time_mix_lerp_r.weight", &[2]),
    ];
    for file in hostile {
        let error = file.refusal();
        assert!(matches!(error, Error::Format { .. }) && error.to_string().ends_with(" again"), "{error}");
    }
    let mut counts = File::new("rwkv7").bytes();
    counts[8..16].copy_from_slice(&huge);
    assert!(matches!(refusal(&counts), Error::Format { .. }));
    counts[8..16].fill(0);
    counts[16..24].copy_from_slice(&huge);
    assert!(matches!(refusal(&counts), Error::Format { .. }));
}

#[test]
fn more_pairs_than_any_model_has_are_refused_before_they_take_many_times_the_files_size() {
    let pair = [0; 13];
    let mut file = File::new("rwkv7");
    file.pairs.extend((0..MOST_ENTRIES).map(|_| pair.to_vec()));
    assert!(file.refusal().to_string().contains("100001 pairs"));
}
