//! A whole file in memory, read through the operating system's page cache.
#![allow(unsafe_code, reason = "memory-mapping a file is unsafe by nature; this is the one place that does")]

use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::whole_file;

/// A file mapped read-only.
#[derive(Debug)]
pub(crate) struct Mapped {
    path: PathBuf,
    map: Mmap,
}

impl Mapped {
    pub fn open(path: &Path) -> Result<Self> {
        let file = whole_file::open(path)?;
        // SAFETY: the mapping is private to this process and never written. Another process that shortens the file
        // meanwhile can make a read fault (SIGBUS); no safe way of mapping excludes that.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| Error::io(path, source))?;
        Ok(Self { path: path.to_path_buf(), map })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Lets the operating system drop the pages of this range.
    pub fn release(&self, offset: usize, size: usize) {
        #[cfg(unix)]
        // SAFETY: the mapping is shared and read-only, so a dropped page comes back from the file unchanged.
        // A failure is harmless: the pages merely stay.
        let _ = unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, size) };
        #[cfg(not(unix))]
        let _ = (offset, size);
    }
}
