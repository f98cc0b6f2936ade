//! What is handed out, in the types that UniFFI carries.

use std::collections::HashMap;
use std::sync::Arc;

use super::state::State;
use crate::chat::{ChatFormat, Role};
use crate::{eval, generate, model};

pub struct ModelInfo {
    pub name: String,
    pub path: String,
    pub file_type: String,
    pub file_size: u64,
    pub architecture: String,
    pub parameters: u64,
    pub n_layer: u32,
    pub n_embd: u32,
    pub n_ffn: u32,
    pub n_head: u32,
    pub head_size: u32,
    pub n_vocab: u32,
    pub tokenizer: Option<String>,
    pub chat_format: String,
    pub metadata: HashMap<String, String>,
    pub tensors: Vec<TensorInfo>,
}

pub struct TensorInfo {
    pub name: String,
    pub shape: Vec<u64>,
    pub format: String,
    pub size: u64,
}

impl From<&model::ModelInfo> for ModelInfo {
    fn from(info: &model::ModelInfo) -> Self {
        let config = &info.config;
        let tensors = info.tensors.iter().map(|tensor| TensorInfo {
            name: tensor.name.clone(),
            shape: tensor.shape.iter().map(|&n| n as u64).collect(),
            format: tensor.format.name().into(),
            size: tensor.size,
        });
        Self {
            name: info.name.clone(),
            path: info.path.display().to_string(),
            file_type: info.file_type.as_str().into(),
            file_size: info.file_size,
            architecture: config.generation.to_string(),
            parameters: info.parameters(),
            n_layer: config.n_layer as u32,
            n_embd: config.n_embd as u32,
            n_ffn: config.n_ffn as u32,
            n_head: config.n_head as u32,
            head_size: config.head_size as u32,
            n_vocab: config.n_vocab as u32,
            tokenizer: info.tokenizer.clone(),
            chat_format: ChatFormat::detect(info).name().into(),
            metadata: info.metadata.pairs.iter().cloned().collect(),
            tensors: tensors.collect(),
        }
    }
}

pub struct Piece {
    pub text: String,
    pub tokens: Vec<u32>,
    pub logprobs: Vec<TokenLogprob>,
    pub thinking: bool,
}

impl From<generate::Piece> for Piece {
    fn from(piece: generate::Piece) -> Self {
        let generate::Piece { text, tokens, logprobs, thinking } = piece;
        Self { text, tokens, logprobs: logprobs.into_iter().map(TokenLogprob::from).collect(), thinking }
    }
}

pub struct TokenLogprob {
    pub token: u32,
    pub logprob: f32,
    pub top: Vec<Alternative>,
}

pub struct Alternative {
    pub token: u32,
    pub logprob: f32,
}

impl From<generate::TokenLogprob> for TokenLogprob {
    fn from(of: generate::TokenLogprob) -> Self {
        let top = of.top.into_iter().map(|(token, logprob)| Alternative { token, logprob });
        Self { token: of.token, logprob: of.logprob, top: top.collect() }
    }
}

pub struct Usage {
    pub prompt_tokens: u64,
    pub generated_tokens: u64,
}

pub struct Timings {
    pub prefill_seconds: f64,
    pub decode_seconds: f64,
}

pub struct Stats {
    pub usage: Usage,
    pub timings: Timings,
    pub seed: u64,
    pub finish_reason: Option<String>,
}

impl From<generate::Usage> for Usage {
    fn from(usage: generate::Usage) -> Self {
        Self { prompt_tokens: usage.prompt_tokens as u64, generated_tokens: usage.generated_tokens as u64 }
    }
}

impl From<generate::Timings> for Timings {
    fn from(timings: generate::Timings) -> Self {
        let generate::Timings { prefill_seconds, decode_seconds } = timings;
        Self { prefill_seconds, decode_seconds }
    }
}

impl From<&generate::Stats> for Stats {
    fn from(stats: &generate::Stats) -> Self {
        Self {
            usage: stats.usage.into(),
            timings: stats.timings.into(),
            seed: stats.seed,
            finish_reason: stats.finish_reason.map(|reason| reason.as_str().into()),
        }
    }
}

pub struct Completion {
    pub text: String,
    pub tokens: Vec<u32>,
    pub logprobs: Vec<TokenLogprob>,
    pub finish_reason: String,
    pub usage: Usage,
    pub timings: Timings,
    pub seed: u64,
}

impl From<crate::Completion> for Completion {
    fn from(done: crate::Completion) -> Self {
        Self {
            text: done.text,
            tokens: done.tokens,
            logprobs: done.logprobs.into_iter().map(TokenLogprob::from).collect(),
            finish_reason: done.finish_reason.as_str().into(),
            usage: done.usage.into(),
            timings: done.timings.into(),
            seed: done.seed,
        }
    }
}

pub struct Evaluation {
    pub logits: Vec<u8>,
    pub state: Arc<State>,
}

impl Evaluation {
    pub fn new(logits: &[f32], state: crate::State) -> Self {
        Self { logits: little_endian(logits), state: State::new(state) }
    }
}

pub fn little_endian(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub struct Message {
    pub role: String,
    pub content: String,
    pub thought: String,
    pub alternatives: Vec<String>,
}

impl From<&crate::chat::Message> for Message {
    fn from(message: &crate::chat::Message) -> Self {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        Self {
            role: role.into(),
            content: message.content.clone(),
            thought: message.thought.clone(),
            alternatives: message.alternatives.clone(),
        }
    }
}

pub struct ConvertReport {
    pub file_type: String,
    pub source_size: u64,
    pub file_size: u64,
    pub formats: Vec<FormatShare>,
    pub refitted: Vec<String>,
    pub requantized: u64,
}

pub struct FormatShare {
    pub format: String,
    pub tensors: u64,
    pub size: u64,
}

impl From<crate::convert::ConvertReport> for ConvertReport {
    fn from(report: crate::convert::ConvertReport) -> Self {
        let formats = report.formats.iter().map(|(format, &(tensors, size))| FormatShare {
            format: format.name().into(),
            tensors: tensors as u64,
            size,
        });
        Self {
            file_type: report.file_type.as_str().into(),
            source_size: report.source_size,
            file_size: report.file_size,
            formats: formats.collect(),
            refitted: report.refitted,
            requantized: report.requantized as u64,
        }
    }
}

pub struct MergeSummary {
    pub lora: u64,
    pub pissa: u64,
    pub disha: u64,
    pub bat: u64,
    pub replaced: u64,
}

impl From<crate::checkpoint::MergeSummary> for MergeSummary {
    fn from(summary: crate::checkpoint::MergeSummary) -> Self {
        Self {
            lora: summary.lora as u64,
            pissa: summary.pissa as u64,
            disha: summary.disha as u64,
            bat: summary.bat as u64,
            replaced: summary.replaced as u64,
        }
    }
}

pub struct PerplexityReport {
    pub text_tokens: u64,
    pub tokens: u64,
    pub predictions: u64,
    pub cross_entropy: f64,
    pub cross_entropy_error: Option<f64>,
    pub perplexity: f64,
    pub perplexity_error: Option<f64>,
    pub bits_per_byte: Option<f64>,
    pub seconds: f64,
    pub milliseconds_per_token: f64,
}

impl From<eval::PerplexityReport> for PerplexityReport {
    fn from(report: eval::PerplexityReport) -> Self {
        Self {
            text_tokens: report.text_tokens as u64,
            tokens: report.tokens as u64,
            predictions: report.predictions as u64,
            cross_entropy: report.cross_entropy,
            cross_entropy_error: report.cross_entropy_error,
            perplexity: report.perplexity,
            perplexity_error: report.perplexity_error,
            bits_per_byte: report.bits_per_byte,
            seconds: report.seconds,
            milliseconds_per_token: report.milliseconds_per_token,
        }
    }
}

pub struct FormatReport {
    pub format: Option<String>,
    pub perplexity: PerplexityReport,
    pub perplexity_change_percent: f64,
    pub kl_divergence: f64,
    pub size: u64,
    pub bits_per_weight: f64,
    pub prefill_tokens_per_second: Option<f64>,
    pub decode_tokens_per_second: Option<f64>,
}

impl From<eval::FormatReport> for FormatReport {
    fn from(report: eval::FormatReport) -> Self {
        Self {
            format: report.format,
            perplexity: report.perplexity.into(),
            perplexity_change_percent: report.perplexity_change_percent,
            kl_divergence: report.kl_divergence,
            size: report.bytes as u64,
            bits_per_weight: report.bits_per_weight,
            prefill_tokens_per_second: report.prefill_tokens_per_second,
            decode_tokens_per_second: report.decode_tokens_per_second,
        }
    }
}

pub struct BenchReport {
    pub resident_bytes: u64,
    pub isa: String,
    pub threads: u32,
    pub batch: u64,
    pub prefill_tokens: u64,
    pub decode_tokens: u64,
    pub repeats: u64,
    pub prefill_tokens_per_second: Option<f64>,
    pub prefill_gflop_per_second: Option<f64>,
    pub decode_tokens_per_second: Option<f64>,
    pub decode_bytes_per_token: u64,
    pub decode_gb_per_second: Option<f64>,
    pub peak_rss_bytes: Option<u64>,
}

impl From<eval::BenchReport> for BenchReport {
    fn from(report: eval::BenchReport) -> Self {
        Self {
            resident_bytes: report.resident_bytes as u64,
            isa: report.isa.into(),
            threads: report.threads as u32,
            batch: report.batch as u64,
            prefill_tokens: report.prefill_tokens as u64,
            decode_tokens: report.decode_tokens as u64,
            repeats: report.repeats as u64,
            prefill_tokens_per_second: report.prefill_tokens_per_second,
            prefill_gflop_per_second: report.prefill_gflop_per_second,
            decode_tokens_per_second: report.decode_tokens_per_second,
            decode_bytes_per_token: report.decode_bytes_per_token as u64,
            decode_gb_per_second: report.decode_gb_per_second,
            peak_rss_bytes: report.peak_rss_bytes,
        }
    }
}
