//! Sound inputs of every kind to begin with.

use serde_json::{Map, json};
use volary::chat::ChatOptions;
use volary::convert::{ConvertOptions, Quantization, convert};
use volary::quant::Format;

use super::entry::{golden, sound_model};

/// The sound inputs of a kind, always in the same order.
pub fn seeds(kind: &str) -> Vec<Vec<u8>> {
    match kind {
        "pth" => read(&["v4.pth", "v5.0.pth", "v5.2.pth", "v6.pth", "v7.pth"]),
        "safetensors" => read(&["v4-transformers.safetensors", "v7.safetensors"]),
        "index" => read(&["v7-fla/model.safetensors.index.json"]),
        "bin" => {
            let mut seeds = read(&["v4-100.bin", "v4-101.bin", "v5.2-101.bin", "v6-101.bin", "v7-101.bin"]);
            seeds.push(quantized("v4.pth", "model.bin", Format::Q4_1));
            seeds
        }
        "gguf" => {
            let mut seeds = read(&["v6.gguf", "v7.gguf"]);
            seeds.extend(
                [Format::Q4_0, Format::Q5_1, Format::Q8_0].map(|format| quantized("v7.pth", "model.gguf", format)),
            );
            seeds
        }
        "sizes" => (0..5).map(|generation| vec![generation, 2, 16, 0, 4, 2, 255, 32, 1]).collect(),
        "convert" => read(&["v4.pth", "v7.safetensors", "v5.2-101.bin", "v6.gguf"]),
        "lora" => {
            let names = ["v4-lora", "v7-lora", "v7-disha", "v7-bat", "v7-pissa-init"];
            let mut seeds = read(&names.map(|name| format!("lora/{name}.pth")));
            seeds.push(lora());
            seeds
        }
        "tuned-state" => read(&["v6-state.pth", "v7-state.pth"]),
        "state" => {
            let (_, state) = sound_model().eval_sequence(&[1, 2, 3], None).unwrap();
            vec![state.to_bytes()]
        }
        "chat" => {
            let options = ChatOptions { system: Some("Be brief.".into()), ..ChatOptions::default() };
            vec![sound_model().chat(options).unwrap().to_bytes().unwrap()]
        }
        "vocabulary" => vec![VOCABULARY.into()],
        "tokenizer" => vec![TOKENIZER.into()],
        "chat-format" => {
            texts(&["auto\nBe brief.\nHi\nWhy?", "g1-think\n\nHi", "alpaca\nx\n# Input:", "raven\n\\n\\n\nHi"])
        }
        "options" => vec![OPTIONS.iter().flat_map(|word| word.to_le_bytes()).collect()],
        "stop" => texts(&["\n\n\0.\0the end", "e", "犬\0\u{fffd}"]),
        "arguments" => texts(ARGUMENTS),
        other => panic!("there is no kind {other}"),
    }
}

fn read(names: &[impl AsRef<str>]) -> Vec<Vec<u8>> {
    names.iter().map(|name| std::fs::read(golden(name.as_ref())).unwrap()).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn quantized(source: &str, target: &str, format: Format) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join(target);
    let quantization = Quantization { format: Some(format), ..Quantization::default() };
    convert(golden(source), &target, &ConvertOptions { quantization, ..ConvertOptions::default() }).unwrap();
    std::fs::read(target).unwrap()
}

/// A LoRA of one matrix, and a norm that was trained whole, in `.safetensors`.
fn lora() -> Vec<u8> {
    /// In BF16.
    const ONE_128TH: [u8; 2] = [0x00, 0x3c];
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in [("att.key.lora_A", &[2, 64][..]), ("att.key.lora_B", &[64, 2]), ("ln1.weight", &[64])] {
        let begin = data.len();
        data.extend(ONE_128TH.repeat(shape.iter().product()));
        let tensor = json!({"dtype": "BF16", "shape": shape, "data_offsets": [begin, data.len()]});
        header.insert(format!("blocks.0.{name}"), tensor);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat()
}

/// Every form of a line.
const VOCABULARY: &str = r#"1 '\x00' 1
2 'a' 1
3 ' b' 2
4 "it's" 4
5 b'\xe6\x97' 2
6 '\u3000犬' 6
7 '\n\n' 2
9 b'\xff' 1
"#;

/// As small as a byte-level BPE with an added token, a normalizer and all other parts can be.
const TOKENIZER: &str = r#"{
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [
    {"id": 0, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 9, "content": "  ", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}
  ],
  "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": "\\p{L}+|\\p{N}|\\s+(?!\\S)|."}, "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
  ]},
  "post_processor": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
  "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
  "model": {
    "type": "BPE", "dropout": null, "unk_token": "u", "continuing_subword_prefix": "", "end_of_word_suffix": "",
    "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
    "vocab": {"<|endoftext|>": 0, "H": 1, "e": 2, "l": 3, "o": 4, "u": 5, "Ġ": 6, "He": 7, "ll": 8, "Hell": 10},
    "merges": [["H", "e"], ["l", "l"], ["He", "ll"]]
  }
}"#;

/// All options given, then a bias, bans and stop tokens.
const OPTIONS: [u32; 22] = [
    u32::MAX,
    1.5f32.to_bits(),
    0.9f32.to_bits(),
    40,
    0.05f32.to_bits(),
    0.2f32.to_bits(),
    0.2f32.to_bits(),
    0.99f32.to_bits(),
    1.1f32.to_bits(),
    5,
    77,
    1,
    10,
    2f32.to_bits(),
    11,
    (-2f32).to_bits(),
    12,
    0f32.to_bits(),
    13,
    14,
    15,
    16,
];

const ARGUMENTS: &[&str] = &[
    "complete\nOnce upon a time\n--count\n3\n--seed\n1000\n--temperature\n0.5\n--stop\n\\n\n--ignore-eos",
    "chat\nmodel.pth\n--threads\n4\n--tokenizer\nvocab.txt\n--state\nstate.pth\n--lora\nlora.pth:32",
    "convert\nmodel.pth\nmodel.gguf\n--type\nQ5_1\n--tensor-type\n*.ffn.*=Q4_K\n--threads\n2",
    "merge-lora\nmodel.pth\nlora.pth\nout.pth\n--alpha\n32",
    "perplexity\nmodel.pth\ntext.txt\n--formats\nQ4_0,Q5_1",
    "tokenize\nvocab.txt\n--decode\n1,2,3",
    "bench\nmodel.pth\n--json",
    "eval\nmodel.pth\n--tokens\n1,2,3",
    "info\nmodel.pth\n--json",
];
