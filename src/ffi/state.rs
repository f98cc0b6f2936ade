//! `State`

use std::sync::Arc;

use super::closable::Closable;
use super::error::Result;
use super::model::Model;
use super::reports::little_endian;

pub struct State(Closable<crate::State>);

impl State {
    pub fn new(state: crate::State) -> Arc<Self> {
        Arc::new(Self::closable(state))
    }

    fn closable(state: crate::State) -> Self {
        Self(Closable::new("state", state))
    }

    pub fn load(model: Arc<Model>, path: String) -> Result<Self> {
        Ok(Self::closable(crate::State::load(&model.get()?, path)?))
    }

    pub fn from_bytes(data: Vec<u8>) -> Result<Self> {
        Ok(Self::closable(crate::State::from_bytes(&data)?))
    }

    pub fn from_floats(model: Arc<Model>, floats: Vec<u8>) -> Result<Self> {
        let (floats, rest) = floats.as_chunks();
        if !rest.is_empty() {
            let cause = "does not divide into float32 numbers of 4 bytes; give the bytes of to_floats";
            return Err(crate::Error::argument("floats", cause).into());
        }
        let floats: Vec<f32> = floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok(Self::closable(crate::State::from_floats(&model.get()?, &floats)?))
    }

    /// A copy of the engine's state: what is read into it leaves this one as it is.
    pub fn get(&self) -> Result<crate::State> {
        self.with(|state| Ok(state.clone()))
    }

    pub fn with<R>(&self, work: impl FnOnce(&mut crate::State) -> Result<R>) -> Result<R> {
        self.0.with(work)
    }

    pub fn duplicate(&self) -> Result<Arc<Self>> {
        self.get().map(Self::new)
    }

    pub fn save(&self, path: String) -> Result<()> {
        self.with(|state| Ok(state.save(path)?))
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.with(|state| Ok(state.to_bytes()))
    }

    pub fn to_floats(&self) -> Result<Vec<u8>> {
        self.with(|state| Ok(little_endian(&state.to_floats())))
    }

    pub fn release(&self) {
        self.0.close();
    }
}
