//! Checkpoints: files of named tensors, memory-mapped, under BlinkDL's names whatever the file calls them.
//!
//! A reader per file type lists what its file stores (`Stored`); `names` turns that into canonical tensors;
//! [`Checkpoint`] hands them out. Nothing here computes anything beyond the dtype of an
//! element, but for what a LoRA adds (`lora`).
//!
//! # Canonical tensors
//!
//! Names are those of BlinkDL's `.pth` files. Shapes are row-major, outermost dimension first, and:
//! - every matrix is `[out, in]`, so that a row makes one output: the low-rank matrices of RWKV-6 and 7, which a
//!   `.pth` holds the other way round, appear transposed (`time_maa_w2` is `[5, out, in]`);
//! - vectors have one dimension (`[1, 1, n_embd]` becomes `[n_embd]`), per-head vectors two (`[n_head, head_size]`);
//! - `time_decay` of RWKV-4 and 5 (and `time_first` of RWKV-5.0) stand as the recurrence uses them:
//!   `-exp(x)` for RWKV-4, `exp(-exp(x))` (and `exp(x)`) for RWKV-5. RWKV-6's `time_decay` is as trained.

mod bytes;
pub(crate) mod gguf;
mod lora;
mod mapped;
mod names;
mod original;
mod pickle;
mod pth;
pub(crate) mod rwkvcpp;
mod safetensors;
mod stored;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::pool::Pool;
use crate::quant::{self, Format};
pub(crate) use gguf::can_hold as gguf_can_hold;
pub use lora::{Lora, MergeSummary};
pub(crate) use mapped::Mapped;
pub(crate) use names::{Architecture, LOW_RANK, RWKV7_MIXES};
use original::Original;
pub(crate) use original::Writing;
pub(crate) use rwkvcpp::Version as BinVersion;
pub(crate) use stored::Stored;
use stored::{check_extent, contiguous_strides};

/// A file type that checkpoints come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileType {
    /// PyTorch's zip archive with a pickled state dict: BlinkDL's `.pth`.
    Pth,
    /// Hugging Face's `.safetensors`, one file or several with an index.
    Safetensors,
    /// rwkv.cpp's `.bin`, version 100 or 101.
    RwkvCpp,
    /// llama.cpp's GGUF.
    Gguf,
}

impl FileType {
    /// The name in every language, which is the file's usual extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pth => "pth",
            Self::Safetensors => "safetensors",
            Self::RwkvCpp => "bin",
            Self::Gguf => "gguf",
        }
    }
}

/// What a file says about its model beside the tensors. Everything is optional: most file types say little.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The architecture by its own name, e.g. GGUF's `rwkv7`.
    pub architecture: Option<String>,
    /// The bytes of each token id in order, where the file carries its vocabulary.
    pub vocabulary: Option<Vec<Vec<u8>>>,
    /// The `tokenizer.json` that the file carries.
    pub tokenizer_json: Option<String>,
    /// The chat template's name or text.
    pub chat_template: Option<String>,
    /// The name of the chat format.
    pub chat_format: Option<String>,
    /// What the normalized embedding is rounded to.
    pub embedding_precision: Option<Format>,
    /// GGUF's `general.*` texts: name, author, licence and so on.
    pub general: Vec<(String, String)>,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: Option<f32>,
    /// The sizes that the file states beside its tensors.
    pub sizes: Sizes,
    /// Numbers in a head.
    pub head_size: Option<usize>,
    /// RWKV-6 GGUF: the output of every so many layers is halved (0: never), and the weights stored to suit.
    pub rescale_every: Option<usize>,
    /// All plain key-value pairs, for a person to read.
    pub pairs: Vec<(String, String)>,
}

/// A model's sizes as its file states them: in a `.bin`'s header, or in a GGUF file's pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Layers.
    pub n_layer: Option<usize>,
    /// Width of the residual stream.
    pub n_embd: Option<usize>,
    /// Token ids.
    pub n_vocab: Option<usize>,
    /// Width of the channel mix's hidden layer.
    pub n_ffn: Option<usize>,
}

impl Metadata {
    /// GGUF's keys of our own.
    pub(crate) const CHAT_FORMAT: &str = "volary.chat_format";
    pub(crate) const EMBEDDING_PRECISION: &str = "volary.embedding_precision";
}

/// A tensor's numbers and how to read them.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Canonical name.
    pub name: &'a str,
    /// Row-major, outermost dimension first.
    pub shape: &'a [usize],
    /// How `data` is to be read.
    pub format: Format,
    /// Contiguous, row-major, little endian.
    pub data: Cow<'a, [u8]>,
}

/// What a part of a file must add up to.
#[derive(Debug)]
pub(crate) struct Checksum {
    pub name: String,
    /// Which of the checkpoint's files.
    pub file: usize,
    pub range: Range<usize>,
    pub crc32: u32,
}

/// What a reader gives back.
#[derive(Default)]
pub(crate) struct Contents {
    pub files: Vec<Mapped>,
    pub stored: Vec<Stored>,
    pub metadata: Metadata,
    pub checksums: Vec<Checksum>,
}

/// An open checkpoint: named tensors over memory-mapped files.
///
/// ```no_run
/// # fn main() -> volary::Result<()> {
/// let checkpoint = volary::checkpoint::Checkpoint::open("RWKV-x070-World-0.4B-v2.9.pth")?;
/// let head = checkpoint.tensor("head.weight")?;
/// println!("{:?} {}", head.shape, head.format);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file_type: FileType,
    files: Vec<Mapped>,
    tensors: BTreeMap<String, Stored>,
    /// The tensors' names in the order of the file.
    order: Vec<String>,
    metadata: Metadata,
    checksums: Vec<Checksum>,
    generation: names::Generation,
    /// The tensors as the file stores them, in its order.
    originals: Vec<Original>,
    is_as_trained: bool,
    /// What merged LoRAs add to a tensor, in the order of merging.
    additions: BTreeMap<String, Vec<lora::Addition>>,
}

impl Checkpoint {
    /// Opens a checkpoint. The file type is told by the content, not by the extension; nothing in it is executed.
    ///
    /// Reads the table of tensors only, and checks that each tensor lies inside the file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is damaged or no checkpoint,
    /// [`Error::Unsupported`] if it holds what Volary cannot use.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_contents(path, read(path)?)
    }

    /// A checkpoint in the program itself, under the name of the file that it was.
    #[cfg(feature = "demo")]
    pub(crate) fn embedded(name: &str, bytes: &'static [u8]) -> Result<Self> {
        let name = Path::new(name);
        Self::from_contents(name, read_file(Mapped::embedded(name, bytes))?)
    }

    fn from_contents(path: &Path, (file_type, contents): (FileType, Contents)) -> Result<Self> {
        let Contents { files, stored, metadata, checksums } = contents;
        let mut originals: Vec<_> = stored.iter().cloned().map(Original::new).collect();
        let names::Canonical { tensors: canonical, generation, is_as_trained } =
            names::canonical(stored, file_type, &metadata);
        let (mut tensors, mut order) = (BTreeMap::new(), Vec::new());
        for (index, tensor) in canonical {
            check_extent(&tensor, &files)?;
            let name = tensor.name.clone();
            order.push(name.clone());
            #[allow(clippy::indexing_slicing, reason = "it is made of the original of this number")]
            originals[index].parts.push(name.clone());
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(Error::format(
                    path,
                    format!("holds the tensor {name} twice; it is damaged, download or convert it again"),
                ));
            }
        }
        let (path, additions) = (path.to_path_buf(), BTreeMap::new());
        Ok(Self {
            path,
            file_type,
            files,
            tensors,
            order,
            metadata,
            checksums,
            generation,
            originals,
            is_as_trained,
            additions,
        })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        self.file_type
    }

    /// What the file says about the model beside the tensors.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Bytes of the file, or of all its files, and of what was merged into it.
    pub fn file_size(&self) -> u64 {
        self.files.iter().map(|file| file.bytes().len() as u64).sum()
    }

    /// Canonical name, shape and format of every tensor, in the order of the names.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize], Format)> {
        self.tensors.values().map(|t| (t.name.as_str(), t.shape.as_slice(), t.resulting_format()))
    }

    /// The canonical names of all tensors, in the order of the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// The format of a tensor, if there is one of this canonical name.
    pub(crate) fn format(&self, name: &str) -> Option<Format> {
        self.tensors.get(name).map(Stored::resulting_format)
    }

    /// Whether there is a tensor of this canonical name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor, if there is one of this canonical name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|t| t.shape.as_slice())
    }

    /// A tensor by its canonical name. Borrows from the mapping where the file stores it as it is wanted.
    ///
    /// What was merged into it is computed here, on the threads of the rayon pool that this is called in.
    ///
    /// # Errors
    /// [`Error::Format`] if there is none of that name, if a LoRA makes its numbers too large for their format, or if a file
    /// was written to since it was opened.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>> {
        self.check_unchanged()?;
        let stored = self.tensors.get(name).ok_or_else(|| self.lacks(name))?;
        let tensor = stored.read(&self.files);
        match self.additions.get(name) {
            None => Ok(tensor),
            Some(additions) => lora::add(self, tensor, additions),
        }
    }

    /// What some RWKV-6 GGUF files divided this matrix by when they were written: they halve the residual stream as
    /// they go (`rescale_every`), and what is added to it must shrink alike. Others know the undivided one: a LoRA, which
    /// was trained on it, and rwkv.cpp, which halves nothing.
    pub(crate) fn rescaling(&self, name: &str) -> f64 {
        let Some(every @ 1..) = self.metadata.rescale_every else { return 1.0 };
        let layer = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
        match layer {
            Some((layer, "att.output.weight" | "ffn.value.weight")) => {
                let halvings = layer.parse::<usize>().unwrap_or(0) / every;
                2f64.powi(i32::try_from(halvings).unwrap_or(0))
            }
            _ => 1.0,
        }
    }

    /// That nobody has written to the files since they were opened. Asked before a tensor is read, since reading what was
    /// cut off would end the process, and when all have been read.
    ///
    /// # Errors
    /// [`Error::Format`] if somebody has.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(Mapped::check_unchanged)
    }

    /// The error that a missing tensor is.
    pub(crate) fn lacks(&self, name: &str) -> Error {
        let cause = format!("lacks the tensor {name}; it is incomplete, download or convert it again");
        Error::format(&self.path, cause)
    }

    /// Reads all of the file, and of what was merged into it, and compares it with the checksums that it holds. Only a
    /// `.pth` has any.
    ///
    /// # Errors
    /// [`Error::Format`] if a part does not have its checksum.
    pub(crate) fn verify(&self, pool: &Pool) -> Result<()> {
        self.check_unchanged()?;
        for (index, file) in self.files.iter().enumerate() {
            let own = self.checksums.iter().filter(|checksum| checksum.file == index);
            if own.map(|checksum| checksum.range.len()).sum::<usize>() > file.bytes().len() {
                return Err(Error::format(file.path(), "its entries overlap; it is damaged, download it again"));
            }
        }
        let damaged = Mutex::new(None);
        pool.for_each(self.checksums.iter().collect(), |checksum: &Checksum| {
            let Checksum { name, file, range, crc32 } = checksum;
            #[allow(clippy::indexing_slicing, reason = "a reader lists the files that it numbers")]
            let file = &self.files[*file];
            if file.bytes().get(range.clone()).map(crc32fast::hash) != Some(*crc32) {
                *damaged.lock().unwrap_or_else(PoisonError::into_inner) = Some((file.path(), name));
            }
            file.release(range.start, range.len());
        });
        match damaged.into_inner().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some((path, name)) => {
                let cause = format!("its entry {name} does not have its checksum: it is damaged, download it again");
                Err(Error::format(path, cause))
            }
        }
    }

    /// Tells the operating system that a tensor's pages are not needed any more, so that a loaded model and its file
    /// do not both stay in memory. The tensor can still be read.
    pub(crate) fn release(&self, name: &str) {
        if let Some(stored) = self.tensors.get(name)
            && let Some(size) = stored.format.size_of(&stored.shape)
        {
            stored.file(&self.files).release(stored.offset, size);
        }
    }
}

impl Tensor<'_> {
    /// The numbers as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut numbers = vec![0.0; self.shape.iter().product()];
        quant::decode(self.format, &self.data, &mut numbers);
        numbers
    }
}

/// More than any model has tensors, or a GGUF file pairs beside them: an entry of a few bytes takes many times as much
/// memory once it is read.
const MOST_ENTRIES: usize = 100_000;

/// Lists what a file of any type stores. Each tensor lies inside its file.
fn read(path: &Path) -> Result<(FileType, Contents)> {
    read_file(Mapped::open(path)?)
}

fn read_file(file: Mapped) -> Result<(FileType, Contents)> {
    let (file_type, contents) = match file_type(file.bytes(), file.path()) {
        Some(FileType::Pth) => (FileType::Pth, pth::read(file)?),
        Some(FileType::Safetensors) => (FileType::Safetensors, safetensors::read(file)?),
        Some(FileType::RwkvCpp) => (FileType::RwkvCpp, rwkvcpp::read(file)?),
        Some(FileType::Gguf) => (FileType::Gguf, gguf::read(file)?),
        None => return Err(Error::format(file.path(), not_a_checkpoint(file.bytes()))),
    };
    contents.stored.iter().try_for_each(|tensor| check_extent(tensor, &contents.files))?;
    check_sharing(&contents)?;
    Ok((file_type, contents))
}

/// Tensors may be the same bytes: an embedding and a head that are tied. With more of that a small file could describe a
/// model that no memory holds.
fn check_sharing(Contents { files, stored, .. }: &Contents) -> Result<()> {
    let sizes = stored.iter().filter_map(|tensor| tensor.format.size_of(&tensor.shape));
    let (total, size) =
        (sizes.fold(0, usize::saturating_add), files.iter().map(|file| file.bytes().len()).sum::<usize>());
    match files.first() {
        Some(file) if total / 2 > size => {
            Err(Error::format(file.path(), "has tensors of more bytes than the file; it is damaged, download it again"))
        }
        _ => Ok(()),
    }
}

/// Told by content: people rename files.
fn file_type(bytes: &[u8], path: &Path) -> Option<FileType> {
    match bytes {
        [b'P', b'K', 3, 4, ..] => Some(FileType::Pth),
        [b'G', b'G', b'U', b'F', ..] => Some(FileType::Gguf),
        [b'f', b'm', b'g', b'g', ..] => Some(FileType::RwkvCpp),
        [_, _, _, _, _, _, _, _, b'{', ..] => Some(FileType::Safetensors),
        [b'{', ..] if path.to_string_lossy().ends_with(".safetensors.index.json") => Some(FileType::Safetensors),
        _ => None,
    }
}

fn not_a_checkpoint(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "is empty; download or convert it again",
        [0x80, 2..=5, ..] => {
            "is a .pth in PyTorch's format of before version 1.6; load it in PyTorch and torch.save it again"
        }
        [b'V', b'O', b'L', b'A', b'R', b'Y', b's', b't', ..] => {
            "is a state saved by Volary, not a checkpoint; load it as a state of its model"
        }
        [b'V', b'O', b'L', b'A', b'R', b'Y', b'c', b'h', ..] => {
            "is a chat saved by Volary, not a checkpoint; load it as a chat with its model"
        }
        _ => "is not a checkpoint; .pth, .safetensors, rwkv.cpp .bin and GGUF files are",
    }
}

#[cfg(test)]
mod tests;
