//! From the names, shapes and orientations of each ecosystem to the canonical ones.
//!
//! Two steps: every name becomes BlinkDL's, then shapes and numbers become those that the module above defines.

mod gguf;

use super::{FileType, Metadata, Stored};

pub(crate) use gguf::Architecture;

/// What a file's tensors are.
pub(super) struct Canonical {
    /// Each with the index of the stored tensor that it is, or is a part of.
    pub tensors: Vec<(usize, Stored)>,
    pub generation: Generation,
    /// Whether the file keeps tensors as BlinkDL's training does, or in a form of its own.
    pub is_as_trained: bool,
}

/// The canonical tensors of a file. Names that no ecosystem knows pass unchanged: the model decides about them.
/// Each tensor has been found to lie inside its file.
pub(super) fn canonical(stored: Vec<Stored>, file_type: FileType, metadata: &Metadata) -> Canonical {
    let (named, is_as_trained) = match file_type {
        FileType::Gguf => {
            let architecture = metadata.architecture.as_deref().and_then(Architecture::named);
            let architecture = architecture.unwrap_or(Architecture::Rwkv7);
            (renamed(stored, |tensor| gguf::canonical(tensor, architecture)), false)
        }
        FileType::RwkvCpp => (renamed(stored, from_rwkvcpp), false),
        FileType::Pth | FileType::Safetensors => {
            let stored = without_prefix(stored);
            if stored.iter().any(|tensor| tensor.name.starts_with("model.layers.")) {
                (renamed(stored, from_fla), false)
            } else {
                (renamed(stored, |tensor| vec![from_transformers(tensor)]), true)
            }
        }
    };
    let generation = Generation::detect(named.iter().map(|(_, tensor)| tensor));
    let shaped = |tensor| match is_as_trained {
        true => from_training(tensor, generation),
        false => with_canonical_shape(tensor, generation, metadata.head_size),
    };
    let tensors = named.into_iter().map(|(index, tensor)| (index, shaped(tensor))).collect();
    Canonical { tensors, generation, is_as_trained }
}

fn renamed(stored: Vec<Stored>, rename: impl Fn(Stored) -> Vec<Stored>) -> Vec<(usize, Stored)> {
    let parts = |(index, tensor)| rename(tensor).into_iter().map(move |part| (index, part));
    stored.into_iter().enumerate().flat_map(parts).collect()
}

/// The names of a file of few tensors, a LoRA, as BlinkDL's, as far as they are names of a model's tensors.
pub(super) fn of_training(stored: Vec<Stored>) -> Vec<Stored> {
    without_prefix(stored).into_iter().map(from_transformers).collect()
}

/// The canonical form of a tensor as training leaves it, under BlinkDL's name.
pub(super) fn from_training(mut tensor: Stored, generation: Generation) -> Stored {
    tensor.elementwise = generation.activation(&tensor);
    with_canonical_shape(with_rows_as_outputs(tensor), generation, None)
}

/// The matrices of `att` that come in pairs whose rank is far below `n_embd`.
pub(crate) const LOW_RANK: [&str; 12] =
    ["time_maa_w1", "time_maa_w2", "time_decay_w1", "time_decay_w2", "w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"];

/// RWKV-7's mixes, in the order in which every ecosystem fuses them.
pub(crate) const RWKV7_MIXES: [&str; 6] = ["r", "w", "k", "v", "a", "g"];

/// DeepSpeed and RWKV-PEFT put prefixes before every name.
fn without_prefix(mut stored: Vec<Stored>) -> Vec<Stored> {
    for tensor in &mut stored {
        let mut rest = tensor.name.as_str();
        while let Some(shorter) = ["_forward_module.", "module.", "model."].iter().find_map(|p| rest.strip_prefix(p)) {
            rest = shorter;
        }
        if ["emb.", "blocks.", "ln_out.", "head."].iter().any(|beginning| rest.starts_with(beginning)) {
            tensor.name = rest.to_string();
        }
    }
    stored
}

/// Splits `blocks.3.rest` or the like, whatever the word before the number is.
fn in_layer<'a>(name: &'a str, prefix: &str) -> Option<(usize, &'a str)> {
    let (layer, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}

/// transformers' RWKV-4 (`convert_rwkv_checkpoint_to_hf.py`) and the RWKV-5 and 6 models that follow it.
fn from_transformers(mut tensor: Stored) -> Stored {
    let Some(name) = tensor.name.strip_prefix("rwkv.") else {
        return tensor;
    };
    tensor.name = match in_layer(name, "blocks.") {
        None => name.replacen("embeddings.", "emb.", 1),
        Some((layer, rest)) => {
            let rest = rest.replacen("pre_ln.", "ln0.", 1);
            let rest = rest.replacen("attention.", "att.", 1).replacen("feed_forward.", "ffn.", 1);
            let mixes = [("key", "k"), ("value", "v"), ("receptance", "r"), ("gate", "g")];
            let short = mixes.iter().find_map(|(long, short)| {
                Some(format!("{}time_mix_{short}", rest.strip_suffix(&format!("time_mix_{long}"))?))
            });
            format!("blocks.{layer}.{}", short.unwrap_or(rest))
        }
    };
    tensor
}

/// fla's RWKV-7 (`utils/convert_from_rwkv7.py`), whose matrices are all `[out, in]`.
fn from_fla(mut tensor: Stored) -> Vec<Stored> {
    let Some((layer, rest)) = in_layer(&tensor.name, "model.layers.") else {
        for (theirs, ours) in [("model.embeddings.", "emb."), ("lm_head.", "head."), ("model.norm.", "ln_out.")] {
            if let Some(rest) = tensor.name.strip_prefix(theirs) {
                tensor.name = format!("{ours}{rest}");
                break;
            }
        }
        return vec![tensor];
    };
    const RENAMED: [(&str, &str); 9] = [
        ("pre_norm.", "ln0."),
        ("attn_norm.", "ln1."),
        ("ffn_norm.", "ln2."),
        ("attn.r_proj.", "att.receptance."),
        ("attn.k_proj.", "att.key."),
        ("attn.v_proj.", "att.value."),
        ("attn.o_proj.", "att.output."),
        ("attn.g_norm.", "att.ln_x."),
        ("attn.", "att."),
    ];
    let mut name = rest.to_string();
    if let Some((theirs, ours)) = RENAMED.iter().find(|(theirs, _)| rest.starts_with(theirs)) {
        name = format!("{ours}{}", &rest[theirs.len()..]);
    }
    for (theirs, ours) in [("_lora.lora.0.weight", "1"), ("_lora.lora.2.weight", "2"), ("_lora.lora.2.bias", "0")] {
        if let Some(stem) = name.strip_suffix(theirs) {
            name = format!("{stem}{ours}");
        }
    }
    tensor.name = format!("blocks.{layer}.{name}");
    // Older exports keep the six mixes in one tensor.
    split_fused(tensor, "att.x_x", "att.x_", &RWKV7_MIXES)
}

/// rwkv.cpp's names are BlinkDL's; matrices are `[out, in]`, decays ready for use, and RWKV-7's mixes fused.
fn from_rwkvcpp(tensor: Stored) -> Vec<Stored> {
    split_fused(tensor, "att.x_rwkvag", "att.x_", &RWKV7_MIXES)
}

/// Splits a tensor of this name, `[parts, ...]`, into its parts. Rows are contiguous, so a part is an offset.
fn split_fused(tensor: Stored, fused: &str, prefix: &str, parts: &[&str]) -> Vec<Stored> {
    let Some(stem) = tensor.name.strip_suffix(fused).map(str::to_string) else {
        return vec![tensor];
    };
    let Some((&count, shape)) = tensor.shape.split_first() else {
        return vec![tensor];
    };
    // The model will miss the parts by name. So it will those of a tensor whose parts are not whole rows.
    let (true, None, Some(size)) = (count == parts.len(), &tensor.strides, tensor.format.size_of(shape)) else {
        return vec![tensor];
    };
    let part = |(i, part)| Stored {
        name: format!("{stem}{prefix}{part}"),
        shape: shape.to_vec(),
        offset: tensor.offset + i * size,
        ..tensor.clone()
    };
    parts.iter().enumerate().map(part).collect()
}

/// The generations, as far as names and shapes mean different things in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Generation {
    V4,
    V5,
    V6,
    V7,
}

impl Generation {
    /// Tells them apart as BlinkDL's `rwkv` package does.
    fn detect<'a>(stored: impl Iterator<Item = &'a Stored> + Clone) -> Self {
        let any = |part: &str| stored.clone().any(|tensor| tensor.name.ends_with(part));
        if any(".att.r_k") {
            Self::V7
        } else if stored.clone().any(|tensor| tensor.name.contains(".att.time_maa_")) {
            Self::V6
        } else if any(".att.ln_x.weight") || any(".att.time_faaaa") {
            Self::V5
        } else {
            Self::V4
        }
    }

    /// What RWKV-4 and 5 do to their trained decays and bonuses before use.
    fn activation(self, tensor: &Stored) -> Option<fn(f32) -> f32> {
        let (_, name) = tensor.name.rsplit_once(".att.")?;
        match (self, name) {
            (Self::V4, "time_decay") => Some(|x| -x.exp()),
            (Self::V5, "time_decay") => Some(|x| (-x.exp()).exp()),
            (Self::V5, "time_first") => Some(f32::exp),
            _ => None,
        }
    }
}

/// BlinkDL keeps low-rank matrices as `[in, out]`: turns them.
fn with_rows_as_outputs(tensor: Stored) -> Stored {
    let is_turned = tensor.name.rsplit_once(".att.").is_some_and(|(_, name)| LOW_RANK.contains(&name));
    match tensor.shape.len() {
        n @ 2.. if is_turned => tensor.transposed(n - 2, n - 1),
        _ => tensor,
    }
}

/// Drops the dimensions of 1 that only broadcasting needed, and divides per-head vectors into heads.
fn with_canonical_shape(mut tensor: Stored, generation: Generation, head_size: Option<usize>) -> Stored {
    let parts = tensor.name.rsplit_once(".att.").or_else(|| tensor.name.rsplit_once(".ffn."));
    let Some((_, name)) = parts else {
        return tensor;
    };
    let is_per_head = match name {
        "time_decay" | "time_first" => generation == Generation::V5,
        "time_faaaa" | "r_k" => true,
        _ => false,
    };
    // Only llama.cpp's files say the head size; RWKV-5's decay may have one number a head.
    let head_size = head_size.filter(|_| generation != Generation::V5);
    let is_decay = name == "time_decay";
    if is_per_head {
        while let &[_, .., 1] = &tensor.shape[..] {
            let last = tensor.shape.len() - 1;
            without_dimension(&mut tensor, last);
        }
        if let (Some(head_size @ 1..), &[n], None) = (head_size, &tensor.shape[..], &tensor.strides)
            && n.is_multiple_of(head_size)
        {
            tensor.shape = vec![n / head_size, head_size];
        }
    } else if is_vector(name) {
        while let (2.., Some(unit)) = (tensor.shape.len(), tensor.shape.iter().position(|&d| d == 1)) {
            without_dimension(&mut tensor, unit);
        }
        // rwkv.cpp divides RWKV-6's decay into heads.
        if is_decay && tensor.strides.is_none() {
            tensor.shape = vec![tensor.shape.iter().product()];
        }
    }
    tensor
}

/// Whether a tensor of `att` or `ffn` has one number a channel.
fn is_vector(name: &str) -> bool {
    let is_mix = |prefix| name.strip_prefix(prefix).is_some_and(|part| part.len() == 1);
    matches!(name, "time_decay" | "time_first" | "w0" | "a0" | "v0" | "k_k" | "k_a")
        || ["time_mix_", "time_maa_", "x_"].into_iter().any(is_mix)
}

fn without_dimension(tensor: &mut Stored, dimension: usize) {
    tensor.shape.remove(dimension);
    if let Some(strides) = &mut tensor.strides {
        strides.remove(dimension);
    }
}
