//! `Tokenizer`

use std::sync::Arc;

use super::closable::Closable;
use super::error::Result;
use super::options::tokens;

pub struct Tokenizer(Closable<crate::Tokenizer>);

impl Tokenizer {
    pub fn new(tokenizer: crate::Tokenizer) -> Arc<Self> {
        Arc::new(Self::closable(tokenizer))
    }

    fn closable(tokenizer: crate::Tokenizer) -> Self {
        Self(Closable::new("tokenizer", tokenizer))
    }

    pub fn open(path: String) -> Result<Self> {
        Ok(Self::closable(crate::Tokenizer::open(path)?))
    }

    pub fn world() -> Self {
        Self::closable(crate::Tokenizer::world())
    }

    pub fn raw_bytes() -> Self {
        Self::closable(crate::Tokenizer::bytes())
    }

    pub fn of_model(path: String) -> Result<Self> {
        Ok(Self::closable(crate::Tokenizer::of_model(path)?))
    }

    pub fn name(&self) -> Result<String> {
        Ok(self.0.get()?.name().into())
    }

    pub fn n_vocab(&self) -> Result<u32> {
        Ok(self.0.get()?.n_vocab() as u32)
    }

    pub fn end_of_text(&self) -> Result<Option<u32>> {
        Ok(self.0.get()?.end_of_text())
    }

    pub fn encode(&self, text: String) -> Result<Vec<u32>> {
        Ok(self.0.get()?.encode(&text)?)
    }

    pub fn encode_bytes(&self, data: Vec<u8>) -> Result<Vec<u32>> {
        Ok(self.0.get()?.encode_bytes(&data)?)
    }

    pub fn decode(&self, ids: Vec<i64>) -> Result<String> {
        Ok(self.0.get()?.decode(&tokens("ids", &ids)?)?)
    }

    pub fn decode_bytes(&self, ids: Vec<i64>) -> Result<Vec<u8>> {
        let tokenizer = self.0.get()?;
        let mut bytes = Vec::new();
        for id in tokens("ids", &ids)? {
            bytes.extend_from_slice(&tokenizer.token_bytes(id)?);
        }
        Ok(bytes)
    }

    pub fn release(&self) {
        self.0.close();
    }
}
