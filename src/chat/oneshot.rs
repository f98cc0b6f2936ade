//! Prompts of one round, outside any conversation.

use super::format::ChatFormat;
use crate::error::Result;
use crate::generate::{GenerateOptions, Prompt, Recommended, TokenStream};
use crate::model::Model;

/// A prompt of one round, outside any conversation: the `+gen`, `+i`, `+qa` and `+qq` of rwkv.cpp's chat script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OneShot {
    /// `+gen`: continues any text.
    Generate,
    /// `+i`: follows an instruction (Raven and World models).
    Instruct,
    /// `+qa`: answers a question as a fresh conversation would.
    Answer,
    /// `+qq`: answers a question, more freely.
    Question,
}

impl OneShot {
    /// Whether a line is such a prompt: its kind and its text, which may be empty.
    pub fn parse(line: &str) -> Option<(Self, &str)> {
        let line = line.trim();
        let (command, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let kind = match command.to_ascii_lowercase().as_str() {
            "+gen" => Self::Generate,
            "+i" => Self::Instruct,
            "+qa" => Self::Answer,
            "+qq" => Self::Question,
            _ => return None,
        };
        Some((kind, text.trim()))
    }

    /// The whole prompt.
    pub fn prompt(self, text: &str, format: ChatFormat) -> String {
        match self {
            Self::Generate => format!("\n{}", text.trim()),
            Self::Instruct => {
                let form = ChatFormat::Alpaca;
                format!("{}{}{}", form.prologue(None), form.user(text.trim()), form.label())
            }
            Self::Answer => {
                let text = format.clean(text);
                format!("{}{}{}{}", format.prologue(None), format.asking(&text), format.label(), format.opening())
            }
            Self::Question => format!("\nQ: {}\nA:", format.clean(text)),
        }
    }

    /// Starts the answer to `text`, from a state that has seen nothing, or from the one in the options.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn start(self, model: &Model, format: ChatFormat, text: &str, options: GenerateOptions) -> Result<TokenStream> {
        let tokens = model.tokenizer()?.encode(&self.prompt(text, format))?;
        let mut options = options;
        options.stop.extend(self.stops(format).iter().map(|stop| stop.to_string()));
        let state = options.state.clone().unwrap_or_else(|| model.new_state());
        TokenStream::start(model, Prompt { state, tokens, mark: 0 }, &options, self.recommended(format))
    }

    /// Texts that end the answer.
    fn stops(self, format: ChatFormat) -> &'static [&'static str] {
        match self {
            Self::Generate => &[],
            Self::Instruct => ChatFormat::Alpaca.stops(),
            Self::Answer => format.stops(),
            Self::Question => &["\nQ:"],
        }
    }

    fn recommended(self, format: ChatFormat) -> Recommended {
        match self {
            Self::Generate => Recommended::COMPLETION,
            Self::Instruct | Self::Question => Recommended::QUESTION,
            Self::Answer => format.recommended(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Thinking;

    #[test]
    fn one_shot_prompts_are_told_by_their_first_word() {
        assert_eq!(OneShot::parse("+gen Once upon a time"), Some((OneShot::Generate, "Once upon a time")));
        assert_eq!(OneShot::parse("  +QA Why? "), Some((OneShot::Answer, "Why?")));
        assert_eq!(OneShot::parse("+i\nWrite."), Some((OneShot::Instruct, "Write.")));
        assert_eq!(OneShot::parse("+qq Why?"), Some((OneShot::Question, "Why?")));
        assert_eq!(OneShot::parse("+gen"), Some((OneShot::Generate, "")));
        for line in ["+generate x", "Why +qa ?", ""] {
            assert_eq!(OneShot::parse(line), None, "{line}");
        }
    }

    #[test]
    fn one_shot_prompts_are_those_of_the_chat_script() {
        let world = ChatFormat::World;
        assert_eq!(OneShot::Generate.prompt(" Once ", world), "\nOnce");
        assert_eq!(OneShot::Question.prompt("Why?", world), "\nQ: Why?\nA:");
        assert_eq!(OneShot::Answer.prompt("a\n\nb", world), "User: a\nb\n\nAssistant:");
        assert_eq!(
            OneShot::Answer.prompt("a", ChatFormat::G1(Thinking::Fast)),
            "User: a\n\nAssistant: <think>\n</think"
        );
        let instruct = OneShot::Instruct.prompt("Write.", world);
        assert!(instruct.starts_with("Below is an instruction"));
        assert!(instruct.ends_with(".\n\n# Instruction:\nWrite.\n\n# Response:\n"));
    }
}
