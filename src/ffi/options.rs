//! Options as other languages give them: signed numbers and names, checked here, then as the engine checks them.

use std::path::PathBuf;
use std::sync::Arc;

use super::state::State;
use crate::checkpoint::Lora;
use crate::convert::Quantization;
use crate::error::{Error, Result};
use crate::model::Progress;
use crate::quant::Format;

/// A number of things.
pub fn count(name: &str, value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Error::argument(name, format!("{value} is out of range; allowed: 0 or more")))
}

/// A token's id.
pub fn token(name: &str, value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| {
        Error::argument(name, format!("{value} is out of range; a token is a number from 0 to the vocabulary's end"))
    })
}

pub fn tokens(name: &str, values: &[i64]) -> Result<Vec<u32>> {
    values.iter().map(|&value| token(name, value)).collect()
}

#[derive(Clone)]
pub struct ModelOptions {
    pub threads: Option<i64>,
    pub tokenizer: Option<String>,
    pub group_norm_eps: Option<f64>,
    pub r#type: Option<String>,
    pub initial_state: Option<String>,
    pub loras: Vec<LoraFile>,
}

impl ModelOptions {
    pub fn into_engine(self, progress: Arc<Progress>) -> Result<crate::ModelOptions> {
        let quantize =
            |name: String| Ok::<_, Error>(Quantization { format: Some(name.parse()?), ..Default::default() });
        Ok(crate::ModelOptions {
            threads: self.threads.map(|threads| count("threads", threads)).transpose()?,
            tokenizer: self.tokenizer.map(PathBuf::from),
            group_norm_eps: self.group_norm_eps.map(|eps| eps as f32),
            quantization: self.r#type.map(quantize).transpose()?,
            initial_state: self.initial_state.map(PathBuf::from),
            loras: self.loras.into_iter().map(Lora::from).collect(),
            progress: Some(progress),
        })
    }
}

#[derive(Clone)]
pub struct LoraFile {
    pub path: String,
    pub alpha: Option<f64>,
    pub pissa_init: Option<String>,
}

impl From<LoraFile> for Lora {
    fn from(lora: LoraFile) -> Self {
        Self {
            path: lora.path.into(),
            alpha: lora.alpha.map(|alpha| alpha as f32),
            pissa_init: lora.pissa_init.map(PathBuf::from),
        }
    }
}

pub struct GenerateOptions {
    pub max_tokens: i64,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<i64>,
    pub min_p: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub penalty_decay: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub seed: Option<u64>,
    pub stop: Vec<String>,
    pub stop_tokens: Vec<i64>,
    pub ignore_eos: bool,
    pub banned_tokens: Vec<i64>,
    pub logit_bias: Vec<TokenBias>,
    pub logprobs: Option<i64>,
    pub state: Option<Arc<State>>,
}

pub struct TokenBias {
    pub token: i64,
    pub bias: f64,
}

impl GenerateOptions {
    pub fn into_engine(self) -> super::Result<crate::GenerateOptions> {
        let number = |value: Option<f64>| value.map(|value| value as f32);
        let bias = |bias: TokenBias| Ok::<_, Error>((token("logit_bias", bias.token)?, bias.bias as f32));
        Ok(crate::GenerateOptions {
            max_tokens: count("max_tokens", self.max_tokens)?,
            temperature: number(self.temperature),
            top_p: number(self.top_p),
            top_k: self.top_k.map(|value| count("top_k", value)).transpose()?,
            min_p: number(self.min_p),
            presence_penalty: number(self.presence_penalty),
            frequency_penalty: number(self.frequency_penalty),
            penalty_decay: number(self.penalty_decay),
            repetition_penalty: number(self.repetition_penalty),
            seed: self.seed,
            stop: self.stop,
            stop_tokens: tokens("stop_tokens", &self.stop_tokens)?,
            ignore_eos: self.ignore_eos,
            banned_tokens: tokens("banned_tokens", &self.banned_tokens)?,
            logit_bias: self.logit_bias.into_iter().map(bias).collect::<Result<_>>()?,
            logprobs: self.logprobs.map(|value| count("logprobs", value)).transpose()?,
            state: self.state.map(|state| state.get()).transpose()?,
            cancel: Default::default(),
        })
    }
}

pub struct ConvertOptions {
    pub r#type: Option<String>,
    pub encoder: String,
    pub policy: Option<String>,
    pub tensor_types: Vec<TensorType>,
    pub file_version: Option<i64>,
    pub tokenizer: Option<String>,
    pub threads: Option<i64>,
}

pub struct TensorType {
    pub pattern: String,
    pub r#type: String,
}

impl ConvertOptions {
    pub fn into_engine(self, progress: Arc<Progress>) -> Result<crate::convert::ConvertOptions> {
        let version = |version: i64| {
            u32::try_from(version)
                .map_err(|_| Error::argument("file_version", format!("is {version}; must be 100 or 101")))
        };
        let tensor_format = |TensorType { pattern, r#type }| {
            Format::of_argument("tensor_types", &r#type).map(|format| (pattern, format))
        };
        Ok(crate::convert::ConvertOptions {
            quantization: Quantization {
                format: self.r#type.map(|name| name.parse()).transpose()?,
                encoder: self.encoder.parse()?,
                policy: self.policy.map(|name| name.parse()).transpose()?,
                tensor_formats: self.tensor_types.into_iter().map(tensor_format).collect::<Result<_>>()?,
            },
            file_version: self.file_version.map(version).transpose()?,
            tokenizer: self.tokenizer.map(PathBuf::from),
            threads: self.threads.map(|threads| count("threads", threads)).transpose()?,
            progress: Some(progress),
        })
    }
}

pub struct PerplexityOptions {
    pub skip: i64,
    pub limit: Option<i64>,
    pub chunk: Option<i64>,
}

impl PerplexityOptions {
    pub fn into_engine(self, progress: Arc<Progress>) -> Result<crate::eval::PerplexityOptions> {
        let default = crate::eval::PerplexityOptions::default();
        Ok(crate::eval::PerplexityOptions {
            skip: count("skip", self.skip)?,
            limit: self.limit.map(|limit| count("limit", limit)).transpose()?,
            chunk: self.chunk.map_or(Ok(default.chunk), |chunk| count("chunk", chunk))?,
            progress: Some(progress),
        })
    }
}

pub struct BenchOptions {
    pub prefill_tokens: i64,
    pub decode_tokens: i64,
    pub batch: i64,
    pub repeats: i64,
}

impl BenchOptions {
    pub fn into_engine(self, progress: Arc<Progress>) -> Result<crate::eval::BenchOptions> {
        Ok(crate::eval::BenchOptions {
            prefill_tokens: count("prefill_tokens", self.prefill_tokens)?,
            decode_tokens: count("decode_tokens", self.decode_tokens)?,
            batch: count("batch", self.batch)?,
            repeats: count("repeats", self.repeats)?,
            progress: Some(progress),
        })
    }
}
