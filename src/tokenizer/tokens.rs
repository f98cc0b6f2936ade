//! The bytes of every token.

/// The bytes of every token by id, in one piece of memory. An empty token stands for no text.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    text: Vec<u8>,
    /// For each id: where its bytes begin in `text`, and how many they are.
    spans: Vec<(u32, u32)>,
}

/// Above every vocabulary of an RWKV model, as are the next two. What goes beyond is a damaged or hostile file.
pub(super) const MOST_TOKENS: usize = 1 << 20;
const MOST_BYTES: usize = 8 << 20;
/// It bounds the time that a text takes to encode. The World vocabulary's longest token has 128 bytes.
const LONGEST_TOKEN: usize = 1024;

impl Tokens {
    /// Tokens that lie in `text` already; the spans are (start, length).
    pub fn from_spans(text: Vec<u8>, spans: Vec<(u32, u32)>) -> Self {
        Self { text, spans }
    }

    /// Tokens in the order of their ids, from 0. `Err` says which limit they exceed.
    pub fn collect<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = T>) -> Result<Self, String> {
        let mut all = Self::default();
        for token in tokens {
            let token = token.as_ref();
            if token.len() > LONGEST_TOKEN {
                let id = all.len();
                return Err(format!("token {id} has {} bytes; a token has at most {LONGEST_TOKEN}", token.len()));
            }
            if all.len() == MOST_TOKENS || all.text.len() + token.len() > MOST_BYTES {
                return Err(format!("it is larger than {MOST_TOKENS} tokens or {MOST_BYTES} bytes of tokens"));
            }
            all.spans.push((all.text.len() as u32, token.len() as u32));
            all.text.extend_from_slice(token);
        }
        Ok(all)
    }

    /// One more than the highest id.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn get(&self, id: u32) -> Option<&[u8]> {
        self.spans.get(id as usize).map(|&span| self.bytes(span))
    }

    /// The tokens in the order of their ids, from 0.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|&span| self.bytes(span))
    }

    fn bytes(&self, (start, len): (u32, u32)) -> &[u8] {
        &self.text[start as usize..(start + len) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_any_vocabulary_has_is_an_error() {
        assert!(Tokens::collect([[b'a'; LONGEST_TOKEN]]).is_ok());
        assert!(Tokens::collect([[b'a'; LONGEST_TOKEN + 1]]).unwrap_err().contains("1025 bytes"));
        assert!(Tokens::collect(vec![[b'a'; LONGEST_TOKEN]; MOST_BYTES / LONGEST_TOKEN + 1]).is_err());
        assert!(Tokens::collect(vec![b""; MOST_TOKENS]).is_ok());
        assert!(Tokens::collect(vec![b""; MOST_TOKENS + 1]).is_err());
    }
}
