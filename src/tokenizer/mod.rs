//! Text to token ids and back.
//!
//! Three kinds of tokenizers belong to RWKV models: the World vocabulary (greedy longest match over bytes, built in),
//! Hugging Face's `tokenizer.json` (`20B_tokenizer.json` of the Pile and Raven models), and raw bytes. Every token
//! stands for some bytes, and a text is the bytes of its tokens put together, so decoding is the same for all.

#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
mod hugging_face;
mod stream;
mod tokens;
mod trie;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
mod vocabulary_file;
mod world;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::whole_file;

pub use stream::DecodeStream;

use hugging_face::HuggingFace;
use tokens::Tokens;
use trie::Trie;

/// Turns text into token ids and back. Cloning it shares it.
///
/// ```
/// # fn main() -> volary::Result<()> {
/// let tokenizer = volary::Tokenizer::world();
/// let ids = tokenizer.encode("User: 犬")?;
/// assert_eq!(ids[..2], [24281, 59]);
/// assert_eq!(tokenizer.decode(&ids)?, "User: 犬");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    name: &'static str,
    tokens: Tokens,
    encoder: Encoder,
    end_of_text: Option<u32>,
}

enum Encoder {
    /// The id is the byte.
    Bytes,
    /// Greedy longest match.
    Greedy(Trie),
    HuggingFace(Box<HuggingFace>),
}

impl Tokenizer {
    fn new(name: &'static str, tokens: Tokens, encoder: Encoder) -> Self {
        let end_of_text = match &encoder {
            Encoder::HuggingFace(tokenizer) => tokenizer.end_of_text(),
            Encoder::Greedy(_) => tokens.get(0).filter(|bytes| bytes.is_empty()).map(|_| 0),
            Encoder::Bytes => None,
        };
        Self(Arc::new(Inner { name, tokens, encoder, end_of_text }))
    }

    /// The RWKV World vocabulary of 2023-04-24: 65,529 tokens, and 0 for the end of a text. It ships with Volary, is
    /// unpacked when it is first wanted (about 10 ms), and encodes every text.
    pub fn world() -> Self {
        static WORLD: OnceLock<Tokenizer> = OnceLock::new();
        let unpack = || {
            let (tokens, trie) = world::unpack();
            Self::new("world", tokens, Encoder::Greedy(trie))
        };
        WORLD.get_or_init(unpack).clone()
    }

    /// Raw bytes: 256 ids, each its byte.
    pub fn bytes() -> Self {
        let text = (0..=u8::MAX).collect();
        let spans = (0..=u32::from(u8::MAX)).map(|byte| (byte, 1)).collect();
        Self::new("bytes", Tokens::from_spans(text, spans), Encoder::Bytes)
    }

    /// Opens Hugging Face's `tokenizer.json` (`20B_tokenizer.json`) or a World vocabulary
    /// (`rwkv_vocab_v20230424.txt`, with either line ending). Which it is, the content tells.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is neither, or damaged,
    /// [`Error::Unsupported`] for a `tokenizer.json` that is not byte-level BPE.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        const LARGEST: u64 = 64 << 20;
        let path = path.as_ref();
        let bytes = whole_file::read(path, LARGEST)?;
        if vocabulary_file::looks_like_it(&bytes) {
            return Ok(Self::greedy(vocabulary_file::parse(&bytes, path)?));
        }
        if bytes.trim_ascii_start().starts_with(b"{") {
            return Self::from_json(&bytes, path);
        }
        let what = if bytes.is_empty() { "is empty" } else { "is no tokenizer" };
        Err(Error::format(path, format!("{what}; give it a tokenizer.json or rwkv_vocab_v20230424.txt")))
    }

    /// The tokenizer of a `tokenizer.json`; `path` is for messages.
    pub(crate) fn from_json(json: &[u8], path: &Path) -> Result<Self> {
        let (tokenizer, tokens) = hugging_face::parse(json, path)?;
        Ok(Self::new("hugging-face", tokens, Encoder::HuggingFace(Box::new(tokenizer))))
    }

    /// The `tokenizer.json` of a `hugging-face` tokenizer.
    pub(crate) fn json(&self) -> Option<&str> {
        match &self.0.encoder {
            Encoder::HuggingFace(tokenizer) => Some(&tokenizer.json),
            Encoder::Bytes | Encoder::Greedy(_) => None,
        }
    }

    /// The bytes of each token by id; none for control tokens.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &[u8]> {
        self.0.tokens.iter()
    }

    /// A vocabulary that matches greedily, the index being the id: that of a GGUF file. An empty token stands for no
    /// text; of equal tokens, text becomes the first.
    ///
    /// # Errors
    /// [`Error::Format`] if it is larger than any vocabulary is: over 2^20 tokens, or 1,024 bytes in one, or 8 MiB.
    pub fn from_vocabulary(tokens: Vec<Vec<u8>>) -> Result<Self> {
        let tokens = Tokens::collect(tokens).map_err(|cause| Error::format("the vocabulary", cause))?;
        Ok(Self::greedy(tokens))
    }

    /// [`from_vocabulary`](Self::from_vocabulary), of one that is in a file.
    pub(crate) fn from_vocabulary_of(path: &Path, tokens: &[Vec<u8>]) -> Result<Self> {
        let damaged = |cause| format!("its vocabulary is damaged: {cause}; download or convert it again");
        let tokens = Tokens::collect(tokens).map_err(|cause| Error::format(path, damaged(cause)))?;
        Ok(Self::greedy(tokens))
    }

    /// The World vocabulary is shared, wherever it comes from; a GGUF file pads it with empty tokens.
    fn greedy(tokens: Tokens) -> Self {
        let world = Self::world();
        let n_world = world.n_vocab();
        let begins_as_world = world.0.tokens.iter().eq(tokens.iter().take(n_world));
        if begins_as_world && tokens.iter().skip(n_world).all(<[u8]>::is_empty) {
            return world;
        }
        if tokens.iter().eq((0..=u8::MAX).map(|byte| [byte])) {
            return Self::bytes();
        }
        let trie = Trie::over(&tokens);
        Self::new("vocabulary", tokens, Encoder::Greedy(trie))
    }

    /// What kind it is: `world`, `bytes`, `hugging-face` or `vocabulary` (another greedy one than World).
    pub fn name(&self) -> &str {
        self.0.name
    }

    /// One more than the highest id.
    pub fn n_vocab(&self) -> usize {
        self.0.tokens.len()
    }

    /// The ids of a text. Text never turns into control tokens, whatever it says: `<|endoftext|>` is 13 characters.
    ///
    /// The tokenizer of a `tokenizer.json` may normalize the text (20B: to Unicode's form NFC).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the vocabulary has no token for a part of the text. World and bytes never fail.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_argument("text", text)
    }

    /// [`encode`](Self::encode), of a text that the caller knows by another name.
    pub(crate) fn encode_argument(&self, argument: &str, text: &str) -> Result<Vec<u32>> {
        match &self.0.encoder {
            Encoder::HuggingFace(tokenizer) => tokenizer.encode(argument, text),
            Encoder::Bytes => Ok(ids_of_bytes(text.as_bytes())),
            Encoder::Greedy(trie) => trie.encode(text.as_bytes()).map_err(|at| no_token(argument, text.as_bytes(), at)),
        }
    }

    /// The ids of bytes that need not be UTF-8.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] as [`encode`](Self::encode), and if a `hugging-face` tokenizer gets bytes that are
    /// not UTF-8.
    pub fn encode_bytes(&self, data: &[u8]) -> Result<Vec<u32>> {
        const NAME: &str = "data";
        match &self.0.encoder {
            Encoder::Bytes => Ok(ids_of_bytes(data)),
            Encoder::Greedy(trie) => trie.encode(data).map_err(|at| no_token(NAME, data, at)),
            Encoder::HuggingFace(tokenizer) => {
                let text = std::str::from_utf8(data).map_err(|e| {
                    Error::argument(NAME, format!("is not UTF-8 at byte {}, as its tokenizer needs", e.valid_up_to()))
                })?;
                tokenizer.encode(NAME, text)
            }
        }
    }

    /// The text of some ids. Bytes that are not UTF-8 become U+FFFD, one for each maximal part of a character.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such id.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut bytes = Vec::new();
        for &id in ids {
            bytes.extend_from_slice(self.bytes_of(id)?);
        }
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    /// Decodes ids one at a time.
    pub fn stream(&self) -> DecodeStream {
        DecodeStream::new(self.clone())
    }

    /// The bytes that one token stands for: often part of a character, none for control tokens.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such id.
    pub fn token_bytes(&self, id: u32) -> Result<Cow<'_, [u8]>> {
        self.bytes_of(id).map(Cow::Borrowed)
    }

    fn bytes_of(&self, id: u32) -> Result<&[u8]> {
        self.0.tokens.get(id).ok_or_else(|| {
            let (name, n_vocab) = (self.name(), self.n_vocab());
            Error::argument("token", format!("{id} is out of range; the {name} tokenizer has ids below {n_vocab}"))
        })
    }

    /// The token that ends a text: 0 in the World and 20B vocabularies, none in raw bytes.
    pub fn end_of_text(&self) -> Option<u32> {
        self.0.end_of_text
    }

    /// Checks that this can be the tokenizer of a model with `n_vocab` ids: the wrong one gives garbage, silently.
    ///
    /// The model must have every id of the tokenizer. It may have a few more, since some are padded to a round number
    /// (World: 65,530 ids, models have 65,536): fewer than 1,024, and at most an eighth. Raw bytes fit 256 only.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it cannot be; `model` is the name it goes by in the message.
    pub fn check_fits(&self, n_vocab: usize, model: &str) -> Result<()> {
        const MOST_PADDING: usize = 1023;
        let own = self.n_vocab();
        let padding = if matches!(self.0.encoder, Encoder::Bytes) { 0 } else { MOST_PADDING.min(own / 8) };
        if (own..=own + padding).contains(&n_vocab) {
            return Ok(());
        }
        let remedy = match n_vocab {
            256 => "give none if the model works on raw bytes, else the one it was trained with",
            50_200..=50_400 => "use 20B_tokenizer.json",
            65_530..=65_536 => "use the World vocabulary, which is built in",
            _ => "use the one it was trained with",
        };
        let cause =
            format!("its vocabulary of {n_vocab} does not fit the {} tokenizer of {own} ids; {remedy}", self.0.name);
        Err(Error::mismatch(model, cause))
    }
}

fn ids_of_bytes(bytes: &[u8]) -> Vec<u32> {
    bytes.iter().copied().map(u32::from).collect()
}

/// What a vocabulary cannot write: no token begins with the byte at this place.
fn no_token(argument: &str, text: &[u8], at: usize) -> Error {
    // It may be within a character, whose first bytes a token before it has taken.
    let start = (0..=at).rev().find(|&start| text[start] & 0xc0 != 0x80).unwrap_or(at);
    let character = text[start..].utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    let what = match character.filter(|character| start + character.len_utf8() > at) {
        Some(character) => format!("{character:?}"),
        None => format!("the byte {:#04x}", text[at]),
    };
    Error::argument(argument, format!("the vocabulary has no token for {what}; leave it out"))
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({}, {} ids)", self.name(), self.n_vocab())
    }
}

#[cfg(test)]
mod tests;
