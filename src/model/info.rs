//! What a person wants to know of a model.

use std::path::{Path, PathBuf};

use super::choose_tokenizer;
use super::config::Config;
use crate::checkpoint::{Checkpoint, FileType, Metadata};
use crate::error::Result;
use crate::quant::Format;
use crate::tokenizer::Tokenizer;

/// A description of a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The file's name without folder and extension.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What kind of file it is.
    pub file_type: FileType,
    /// Bytes of the file, or of all its files.
    pub file_size: u64,
    /// Generation and sizes.
    pub config: Config,
    /// The tokenizer's name, if one is known.
    pub tokenizer: Option<String>,
    /// What the file says beside the tensors, but for the vocabulary.
    pub metadata: Metadata,
    /// Every tensor, by canonical name.
    pub tensors: Vec<TensorInfo>,
}

/// A description of a tensor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Canonical name.
    pub name: String,
    /// Row-major, outermost dimension first.
    pub shape: Vec<usize>,
    /// Number format in the file.
    pub format: Format,
    /// Bytes in the file.
    pub size: u64,
}

impl ModelInfo {
    /// Describes the model in a file without loading it.
    ///
    /// # Errors
    /// As [`Model::open`](super::Model::open), but for what only reading the weights shows.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let config = Config::detect(&checkpoint)?;
        let tokenizer = choose_tokenizer(&checkpoint, &config, None)?;
        Ok(Self::new(&checkpoint, config, tokenizer.as_ref()))
    }

    pub(crate) fn new(checkpoint: &Checkpoint, config: Config, tokenizer: Option<&Tokenizer>) -> Self {
        let tensors = checkpoint.tensors().map(|(name, shape, format)| TensorInfo {
            name: name.to_string(),
            shape: shape.to_vec(),
            format,
            size: format.size_of(shape).unwrap_or(0) as u64,
        });
        Self {
            name: checkpoint.path().file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            path: checkpoint.path().to_path_buf(),
            file_type: checkpoint.file_type(),
            file_size: checkpoint.file_size(),
            config,
            tokenizer: tokenizer.map(|tokenizer| tokenizer.name().to_string()),
            metadata: Metadata { vocabulary: None, tokenizer_json: None, ..checkpoint.metadata().clone() },
            tensors: tensors.collect(),
        }
    }

    /// Numbers in all tensors.
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum()
    }
}
