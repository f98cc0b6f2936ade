//! What kind of RWKV a checkpoint is and how large, told from the names and shapes of its tensors.

use std::fmt;

use crate::checkpoint::{Checkpoint, FileType};
use crate::error::{Error, Result};
use crate::kernel::LARGEST_HEAD;
use crate::quant::Format;

/// A generation of the RWKV architecture.
#[allow(missing_docs, reason = "the names are the architecture's own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Generation {
    V4,
    /// One decay a head, no gate. rwkv.cpp calls it 5.1.
    V5_0,
    /// 5.0 with a gate.
    V5_1,
    /// One decay a channel, with a gate.
    V5_2,
    V6,
    V7,
}

impl Generation {
    /// In the order of their codes in Volary's own files.
    const ALL: [Self; 6] = [Self::V4, Self::V5_0, Self::V5_1, Self::V5_2, Self::V6, Self::V7];

    pub(super) fn code(self) -> u32 {
        self as u32
    }

    pub(super) fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "RWKV-4",
            Self::V5_0 => "RWKV-5.0",
            Self::V5_1 => "RWKV-5.1",
            Self::V5_2 => "RWKV-5.2",
            Self::V6 => "RWKV-6",
            Self::V7 => "RWKV-7",
        })
    }
}

/// Generation and sizes of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Generation of the architecture.
    pub generation: Generation,
    /// Layers.
    pub n_layer: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Token ids; logits have one number for each.
    pub n_vocab: usize,
    /// Width of the channel mix's hidden layer.
    pub n_ffn: usize,
    /// Heads of the time mix; `n_embd` for RWKV-4, whose channels stand alone.
    pub n_head: usize,
    /// Channels in a head; 1 for RWKV-4.
    pub head_size: usize,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f32,
    /// Epsilon of the group norm after the recurrence. BlinkDL's models are trained with 64e-5.
    pub group_norm_eps: f32,
    /// What the normalized embedding is rounded to; `None`: it is not. RWKV-4 to 6 were trained with it in the
    /// checkpoint's own precision, and BlinkDL's package still computes it so when everything else is f32. A `.bin` says
    /// nothing of the training, and the program it is made for does not round; nor does llama.cpp.
    pub embedding_precision: Option<Format>,
    /// The residual stream is halved after every so many layers; 0: never. Only some RWKV-6 GGUF files ask for it.
    pub rescale_every: usize,
}

pub(super) const DAMAGED: &str = "it is damaged, download or convert it again";

impl Config {
    /// Reads the configuration off a checkpoint.
    ///
    /// # Errors
    /// [`Error::Format`] if it holds no RWKV model, [`Error::Unsupported`] for variants Volary does not know.
    pub fn detect(checkpoint: &Checkpoint) -> Result<Self> {
        refuse_what_is_no_model(checkpoint)?;
        let generation = detect_generation(checkpoint);
        refuse_variants(checkpoint, generation)?;

        let [n_vocab, n_embd] = matrix_shape(checkpoint, "emb.weight")?;
        let n_layer = count_layers(checkpoint)?;
        let n_ffn = matrix_shape(checkpoint, "blocks.0.ffn.key.weight")?[0];
        let (n_head, head_size) = heads(checkpoint, generation, n_embd)?;
        if n_vocab == 0 || n_embd == 0 || n_ffn == 0 || n_head * head_size != n_embd || head_size > LARGEST_HEAD {
            let sizes = format!("{n_vocab} tokens, {n_embd} channels, {n_ffn} hidden, {n_head} heads of {head_size}");
            return Err(Error::format(checkpoint.path(), format!("has impossible sizes: {sizes}; {DAMAGED}")));
        }
        check_stated_sizes(checkpoint, [n_layer, n_embd, n_vocab, n_ffn])?;
        Ok(Self {
            generation,
            n_layer,
            n_embd,
            n_vocab,
            n_ffn,
            n_head,
            head_size,
            layer_norm_eps: checkpoint.metadata().layer_norm_eps.unwrap_or(1e-5),
            group_norm_eps: 64e-5,
            embedding_precision: embedding_precision(checkpoint, generation),
            rescale_every: checkpoint.metadata().rescale_every.unwrap_or(0),
        })
    }

    /// Numbers the recurrence keeps for each layer.
    pub(crate) fn wkv_len(&self) -> usize {
        match self.generation {
            Generation::V4 => 3 * self.n_embd,
            _ => self.n_embd * self.head_size,
        }
    }
}

fn embedding_precision(checkpoint: &Checkpoint, generation: Generation) -> Option<Format> {
    match checkpoint.file_type() {
        FileType::Pth | FileType::Safetensors if generation < Generation::V7 => checkpoint.format("emb.weight"),
        _ => checkpoint.metadata().embedding_precision,
    }
}

fn refuse_what_is_no_model(checkpoint: &Checkpoint) -> Result<()> {
    let needed = ["emb.weight", "blocks.0.ffn.key.weight"];
    let Some(missing) = needed.into_iter().find(|name| !checkpoint.contains(name)) else { return Ok(()) };
    // Their headers say that they hold an RWKV model.
    if matches!(checkpoint.file_type(), FileType::RwkvCpp | FileType::Gguf) {
        let cause = format!("lacks the tensor {missing}; it is truncated or damaged, download or convert it again");
        return Err(Error::format(checkpoint.path(), cause));
    }
    let any = |part: &str| checkpoint.tensors().any(|(name, ..)| name.contains(part));
    let cause = if any("att.time_state") {
        "holds tuned initial states, not a model; load a model and give this as its initial state"
    } else if [".lora_A", ".lora_B", ".init_lora_", ".disha", ".bone"].into_iter().any(any) {
        "holds a LoRA, not a model; merge it into the model it was trained on"
    } else {
        "holds no RWKV model: emb.weight or blocks.0.ffn.key.weight is missing; Volary runs RWKV-4, 5, 6 and 7"
    };
    Err(Error::format(checkpoint.path(), cause))
}

/// After BlinkDL's `rwkv` package, which looks for the same tensors.
fn detect_generation(checkpoint: &Checkpoint) -> Generation {
    let has = |name: &str| checkpoint.contains(&format!("blocks.0.att.{name}"));
    if has("r_k") {
        Generation::V7
    } else if has("time_maa_x") {
        Generation::V6
    } else if !has("ln_x.weight") {
        Generation::V4
    } else if !has("gate.weight") {
        Generation::V5_0
    } else if checkpoint.shape("blocks.0.att.time_decay").is_some_and(|shape| shape.len() == 2 && shape[1] > 1) {
        Generation::V5_2
    } else {
        Generation::V5_1
    }
}

/// Experiments that share most names with a released generation would run and produce nonsense.
fn refuse_variants(checkpoint: &Checkpoint, generation: Generation) -> Result<()> {
    const VARIANTS: [(&str, &str); 10] = [
        (".ffn.s_emb", "RWKV-7a (DeepEmbed)"),
        (".ffn.s0", "RWKV-7a (DeepEmbed)"),
        (".qkv.", "RWKV-7b (DeepEmbed attention)"),
        ("tiny_", "RWKV with tiny attention (tiny_att)"),
        ("pos_emb", "RWKV with position embeddings (pos_emb)"),
        (".att.gate_w", "RWKV-6a (x060a)"),
        (".time_maa_rkvw_", "RWKV-6b or 6c (x060b, x060c)"),
        (".lora_", "a checkpoint with an unmerged LoRA"),
        (".disha", "a checkpoint with an unmerged DiSHA"),
        (".bone", "a checkpoint with an unmerged Bone"),
    ];
    for (name, ..) in checkpoint.tensors() {
        let variant = VARIANTS.iter().find(|(part, _)| name.contains(part)).map(|(_, variant)| *variant);
        let layer_tensor = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')).map(|(_, rest)| rest);
        let cause = match (variant, layer_tensor) {
            (Some(variant), _) => format!("{variant} is not supported ({name})"),
            (None, Some(rest)) if !generation_has(generation, rest) => {
                format!("is a variant of {generation} that is not supported: it has the tensor {name}")
            }
            _ => continue,
        };
        return Err(Error::unsupported(checkpoint.path().display(), cause));
    }
    Ok(())
}

/// Whether a layer of this generation may hold a tensor of this name.
fn generation_has(generation: Generation, name: &str) -> bool {
    const COMMON: &[&str] = &[
        "ln0.weight",
        "ln0.bias",
        "ln1.weight",
        "ln1.bias",
        "ln2.weight",
        "ln2.bias",
        "att.receptance.weight",
        "att.key.weight",
        "att.value.weight",
        "att.output.weight",
        "ffn.key.weight",
        "ffn.value.weight",
        "ffn.receptance.weight",
    ];
    const V4_V5: &[&str] = &[
        "att.time_decay",
        "att.time_first",
        "att.time_faaaa",
        "att.time_mix_k",
        "att.time_mix_v",
        "att.time_mix_r",
        "ffn.time_mix_k",
        "ffn.time_mix_r",
    ];
    let own = match generation {
        Generation::V4 | Generation::V5_0 => V4_V5.contains(&name),
        // A gate that only some layers have would make the others' look like 5.0.
        Generation::V5_1 | Generation::V5_2 => {
            V4_V5.contains(&name) || matches!(name, "att.time_mix_g" | "att.gate.weight")
        }
        Generation::V6 => {
            name == "att.gate.weight"
                || ["att.time_maa_", "att.time_decay", "att.time_faaaa", "ffn.time_maa_"]
                    .iter()
                    .any(|p| name.starts_with(p))
        }
        Generation::V7 => {
            const V7: &[&str] =
                &["w0", "w1", "w2", "a0", "a1", "a2", "v0", "v1", "v2", "g1", "g2", "k_k", "k_a", "r_k"];
            let att = name.strip_prefix("att.");
            att.is_some_and(|rest| V7.contains(&rest) || rest.starts_with("x_")) || name == "ffn.x_k"
        }
    };
    own || COMMON.contains(&name)
        || (generation > Generation::V4 && name.starts_with("att.ln_x."))
        || name == "att.time_state"
}

fn matrix_shape(checkpoint: &Checkpoint, name: &str) -> Result<[usize; 2]> {
    match *checkpoint.shape(name).unwrap_or_default() {
        [rows, cols] => Ok([rows, cols]),
        ref other => {
            let cause = format!("{name} must be a matrix, and is {other:?}; {DAMAGED}");
            Err(Error::format(checkpoint.path(), cause))
        }
    }
}

/// One more than the highest layer that is named; each must be there, which loading finds out.
fn count_layers(checkpoint: &Checkpoint) -> Result<usize> {
    let highest = checkpoint
        .tensors()
        .filter_map(|(name, ..)| name.strip_prefix("blocks.")?.split_once('.')?.0.parse::<usize>().ok())
        .max()
        .unwrap_or(0);
    let present = (0..=highest).take_while(|i| checkpoint.contains(&format!("blocks.{i}.ln1.weight"))).count();
    if present <= highest {
        return Err(Error::format(
            checkpoint.path(),
            format!("names layer {highest} but lacks layer {present}; {DAMAGED}"),
        ));
    }
    Ok(present)
}

/// That what a file says of its model's sizes is true of its tensors: a file that has lost its last layers would else
/// pass for a smaller model.
fn check_stated_sizes(checkpoint: &Checkpoint, [n_layer, n_embd, n_vocab, n_ffn]: [usize; 4]) -> Result<()> {
    let stated = checkpoint.metadata().sizes;
    for (what, stated, found) in [
        ("layers", stated.n_layer, n_layer),
        ("channels", stated.n_embd, n_embd),
        ("tokens", stated.n_vocab, n_vocab),
        ("hidden channels", stated.n_ffn, n_ffn),
    ] {
        if let Some(stated) = stated.filter(|&stated| stated != found) {
            let cause = format!("says that it has {stated} {what}, but has {found}; it is truncated or damaged");
            return Err(Error::format(checkpoint.path(), format!("{cause}, download or convert it again")));
        }
    }
    Ok(())
}

fn heads(checkpoint: &Checkpoint, generation: Generation, n_embd: usize) -> Result<(usize, usize)> {
    let named = match generation {
        Generation::V4 => return Ok((n_embd, 1)),
        Generation::V5_0 | Generation::V5_1 => "blocks.0.att.time_decay",
        Generation::V5_2 | Generation::V6 => "blocks.0.att.time_faaaa",
        Generation::V7 => "blocks.0.att.r_k",
    };
    match checkpoint.shape(named) {
        // As a plain vector these do not tell: a GGUF file without its head size, or with a senseless one.
        Some(shape @ &[_]) if matches!(generation, Generation::V6 | Generation::V7) => Err(Error::format(
            checkpoint.path(),
            format!("does not tell its head size, or one that does not divide {named} {shape:?}; convert it again"),
        )),
        Some(&[n_head]) if n_head > 0 => Ok((n_head, n_embd / n_head)),
        Some(&[n_head, 1]) if n_head > 0 => Ok((n_head, n_embd / n_head)),
        Some(&[n_head, head_size]) => Ok((n_head, head_size)),
        Some(other) => {
            let cause = format!("{named} must tell heads and head size, and is {other:?}; {DAMAGED}");
            Err(Error::format(checkpoint.path(), cause))
        }
        None => Err(checkpoint.lacks(named)),
    }
}
