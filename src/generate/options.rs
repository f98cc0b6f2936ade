//! What a caller may ask of a generation, checked in one place for every language.

use crate::error::{Error, Result};
use crate::model::State;

use super::sampler::Sampling;
use super::stream::CancelHandle;

/// More alternatives than this a token serve no reader.
const MAX_LOGPROBS: usize = 100;

/// Options of a generation. Start from the default and set what you need:
///
/// ```
/// use volary::generate::GenerateOptions;
/// let options = GenerateOptions { max_tokens: 100, temperature: Some(0.8), seed: Some(1), ..Default::default() };
/// ```
///
/// `None` means what RWKV's author recommends: for completions temperature 1, top-p 0.7, presence and frequency
/// penalty 0.25 with decay 0.996 (ChatRWKV's `API_DEMO.py`); for chats what suits the
/// [format](crate::chat::ChatFormat). With temperature 0 the penalties left open are 0, so that the text is the
/// model's likeliest. The meaning of the sampling options is that of [`Sampling`].
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// At most so many tokens.
    pub max_tokens: usize,
    /// 0 or more; 0 always takes the likeliest token.
    pub temperature: Option<f32>,
    /// 0 to 1; 1 keeps all tokens.
    pub top_p: Option<f32>,
    /// Keeps at most so many tokens; 0 for no limit.
    pub top_k: Option<usize>,
    /// 0 to 1; 0 drops none.
    pub min_p: Option<f32>,
    /// For each token generated before; 0 for none.
    pub presence_penalty: Option<f32>,
    /// For each time a token was generated before; 0 for none.
    pub frequency_penalty: Option<f32>,
    /// 0 to 1; 1 never forgets.
    pub penalty_decay: Option<f32>,
    /// Above 0; 1 for none.
    pub repetition_penalty: Option<f32>,
    /// The same seed gives the same text, on one machine and instruction set. `None`: a fresh one each time, to be
    /// read from [`Stats`](super::Stats).
    pub seed: Option<u64>,
    /// Text that ends the generation and is not part of it.
    pub stop: Vec<String>,
    /// Tokens that end the generation and are not part of it, beside the end-of-text token.
    pub stop_tokens: Vec<u32>,
    /// Never generates the end-of-text token, so that only the other limits end the text.
    pub ignore_eos: bool,
    /// Tokens never to generate.
    pub banned_tokens: Vec<u32>,
    /// Added to the logits of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Reports each token's log-probability and those of so many likeliest alternatives (0 to 100).
    pub logprobs: Option<usize>,
    /// Goes on from this state instead of from nothing. It stays as it is: the generation works on a clone.
    pub state: Option<State>,
    /// Ends the generation from elsewhere, and every other one that it is given to.
    pub cancel: CancelHandle,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            temperature: None,
            top_p: None,
            top_k: None,
            min_p: None,
            presence_penalty: None,
            frequency_penalty: None,
            penalty_decay: None,
            repetition_penalty: None,
            seed: None,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
            ignore_eos: false,
            banned_tokens: Vec::new(),
            logit_bias: Vec::new(),
            logprobs: None,
            state: None,
            cancel: CancelHandle::default(),
        }
    }
}

/// What stands in for options left `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Recommended {
    pub temperature: f32,
    pub top_p: f32,
    /// Presence and frequency penalty: BlinkDL's demos always set both alike.
    pub penalty: f32,
}

impl Recommended {
    /// ChatRWKV, `API_DEMO.py`.
    pub const COMPLETION: Self = Self { temperature: 1.0, top_p: 0.7, penalty: 0.25 };
    /// ChatRWKV, `API_DEMO_WORLD.py`, questions and answers.
    pub const QUESTION: Self = Self { temperature: 1.0, top_p: 0.2, penalty: 0.4 };
    /// ChatRWKV, `API_DEMO_CHAT.py`.
    pub const CHAT: Self = Self { temperature: 1.0, top_p: 0.3, penalty: 0.5 };
    /// ChatRWKV, `v2/chat.py`.
    pub const RAVEN: Self = Self { temperature: 1.2, top_p: 0.5, penalty: 0.4 };
    /// All of them.
    const PENALTY_DECAY: f32 = 0.996;
}

impl GenerateOptions {
    /// Checks every option and decides those left open, for a model of `n_vocab` tokens.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the option, its value and what is allowed.
    pub(crate) fn resolve(
        &self,
        recommended: Recommended,
        n_vocab: usize,
        end_of_text: Option<u32>,
    ) -> Result<Sampling> {
        let number = |name, value: Option<f32>, default, allowed: &str, valid: fn(f32) -> bool| {
            let value = value.unwrap_or(default);
            if value.is_finite() && valid(value) { Ok(value) } else { Err(out_of_range(name, value, allowed)) }
        };
        const ANY: &str = "any finite number";
        const FRACTION: &str = "0 to 1";
        let fraction = |x: f32| (0.0..=1.0).contains(&x);
        // Whoever asks for the likeliest tokens wants the model's own choice, unless they name a penalty.
        let penalty = if self.temperature == Some(0.0) { 0.0 } else { recommended.penalty };
        let mut sampling = Sampling {
            temperature: number(
                "temperature",
                self.temperature,
                recommended.temperature,
                "0 (always the likeliest token) or more, but finite",
                |x| x >= 0.0,
            )?,
            top_p: number("top_p", self.top_p, recommended.top_p, FRACTION, fraction)?,
            top_k: self.top_k.unwrap_or(0),
            min_p: number("min_p", self.min_p, 0.0, FRACTION, fraction)?,
            presence_penalty: number("presence_penalty", self.presence_penalty, penalty, ANY, |_| true)?,
            frequency_penalty: number("frequency_penalty", self.frequency_penalty, penalty, ANY, |_| true)?,
            penalty_decay: number("penalty_decay", self.penalty_decay, Recommended::PENALTY_DECAY, FRACTION, fraction)?,
            repetition_penalty: number(
                "repetition_penalty",
                self.repetition_penalty,
                1.0,
                "more than 0 (1: off), but finite",
                |x| x > 0.0,
            )?,
            banned_tokens: self.banned_tokens.clone(),
            logit_bias: self.logit_bias.clone(),
        };
        self.check_tokens(n_vocab)?;
        self.check_contradictions(n_vocab, end_of_text)?;
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::argument("stop", "holds an empty text; leave it out to stop at nothing"));
        }
        if let Some(n) = self.logprobs
            && n > MAX_LOGPROBS
        {
            return Err(out_of_range("logprobs", n, "0 to 100 alternatives"));
        }
        if self.ignore_eos {
            sampling.banned_tokens.extend(end_of_text);
        }
        Ok(sampling)
    }

    /// Checks what does not depend on the model.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    #[cfg(feature = "cli")]
    pub(crate) fn check(&self) -> Result<()> {
        self.resolve(Recommended::COMPLETION, usize::MAX, None).map(drop)
    }

    fn check_tokens(&self, n_vocab: usize) -> Result<()> {
        let biased: Vec<u32> = self.logit_bias.iter().map(|&(token, _)| token).collect();
        let lists =
            [("stop_tokens", &self.stop_tokens), ("banned_tokens", &self.banned_tokens), ("logit_bias", &biased)];
        for (name, tokens) in lists {
            check_ids(name, tokens, n_vocab)?;
        }
        for &(token, bias) in &self.logit_bias {
            if !bias.is_finite() {
                let allowed = "a finite number; ban tokens with banned_tokens";
                return Err(Error::argument("logit_bias", format!("{bias} for token {token} is not {allowed}")));
            }
        }
        Ok(())
    }

    /// Options that cannot both be meant.
    fn check_contradictions(&self, n_vocab: usize, end_of_text: Option<u32>) -> Result<()> {
        let banned = |token: &u32| self.banned_tokens.contains(token);
        if let Some(token) = self.stop_tokens.iter().find(|token| banned(token)) {
            let cause = format!("token {token} is also in banned_tokens and would never come; take it out of one");
            return Err(Error::argument("stop_tokens", cause));
        }
        if self.ignore_eos && end_of_text.is_some_and(|eos| self.stop_tokens.contains(&eos)) {
            let cause = "cannot be combined with the end-of-text token among stop_tokens; drop one of them";
            return Err(Error::argument("ignore_eos", cause));
        }
        for (i, (token, _)) in self.logit_bias.iter().enumerate() {
            if banned(token) || self.logit_bias[..i].iter().any(|(other, _)| other == token) {
                let cause = format!("token {token} is named twice, or banned as well; say once what is meant");
                return Err(Error::argument("logit_bias", cause));
            }
        }
        let mut distinct = self.banned_tokens.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() >= n_vocab {
            return Err(Error::argument("banned_tokens", "bans every token; leave some to generate"));
        }
        Ok(())
    }
}

/// That all tokens are in the model's vocabulary.
pub(super) fn check_ids(name: &str, tokens: &[u32], n_vocab: usize) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= n_vocab) {
        Some(token) => {
            let cause = format!("token {token} is out of range; the model's tokens are 0 to {}", n_vocab.max(1) - 1);
            Err(Error::argument(name, cause))
        }
        None => Ok(()),
    }
}

fn out_of_range(name: &str, value: impl std::fmt::Display, allowed: &str) -> Error {
    Error::argument(name, format!("{value} is out of range; allowed: {allowed}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolve(options: GenerateOptions) -> Result<Sampling> {
        options.resolve(Recommended::COMPLETION, 256, Some(0))
    }

    fn refusal(options: GenerateOptions) -> String {
        resolve(options).unwrap_err().to_string()
    }

    #[test]
    fn options_left_open_are_what_the_author_of_rwkv_recommends() {
        let sampling = resolve(GenerateOptions::default()).unwrap();
        assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p), (1.0, 0.7, 0, 0.0));
        assert_eq!((sampling.presence_penalty, sampling.frequency_penalty), (0.25, 0.25));
        assert_eq!((sampling.penalty_decay, sampling.repetition_penalty), (0.996, 1.0));
    }

    #[test]
    fn greedy_sampling_has_no_penalties_but_those_asked_for() {
        let default = GenerateOptions::default;
        let sampling =
            resolve(GenerateOptions { temperature: Some(0.0), presence_penalty: Some(0.5), ..default() }).unwrap();
        assert_eq!((sampling.presence_penalty, sampling.frequency_penalty), (0.5, 0.0));
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_value_and_the_range() {
        let default = GenerateOptions::default;
        for (options, message) in [
            (GenerateOptions { temperature: Some(-0.5), ..default() }, "temperature: -0.5 is out of range; allowed: 0"),
            (GenerateOptions { temperature: Some(f32::NAN), ..default() }, "temperature: NaN"),
            (GenerateOptions { top_p: Some(1.5), ..default() }, "top_p: 1.5 is out of range; allowed: 0 to 1"),
            (GenerateOptions { min_p: Some(-0.1), ..default() }, "min_p: -0.1"),
            (GenerateOptions { presence_penalty: Some(f32::INFINITY), ..default() }, "presence_penalty: inf"),
            (GenerateOptions { frequency_penalty: Some(f32::NAN), ..default() }, "frequency_penalty: NaN"),
            (GenerateOptions { penalty_decay: Some(1.01), ..default() }, "penalty_decay: 1.01"),
            (GenerateOptions { repetition_penalty: Some(0.0), ..default() }, "repetition_penalty: 0"),
            (GenerateOptions { logprobs: Some(101), ..default() }, "logprobs: 101"),
            (GenerateOptions { stop: vec!["".into()], ..default() }, "stop: holds an empty text"),
            (GenerateOptions { logit_bias: vec![(1, f32::NAN)], ..default() }, "logit_bias: NaN for token 1"),
        ] {
            let refusal = refusal(options);
            assert!(refusal.starts_with(message), "{refusal}");
        }
    }

    #[test]
    fn tokens_outside_the_vocabulary_are_refused() {
        let cause = "token 256 is out of range; the model's tokens are 0 to 255";
        let default = GenerateOptions::default;
        let stop = GenerateOptions { stop_tokens: vec![256], ..default() };
        assert_eq!(refusal(stop), format!("stop_tokens: {cause}"));
        let banned = GenerateOptions { banned_tokens: vec![1, 256], ..default() };
        assert_eq!(refusal(banned), format!("banned_tokens: {cause}"));
        let bias = GenerateOptions { logit_bias: vec![(256, 1.0)], ..default() };
        assert_eq!(refusal(bias), format!("logit_bias: {cause}"));
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let default = GenerateOptions::default;
        let both = GenerateOptions { stop_tokens: vec![7], banned_tokens: vec![7], ..default() };
        assert!(refusal(both).contains("also in banned_tokens"));
        let eos = GenerateOptions { ignore_eos: true, stop_tokens: vec![0], ..default() };
        assert!(refusal(eos).starts_with("ignore_eos: cannot be combined"));
        let twice = GenerateOptions { logit_bias: vec![(7, 1.0), (7, 2.0)], ..default() };
        assert!(refusal(twice).contains("token 7 is named twice"));
        let all = GenerateOptions { banned_tokens: (0..256).collect(), ..default() };
        assert!(refusal(all).contains("bans every token"));
    }

    #[test]
    fn ignoring_the_end_of_text_bans_its_token() {
        let sampling = resolve(GenerateOptions { ignore_eos: true, ..Default::default() }).unwrap();
        assert_eq!(sampling.banned_tokens, [0]);
    }
}
