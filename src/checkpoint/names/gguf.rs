//! llama.cpp's names (`gguf-py`'s `tensor_mapping.py`) for RWKV-6 and 7, and ours for RWKV-4 and 5, which llama.cpp does
//! not know, in the same manner.

use super::{RWKV7_MIXES, in_layer, split_fused};
use crate::checkpoint::Stored;

/// A generation as GGUF's `general.architecture` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    Rwkv4,
    Rwkv5,
    Rwkv6,
    Rwkv7,
}

use Architecture::*;

/// Canonical names and GGUF's.
const OUTSIDE_LAYERS: &[(&str, &str)] = &[
    ("emb.weight", "token_embd.weight"),
    ("blocks.0.ln0.weight", "token_embd_norm.weight"),
    ("blocks.0.ln0.bias", "token_embd_norm.bias"),
    ("ln_out.weight", "output_norm.weight"),
    ("ln_out.bias", "output_norm.bias"),
    ("head.weight", "output.weight"),
];

const ALL: &[(&str, &str)] = &[
    ("ln1.weight", "attn_norm.weight"),
    ("ln1.bias", "attn_norm.bias"),
    ("ln2.weight", "attn_norm_2.weight"),
    ("ln2.bias", "attn_norm_2.bias"),
    ("att.receptance.weight", "time_mix_receptance.weight"),
    ("att.key.weight", "time_mix_key.weight"),
    ("att.value.weight", "time_mix_value.weight"),
    ("att.gate.weight", "time_mix_gate.weight"),
    ("att.output.weight", "time_mix_output.weight"),
    ("att.ln_x.weight", "time_mix_ln.weight"),
    ("att.ln_x.bias", "time_mix_ln.bias"),
    ("att.time_state", "time_mix_state.weight"),
    ("ffn.receptance.weight", "channel_mix_receptance.weight"),
    ("ffn.key.weight", "channel_mix_key.weight"),
    ("ffn.value.weight", "channel_mix_value.weight"),
];

const RWKV4: &[(&str, &str)] = &[("att.time_first", "time_mix_first.weight")];

/// RWKV-5.0 calls its bonus `time_first`, later ones `time_faaaa`: as the recurrence uses it, it is one thing.
const RWKV5: &[(&str, &str)] =
    &[("att.time_faaaa", "time_mix_first.weight"), ("att.time_first", "time_mix_first.weight")];

const RWKV4_AND_5: &[(&str, &str)] = &[
    ("att.time_mix_k", "time_mix_lerp_k.weight"),
    ("att.time_mix_v", "time_mix_lerp_v.weight"),
    ("att.time_mix_r", "time_mix_lerp_r.weight"),
    ("att.time_mix_g", "time_mix_lerp_g.weight"),
    ("att.time_decay", "time_mix_decay.weight"),
    ("ffn.time_mix_k", "channel_mix_lerp_k.weight"),
    ("ffn.time_mix_r", "channel_mix_lerp_r.weight"),
];

const RWKV6: &[(&str, &str)] = &[
    ("att.time_maa_x", "time_mix_lerp_x.weight"),
    ("att.time_maa_w", "time_mix_lerp_w.weight"),
    ("att.time_maa_k", "time_mix_lerp_k.weight"),
    ("att.time_maa_v", "time_mix_lerp_v.weight"),
    ("att.time_maa_r", "time_mix_lerp_r.weight"),
    ("att.time_maa_g", "time_mix_lerp_g.weight"),
    ("att.time_maa_w1", "time_mix_w1.weight"),
    ("att.time_maa_w2", "time_mix_w2.weight"),
    ("att.time_decay", "time_mix_decay.weight"),
    ("att.time_decay_w1", "time_mix_decay_w1.weight"),
    ("att.time_decay_w2", "time_mix_decay_w2.weight"),
    ("att.time_faaaa", "time_mix_first.weight"),
    ("ffn.time_maa_k", "channel_mix_lerp_k.weight"),
    ("ffn.time_maa_r", "channel_mix_lerp_r.weight"),
];

const RWKV7: &[(&str, &str)] = &[
    ("att.x_r", "time_mix_lerp_r.weight"),
    ("att.x_w", "time_mix_lerp_w.weight"),
    ("att.x_k", "time_mix_lerp_k.weight"),
    ("att.x_v", "time_mix_lerp_v.weight"),
    ("att.x_a", "time_mix_lerp_a.weight"),
    ("att.x_g", "time_mix_lerp_g.weight"),
    ("att.w0", "time_mix_w0.weight"),
    ("att.w1", "time_mix_w1.weight"),
    ("att.w2", "time_mix_w2.weight"),
    ("att.a0", "time_mix_a0.weight"),
    ("att.a1", "time_mix_a1.weight"),
    ("att.a2", "time_mix_a2.weight"),
    ("att.v0", "time_mix_v0.weight"),
    ("att.v1", "time_mix_v1.weight"),
    ("att.v2", "time_mix_v2.weight"),
    ("att.g1", "time_mix_g1.weight"),
    ("att.g2", "time_mix_g2.weight"),
    ("att.k_k", "time_mix_k_k.weight"),
    ("att.k_a", "time_mix_k_a.weight"),
    ("att.r_k", "time_mix_r_k.weight"),
    ("ffn.x_k", "channel_mix_lerp_k.weight"),
];

/// GGUF's name of the mixes that stand in one tensor.
const FUSED: &str = "time_mix_lerp_fused.weight";

impl Architecture {
    pub fn named(name: &str) -> Option<Self> {
        [Rwkv4, Rwkv5, Rwkv6, Rwkv7].into_iter().find(|architecture| architecture.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Rwkv4 => "rwkv4",
            Rwkv5 => "rwkv5",
            Rwkv6 => "rwkv6",
            Rwkv7 => "rwkv7",
        }
    }

    /// The mixes that stand in one tensor, in its order: the prefix of their canonical names, and their letters.
    fn fused(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Rwkv4 | Rwkv5 => None,
            Rwkv6 => Some(("att.time_maa_", &["w", "k", "v", "r", "g"])),
            Rwkv7 => Some(("att.x_", &RWKV7_MIXES)),
        }
    }

    fn layer_names(self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        let own = match self {
            Rwkv4 => [RWKV4, RWKV4_AND_5],
            Rwkv5 => [RWKV5, RWKV4_AND_5],
            Rwkv6 => [RWKV6, &[]],
            Rwkv7 => [RWKV7, &[]],
        };
        ALL.iter().chain(own.into_iter().flatten())
    }

    /// GGUF's name of a canonical tensor.
    pub fn name_of(self, canonical: &str) -> Option<String> {
        if let Some((_, name)) = OUTSIDE_LAYERS.iter().find(|(ours, _)| *ours == canonical) {
            return Some(name.to_string());
        }
        let (layer, rest) = in_layer(canonical, "blocks.")?;
        let (_, name) = self.layer_names().find(|(ours, _)| *ours == rest)?;
        Some(format!("blk.{layer}.{name}"))
    }

    /// If this is one of the mixes that stand in one tensor: that tensor's name, and the canonical names of its parts.
    pub fn fused_with(self, canonical: &str) -> Option<(String, Vec<String>)> {
        let (prefix, letters) = self.fused()?;
        let (layer, rest) = in_layer(canonical, "blocks.")?;
        let letter = rest.strip_prefix(prefix)?;
        let parts = letters.iter().map(|letter| format!("blocks.{layer}.{prefix}{letter}")).collect();
        letters.contains(&letter).then(|| (format!("blk.{layer}.{FUSED}"), parts))
    }
}

/// The canonical names of a GGUF file's tensor; every matrix is `[out, in]` already. Names that the architecture does
/// not have pass unchanged within their layer: the model refuses them.
pub(super) fn canonical(mut tensor: Stored, architecture: Architecture) -> Vec<Stored> {
    // Some converters leave the suffix away.
    let bare = |name: &str| name.strip_suffix(".weight").unwrap_or(name).to_string();
    let Some((layer, rest)) = in_layer(&tensor.name, "blk.") else {
        if let Some((ours, _)) = OUTSIDE_LAYERS.iter().find(|(_, theirs)| *theirs == tensor.name) {
            tensor.name = ours.to_string();
        }
        return vec![tensor];
    };
    let is_fused = bare(rest) == bare(FUSED);
    let known = architecture.layer_names().find(|(_, theirs)| bare(theirs) == bare(rest));
    tensor.name = format!("blocks.{layer}.{}", known.map_or(rest, |(ours, _)| ours));
    match architecture.fused() {
        Some((prefix, letters)) if is_fused => {
            tensor.name = format!("blocks.{layer}.{FUSED}");
            split_fused(tensor, FUSED, prefix, letters)
        }
        // llama.cpp wants these in the first layer, which does not use them: they are copies of others.
        _ if layer == 0 && matches!(known, Some(("att.v0" | "att.v1" | "att.v2", _))) => vec![],
        _ => vec![tensor],
    }
}
