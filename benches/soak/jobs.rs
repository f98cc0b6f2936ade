//! What programs do with the library, and what they do wrong.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};

use tempfile::TempDir;
use volary::chat::ChatOptions;
use volary::checkpoint::{Checkpoint, Lora};
use volary::convert::{ConvertOptions, Quantization, convert};
use volary::model::ModelInfo;
use volary::quant::Format;
use volary::{
    Chat, Error, FinishReason, GenerateOptions, MergeOptions, Model, ModelOptions, State, Tokenizer, merge_lora,
};

use crate::TOKENS;
use crate::random::Random;
use crate::reference::golden;

/// One of those that run sessions at the same time.
pub struct Worker {
    /// Shared by all, with one thread and with two.
    models: [Model; 2],
    random: Random,
    folder: TempDir,
}

pub const JOBS: [fn(&mut Worker); 10] = [
    Worker::load,
    Worker::load_quantized,
    Worker::generate,
    Worker::cancel,
    Worker::save_state,
    Worker::chat,
    Worker::generate_batch,
    Worker::tokenize,
    Worker::write_models,
    Worker::err,
];

impl Worker {
    pub fn new(models: [Model; 2], random: Random) -> Self {
        Self { models, random, folder: tempfile::tempdir().unwrap() }
    }

    /// All jobs, in any order. Whoever wants nobody to work waits for one job at most.
    pub fn round(&mut self, working: &RwLock<()>) {
        let mut jobs = JOBS.to_vec();
        while !jobs.is_empty() {
            let job = jobs.swap_remove(self.random.below(jobs.len()));
            let _working = working.read().unwrap();
            job(self);
        }
    }

    fn model(&mut self) -> Model {
        self.random.choose(&self.models).unwrap().clone()
    }

    fn threads(&mut self) -> ModelOptions {
        ModelOptions { threads: Some(1 + self.random.below(3)), ..ModelOptions::default() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&mut self) {
        const FILES: [&str; 9] = [
            "v4.pth",
            "v4-100.bin",
            "v5.2.pth",
            "v5.2-101.bin",
            "v6.gguf",
            "v7.pth",
            "v7.safetensors",
            "v7.gguf",
            "v7-fla/model.safetensors.index.json",
        ];
        let file = golden(self.random.choose(&FILES).unwrap());
        ModelInfo::read(&file).unwrap();
        run(&Model::open_with(file, self.threads()).unwrap());
    }

    fn load_quantized(&mut self) {
        let format = *self.random.choose(&[Format::Q4_0, Format::Q5_1, Format::Q8_0, Format::F16]).unwrap();
        let quantization = Some(Quantization { format: Some(format), ..Quantization::default() });
        let loras = vec![lora()];
        run(&Model::open_with(golden("v7.pth"), ModelOptions { quantization, loras, ..self.threads() }).unwrap());
    }

    fn generate(&mut self) {
        let options = GenerateOptions { seed: Some(self.random.number()), logprobs: Some(3), ..briefly(24) };
        let mut stream = self.model().generate("The old king", options).unwrap();
        let tokens: usize = stream.by_ref().map(|piece| piece.unwrap().tokens.len()).sum();
        count(tokens);
        stream.into_state().unwrap();
    }

    /// One is cancelled, one before it begins, and one just let go.
    fn cancel(&mut self) {
        let model = self.model();
        let mut stream = model.generate("There was a", briefly(1000)).unwrap();
        stream.by_ref().take(3).for_each(|piece| count(piece.unwrap().tokens.len()));
        stream.cancel_handle().cancel();
        stream.by_ref().for_each(drop);
        assert_eq!(stream.stats().finish_reason, Some(FinishReason::Cancelled));
        let options = briefly(1000);
        options.cancel.cancel();
        let completion = model.complete("Never", options).unwrap();
        assert_eq!(completion.finish_reason, FinishReason::Cancelled);
        model.generate("And then", briefly(1000)).unwrap().next().unwrap().unwrap();
    }

    fn save_state(&mut self) {
        let (model, file) = (self.model(), self.file("session.state"));
        let prompt = model.tokenizer().unwrap().encode(&"Long, long ago. ".repeat(20)).unwrap();
        let (_, mut state) = model.eval_sequence(&prompt, None).unwrap();
        state.save(&file).unwrap();
        let mut loaded = State::load(&model, &file).unwrap();
        assert_eq!(model.decode(&mut state, 1).unwrap(), model.decode(&mut loaded, 1).unwrap());
    }

    fn chat(&mut self) {
        let (model, file) = (self.model(), self.file("talk.chat"));
        let mut chat = model.chat(ChatOptions { system: Some("Be brief.".into()), ..Default::default() }).unwrap();
        let pull = |pieces: &mut dyn Iterator<Item = volary::Result<volary::Piece>>| {
            pieces.for_each(|piece| count(piece.unwrap().tokens.len()));
        };
        pull(&mut chat.send("Who are you?", briefly(12)).unwrap());
        pull(&mut chat.retry(briefly(12)).unwrap());
        pull(&mut chat.alternate(briefly(12)).unwrap());
        chat.save(&file).unwrap();
        let mut chat = Chat::load(&model, &file).unwrap();
        // Let go in the middle.
        pull(&mut chat.send("And who am I?", briefly(12)).unwrap().take(2));
        chat.undo().unwrap();
        chat.reset().unwrap();
    }

    fn generate_batch(&mut self) {
        let completions = self.model().complete_batch(&["A", "The wolf", "Once more,", "Snow"], briefly(8)).unwrap();
        completions.iter().for_each(|completion| count(completion.tokens.len()));
    }

    fn tokenize(&mut self) {
        let text = "Hello, world 123 犬 é e\u{301}\n\n".repeat(50);
        for tokenizer in [Tokenizer::world(), Tokenizer::bytes()] {
            assert_eq!(tokenizer.decode(&tokenizer.encode(&text).unwrap()).unwrap(), text);
        }
        let own = Tokenizer::of_model(concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo.gguf")).unwrap();
        own.decode(&own.encode("Once upon a time").unwrap()).unwrap();
    }

    fn write_models(&mut self) {
        let threads = Some(1 + self.random.below(2));
        let [converted, merged] = ["model.gguf", "merged.pth"].map(|name| self.file(name));
        let quantization = Quantization { format: Some(Format::Q5_1), ..Quantization::default() };
        convert(golden("v6.pth"), &converted, &ConvertOptions { quantization, threads, ..Default::default() }).unwrap();
        merge_lora(golden("v7.pth"), &lora(), &merged, MergeOptions { threads, ..Default::default() }).unwrap();
        Checkpoint::open(converted).unwrap().tensor("head.weight").unwrap();
        run(&Model::open_with(merged, self.threads()).unwrap());
    }

    /// Everything here fails.
    fn err(&mut self) {
        let (model, threads) = (self.model(), self.threads());
        let open = |name: &Path, options: &ModelOptions| Model::open_with(name, options.clone()).map(|_| ());
        let with = |change: &dyn Fn(&mut ModelOptions)| {
            let mut options = threads.clone();
            change(&mut options);
            open(&golden("v7.pth"), &options)
        };
        let cut = self.file("cut.gguf");
        let whole = std::fs::read(golden("v7.gguf")).unwrap();
        std::fs::write(&cut, &whole[..self.random.below(whole.len())]).unwrap();
        let cold = GenerateOptions { temperature: Some(-1.0), ..briefly(3) };
        let other = Model::open_with(golden("v4.pth"), threads.clone()).unwrap().new_state();
        let convert = |target: &str| convert(golden("v7.pth"), target, &ConvertOptions::default()).map(|_| ());
        let failures = [
            open(&cut, &threads),
            open(Path::new("missing.pth"), &threads),
            open(self.folder.path(), &threads),
            open(&golden("os-system.pth"), &threads),
            with(&|options| options.threads = Some(0)),
            with(&|options| options.initial_state = Some(golden("v6-state.pth"))),
            with(&|options| options.tokenizer = Some(golden("v7.pth"))),
            with(&|options| options.loras = vec![Lora { path: golden("lora/v4-lora.pth"), ..lora() }]),
            with(&|options| options.progress = Some(Arc::new(|_| false))),
            model.complete("a", cold).map(|_| ()),
            model.eval(1, Some(&other)).map(|_| ()),
            model.eval(u32::MAX, None).map(|_| ()),
            State::from_bytes(&whole).map(|_| ()),
            Chat::from_bytes(&model, &whole).map(|_| ()),
            State::load(&model, &cut).map(|_| ()),
            convert("missing/model.gguf"),
            convert("/dev/null"),
        ];
        for (index, failure) in failures.into_iter().enumerate() {
            let error: Error = failure.expect_err(&index.to_string());
            assert!(!error.to_string().is_empty());
        }
    }
}

fn briefly(max_tokens: usize) -> GenerateOptions {
    GenerateOptions { max_tokens, seed: Some(1), ignore_eos: true, ..GenerateOptions::default() }
}

fn lora() -> Lora {
    Lora { path: golden("lora/v7-lora.pth"), alpha: Some(32.0), pissa_init: None }
}

fn count(tokens: usize) {
    TOKENS.fetch_add(tokens as u64, Ordering::Relaxed);
}

fn run(model: &Model) {
    let (logits, mut state) = model.eval_sequence(&[1, 2, 3, 4, 5, 6, 7, 8], None).unwrap();
    assert!(logits.iter().chain(&model.decode(&mut state, 9).unwrap()).all(|x| x.is_finite()));
    count(9);
}
