//! Checkpoints from one file type and number format to another.

mod layout;
mod metadata;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{BinVersion, Checkpoint, FileType, gguf, rwkvcpp};
use crate::error::{Error, Result};
use crate::model::{Config, Progress, check_complete, choose_tokenizer};
use crate::pool::Pool;
use crate::quant::Format;
use crate::quantize::{Container, Plan, recode};
use crate::whole_file::{self, Replacement};

pub use crate::quantize::{Policy, Quantization};

use layout::Target;

/// What [`convert`] is to write. The default keeps every tensor's format, as far as the new file can hold it.
#[derive(Clone, Default)]
pub struct ConvertOptions {
    /// Number formats.
    pub quantization: Quantization,
    /// The version of a `.bin`: 100 or 101. `None`: 101, or 100 if the format exists only there.
    pub file_version: Option<u32>,
    /// A tokenizer to embed in a GGUF file, in place of the one that the model would open with.
    pub tokenizer: Option<PathBuf>,
    /// Threads to encode with; `None`: as many as there are cores for this process.
    pub threads: Option<usize>,
    /// Told of the progress.
    pub progress: Option<Arc<Progress>>,
}

/// What [`convert`] wrote.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConvertReport {
    /// The kind of file.
    pub file_type: FileType,
    /// Bytes of the source file, or of all its files.
    pub source_size: u64,
    /// Bytes of the new file.
    pub file_size: u64,
    /// Tensors and their bytes, by format.
    pub formats: BTreeMap<Format, (usize, u64)>,
    /// Canonical names of the tensors that have another format than asked for, because their rows do not divide into
    /// its blocks.
    pub refitted: Vec<String>,
    /// Matrices that were quantized before and are now in another quantized format: each such step loses more.
    pub requantized: usize,
}

/// Writes a checkpoint as another file: `.gguf` or rwkv.cpp's `.bin`, by the extension of `target`.
///
/// The file appears under its name only when it is complete; whatever goes wrong, that name holds what it held before.
///
/// # Errors
/// As [`Checkpoint::open`] and [`Config::detect`] for the source; [`Error::InvalidArgument`] for options that contradict
/// each other or the file type; [`Error::Unsupported`] for what the file type cannot hold; [`Error::Io`] if the file
/// cannot be written; [`Error::Cancelled`] if `progress` said so.
///
/// ```no_run
/// use volary::convert::{ConvertOptions, Quantization, convert};
/// use volary::quant::Format;
///
/// # fn main() -> volary::Result<()> {
/// let quantization = Quantization { format: Some(Format::Q5_1), ..Default::default() };
/// let options = ConvertOptions { quantization, ..Default::default() };
/// convert("RWKV-x070-World-0.4B-v2.9.pth", "rwkv7-world-0.4b-Q5_1.gguf", &options)?;
/// # Ok(())
/// # }
/// ```
pub fn convert(source: impl AsRef<Path>, target: impl AsRef<Path>, options: &ConvertOptions) -> Result<ConvertReport> {
    let (source, target) = (source.as_ref(), target.as_ref());
    whole_file::check_named("source", source)?;
    whole_file::check_named("target", target)?;
    write(&Checkpoint::open(source)?, target, options)
}

/// [`convert`], of a checkpoint that is open.
pub(crate) fn write(checkpoint: &Checkpoint, path: &Path, options: &ConvertOptions) -> Result<ConvertReport> {
    let container = container(path, options)?;
    let pool = Pool::new(options.threads)?;
    let config = Config::detect(checkpoint)?;
    check_complete(checkpoint, &config, &pool)?;
    checkpoint.verify(&pool)?;
    let plan = Plan::new(checkpoint, Some(container), &options.quantization)?;
    let targets = layout::targets(checkpoint, &config, container)?;
    let head = match container {
        Container::Bin(version) => {
            let sizes = [config.n_vocab, config.n_embd, config.n_layer];
            rwkvcpp::file_header(version, sizes, plan.main_format(checkpoint))
        }
        Container::Gguf => {
            let tokenizer = choose_tokenizer(checkpoint, &config, options.tokenizer.as_deref())?;
            let entry = |target: &Target| gguf::Entry {
                name: target.name.clone(),
                shape: target.shape.clone(),
                format: plan.format(&target.parts[0]),
            };
            let pairs = metadata::pairs(checkpoint, &config, &plan, tokenizer.as_ref());
            gguf::Header { pairs, entries: targets.iter().map(entry).collect() }.to_bytes()
        }
    };
    let mut output = Output { file: Replacement::create(path)?, path, written: 0 };
    output.write(&head)?;
    let mut report = ConvertReport {
        file_type: match container {
            Container::Gguf => FileType::Gguf,
            Container::Bin(_) => FileType::RwkvCpp,
        },
        source_size: checkpoint.file_size(),
        file_size: 0,
        formats: BTreeMap::new(),
        refitted: plan.refitted.clone(),
        requantized: plan.requantized(checkpoint),
    };
    let mut work = Work { checkpoint, options, pool: &pool, container, done: 0, total: 0 };
    work.total = targets.iter().flat_map(|target| &target.parts).map(|part| work.numbers(part)).sum();
    for target in &targets {
        let format = plan.format(&target.parts[0]);
        let start = output.written;
        work.write(target, format, &mut output)?;
        let (count, bytes) = report.formats.entry(format).or_insert((0, 0));
        *count += 1;
        *bytes += output.written - start;
    }
    checkpoint.check_unchanged()?;
    report.file_size = output.written;
    output.file.commit()?;
    Ok(report)
}

/// What kind of file a path and the options ask for.
fn container(path: &Path, options: &ConvertOptions) -> Result<Container> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match (extension.as_str(), options.file_version) {
        ("gguf", None) => Ok(Container::Gguf),
        ("gguf", Some(_)) => Err(Error::argument("file_version", "is for .bin files; GGUF has no choice of versions")),
        ("bin", _) if options.tokenizer.is_some() => {
            Err(Error::argument("tokenizer", "cannot be embedded in a .bin; write a .gguf"))
        }
        ("bin", Some(101)) => Ok(Container::Bin(BinVersion::V101)),
        ("bin", Some(100)) => Ok(Container::Bin(BinVersion::V100)),
        ("bin", Some(other)) => Err(Error::argument("file_version", format!("is {other}; must be 100 or 101"))),
        ("bin", None) => {
            let [new, old] = [BinVersion::V101, BinVersion::V100];
            let only_old = |format| !new.can_hold(format) && old.can_hold(format);
            Ok(Container::Bin(if options.quantization.format.is_some_and(only_old) { old } else { new }))
        }
        _ => {
            let cause = format!("{} ends in neither .gguf nor .bin, which are what can be written", path.display());
            Err(Error::argument("target", cause))
        }
    }
}

/// The file, and how much of it there is.
struct Output<'a> {
    file: Replacement,
    path: &'a Path,
    written: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| Error::io(self.path, source))
    }
}

/// One conversion.
struct Work<'a> {
    checkpoint: &'a Checkpoint,
    options: &'a ConvertOptions,
    pool: &'a Pool,
    container: Container,
    /// Numbers written, of how many.
    done: usize,
    total: usize,
}

impl Work<'_> {
    fn numbers(&self, part: &str) -> usize {
        self.checkpoint.shape(part).map_or(0, |shape| shape.iter().product())
    }

    fn write(&mut self, target: &Target, format: Format, output: &mut Output<'_>) -> Result<()> {
        if let Container::Bin(version) = self.container {
            output.write(&rwkvcpp::tensor_header(version, &target.name, &target.shape, format))?;
        }
        for part in &target.parts {
            let tensor = self.pool.enter(|| self.checkpoint.tensor(part))?;
            // What the file means its reader to make good as the model runs, and rwkv.cpp would not.
            let scale = match self.container {
                Container::Bin(_) => self.checkpoint.rescaling(part) as f32,
                Container::Gguf => 1.0,
            };
            let per_byte = format.block_len() as f64 / format.block_bytes() as f64;
            let mut written = 0;
            let (done, total, progress) = (self.done, self.total, self.options.progress.as_deref());
            let encoder = self.options.quantization.encoder;
            recode(&tensor, format, encoder, scale, self.pool, &mut |bytes| {
                output.write(bytes)?;
                written += bytes.len();
                let share = (done as f64 + written as f64 * per_byte) / total.max(1) as f64;
                match progress {
                    Some(progress) if !progress(share.min(1.0)) => Err(Error::Cancelled),
                    // A tensor of several pieces is read on.
                    _ => self.checkpoint.check_unchanged(),
                }
            })
            .map_err(|error| error.in_file(self.checkpoint.path()))?;
            self.done += self.numbers(part);
            drop(tensor);
            self.checkpoint.release(part);
        }
        if self.container == Container::Gguf {
            let size = format.size_of(&target.shape).unwrap_or(0);
            output.write(gguf::padding(size))?;
        }
        Ok(())
    }
}
