//! The text side of a generation: tokens in, whole characters that belong to no stop string out.

use std::collections::VecDeque;

use super::sampler::TokenLogprob;
use super::stop::StopScanner;
use super::stream::Piece;
use crate::error::Result;
use crate::tokenizer::DecodeStream;

/// Decodes tokens, holds back what may not be shown yet, and knows which tokens the shown text is made of.
///
/// Offsets count the bytes of decoded text since the beginning.
pub(super) struct Output {
    decoder: DecodeStream,
    scanner: StopScanner,
    decoded: usize,
    shown: usize,
    /// Tokens not listed in a piece yet.
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    token: u32,
    logprob: Option<TokenLogprob>,
    /// Where its text begins, and where the text must be shown up to for all of it to be.
    start: usize,
    end: usize,
}

/// What a token added.
pub(super) struct Shown {
    /// Text that may be shown now.
    pub text: String,
    /// How many of its last bytes come from this token; `None` if text of earlier tokens still is not all shown.
    pub own: Option<usize>,
    /// Whether a stop string is complete.
    pub stopped: bool,
}

impl Output {
    pub fn new(decoder: DecodeStream, scanner: StopScanner) -> Self {
        Self { decoder, scanner, decoded: 0, shown: 0, waiting: VecDeque::new() }
    }

    pub fn push(&mut self, token: u32, logprob: Option<TokenLogprob>) -> Result<Shown> {
        let start = self.decoded;
        let mid_character = self.decoder.holds_back();
        let decoded = self.decoder.push(token)?;
        self.decoded += decoded.len();
        // A character still incomplete makes its token end beyond all text so far.
        let end = self.decoded + usize::from(self.decoder.holds_back());
        self.waiting.push_back(Waiting { token, logprob, start, end });
        let scan = self.scanner.push(&decoded);
        self.shown += scan.text.len();
        let own = self.shown.checked_sub(start).filter(|_| !mid_character);
        Ok(Shown { text: scan.text, own, stopped: scan.rest.is_some() })
    }

    /// Whether something decoded, or half decoded, is not shown.
    pub fn holds_back(&self) -> bool {
        self.scanner.holds_back() || self.decoder.holds_back()
    }

    /// At the end of the text nothing is held back any longer, except by a stop string that the end completes.
    pub fn finish(&mut self) -> String {
        let mut scan = self.scanner.push(&self.decoder.finish());
        if scan.rest.is_none() {
            scan.text += &self.scanner.finish();
        }
        self.shown = usize::MAX;
        scan.text
    }

    /// A piece of `text` and of the tokens whose text it completes; `None` without text.
    pub fn piece(&mut self, text: String) -> Option<Piece> {
        let complete = self.waiting.iter().take_while(|token| token.end <= self.shown).count();
        (!text.is_empty()).then(|| self.list(text, complete))
    }

    /// The last piece: its tokens include one shown in part. `None` if nothing is left.
    pub fn last_piece(&mut self, text: String) -> Option<Piece> {
        let begun = self.waiting.iter().take_while(|token| token.start < self.shown).count();
        (!text.is_empty() || begun > 0).then(|| self.list(text, begun))
    }

    fn list(&mut self, text: String, n_tokens: usize) -> Piece {
        let (tokens, logprobs): (Vec<_>, Vec<_>) =
            self.waiting.drain(..n_tokens).map(|waiting| (waiting.token, waiting.logprob)).unzip();
        Piece { text, tokens, logprobs: logprobs.into_iter().flatten().collect(), thinking: false }
    }
}
