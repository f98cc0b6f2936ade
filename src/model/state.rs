//! What a model remembers of a text.

use std::path::Path;

use super::Model;
use super::config::{Config, Generation};
use super::rows::all_finite;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::sealed::{self, damaged};
use crate::whole_file;

/// What a model remembers of the text it has seen: a fixed number of floats, however long the text was.
///
/// A state belongs to the weights it was made with. Cloning it copies a few megabytes and branches the text.
#[derive(Clone)]
pub struct State {
    generation: Generation,
    n_embd: usize,
    head_size: usize,
    fingerprint: u64,
    /// For each layer: channel mix's previous row `[n_embd]`, time mix's previous row `[n_embd]`, then the recurrence:
    /// RWKV-4's `a`, `b`, `p`, each `[n_embd]`; otherwise `[n_head, head_size (key), head_size (value)]`.
    data: Vec<f32>,
    n_layer: usize,
}

/// One layer's part of a state.
pub(crate) struct LayerState<'a> {
    pub channel_shift: &'a mut [f32],
    pub time_shift: &'a mut [f32],
    pub wkv: &'a mut [f32],
}

const FILE: sealed::Kind =
    sealed::Kind { magic: b"VOLARYst", version: 2, what: "a state", remedy: "one that save or to_bytes wrote" };
/// Fingerprint, generation, layers, width, head size.
const HEADER: usize = 8 + 4 * 4;
/// Larger than any model's: 14B has 100 MiB.
const LARGEST: u64 = 1 << 30;

impl State {
    /// The state before any text.
    pub(crate) fn empty(config: &Config, fingerprint: u64) -> Self {
        /// RWKV-4's exponent before any key: below every real one, as rwkv.cpp and BlinkDL have it.
        const NO_KEY: f32 = -1e30;
        let mut state = Self {
            generation: config.generation,
            n_embd: config.n_embd,
            head_size: config.head_size,
            fingerprint,
            data: vec![0.0; config.n_layer * (2 * config.n_embd + config.wkv_len())],
            n_layer: config.n_layer,
        };
        if config.generation == Generation::V4 {
            for layer in state.layers_mut() {
                layer.wkv[2 * config.n_embd..].fill(NO_KEY);
            }
        }
        state
    }

    /// A model has one at least.
    pub(crate) fn layers_mut(&mut self) -> impl Iterator<Item = LayerState<'_>> {
        let (size, n_embd) = (self.data.len() / self.n_layer, self.n_embd);
        self.data.chunks_exact_mut(size).map(move |layer| {
            let (channel_shift, rest) = layer.split_at_mut(n_embd);
            let (time_shift, wkv) = rest.split_at_mut(n_embd);
            LayerState { channel_shift, time_shift, wkv }
        })
    }

    /// Bytes of its numbers.
    pub(crate) fn size(&self) -> usize {
        size_of_val(&self.data[..])
    }

    /// Tells the weights apart that states belong to.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Puts tuned initial states (`blocks.N.att.time_state`, each `[n_head, value, key]`) in place of zeros.
    pub(crate) fn load_tuned(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let n_head = self.n_embd / self.head_size;
        let wanted = [n_head, self.head_size, self.head_size];
        let name = |layer: usize| format!("blocks.{layer}.att.time_state");
        let mismatch = |cause: String| Err(Error::mismatch(checkpoint.path().display(), cause));
        let n_layer = (0..).take_while(|&layer| checkpoint.contains(&name(layer))).count();
        if n_layer == 0 {
            let cause = format!("holds no tuned initial state: {} is missing; name a file of state tuning", name(0));
            return Err(Error::format(checkpoint.path(), cause));
        }
        if self.generation == Generation::V4 {
            return mismatch("holds tuned initial states, which RWKV-4 does not have; leave it out".into());
        }
        if n_layer != self.n_layer {
            let own = self.n_layer;
            return mismatch(format!("holds states of {n_layer} layers, not of {own}; it belongs to another model"));
        }
        let head_size = self.head_size;
        for (index, layer) in self.layers_mut().enumerate() {
            let tensor = checkpoint.tensor(&name(index))?;
            if tensor.shape != wanted {
                let (name, shape) = (tensor.name, tensor.shape);
                return mismatch(format!(
                    "{name} is {shape:?}, but the model needs {wanted:?}; it belongs to another model"
                ));
            }
            let tuned = tensor.to_f32();
            if !all_finite(&tuned) {
                let cause = format!("{} holds NaN or infinity; it is damaged, download or train it again", tensor.name);
                return Err(Error::format(checkpoint.path(), cause));
            }
            layer.wkv.copy_from_slice(&tuned);
            transpose_heads(layer.wkv, head_size);
        }
        Ok(())
    }

    /// The state as rwkv.cpp lays it out: for each layer the channel mix's and the time mix's previous row, each
    /// `[n_embd]`, then RWKV-4's `a`, `b`, `p`, or the heads' matrices (RWKV-5 and 6 `[n_head, key, value]`, RWKV-7
    /// `[n_head, value, key]`).
    pub fn to_floats(&self) -> Vec<f32> {
        let mut state = self.clone();
        state.exchange_layout();
        state.data
    }

    /// A state of `model` from rwkv.cpp's layout.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the model's states have another number of floats, [`Error::InvalidArgument`] if one is NaN
    /// or infinite.
    pub fn from_floats(model: &Model, floats: &[f32]) -> Result<Self> {
        let mut state = Self::empty(model.config(), model.fingerprint());
        if floats.len() != state.data.len() {
            let (own, name, needed) = (floats.len(), model.name(), state.data.len());
            let cause = format!("has {own} floats, but a state of {name} has {needed}; give those of to_floats");
            return Err(Error::mismatch("floats", cause));
        }
        if !all_finite(floats) {
            return Err(Error::argument("floats", "hold NaN or infinity; give those of to_floats"));
        }
        state.data.copy_from_slice(floats);
        state.exchange_layout();
        Ok(state)
    }

    /// From our layout to rwkv.cpp's or back: they differ in the order of RWKV-7's matrices only.
    fn exchange_layout(&mut self) {
        if self.generation == Generation::V7 {
            let head_size = self.head_size;
            self.layers_mut().for_each(|layer| transpose_heads(layer.wkv, head_size));
        }
    }

    /// Whether this can be a state of the same weights.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let sizes = |state: &Self| (state.generation, state.n_layer, state.n_embd, state.head_size);
        self.fingerprint == other.fingerprint && sizes(self) == sizes(other)
    }

    /// The state in Volary's file form: magic, version, the model's fingerprint, generation and sizes, the floats, a
    /// checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        FILE.seal(HEADER + 4 * self.data.len(), |bytes| {
            bytes.extend(self.fingerprint.to_le_bytes());
            let sizes = [self.n_layer, self.n_embd, self.head_size].map(|size| size as u32);
            bytes.extend([self.generation.code()].iter().chain(&sizes).flat_map(|number| number.to_le_bytes()));
            bytes.extend(self.to_floats().iter().flat_map(|x| x.to_le_bytes()));
        })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Whether the state is of the right model is checked when it is
    /// used.
    ///
    /// # Errors
    /// [`Error::Format`] if the bytes are damaged or no state.
    pub fn from_bytes(data: &[u8]) -> Result<Self> {
        Self::parse(data, "data")
    }

    /// Saves the state. The file appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        whole_file::write(path.as_ref(), &self.to_bytes())
    }

    /// Loads a saved state of `model`.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), [`Error::Io`] if the file cannot be read, and [`Error::Mismatch`] if the
    /// state is another model's.
    pub fn load(model: &Model, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = whole_file::read(path, LARGEST)?;
        let source = path.display().to_string();
        let state = Self::parse(&bytes, &source)?;
        if !state.is_like(&model.new_state()) {
            let cause = format!("is a state of another model than {}; load the model it was saved with", model.name());
            return Err(Error::mismatch(source, cause));
        }
        Ok(state)
    }

    fn parse(bytes: &[u8], source: &str) -> Result<Self> {
        let damaged = |what: &str| damaged(source, what);
        let mut content = FILE.open(bytes, source)?;
        let mut header = || {
            let fingerprint = content.u64()?;
            Some((fingerprint, [content.u32()?, content.u32()?, content.u32()?, content.u32()?]))
        };
        let (fingerprint, [generation, n_layer, n_embd, head_size]) =
            header().ok_or_else(|| damaged("it has no sizes"))?;
        let (floats, _) = content.rest().as_chunks();
        let mut state = Self {
            generation: Generation::from_code(generation).ok_or_else(|| damaged("its generation is unknown"))?,
            n_embd: n_embd as usize,
            head_size: head_size as usize,
            fingerprint,
            data: floats.iter().copied().map(f32::from_le_bytes).collect(),
            n_layer: n_layer as usize,
        };
        if state.len_of_sizes() != Some(state.data.len()) {
            return Err(damaged("its sizes do not match"));
        }
        if !all_finite(&state.data) {
            return Err(damaged("it holds NaN or infinity"));
        }
        state.exchange_layout();
        Ok(state)
    }

    /// How many floats a state of these sizes has; `None` for sizes that no model has.
    fn len_of_sizes(&self) -> Option<usize> {
        let heads_divide = self.head_size > 0 && self.n_embd.is_multiple_of(self.head_size);
        let wkv = match self.generation {
            Generation::V4 => 3usize,
            _ => self.head_size,
        };
        let layer = self.n_embd.checked_mul(wkv.checked_add(2)?)?;
        layer.checked_mul(self.n_layer).filter(|&len| heads_divide && len > 0)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({}, {} floats)", self.generation, self.data.len())
    }
}

/// Exchanges key and value in each head's matrix.
fn transpose_heads(wkv: &mut [f32], head_size: usize) {
    for head in wkv.chunks_exact_mut(head_size * head_size) {
        for i in 0..head_size {
            for j in 0..i {
                head.swap(i * head_size + j, j * head_size + i);
            }
        }
    }
}
