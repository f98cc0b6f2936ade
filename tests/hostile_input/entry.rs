//! One function for each kind of input. Each gives the error or runs what came of the input, and panics at anything
//! that must not be: numbers that are none, a message of several lines, a tokenizer that cannot read its own text.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;
use volary::checkpoint::Lora;
use volary::convert::{ConvertOptions, Quantization, convert};
use volary::model::ModelInfo;
use volary::quant::Format;
use volary::{Chat, Error, Model, ModelOptions, Result, State, Tokenizer};
use xxhash_rust::xxh3::xxh3_64;

use super::{conversation, sizes};

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It works, and its numbers are finite.
    Runs,
    /// The kind of the error.
    Refused(&'static str),
}

/// A kind of input.
pub struct Entry {
    pub name: &'static str,
    run: fn(&[u8]) -> Result<()>,
}

impl Entry {
    /// # Panics
    /// If the input leads to anything but a sound result or a sound error.
    pub fn run(&self, input: &[u8]) -> Outcome {
        match (self.run)(input) {
            Ok(()) => Outcome::Runs,
            Err(error) => Outcome::Refused(checked_kind(&error)),
        }
    }
}

/// Every kind of input that does not come from the program itself.
pub const ENTRIES: &[Entry] = &[
    Entry { name: "pth", run: |input| checkpoint(input, "model.pth") },
    Entry { name: "safetensors", run: |input| checkpoint(input, "model.safetensors") },
    Entry { name: "index", run: index },
    Entry { name: "bin", run: |input| checkpoint(input, "model.bin") },
    Entry { name: "gguf", run: |input| checkpoint(input, "model.gguf") },
    Entry { name: "sizes", run: sized },
    Entry { name: "convert", run: converted },
    Entry { name: "lora", run: lora },
    Entry { name: "tuned-state", run: tuned_state },
    Entry { name: "state", run: state },
    Entry { name: "chat", run: chat },
    Entry { name: "vocabulary", run: |input| tokenizer(input, "vocab.txt") },
    Entry { name: "tokenizer", run: |input| tokenizer(input, "tokenizer.json") },
    Entry { name: "chat-format", run: conversation::chat },
    Entry { name: "options", run: conversation::options },
    Entry { name: "stop", run: conversation::stop },
    #[cfg(feature = "cli")]
    Entry { name: "arguments", run: conversation::arguments },
];

fn checked_kind(error: &Error) -> &'static str {
    let message = error.to_string();
    assert!(!message.is_empty() && message.len() < 8192, "a message of {} bytes", message.len());
    assert!(!message.contains(char::is_control), "a message with control characters: {message:?}");
    match error {
        Error::Io { .. } => "io",
        Error::Format { .. } => "format",
        Error::Unsupported { .. } => "unsupported",
        Error::Mismatch { .. } => "mismatch",
        Error::InvalidArgument { .. } => "invalid argument",
        Error::Cancelled => panic!("nobody cancelled"),
        other => panic!("an error of a kind that this test does not know: {other}"),
    }
}

/// A file of its own, in memory where the system has such a place.
struct File {
    path: PathBuf,
    folder: TempDir,
}

impl File {
    fn new(name: &str, content: &[u8]) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        Self { path, folder }
    }
}

pub(super) fn golden(name: &str) -> PathBuf {
    // Of the package that this is compiled in: the library, or `fuzz`.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [package.to_path_buf(), package.join("..")].map(|folder| folder.join("tests/golden"));
    let [folder, above] = folders;
    if folder.is_dir() { folder.join(name) } else { above.join(name) }
}

fn one_thread() -> ModelOptions {
    ModelOptions { threads: Some(1), ..ModelOptions::default() }
}

/// A sound model, which hostile states, LoRAs and options are for.
pub(super) fn sound_model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| Model::open_with(golden("v7.pth"), one_thread()).unwrap())
}

fn checkpoint(input: &[u8], name: &str) -> Result<()> {
    let file = File::new(name, input);
    // It fails when the model does, or later.
    let described = ModelInfo::read(&file.path);
    let model = Model::open_with(&file.path, one_thread())?;
    assert_eq!(described.unwrap().config, *model.config());
    run(&model)
}

/// The index of two shards that are sound.
fn index(input: &[u8]) -> Result<()> {
    let file = File::new("model.safetensors.index.json", input);
    for shard in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        // Not `copy`, which a signal interrupts, and a fuzzer has a clock.
        std::fs::write(file.folder.path().join(shard), std::fs::read(golden("v7-fla").join(shard)).unwrap()).unwrap();
    }
    run(&Model::open_with(&file.path, one_thread())?)
}

/// A few tokens, and the state through its file form in between.
fn run(model: &Model) -> Result<()> {
    let last = model.config().n_vocab as u32 - 1;
    let (logits, state) = model.eval_sequence(&[0, last], None)?;
    check_finite(&logits);
    let mut state = State::from_bytes(&state.to_bytes())?;
    check_finite(&model.decode(&mut state, last / 2)?);
    Ok(())
}

fn check_finite(logits: &[f32]) {
    assert!(logits.iter().all(|x| x.is_finite()), "logits that are no numbers came as a result");
}

/// As it is, and quantized while it is loaded: formats whose blocks do not divide the rows must give way.
fn sized(input: &[u8]) -> Result<()> {
    let file = File::new("model.bin", &sizes::model(input));
    run(&Model::open_with(&file.path, one_thread())?)?;
    let format = [Format::Q4_0, Format::Q4_K, Format::IQ4_NL, Format::F16][input.len() % 4];
    let quantization = Quantization { format: Some(format), ..Quantization::default() };
    run(&Model::open_with(&file.path, ModelOptions { quantization: Some(quantization), ..one_thread() })?)
}

fn converted(input: &[u8]) -> Result<()> {
    let file = File::new("model", input);
    let options = ConvertOptions { threads: Some(1), ..ConvertOptions::default() };
    let targets = ["model.gguf", "model.bin"].map(|name| file.folder.path().join(name));
    let results = targets.each_ref().map(|target| convert(&file.path, target, &options));
    for (target, result) in targets.iter().zip(&results) {
        assert_eq!(result.is_ok(), target.exists());
        if result.is_ok() {
            // What we write ourselves can be read; its numbers may be anything.
            ModelInfo::read(target).unwrap();
        }
    }
    results.into_iter().try_for_each(|result| result.map(|_| ()))
}

/// As a LoRA, a DiSHA and the two files of a PiSSA.
fn lora(input: &[u8]) -> Result<()> {
    let file = File::new("lora.pth", input);
    let path = file.path.clone();
    let golden_pissa = golden("lora/v7-pissa.pth");
    let uses = [
        ("v7.pth", Lora { path: path.clone(), alpha: Some(32.0), pissa_init: None }),
        ("v7.pth", Lora { path: path.clone(), alpha: None, pissa_init: None }),
        ("v7.pth", Lora { path: golden_pissa, alpha: None, pissa_init: Some(path.clone()) }),
        ("v4.pth", Lora { path, alpha: Some(3.0), pissa_init: None }),
    ];
    let mut outcome = Ok(());
    for (base, lora) in uses {
        let options = ModelOptions { loras: vec![lora], ..one_thread() };
        outcome = Model::open_with(golden(base), options).and_then(|model| run(&model));
        if let Err(error) = &outcome {
            checked_kind(error);
        } else {
            break;
        }
    }
    outcome
}

fn tuned_state(input: &[u8]) -> Result<()> {
    let file = File::new("state.pth", input);
    let options = || ModelOptions { initial_state: Some(file.path.clone()), ..one_thread() };
    let own = Model::open_with(golden("v7.pth"), options()).and_then(|model| run(&model));
    match own {
        Err(Error::Mismatch { .. }) => Model::open_with(golden("v6.pth"), options()).and_then(|model| run(&model)),
        outcome => outcome,
    }
}

fn state(input: &[u8]) -> Result<()> {
    let use_state = |input: &[u8]| {
        let mut state = State::from_bytes(input)?;
        assert_eq!(State::from_bytes(&state.to_bytes())?.to_floats(), state.to_floats());
        check_finite(&sound_model().decode(&mut state, 1)?);
        Ok(())
    };
    with_true_checksum(input, use_state)
}

fn chat(input: &[u8]) -> Result<()> {
    let use_chat = |input: &[u8]| {
        let chat = Chat::from_bytes(sound_model(), input)?;
        conversation::go_on(chat)
    };
    with_true_checksum(input, use_chat)
}

/// As it is, and with the checksum that its last bytes should be: who forges a file computes that, too.
fn with_true_checksum(input: &[u8], run: impl Fn(&[u8]) -> Result<()>) -> Result<()> {
    let as_it_is = run(input);
    match (&as_it_is, input.len().checked_sub(8)) {
        (Err(error), Some(len)) => {
            checked_kind(error);
            let mut forged = input[..len].to_vec();
            forged.extend(xxh3_64(&forged).to_le_bytes());
            run(&forged)
        }
        _ => as_it_is,
    }
}

fn tokenizer(input: &[u8], name: &str) -> Result<()> {
    let file = File::new(name, input);
    let tokenizer = Tokenizer::open(&file.path)?;
    let ids: Vec<u32> = (0..tokenizer.n_vocab().min(1 << 16) as u32).collect();
    assert!(tokenizer.decode(&ids).is_ok() && tokenizer.token_bytes(tokenizer.n_vocab() as u32).is_err());
    let own = String::from_utf8_lossy(&input[..input.len().min(200)]);
    for text in ["", "Hello, world 123 \n\n犬 é e\u{301} <|endoftext|>\u{0}", &own] {
        match tokenizer.encode(text) {
            Ok(ids) => _ = tokenizer.decode(&ids).unwrap(),
            // A vocabulary need not have every byte.
            Err(error) => assert_eq!(checked_kind(&error), "invalid argument"),
        }
        assert_eq!(tokenizer.encode(text).ok(), tokenizer.encode_bytes(text.as_bytes()).ok());
    }
    Ok(())
}
