//! Which tensor gets which format: the table of each policy.

use std::str::FromStr;

use crate::checkpoint::LOW_RANK;
use crate::error::{Error, Result};
use crate::quant::Format;

/// Whose choice of formats to follow when a model is quantized to a format `T`; by name `default`, `rwkvcpp` or
/// `llamacpp`.
///
/// | tensors | `Default` | `RwkvCpp` | `LlamaCpp` |
/// |---|---|---|---|
/// | embedding | the next finer format | as it is | `T` |
/// | head | Q6_K (`T` if larger) | as it is | Q6_K (Q8_0 for Q8_0) |
/// | matrices of the layers | `T` | `T` | `T` |
/// | low-rank matrices | Q8_0 | as they are (RWKV-6: `T`, but for `time_maa_w2`) | as they are |
/// | vectors, `time_faaaa`, `r_k` | F32 | F32 | F32 |
///
/// A float `T` goes to every matrix. Rows that do not divide into a format's blocks get the next finer one that fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// The least perplexity for the bytes, and fast.
    #[default]
    Default,
    /// What rwkv.cpp's quantizer does.
    RwkvCpp,
    /// What llama.cpp's file types do (`llama-quant.cpp`): the sizes S, M and L do not differ for RWKV.
    LlamaCpp,
}

impl Policy {
    /// By which [`from_str`](str::parse) knows them.
    pub const NAMES: [&str; 3] = ["default", "rwkvcpp", "llamacpp"];
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "default" => Ok(Self::Default),
            "rwkvcpp" => Ok(Self::RwkvCpp),
            "llamacpp" => Ok(Self::LlamaCpp),
            _ => Err(Error::unknown("policy", name, &Self::NAMES)),
        }
    }
}

/// What a tensor is for, as far as policies care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Embedding,
    Head,
    /// A matrix of a layer's time mix or channel mix.
    Layer,
    /// One of a pair whose rank is far below `n_embd`.
    LowRank,
    /// Everything that is not multiplied as a matrix.
    Vector,
}

impl Role {
    /// Told by the canonical name.
    pub fn of(name: &str) -> Self {
        const LAYER: [&str; 5] = ["receptance.weight", "key.weight", "value.weight", "gate.weight", "output.weight"];
        match name {
            "emb.weight" => return Self::Embedding,
            "head.weight" => return Self::Head,
            _ => {}
        }
        let Some((_, own)) = name.split_once(".att.").or_else(|| name.split_once(".ffn.")) else {
            return Self::Vector;
        };
        if LAYER.contains(&own) {
            Self::Layer
        } else if LOW_RANK.contains(&own) {
            Self::LowRank
        } else {
            Self::Vector
        }
    }
}

impl Policy {
    /// The format of a tensor when the model is quantized to `wanted`; `None`: the one it has.
    pub(super) fn format(self, wanted: Format, name: &str) -> Option<Format> {
        let role = Role::of(name);
        match (self, role) {
            (_, Role::Vector) => Some(Format::F32),
            _ if wanted.is_float() => Some(if self.keeps_single(name) { Format::F32 } else { wanted }),
            (_, Role::Layer) => Some(wanted),
            (Self::Default, Role::Embedding) => Some(finer(wanted)),
            (Self::LlamaCpp, Role::Embedding) => Some(wanted),
            (Self::Default, Role::Head) if bits(wanted) > bits(Format::Q6_K) => Some(wanted),
            (Self::Default, Role::Head) => Some(Format::Q6_K),
            (Self::Default, Role::LowRank) => Some(Format::Q8_0),
            (Self::RwkvCpp, Role::LowRank) if name.contains(".time_") && !name.ends_with("time_maa_w2") => Some(wanted),
            (Self::RwkvCpp, _) => None,
            (Self::LlamaCpp, Role::Head) if wanted == Format::Q8_0 => Some(wanted),
            (Self::LlamaCpp, Role::Head) => Some(Format::Q6_K),
            (Self::LlamaCpp, Role::LowRank) => None,
        }
    }

    /// Whether a low-rank matrix stays F32 in a file of another float format.
    fn keeps_single(self, name: &str) -> bool {
        let is_mix_or_decay = name.contains(".time_");
        match self {
            Self::Default => false,
            Self::RwkvCpp => is_mix_or_decay,
            Self::LlamaCpp => is_mix_or_decay || name.ends_with(".att.w1") || name.ends_with(".att.w2"),
        }
    }
}

/// What the embedding gets. Only one of its rows is read for a token, so it costs memory but no time; and every error in
/// it passes through all layers. In RWKV-5.2's test model as Q4_0 this takes 17 % off the divergence from the
/// unquantized model for 0.7 % more bytes. No other matrix is worth a finer format than the rest: for so many bytes
/// more, all of them in a finer one gain more.
fn finer(format: Format) -> Format {
    use Format::*;
    match format {
        Q2_K => Q3_K,
        Q3_K => Q4_K,
        Q4_K => Q5_K,
        Q5_K => Q6_K,
        Q4_0 | Q4_1 | IQ4_NL => Q5_1,
        Q4_0_V100 | Q4_1_V100 | Q4_1_O | Q4_2 | Q4_3 => Q5_1_V100,
        Q6_K | Q5_0 | Q5_1 => Q8_0,
        Q5_0_V100 | Q5_1_V100 => Q8_0_V100,
        F32 | F16 | BF16 | Q8_0 | Q8_0_V100 => format,
    }
}

/// Bits a number takes.
fn bits(format: Format) -> f64 {
    8.0 * format.block_bytes() as f64 / format.block_len() as f64
}

/// The format itself if rows of `n` numbers divide into its blocks, else the next finer one that does. After
/// llama.cpp's `tensor_type_fallback`.
pub(super) fn fitting(format: Format, n: usize) -> Format {
    use Format::*;
    if n.is_multiple_of(format.block_len()) {
        return format;
    }
    let coarser = match format {
        Q2_K | Q3_K => Q4_0,
        Q4_K => Q5_0,
        Q5_K => Q5_1,
        Q6_K => Q8_0,
        _ => F16,
    };
    fitting(coarser, n)
}
