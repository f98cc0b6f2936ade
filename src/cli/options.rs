//! Arguments that several commands share.

use std::convert::Infallible;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::demo::Demo;
use super::terminal;
use crate::checkpoint::Lora;
use crate::convert::Quantization;
use crate::error::{Error, Result};
use crate::generate::GenerateOptions;
use crate::model::{Model, ModelOptions};

/// Which model, and how to open it.
#[derive(Args, Clone)]
pub(super) struct ModelArguments {
    /// The model: a .pth, .safetensors, rwkv.cpp .bin or GGUF file
    pub model: PathBuf,
    #[command(flatten)]
    pub opening: OpeningArguments,
}

/// Which model, or else the demo model, and how to open it.
#[derive(Args)]
pub(super) struct ModelOrDemo {
    /// The model: a .pth, .safetensors, rwkv.cpp .bin or GGUF file [default: the demo model]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    opening: OpeningArguments,
}

/// How to open a model.
#[derive(Args, Clone)]
pub(super) struct OpeningArguments {
    /// Threads to compute with [default: VOLARY_THREADS, else one for each core]
    #[arg(short, long, value_name = "N")]
    threads: Option<usize>,
    /// Tokenizer in place of the model's own: a tokenizer.json or a World vocabulary
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Tuned initial state (blocks.N.att.time_state)
    #[arg(long = "state", alias = "initial-state", value_name = "FILE")]
    initial_state: Option<PathBuf>,
    /// Epsilon of the group norm of RWKV-5 to 7 [default: 64e-5]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    group_norm_eps: Option<f32>,
    /// Merge a LoRA with this alpha while loading; a DiSHA or Bone has none. May be given several times
    #[arg(long, value_name = "FILE[:ALPHA]", value_parser = parse_lora)]
    lora: Vec<Lora>,
}

impl ModelArguments {
    pub fn open(self) -> Result<Model> {
        self.open_as(None)
    }

    /// The model, its weights brought to other formats.
    pub fn open_as(self, quantization: Option<Quantization>) -> Result<Model> {
        self.opening.open(quantization, |options| Model::open_with(self.model, options))
    }
}

impl ModelOrDemo {
    pub fn open(self, demo: &Demo) -> Result<Model> {
        self.opening.open(None, |options| match self.model {
            Some(path) => Model::open_with(path, options),
            None => demo.open(options),
        })
    }
}

impl OpeningArguments {
    fn open(
        self,
        quantization: Option<Quantization>,
        open: impl FnOnce(ModelOptions) -> Result<Model>,
    ) -> Result<Model> {
        let Self { threads, tokenizer, initial_state, group_norm_eps, lora } = self;
        let threads = threads_or_environment(threads)?;
        terminal::with_progress("Loading", |progress| {
            open(ModelOptions {
                threads,
                tokenizer,
                group_norm_eps,
                quantization,
                initial_state,
                loras: lora,
                progress: Some(progress),
            })
        })
    }
}

/// The text after the last colon is the alpha, if it is a number.
fn parse_lora(text: &str) -> Result<Lora, Infallible> {
    let with_alpha = text.rsplit_once(':').and_then(|(path, alpha)| Some((path, alpha.parse().ok()?)));
    let (path, alpha) = with_alpha.map_or((text, None), |(path, alpha)| (path, Some(alpha)));
    Ok(Lora { path: path.into(), alpha, pissa_init: None })
}

/// The number given, else that of the environment.
pub(super) fn threads_or_environment(given: Option<usize>) -> Result<Option<usize>> {
    if given.is_some() {
        return Ok(given);
    }
    let Some(value) = std::env::var_os(THREADS) else { return Ok(None) };
    let threads = value.to_str().and_then(|value| value.parse().ok());
    threads.map(Some).ok_or_else(|| Error::argument(THREADS, format!("is {value:?}; must be a number of threads")))
}

const THREADS: &str = "VOLARY_THREADS";

/// How to choose tokens. What is not given is what suits the model.
#[derive(Args, Clone)]
pub(super) struct SamplingArguments {
    /// Most tokens to write
    #[arg(short = 'n', long, value_name = "N", default_value_t = GenerateOptions::default().max_tokens)]
    max_tokens: usize,
    /// 0: always the likeliest token; 1: as the model says; above: more adventurous
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Keep the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Keep this many of the likeliest tokens (0: all)
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Drop tokens below this share of the likeliest one's probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// Subtracted from the logits of tokens already written
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    presence_penalty: Option<f32>,
    /// Subtracted once for each time a token was written
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    frequency_penalty: Option<f32>,
    /// How much of the counts remains after each token
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    penalty_decay: Option<f32>,
    /// Divides the logits of tokens already written
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    repetition_penalty: Option<f32>,
    /// The same seed gives the same text
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Stop before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Go on past the end-of-text token
    #[arg(long)]
    ignore_eos: bool,
}

impl SamplingArguments {
    /// # Errors
    /// [`Error::InvalidArgument`] for a value that no model takes.
    pub fn options(&self) -> Result<GenerateOptions> {
        let own = self.clone();
        let options = GenerateOptions {
            max_tokens: own.max_tokens,
            temperature: own.temperature,
            top_p: own.top_p,
            top_k: own.top_k,
            min_p: own.min_p,
            presence_penalty: own.presence_penalty,
            frequency_penalty: own.frequency_penalty,
            penalty_decay: own.penalty_decay,
            repetition_penalty: own.repetition_penalty,
            seed: own.seed,
            stop: own.stop,
            ignore_eos: own.ignore_eos,
            ..GenerateOptions::default()
        };
        options.check()?;
        Ok(options)
    }
}

/// The text of an argument; that of `-` is read from standard input.
pub(super) fn text_or_stdin(argument: String) -> Result<String> {
    if argument != "-" {
        return Ok(argument);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(|e| Error::io("standard input", e))?;
    utf8(bytes, "standard input")
}

/// The text that the bytes of `source` are.
pub(super) fn utf8(bytes: Vec<u8>, source: impl AsRef<Path>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let cause = format!("is not UTF-8 text at byte {at}; convert it, for example with iconv -t UTF-8");
        Error::format(source, cause)
    })
}
