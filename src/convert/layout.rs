//! The tensors of a file to be written: their names, shapes and order there.

use std::collections::BTreeSet;

use crate::checkpoint::{Architecture, BinVersion, Checkpoint, RWKV7_MIXES};
use crate::error::{Error, Result};
use crate::model::{Config, Generation};
use crate::quantize::Container;

/// A tensor of the file to be written.
pub(super) struct Target {
    /// Its name in that file.
    pub name: String,
    /// Its shape in that file, outermost dimension first.
    pub shape: Vec<usize>,
    /// The canonical tensors whose data make it up, one after the other.
    pub parts: Vec<String>,
}

pub(super) fn architecture(generation: Generation) -> Architecture {
    match generation {
        Generation::V4 => Architecture::Rwkv4,
        Generation::V5_0 | Generation::V5_1 | Generation::V5_2 => Architecture::Rwkv5,
        Generation::V6 => Architecture::Rwkv6,
        Generation::V7 => Architecture::Rwkv7,
    }
}

/// The tensors of a file of this kind, checked.
pub(super) fn targets(checkpoint: &Checkpoint, config: &Config, container: Container) -> Result<Vec<Target>> {
    let targets = match container {
        Container::Gguf => gguf(checkpoint, config)?,
        Container::Bin(version) => bin(checkpoint, config, version)?,
    };
    check(checkpoint, &targets)?;
    Ok(targets)
}

/// The tensors of a GGUF file, named and shaped as llama.cpp wants them.
fn gguf(checkpoint: &Checkpoint, config: &Config) -> Result<Vec<Target>> {
    let architecture = architecture(config.generation);
    let (mut targets, mut fused) = (Vec::new(), BTreeSet::new());
    for canonical in checkpoint.names() {
        let shape = checkpoint.shape(canonical).unwrap_or_default();
        if let Some((name, parts)) = architecture.fused_with(canonical) {
            if fused.insert(name.clone()) {
                let shape = vec![parts.len(), 1, 1, config.n_embd];
                targets.push(Target { name, shape, parts });
            }
            continue;
        }
        let Some(name) = architecture.name_of(canonical) else {
            return Err(unnamed(checkpoint, canonical, "a GGUF file"));
        };
        let parts = vec![canonical.to_string()];
        let shape = if canonical.ends_with(".att.r_k") { vec![config.n_embd] } else { shape.to_vec() };
        targets.push(Target { name, shape, parts });
    }
    if config.generation == Generation::V7 {
        // llama.cpp asks for these in the first layer too, in the shape of the rate's, and does not use them.
        for i in ["0", "1", "2"] {
            let (name, part) = (format!("blk.0.time_mix_v{i}.weight"), format!("blocks.0.att.a{i}"));
            let shape = checkpoint.shape(&part).unwrap_or_default().to_vec();
            targets.retain(|target| target.name != name);
            targets.push(Target { name, shape, parts: vec![part] });
        }
    }
    Ok(targets)
}

/// The tensors of rwkv.cpp's `.bin`, named and shaped as its `convert_pytorch_to_ggml.py` writes them.
fn bin(checkpoint: &Checkpoint, config: &Config, version: BinVersion) -> Result<Vec<Target>> {
    if version == BinVersion::V100 && config.generation != Generation::V4 {
        let cause =
            format!("100 is of a time before {}; write version 101, or convert an RWKV-4 model", config.generation);
        return Err(Error::argument("file_version", cause));
    }
    if config.generation == Generation::V5_1 {
        let cause = "is RWKV-5.1, which rwkv.cpp cannot run; convert it to .gguf";
        return Err(Error::unsupported(checkpoint.path().display(), cause));
    }
    let architecture = architecture(config.generation);
    let (mut targets, mut fused) = (Vec::new(), BTreeSet::new());
    for canonical in checkpoint.names() {
        let shape = checkpoint.shape(canonical).unwrap_or_default();
        let (layer, own) = canonical.rsplit_once(".att.").unwrap_or((canonical, ""));
        if own.strip_prefix("x_").is_some_and(|mix| RWKV7_MIXES.contains(&mix)) {
            let name = format!("{layer}.att.x_rwkvag");
            if fused.insert(name.clone()) {
                let parts = RWKV7_MIXES.iter().map(|mix| format!("{layer}.att.x_{mix}")).collect();
                targets.push(Target { name, shape: vec![RWKV7_MIXES.len(), 1, config.n_embd], parts });
            }
            continue;
        }
        // rwkv.cpp would pass over it, and whatever it was meant to be would be missing.
        if architecture.name_of(canonical).is_none() || own == "time_state" {
            return Err(unnamed(checkpoint, canonical, "a .bin"));
        }
        let name = match (own, config.generation) {
            // RWKV-5's bonus has the name of its sub-version, wherever it comes from.
            ("time_first" | "time_faaaa", Generation::V5_0) => format!("{layer}.att.time_first"),
            ("time_first" | "time_faaaa", Generation::V5_2) => format!("{layer}.att.time_faaaa"),
            _ => canonical.to_string(),
        };
        let parts = vec![canonical.to_string()];
        targets.push(Target { shape: bin_shape(&name, shape, config), name, parts });
    }
    Ok(targets)
}

/// The shape that rwkv.cpp gives a tensor: its decays and bonuses are heads of columns, RWKV-7's vectors broadcast.
fn bin_shape(name: &str, shape: &[usize], config: &Config) -> Vec<usize> {
    let own = name.rsplit_once(".att.").or_else(|| name.rsplit_once(".ffn.")).map_or("", |(_, own)| own);
    match (config.generation, own) {
        (Generation::V5_0, "time_decay" | "time_first") => vec![config.n_head, 1, 1],
        (Generation::V5_2 | Generation::V6, "time_decay" | "time_faaaa") => {
            vec![config.n_head, config.head_size, 1]
        }
        (Generation::V7, "x_k" | "w0" | "a0" | "v0" | "k_k" | "k_a") => vec![1, 1, config.n_embd],
        _ => shape.to_vec(),
    }
}

/// That a reader will find what was written: every name once, and behind it as many numbers as its shape says.
fn check(checkpoint: &Checkpoint, targets: &[Target]) -> Result<()> {
    let mut names = BTreeSet::new();
    for Target { name, shape, parts } in targets {
        let numbers = |part: &String| checkpoint.shape(part).map_or(0, |shape| shape.iter().product());
        let refuse = |cause: String| Err(Error::unsupported(checkpoint.path().display(), cause));
        let first = &parts[0];
        if parts.iter().map(numbers).sum::<usize>() != shape.iter().product::<usize>() {
            let own = checkpoint.shape(first).unwrap_or_default();
            return refuse(format!("holds {first} {own:?}, which must be {shape:?} in the new file; keep this one"));
        }
        if !names.insert(name) {
            return refuse(format!(
                "holds {first} and a second tensor that is called {name} too; leave one of them out"
            ));
        }
    }
    Ok(())
}

fn unnamed(checkpoint: &Checkpoint, canonical: &str, file: &str) -> Error {
    let cause = format!("{file} has no place for the tensor {canonical}; leave it out, or keep the file as it is");
    Error::unsupported(checkpoint.path().display(), cause)
}
