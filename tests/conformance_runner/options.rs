//! Options by the names of `src/volary.udl`.

use std::collections::BTreeMap;

use serde::Deserialize;
use volary::checkpoint::Lora;
use volary::convert::{ConvertOptions, Quantization};
use volary::eval::{BenchOptions, PerplexityOptions};
use volary::quant::Format;
use volary::{GenerateOptions, ModelOptions, State};

use super::call::{Call, Failure};

pub fn model(call: &mut Call<'_>) -> Result<ModelOptions, Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct LoraFile {
        path: String,
        alpha: Option<f64>,
        pissa_init: Option<String>,
    }
    let lora = |LoraFile { path, alpha, pissa_init }| lora(path, alpha.map(|alpha| alpha as f32), pissa_init);
    let kind: Option<String> = call.optional("type")?;
    let options = ModelOptions {
        threads: call.optional("threads")?,
        tokenizer: call.optional("tokenizer")?,
        group_norm_eps: call.float("group_norm_eps")?,
        quantization: None,
        initial_state: call.optional("initial_state")?,
        loras: call.or("loras", Vec::new())?.into_iter().map(lora).collect(),
        progress: None,
    };
    let quantize = |name: String| Ok::<_, Failure>(Quantization { format: Some(name.parse()?), ..Default::default() });
    Ok(ModelOptions { quantization: kind.map(quantize).transpose()?, ..options })
}

pub fn lora(path: String, alpha: Option<f32>, pissa_init: Option<String>) -> Lora {
    Lora { path: path.into(), alpha, pissa_init: pissa_init.map(Into::into) }
}

pub fn generate(call: &mut Call<'_>) -> Result<GenerateOptions, Failure> {
    let default = GenerateOptions::default();
    Ok(GenerateOptions {
        max_tokens: call.or("max_tokens", default.max_tokens)?,
        temperature: call.float("temperature")?,
        top_p: call.float("top_p")?,
        top_k: call.optional("top_k")?,
        min_p: call.float("min_p")?,
        presence_penalty: call.float("presence_penalty")?,
        frequency_penalty: call.float("frequency_penalty")?,
        penalty_decay: call.float("penalty_decay")?,
        repetition_penalty: call.float("repetition_penalty")?,
        seed: call.optional("seed")?,
        stop: call.or("stop", default.stop)?,
        stop_tokens: call.or("stop_tokens", default.stop_tokens)?,
        ignore_eos: call.or("ignore_eos", default.ignore_eos)?,
        banned_tokens: call.or("banned_tokens", default.banned_tokens)?,
        logit_bias: logit_bias(call)?,
        logprobs: call.optional("logprobs")?,
        state: call.optional_object::<State>("state")?,
        cancel: default.cancel,
    })
}

fn logit_bias(call: &mut Call<'_>) -> Result<Vec<(u32, f32)>, Failure> {
    let biases: BTreeMap<u32, f64> = call.or("logit_bias", BTreeMap::new())?;
    Ok(biases.into_iter().map(|(token, bias)| (token, bias as f32)).collect())
}

pub fn convert(call: &mut Call<'_>) -> Result<ConvertOptions, Failure> {
    let kind: Option<String> = call.optional("type")?;
    let encoder: Option<String> = call.optional("encoder")?;
    let policy: Option<String> = call.optional("policy")?;
    let tensor_types: BTreeMap<String, String> = call.or("tensor_types", BTreeMap::new())?;
    let options = ConvertOptions {
        quantization: Quantization::default(),
        file_version: call.optional("file_version")?,
        tokenizer: call.optional("tokenizer")?,
        threads: call.optional("threads")?,
        progress: None,
    };
    let tensor_formats =
        tensor_types.into_iter().map(|(pattern, kind)| Ok((pattern, Format::of_argument("tensor_types", &kind)?)));
    let quantization = Quantization {
        format: kind.map(|name| name.parse()).transpose()?,
        encoder: encoder.map(|name| name.parse()).transpose()?.unwrap_or_default(),
        policy: policy.map(|name| name.parse()).transpose()?,
        tensor_formats: tensor_formats.collect::<Result<_, Failure>>()?,
    };
    Ok(ConvertOptions { quantization, ..options })
}

pub fn perplexity(call: &mut Call<'_>) -> Result<PerplexityOptions, Failure> {
    let default = PerplexityOptions::default();
    Ok(PerplexityOptions {
        skip: call.or("skip", default.skip)?,
        limit: call.optional("limit")?,
        chunk: call.or("chunk", default.chunk)?,
        progress: None,
    })
}

pub fn bench(call: &mut Call<'_>) -> Result<BenchOptions, Failure> {
    let default = BenchOptions::default();
    Ok(BenchOptions {
        prefill_tokens: call.or("prefill_tokens", default.prefill_tokens)?,
        decode_tokens: call.or("decode_tokens", default.decode_tokens)?,
        batch: call.or("batch", default.batch)?,
        repeats: call.or("repeats", default.repeats)?,
        progress: None,
    })
}
