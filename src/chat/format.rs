//! How conversations are written for each family of chat models.

use std::fmt;

use crate::error::{Error, Result};
use crate::generate::Recommended;
use crate::model::{Generation, ModelInfo};

/// The text form of a conversation that a model was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChatFormat {
    /// World models of all generations: `User: …` and `Assistant: …`, separated by blank lines.
    World,
    /// RWKV-4 Raven: Bob talks with Alice.
    Raven,
    /// RWKV-4 Raven, Alpaca's form: instructions and responses.
    Alpaca,
    /// RWKV-7 G1: as World, and the model may think before it answers.
    G1(Thinking),
}

/// Whether a G1 model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Thinking {
    /// It answers at once.
    Off,
    /// It is given an empty thought, and answers at once: better answers than `Off`, as fast.
    Fast,
    /// It thinks as long as it likes.
    On,
    /// It is asked to think a bit.
    ABit,
    /// It is asked to think a lot.
    ALot,
}

/// Vocabulary of the Pile and Raven models; that of World models is 65,536.
pub(super) const VOCABULARY_20B: usize = 50_277;

/// Every format by the name that users type.
const NAMES: [(&str, ChatFormat); 8] = [
    ("world", ChatFormat::World),
    ("raven", ChatFormat::Raven),
    ("alpaca", ChatFormat::Alpaca),
    ("g1", ChatFormat::G1(Thinking::Off)),
    ("g1-fast", ChatFormat::G1(Thinking::Fast)),
    ("g1-think", ChatFormat::G1(Thinking::On)),
    ("g1-think-a-bit", ChatFormat::G1(Thinking::ABit)),
    ("g1-think-a-lot", ChatFormat::G1(Thinking::ALot)),
];

/// What Alpaca's authors put before every instruction: the models know these words.
const ALPACA: &str =
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.";

/// Raven follows the tone of what stands before the first message.
const RAVEN: &str = "The following is a detailed conversation between Bob and his friend Alice, who is intelligent, \
                     friendly and knowledgeable, and gives Bob kind, helpful and truthful answers.";

impl ChatFormat {
    /// The format that suits a model, told by its vocabulary, generation, file name and chat template.
    pub fn detect(info: &ModelInfo) -> Self {
        if let Some(said) = info.metadata.chat_format.as_deref().and_then(Self::known) {
            return said;
        }
        let template = info.metadata.chat_template.as_deref();
        Self::guess(info.config.n_vocab, info.config.generation == Generation::V7, &info.name, template)
    }

    fn guess(n_vocab: usize, is_v7: bool, name: &str, chat_template: Option<&str>) -> Self {
        // G0 models are of the same family: `rwkv7-g1a-0.4b`, `rwkv7-g0-7.2b`.
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
        let named_g1 = words.any(|word| word.starts_with("g1") || word.starts_with("g0"));
        let thinks = chat_template.is_some_and(|template| template.contains("think"));
        match n_vocab {
            VOCABULARY_20B => Self::Raven,
            _ if is_v7 && (named_g1 || thinks) => Self::G1(Thinking::Off),
            _ => Self::World,
        }
    }

    /// A format by its name; `auto` detects it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an unknown name, with those there are.
    pub fn named(name: &str, info: &ModelInfo) -> Result<Self> {
        Self::check_name(name)?;
        Ok(Self::known(name).unwrap_or_else(|| Self::detect(info)))
    }

    /// That there is a format of this name, before there is a model.
    pub(crate) fn check_name(name: &str) -> Result<()> {
        if name == "auto" || Self::known(name).is_some() {
            return Ok(());
        }
        let names: Vec<_> = ["auto"].into_iter().chain(NAMES.map(|(name, _)| name)).collect();
        Err(Error::unknown("format", name, &names))
    }

    pub(super) fn known(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, format)| format)
    }

    /// The name that [`named`](Self::named) knows it by.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    /// Content as the models were trained on it: a message ends at a blank line, so it holds none itself.
    pub fn clean(self, content: &str) -> String {
        let mut clean = String::with_capacity(content.len());
        for c in content.replace("\r\n", "\n").trim().chars() {
            if c != '\n' || !clean.ends_with('\n') {
                clean.push(c);
            }
        }
        clean
    }

    /// An answer as it stands in the history. G1 models write blank lines in theirs.
    pub(super) fn clean_answer(self, answer: &str) -> String {
        match self {
            Self::G1(_) | Self::Alpaca => answer.trim().to_string(),
            Self::World | Self::Raven => self.clean(answer),
        }
    }

    /// What stands before the first message.
    pub(super) fn prologue(self, system: Option<&str>) -> String {
        match (self, system) {
            (Self::World | Self::G1(_), None) => String::new(),
            (Self::World | Self::G1(_), Some(system)) => format!("System: {system}\n\n"),
            (Self::Raven, system) => format!("\n{}\n\n", system.unwrap_or(RAVEN)),
            (Self::Alpaca, system) => format!("{}\n\n", system.unwrap_or(ALPACA)),
        }
    }

    /// A user's message.
    pub(super) fn user(self, content: &str) -> String {
        match self {
            Self::World | Self::G1(_) => format!("User: {content}\n\n"),
            Self::Raven => format!("Bob: {content}\n\n"),
            Self::Alpaca => format!("# Instruction:\n{content}\n\n"),
        }
    }

    /// The user's message that is to be answered now: it may ask for thought.
    pub(super) fn asking(self, content: &str) -> String {
        match self {
            Self::G1(Thinking::ABit) => self.user(&format!("{content} (think a bit)")),
            Self::G1(Thinking::ALot) => self.user(&format!("{content} (think a lot)")),
            _ => self.user(content),
        }
    }

    /// What stands before an answer. No space follows the colon: it is part of the answer's first token.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::World | Self::G1(_) => "Assistant:",
            Self::Raven => "Alice:",
            Self::Alpaca => "# Response:\n",
        }
    }

    /// The beginning of the answer that is put into the model's mouth. It ends inside a tag, where the models were
    /// trained to be cut off.
    pub(super) fn opening(self) -> &'static str {
        match self {
            Self::G1(Thinking::Fast) => " <think>\n</think",
            Self::G1(Thinking::On | Thinking::ABit | Thinking::ALot) => " <think",
            _ => "",
        }
    }

    /// An answer after its label.
    pub(super) fn answer(self, answer: &str) -> String {
        match self {
            Self::Alpaca => answer.to_string(),
            _ => format!(" {answer}"),
        }
    }

    /// What ends an answer in the history.
    pub(super) const CLOSING: &'static str = "\n\n";

    /// Texts that show that the answer is over.
    pub(super) fn stops(self) -> &'static [&'static str] {
        match self {
            Self::World | Self::Raven => &["\n\n"],
            Self::Alpaca => &["\n# Instruction:", "\n# Input:"],
            Self::G1(_) => &["\n\nUser:", "\n\nSystem:"],
        }
    }

    /// Whether `<think>` in an answer begins a thought.
    pub(super) fn has_thoughts(self) -> bool {
        matches!(self, Self::G1(_))
    }

    pub(super) fn recommended(self) -> Recommended {
        match self {
            Self::World | Self::G1(_) => Recommended::CHAT,
            Self::Raven | Self::Alpaca => Recommended::RAVEN,
        }
    }

    /// Whether the format is of models that know blank lines as two line breaks only.
    pub(super) fn splits_blank_line(self) -> bool {
        matches!(self, Self::Raven | Self::Alpaca)
    }
}

impl fmt::Display for ChatFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_vocabulary_generation_name_and_template() {
        let guess = ChatFormat::guess;
        assert_eq!(guess(50_277, false, "RWKV-4-Raven-7B-v12-Eng98", None), ChatFormat::Raven);
        assert_eq!(guess(65_536, false, "RWKV-5-World-1B5-v2", None), ChatFormat::World);
        assert_eq!(guess(65_536, true, "RWKV-x070-World-0.4B-v2.9", None), ChatFormat::World);
        for name in ["rwkv7-g1a-0.4b-20250905-ctx4096", "RWKV7-G1-1.5B", "rwkv7-g0-7.2b"] {
            assert_eq!(guess(65_536, true, name, None), ChatFormat::G1(Thinking::Off), "{name}");
        }
        assert_eq!(guess(65_536, true, "big1", None), ChatFormat::World);
        assert_eq!(guess(65_536, true, "x", Some("{% if '</think>' in content %}")), ChatFormat::G1(Thinking::Off));
        assert_eq!(guess(65_536, true, "x", Some("rwkv-world")), ChatFormat::World);
        assert_eq!(guess(65_536, false, "rwkv6-g1", None), ChatFormat::World);
    }

    #[test]
    fn every_format_has_a_name_that_leads_back_to_it() {
        for (name, format) in NAMES {
            assert_eq!(ChatFormat::known(name), Some(format));
            assert_eq!(format.to_string(), name);
        }
        assert_eq!(ChatFormat::known("chatml"), None);
    }

    #[test]
    fn content_holds_no_carriage_returns_blank_lines_or_space_around() {
        assert_eq!(ChatFormat::World.clean(" \r\na\r\n\r\n\n b\nc \n"), "a\n b\nc");
        assert_eq!(ChatFormat::G1(Thinking::On).clean_answer("\na\n\nb\n"), "a\n\nb");
        assert_eq!(ChatFormat::World.clean_answer(" a\n\nb "), "a\nb");
    }

    #[test]
    fn conversations_are_written_as_the_models_were_trained() {
        let written = |format: ChatFormat, system: Option<&str>| {
            let history = [format.user("a"), format.label().into(), format.answer("b"), ChatFormat::CLOSING.into()];
            let turn = [format.asking("c"), format.label().into(), format.opening().into()];
            format.prologue(system) + &history.concat() + &turn.concat()
        };
        let world = "User: a\n\nAssistant: b\n\nUser: c";
        assert_eq!(written(ChatFormat::World, None), format!("{world}\n\nAssistant:"));
        assert_eq!(written(ChatFormat::World, Some("s")), format!("System: s\n\n{world}\n\nAssistant:"));
        for (thinking, asked) in [
            (Thinking::Off, "\n\nAssistant:"),
            (Thinking::Fast, "\n\nAssistant: <think>\n</think"),
            (Thinking::On, "\n\nAssistant: <think"),
            (Thinking::ABit, " (think a bit)\n\nAssistant: <think"),
            (Thinking::ALot, " (think a lot)\n\nAssistant: <think"),
        ] {
            assert_eq!(written(ChatFormat::G1(thinking), None), format!("{world}{asked}"));
        }
        assert_eq!(written(ChatFormat::Raven, Some("s")), "\ns\n\nBob: a\n\nAlice: b\n\nBob: c\n\nAlice:");
        assert_eq!(
            written(ChatFormat::Alpaca, Some("s")),
            "s\n\n# Instruction:\na\n\n# Response:\nb\n\n# Instruction:\nc\n\n# Response:\n"
        );
    }
}
