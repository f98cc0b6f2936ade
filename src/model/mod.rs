//! Models: RWKV-4 to 7, each in a file that reads like its equations, over one forward pass.

mod channel_mix;
mod config;
#[cfg(feature = "demo")]
mod demo;
#[cfg(all(test, feature = "ffi"))]
pub(crate) mod fault;
mod forward;
mod info;
mod pass;
mod rows;
mod state;
mod v4;
mod v5;
mod v6;
mod v7;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, Lora};
use crate::error::{Error, Result};
use crate::kernel::{self, Kernels};
use crate::pool::Pool;
use crate::quantize::{Plan, Quantization};
use crate::tokenizer::Tokenizer;
use crate::whole_file;

pub use config::{Config, Generation};
pub use forward::{Logits, Sequence};
pub use info::{ModelInfo, TensorInfo};
pub use state::State;

use forward::Network;
use weights::{Loaded, Loader};

/// Told how much of the work is done, from 0 to 1. Answering `false` cancels the work.
pub type Progress = dyn Fn(f64) -> bool + Send + Sync;

/// Tokens that go through the layers together when a prompt is read. Larger ones read the weights less often, and
/// take more memory for activations.
pub const DEFAULT_CHUNK: usize = 256;

/// How to open a model. The default suits most.
#[derive(Clone, Default)]
pub struct ModelOptions {
    /// Threads to compute with; `None`: as many as there are cores for this process.
    pub threads: Option<usize>,
    /// A `tokenizer.json` or a World vocabulary, in place of the one that the model's vocabulary size tells.
    pub tokenizer: Option<PathBuf>,
    /// Epsilon of the group norm of RWKV-5 to 7; `None`: 64e-5, as BlinkDL trains them. rwkv.cpp's test models of
    /// RWKV-5 need 1e-5.
    pub group_norm_eps: Option<f32>,
    /// Number formats to bring the weights to while they are loaded.
    pub quantization: Option<Quantization>,
    /// A file of tuned initial states (`blocks.N.att.time_state`).
    pub initial_state: Option<PathBuf>,
    /// LoRAs to merge into the weights while they are loaded, one after the other. The model is then the one that
    /// [`merge_lora`](crate::merge_lora()) would write.
    pub loras: Vec<Lora>,
    /// Told of the loading's progress.
    pub progress: Option<Arc<Progress>>,
}

/// A loaded model: weights, tokenizer, and the threads that run it. Immutable; cloning it shares it.
///
/// ```no_run
/// # fn main() -> volary::Result<()> {
/// let model = volary::Model::open("RWKV-x070-World-0.4B-v2.9.pth")?;
/// let (logits, state) = model.eval_sequence(&[24281, 59], None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Model(Arc<Shared>);

struct Shared {
    info: ModelInfo,
    network: Network,
    tokenizer: Option<Tokenizer>,
    initial_state: State,
    resident_bytes: usize,
    multiplications: usize,
    kernels: &'static Kernels,
    pool: Pool,
}

impl Model {
    /// Opens a model from any checkpoint that [`Checkpoint::open`] reads, with default options.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, ModelOptions::default())
    }

    /// Opens a model.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Format`] for files that cannot be read or are damaged, [`Error::Unsupported`] for
    /// variants that Volary does not know, [`Error::Mismatch`] for a tokenizer, a tuned state or a LoRA of another model,
    /// [`Error::InvalidArgument`] for options out of range, [`Error::Cancelled`] if `progress` said so.
    pub fn open_with(path: impl AsRef<Path>, options: ModelOptions) -> Result<Self> {
        Self::load(Checkpoint::open(path)?, options)
    }

    fn load(mut checkpoint: Checkpoint, options: ModelOptions) -> Result<Self> {
        let isa = std::env::var_os("VOLARY_ISA");
        let kernels = kernel::select(isa.map(|isa| isa.to_string_lossy().into_owned()).as_deref())?;
        let pool = Pool::new(options.threads)?;
        for lora in &options.loras {
            checkpoint.merge(lora)?;
        }
        let mut config = Config::detect(&checkpoint)?;
        if let Some(eps) = options.group_norm_eps {
            if !(eps > 0.0 && eps.is_finite()) {
                return Err(Error::argument("group_norm_eps", format!("is {eps}; must be above 0, and finite")));
            }
            config.group_norm_eps = eps;
        }
        let tokenizer = choose_tokenizer(&checkpoint, &config, options.tokenizer.as_deref())?;

        let mut loader = Loader::new(&checkpoint, &config, &pool, options.progress.as_deref());
        if let Some(quantization) = &options.quantization {
            loader.quantize(Plan::new(&checkpoint, None, quantization)?, quantization.encoder);
        }
        let network = Network::load(&mut loader)?;
        let Loaded { resident_bytes, multiplications, fingerprint } = loader.finish();

        let mut initial_state = State::empty(&config, fingerprint);
        match &options.initial_state {
            Some(file) => {
                whole_file::check_named("initial_state", file)?;
                let tuned = Checkpoint::open(file)?;
                initial_state.load_tuned(&tuned)?;
                tuned.check_unchanged()?;
            }
            None if checkpoint.contains("blocks.0.att.time_state") => initial_state.load_tuned(&checkpoint)?,
            None => {}
        }
        checkpoint.check_unchanged()?;
        let info = ModelInfo::new(&checkpoint, config, tokenizer.as_ref());
        Ok(Self(Arc::new(Shared {
            info,
            network,
            tokenizer,
            initial_state,
            resident_bytes,
            multiplications,
            kernels,
            pool,
        })))
    }

    /// What the model is: generation, sizes, formats, metadata.
    pub fn info(&self) -> &ModelInfo {
        &self.0.info
    }

    /// Generation and sizes.
    pub fn config(&self) -> &Config {
        &self.0.info.config
    }

    /// The file's name without folder and extension.
    pub fn name(&self) -> &str {
        &self.0.info.name
    }

    /// Bytes that the weights take in memory.
    pub fn resident_bytes(&self) -> usize {
        self.0.resident_bytes
    }

    /// Bytes that writing one token of each of `batch` sessions moves: every weight read once, but of the embedding a row
    /// a session, and each session's state read and written.
    pub(crate) fn bytes_of_step(&self, batch: usize) -> usize {
        let embedding = self.0.network.embedding_size();
        let session = embedding / self.config().n_vocab + 2 * self.0.initial_state.size();
        self.resident_bytes() - embedding + batch * session
    }

    /// Weights that a prompt's token is multiplied with: those of all matrices but the embedding and the head.
    pub(crate) fn multiplications_of_prompt_token(&self) -> usize {
        let config = self.config();
        self.0.multiplications - config.n_vocab * config.n_embd
    }

    /// The instruction set in use, as `VOLARY_ISA` names it.
    pub fn isa(&self) -> &'static str {
        self.0.kernels.isa
    }

    /// Threads in use.
    pub fn threads(&self) -> usize {
        self.0.pool.threads()
    }

    /// The model's threads, for what is computed from its logits.
    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// Tells these weights from others: states of one model fit no other. The same weights have the same fingerprint
    /// in every file type.
    pub fn fingerprint(&self) -> u64 {
        self.0.initial_state.fingerprint()
    }

    /// The model's tokenizer.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if none is known for the model's vocabulary size and none was given.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.0.tokenizer.as_ref().ok_or_else(|| no_tokenizer(self.name(), self.config().n_vocab))
    }

    /// A state that has seen no text: zeros, or the tuned initial state the model was opened with.
    pub fn new_state(&self) -> State {
        self.0.initial_state.clone()
    }

    /// Reads tokens into states, of any number of sessions at once, and returns the logits each asked for: empty,
    /// `[n_vocab]` or `[n_tokens, n_vocab]`.
    ///
    /// Every session's numbers are those it would get alone.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a token id of `n_vocab` or more, [`Error::Mismatch`] for a state of another model;
    /// no state has then moved.
    /// [`Error::Format`] if NaN or infinity comes out, because the weights or a state are damaged; the states have then
    /// moved, and are of no use.
    pub fn forward(&self, batch: &mut [Sequence<'_>]) -> Result<Vec<Vec<f32>>> {
        self.forward_in_chunks(batch, DEFAULT_CHUNK)
    }

    /// [`forward`](Self::forward) with at most `chunk` tokens in one pass through the layers. It changes speed and
    /// memory, not the numbers.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::InvalidArgument`] if `chunk` is 0.
    pub fn forward_in_chunks(&self, batch: &mut [Sequence<'_>], chunk: usize) -> Result<Vec<Vec<f32>>> {
        self.forward_with_progress(batch, chunk, &|_| true)
    }

    /// [`forward_in_chunks`](Self::forward_in_chunks), with `progress` told before each pass through the layers which
    /// fraction of the tokens is done.
    ///
    /// # Errors
    /// As [`forward_in_chunks`](Self::forward_in_chunks), and [`Error::Cancelled`] if `progress` said so: the states have
    /// then moved, some further than others.
    pub fn forward_with_progress(
        &self,
        batch: &mut [Sequence<'_>],
        chunk: usize,
        progress: &dyn Fn(f64) -> bool,
    ) -> Result<Vec<Vec<f32>>> {
        if chunk == 0 {
            return Err(Error::argument("chunk", "is 0; must be at least 1"));
        }
        let n_vocab = self.config().n_vocab;
        for sequence in batch.iter() {
            if let Some(token) = sequence.tokens.iter().find(|&&token| token as usize >= n_vocab) {
                let cause = format!("{token} is out of range; {} has the token ids 0 to {}", self.name(), n_vocab - 1);
                return Err(Error::argument("token", cause));
            }
            self.check_state(sequence.state)?;
        }
        self.0.network.forward(batch, chunk, self.0.kernels, &self.0.pool, progress)
    }

    /// That a state is of this model.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is of another one.
    pub(crate) fn check_state(&self, state: &State) -> Result<()> {
        if state.is_like(&self.0.initial_state) {
            return Ok(());
        }
        let cause = format!("belongs to another model than {}; load the model it was made with", self.name());
        Err(Error::mismatch("state", cause))
    }

    /// Reads tokens into a state without computing logits.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn prefill(&self, state: &mut State, tokens: &[u32]) -> Result<()> {
        self.forward(&mut [Sequence { state, tokens, logits: Logits::None }])?;
        Ok(())
    }

    /// Reads one token into a state and returns the logits after it, `[n_vocab]`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn decode(&self, state: &mut State, token: u32) -> Result<Vec<f32>> {
        Ok(self.forward(&mut [Sequence { state, tokens: &[token], logits: Logits::Last }])?.remove(0))
    }

    /// The logits after one token, and the state after it; the state passed in stays as it was. `None` starts anew.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn eval(&self, token: u32, state: Option<&State>) -> Result<(Vec<f32>, State)> {
        self.eval_sequence(&[token], state)
    }

    /// The logits after the last of some tokens, and the state after them; the state passed in stays as it was.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::InvalidArgument`] if there are no tokens.
    pub fn eval_sequence(&self, tokens: &[u32], state: Option<&State>) -> Result<(Vec<f32>, State)> {
        if tokens.is_empty() {
            return Err(Error::argument("tokens", "is empty; logits come after at least one token"));
        }
        let mut state = state.cloned().unwrap_or_else(|| self.new_state());
        let logits = self.forward(&mut [Sequence { state: &mut state, tokens, logits: Logits::Last }])?.remove(0);
        Ok((logits, state))
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({}, {})", self.name(), self.config().generation)
    }
}

/// Checks that a checkpoint has every tensor of its model, in its shape, without reading the matrices.
///
/// # Errors
/// As [`Model::open_with`] for checkpoints.
pub(crate) fn check_complete(checkpoint: &Checkpoint, config: &Config, pool: &Pool) -> Result<()> {
    let mut loader = Loader::new(checkpoint, config, pool, None);
    loader.only_check();
    Network::load(&mut loader).map(|_| ())
}

/// The tokenizer given, else the file's own, else the one that the vocabulary's size tells, else one that lies beside
/// the model. `None` if there is none of these: such a model still runs on token ids.
pub(crate) fn choose_tokenizer(
    checkpoint: &Checkpoint,
    config: &Config,
    given: Option<&Path>,
) -> Result<Option<Tokenizer>> {
    const BESIDE: [&str; 3] = ["tokenizer.json", "20B_tokenizer.json", "rwkv_vocab_v20230424.txt"];
    let n_vocab = config.n_vocab;
    let model = checkpoint.path().display().to_string();
    if let Some(path) = given {
        whole_file::check_named("tokenizer", path)?;
        let tokenizer = Tokenizer::open(path)?;
        tokenizer.check_fits(n_vocab, &model)?;
        return Ok(Some(tokenizer));
    }
    if let Some(json) = &checkpoint.metadata().tokenizer_json {
        let tokenizer = Tokenizer::from_json(json.as_bytes(), checkpoint.path())?;
        tokenizer.check_fits(n_vocab, &model)?;
        return Ok(Some(tokenizer));
    }
    // Converters that were given no vocabulary fill the file with padding.
    let has_text = |vocabulary: &&Vec<Vec<u8>>| vocabulary.iter().any(|token| !token.is_empty());
    if let Some(vocabulary) = checkpoint.metadata().vocabulary.as_ref().filter(has_text) {
        let tokenizer = Tokenizer::from_vocabulary_of(checkpoint.path(), vocabulary)?;
        tokenizer.check_fits(n_vocab, &model)?;
        return Ok(Some(tokenizer));
    }
    // No size fits both, and World takes time to unpack.
    for built_in in [Tokenizer::bytes, Tokenizer::world] {
        let tokenizer = built_in();
        if tokenizer.check_fits(n_vocab, &model).is_ok() {
            return Ok(Some(tokenizer));
        }
    }
    let folder = checkpoint.path().parent().unwrap_or(Path::new("."));
    let beside = BESIDE.iter().filter_map(|name| Tokenizer::open(folder.join(name)).ok());
    Ok(beside.into_iter().find(|tokenizer| tokenizer.check_fits(n_vocab, &model).is_ok()))
}

impl Tokenizer {
    /// The tokenizer of the model in a file, without loading the model.
    ///
    /// # Errors
    /// As [`ModelInfo::read`], and [`Error::Unsupported`] if no tokenizer is known for the model.
    pub fn of_model(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path)?;
        let config = Config::detect(&checkpoint)?;
        choose_tokenizer(&checkpoint, &config, None)?.ok_or_else(|| no_tokenizer(path.display(), config.n_vocab))
    }
}

fn no_tokenizer(model: impl std::fmt::Display, n_vocab: usize) -> Error {
    let remedy = match n_vocab {
        50_200..=50_400 => "give it 20B_tokenizer.json, or put that file beside the model",
        _ => "give it the tokenizer it was trained with",
    };
    Error::unsupported(model, format!("no tokenizer is known for its vocabulary of {n_vocab}; {remedy}"))
}
