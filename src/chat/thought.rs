//! Tells a model's thought from its answer while both stream in.

use crate::generate::StopScanner;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Splits `<think>thought</think>answer`, however it is divided, and drops the space around both.
pub(super) struct ThoughtFilter {
    part: Part,
    /// Beginning of the text, while it may still become the tag that opens a thought.
    held: String,
    close: StopScanner,
}

#[derive(PartialEq)]
enum Part {
    /// Nothing but space and perhaps the beginning of a tag so far.
    Opening,
    Thought {
        begun: bool,
    },
    Answer {
        begun: bool,
    },
}

/// Text that became certain.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Split {
    pub thought: String,
    pub answer: String,
}

impl ThoughtFilter {
    /// For formats without thoughts all text is the answer.
    pub fn new(has_thoughts: bool) -> Self {
        let part = if has_thoughts { Part::Opening } else { Part::Answer { begun: false } };
        Self { part, held: String::new(), close: StopScanner::new([CLOSE]) }
    }

    pub fn push(&mut self, text: &str) -> Split {
        let mut split = Split::default();
        let mut text = text.to_string();
        if self.part == Part::Opening {
            self.held += &text;
            let begun = self.held.trim_start();
            if OPEN.starts_with(begun) && begun != OPEN {
                return split;
            }
            text = match begun.strip_prefix(OPEN) {
                Some(thought) => {
                    let thought = thought.to_string();
                    self.part = Part::Thought { begun: false };
                    thought
                }
                None => {
                    let answer = begun.to_string();
                    self.part = Part::Answer { begun: false };
                    answer
                }
            };
            self.held.clear();
        }
        if let Part::Thought { begun } = &mut self.part {
            let scan = self.close.push(&text);
            split.thought = without_leading_space(begun, scan.text);
            let Some(answer) = scan.rest else { return split };
            self.part = Part::Answer { begun: false };
            text = answer;
        }
        if let Part::Answer { begun } = &mut self.part {
            split.answer = without_leading_space(begun, text);
        }
        split
    }

    /// At the end what was held back is no tag after all.
    pub fn finish(&mut self) -> Split {
        match &mut self.part {
            Part::Opening => Split { answer: std::mem::take(&mut self.held).trim().to_string(), ..Split::default() },
            Part::Thought { begun } => {
                Split { thought: without_leading_space(begun, self.close.finish()), ..Split::default() }
            }
            Part::Answer { .. } => Split::default(),
        }
    }
}

fn without_leading_space(begun: &mut bool, text: String) -> String {
    let text = if *begun { text } else { text.trim_start().to_string() };
    *begun |= !text.is_empty();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, len: usize) -> (String, String) {
        let mut filter = ThoughtFilter::new(true);
        let chars: Vec<char> = text.chars().collect();
        let mut whole = Split::default();
        let mut take = |part: Split| {
            whole.thought += &part.thought;
            whole.answer += &part.answer;
        };
        for piece in chars.chunks(len) {
            take(filter.push(&piece.iter().collect::<String>()));
        }
        take(filter.finish());
        (whole.thought, whole.answer)
    }

    #[test]
    fn thought_and_answer_are_told_apart_however_the_text_is_divided() {
        for (text, thought, answer) in [
            (" <think>\nHm.\n\nWell.</think>\n\nYes.\n\nReally.", "Hm.\n\nWell.", "Yes.\n\nReally."),
            (" <think>\n</think>\nYes.", "", "Yes."),
            (" Yes, <think> is a tag.", "", "Yes, <think> is a tag."),
            ("<thin air>", "", "<thin air>"),
            (" <think", "", "<think"),
            ("<think>I wonder </thi", "I wonder </thi", ""),
            ("  ", "", ""),
        ] {
            for len in 1..=text.len() {
                assert_eq!(split(text, len), (thought.into(), answer.into()), "{text:?} by {len}");
            }
        }
    }

    #[test]
    fn a_format_without_thoughts_passes_the_tag_on() {
        let mut filter = ThoughtFilter::new(false);
        assert_eq!(filter.push(" <think>").answer, "<think>");
    }
}
