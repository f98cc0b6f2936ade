//! Text from tokens one at a time, in whole characters.

use super::Tokenizer;
use crate::error::Result;

/// Decodes ids as they come. What all calls return, put together, is what [`Tokenizer::decode`] returns for all ids.
#[derive(Clone, Debug)]
pub struct DecodeStream {
    tokenizer: Tokenizer,
    /// The beginning of a character whose other bytes may still come.
    held_back: Vec<u8>,
}

impl DecodeStream {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        Self { tokenizer, held_back: Vec::new() }
    }

    /// The text that is certain after one more token; often empty in the middle of a character.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if the tokenizer has no such id.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.held_back.extend_from_slice(&self.tokenizer.token_bytes(id)?);
        let certain = certain_len(&self.held_back);
        let text = String::from_utf8_lossy(&self.held_back[..certain]).into_owned();
        self.held_back.drain(..certain);
        Ok(text)
    }

    /// Whether a character is incomplete.
    pub fn holds_back(&self) -> bool {
        !self.held_back.is_empty()
    }

    /// What was held back, now that no more comes: a character cut short shows as U+FFFD.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held_back)).into_owned()
    }
}

/// How many bytes mean the same whatever follows: all but an incomplete character at the end.
fn certain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match std::str::from_utf8(&bytes[at..]) {
            Ok(_) => return bytes.len(),
            Err(error) => match error.error_len() {
                Some(invalid) => at += error.valid_up_to() + invalid,
                None => return at + error.valid_up_to(),
            },
        }
    }
}
