//! A checkpoint's tensors as its file names, shapes and stores them, and the writing of such files again.

use std::borrow::Cow;
use std::io::{Seek, Write};
use std::path::Path;

use super::{Checkpoint, FileType, Stored, pth, safetensors};
use crate::error::{Error, Result};
use crate::quant::Format;

/// A tensor as its file has it.
#[derive(Debug)]
pub(super) struct Original {
    pub name: String,
    pub shape: Vec<usize>,
    /// Where its numbers are: in its file, or in that of the LoRA that replaced it. `None`: a LoRA replaced a part.
    pub stored: Option<Stored>,
    /// Canonical names of the tensor, or of the tensors that it is made of.
    pub parts: Vec<String>,
}

impl Original {
    pub fn new(stored: Stored) -> Self {
        Self { name: stored.name.clone(), shape: stored.shape.clone(), stored: Some(stored), parts: Vec::new() }
    }
}

/// A tensor of a file to be written.
pub(super) struct Entry<'a> {
    pub name: &'a str,
    /// Row-major, outermost dimension first.
    pub shape: &'a [usize],
    /// A float format.
    pub format: Format,
    stored: &'a Stored,
    /// The canonical tensor that has a LoRA added; its shape and orientation are the file's.
    merged: Option<&'a str>,
}

impl Entry<'_> {
    /// Bytes of its numbers. They have been found to lie inside a file.
    pub fn size(&self) -> usize {
        self.format.size_of(self.shape).unwrap_or(0)
    }
}

/// A `.pth` or `.safetensors` file in the making: the tensors of a checkpoint under its own names, in its own shapes,
/// orientation, order and formats, one in memory at a time.
pub(crate) struct Writing<'a> {
    checkpoint: &'a Checkpoint,
    entries: Vec<Entry<'a>>,
    done: usize,
    total: usize,
    progress: &'a dyn Fn(f64) -> bool,
}

impl<'a> Writing<'a> {
    /// `progress` is told how much of the numbers is written, from 0 to 1; its `false` cancels.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for checkpoints of other types, whose tensors are no longer as PyTorch had them.
    pub fn new(checkpoint: &'a Checkpoint, progress: &'a dyn Fn(f64) -> bool) -> Result<Self> {
        const REMEDY: &str = "write .gguf or .bin instead";
        let unsupported = |cause: String| Error::unsupported(checkpoint.path.display(), cause);
        if !matches!(checkpoint.file_type, FileType::Pth | FileType::Safetensors) {
            let cause = "is no .pth or .safetensors, and its tensors are not stored as those would have them";
            return Err(unsupported(format!("{cause}; {REMEDY}")));
        }
        let entry = |original: &'a Original| {
            let Original { name, shape, stored, parts } = original;
            let merged = parts.iter().find(|part| checkpoint.additions.contains_key(*part)).map(String::as_str);
            let Some(stored) = stored else {
                return Err(unsupported(format!("{name} is made of several tensors, not all replaced; {REMEDY}")));
            };
            Ok(Entry { name, shape, format: stored.format, stored, merged })
        };
        let entries = checkpoint.originals.iter().map(entry).collect::<Result<Vec<_>>>()?;
        let total = entries.iter().map(Entry::size).sum::<usize>().max(1);
        Ok(Self { checkpoint, entries, done: 0, total, progress })
    }

    /// Writes the whole file in PyTorch's zip form. `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, [`Error::Cancelled`] if the progress callback said so, and what
    /// [`Checkpoint::tensor`] fails with.
    pub fn write_pth(mut self, out: impl Write + Seek, path: &Path) -> Result<()> {
        pth::write(&mut self, out, path)
    }

    /// Writes the whole file as `.safetensors`. `path` is for messages.
    ///
    /// # Errors
    /// As [`write_pth`](Self::write_pth).
    pub fn write_safetensors(mut self, out: impl Write, path: &Path) -> Result<()> {
        safetensors::write(&mut self, out, path)
    }

    pub(super) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// What the checkpoint says beside the tensors.
    pub(super) fn pairs(&self) -> &'a [(String, String)] {
        &self.checkpoint.metadata.pairs
    }

    /// Writes the numbers of one tensor.
    pub(super) fn copy(&mut self, index: usize, out: &mut impl Write, path: &Path) -> Result<()> {
        /// Few enough bytes that Ctrl-C is obeyed at once, enough that asking costs nothing.
        const PIECE: usize = 4 << 20;
        #[allow(clippy::indexing_slicing, reason = "callers number the entries")]
        let entry = &self.entries[index];
        // Also before a tensor: computing it takes longer than writing it.
        self.report()?;
        let data = match entry.merged {
            Some(name) => self.checkpoint.tensor(name)?.data,
            None => entry.stored.read(&self.checkpoint.files).data,
        };
        for piece in data.chunks(PIECE) {
            out.write_all(piece).map_err(|source| Error::io(path, source))?;
            self.done += piece.len();
            self.report()?;
        }
        if let (None, Cow::Borrowed(_)) = (entry.merged, &data) {
            entry.stored.file(&self.checkpoint.files).release(entry.stored.offset, data.len());
        }
        Ok(())
    }

    /// Tells the progress, and looks whether the next piece is still there.
    fn report(&self) -> Result<()> {
        match (self.progress)(self.done as f64 / self.total as f64) {
            true => self.checkpoint.check_unchanged(),
            false => Err(Error::Cancelled),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::pickle;
    use super::*;

    #[test]
    fn sizes_beyond_32_bits_survive_the_pickle() {
        let shape = [3usize << 30, 2];
        let (name, format) = ("huge".to_string(), Format::BF16);
        let stored =
            Stored { name, shape: shape.to_vec(), strides: None, format, file: 0, offset: 0, elementwise: None };
        let entry = Entry { name: &stored.name, shape: &shape, format, stored: &stored, merged: None };
        let pickle = pickle::write_state_dict(&[entry]);
        let path = Path::new("huge.pth");
        let [(name, tensor)] = &pickle::state_dict(&pickle, path).unwrap()[..] else { panic!("one tensor") };
        assert_eq!((*name, &tensor.shape[..], &tensor.strides[..]), ("huge", &shape[..], &[2, 1][..]));
        assert_eq!((tensor.storage_size, tensor.dtype.name), (12 << 30, "bfloat16"));
    }
}
