//! Models of zeros that are holes in their files: they take time, and hardly any space.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// An RWKV-4 in F32 that takes 28 bytes for each layer and square of the width. With 48 layers of 2048, many seconds to convert.
pub fn model(path: &Path, width: u32, layers: u32) {
    let mut file = File::create(path).unwrap();
    let mut put = |bytes: &[u8], hole: u64| {
        file.write_all(bytes).unwrap();
        let end = file.seek(SeekFrom::Current(hole as i64)).unwrap();
        file.set_len(end).unwrap();
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    put(&words(&[0x6767_6d66, 101, 256, width, layers, 0]), 0);
    let mut tensor = |name: &str, shape: &[u32]| {
        let dims: Vec<u32> = shape.iter().rev().copied().collect();
        let header = [words(&[dims.len() as u32, name.len() as u32, 0]), words(&dims), name.into()].concat();
        put(&header, shape.iter().map(|&len| u64::from(len)).product::<u64>() * 4);
    };
    tensor("emb.weight", &[256, width]);
    tensor("head.weight", &[256, width]);
    for part in ["weight", "bias"] {
        tensor(&format!("ln_out.{part}"), &[width]);
        tensor(&format!("blocks.0.ln0.{part}"), &[width]);
    }
    for layer in 0..layers {
        for norm in ["ln1.weight", "ln1.bias", "ln2.weight", "ln2.bias"] {
            tensor(&format!("blocks.{layer}.{norm}"), &[width]);
        }
        for vector in ["att.time_decay", "att.time_first", "att.time_mix_k", "att.time_mix_v", "att.time_mix_r"] {
            tensor(&format!("blocks.{layer}.{vector}"), &[width]);
        }
        for vector in ["ffn.time_mix_k", "ffn.time_mix_r"] {
            tensor(&format!("blocks.{layer}.{vector}"), &[width]);
        }
        for matrix in ["att.receptance", "att.key", "att.value", "att.output", "ffn.receptance", "ffn.key", "ffn.value"]
        {
            tensor(&format!("blocks.{layer}.{matrix}.weight"), &[width, width]);
        }
    }
}

/// `base.safetensors` with one matrix in BF16 for each layer, and `lora.safetensors` of full rank. With 400 layers of 512, many
/// seconds to merge.
pub fn merge(folder: &Path, width: usize, layers: usize) {
    let write = |name: &str, parts: &[&str]| {
        let size = width * width * 2;
        let names =
            (0..layers).flat_map(|layer| parts.iter().map(move |part| format!("blocks.{layer}.att.key.{part}")));
        let entries = names.enumerate().map(|(index, name)| {
            let offsets = [index * size, (index + 1) * size];
            (name, serde_json::json!({ "dtype": "BF16", "shape": [width, width], "data_offsets": offsets }))
        });
        let header = serde_json::Value::Object(entries.collect()).to_string();
        let path = folder.join(name);
        std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_len((8 + header.len() + layers * parts.len() * size) as u64).unwrap();
    };
    write("base.safetensors", &["weight"]);
    write("lora.safetensors", &["lora_A", "lora_B"]);
}
