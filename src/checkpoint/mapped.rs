//! A whole file in memory: read through the operating system's page cache, or a part of the program.
#![allow(unsafe_code, reason = "memory-mapping a file is unsafe by nature; this is the one place that does")]

use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::whole_file;

/// A file whose bytes are all there.
#[derive(Debug)]
pub(crate) struct Mapped {
    path: PathBuf,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    /// Mapped read-only.
    File(Mmap),
    #[cfg(feature = "demo")]
    Embedded(&'static [u8]),
}

impl Mapped {
    pub fn open(path: &Path) -> Result<Self> {
        let file = whole_file::open(path)?;
        // SAFETY: the mapping is private to this process and never written. Another process that shortens the file
        // meanwhile can make a read fault (SIGBUS); no safe way of mapping excludes that.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| Error::io(path, source))?;
        Ok(Self { path: path.to_path_buf(), bytes: Bytes::File(map) })
    }

    /// Bytes of the program itself, under the name of the file that they were.
    #[cfg(feature = "demo")]
    pub fn embedded(name: &Path, bytes: &'static [u8]) -> Self {
        Self { path: name.to_path_buf(), bytes: Bytes::Embedded(bytes) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::File(map) => map,
            #[cfg(feature = "demo")]
            Bytes::Embedded(bytes) => bytes,
        }
    }

    /// Lets the operating system drop the pages of this range.
    pub fn release(&self, offset: usize, size: usize) {
        match &self.bytes {
            #[cfg(unix)]
            Bytes::File(map) => {
                // SAFETY: the mapping is shared and read-only, so a dropped page comes back from the file unchanged.
                // A failure is harmless: the pages merely stay.
                let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, size) };
            }
            // What is not told otherwise stays until the system wants the memory.
            #[cfg(any(not(unix), feature = "demo"))]
            _ => {
                let _ = (offset, size);
            }
        }
    }
}
