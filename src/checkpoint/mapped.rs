//! A whole file in memory: read through the operating system's page cache, or a part of the program.
#![allow(unsafe_code, reason = "memory-mapping a file is unsafe by nature; this is the one place that does")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

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
    /// Mapped read-only. `changed` is the time of its last change when it was opened, where the system tells.
    File { map: Mmap, file: File, changed: Option<SystemTime> },
    #[cfg(feature = "demo")]
    Embedded(&'static [u8]),
}

impl Mapped {
    pub fn open(path: &Path) -> Result<Self> {
        let file = whole_file::open(path)?;
        let fail = |source| Error::io(path, source);
        // Before anything of it is read.
        let changed = file.metadata().map_err(fail)?.modified().ok();
        // SAFETY: the mapping is private to this process and never written. Another process that shortens the file
        // meanwhile can make a read fault (SIGBUS); no safe way of mapping excludes that, and `check_unchanged` leaves
        // little time for it.
        let map = unsafe { Mmap::map(&file) }.map_err(fail)?;
        Ok(Self { path: path.to_path_buf(), bytes: Bytes::File { map, file, changed } })
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
            Bytes::File { map, .. } => map,
            #[cfg(feature = "demo")]
            Bytes::Embedded(bytes) => bytes,
        }
    }

    /// That nobody has written to the file since it was opened: what was read of it is then the content of one file. That it
    /// lost its name, or another file took it, changes nothing.
    ///
    /// # Errors
    /// [`Error::Format`] if its length or the time of its last change is another.
    pub fn check_unchanged(&self) -> Result<()> {
        match &self.bytes {
            Bytes::File { map, file, changed } => {
                let now = file.metadata().map_err(|source| Error::io(&self.path, source))?;
                if now.len() == map.len() as u64 && now.modified().ok() == *changed {
                    return Ok(());
                }
                Err(Error::format(&self.path, "was written to while it was read; try again when it is complete"))
            }
            #[cfg(feature = "demo")]
            Bytes::Embedded(_) => Ok(()),
        }
    }

    /// Lets the operating system drop the pages of this range, as far as it is the file's.
    pub fn release(&self, offset: usize, size: usize) {
        match &self.bytes {
            #[cfg(unix)]
            Bytes::File { map, .. } => {
                // A tensor that repeats its numbers has more of them than the file.
                let size = size.min(map.len().saturating_sub(offset));
                if size == 0 {
                    return;
                }
                // SAFETY: the range is the mapping's own, which is shared and read-only, so a dropped page comes back
                // from the file unchanged. A failure is harmless: the pages merely stay.
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

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use memmap2::MmapMut;

    use super::*;

    #[test]
    fn releasing_more_than_the_file_leaves_the_memory_behind_it() {
        const PAGE: usize = 4096;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [1; 16 * PAGE]).unwrap();
        // Once they have filled the gaps, new mappings are neighbours.
        let new = || (MmapMut::map_anon(16 * PAGE).unwrap(), Mapped::open(file.path()).unwrap());
        let (mut others, files): (Vec<_>, Vec<_>) = std::iter::repeat_with(new).take(100).unzip();
        let (mapped, behind) = files
            .iter()
            .find_map(|mapped| {
                let end = mapped.bytes().as_ptr_range().end as usize;
                let near = end..end + 8 * PAGE;
                Some((mapped, others.iter().position(|other| near.contains(&(other.as_ptr() as usize)))?))
            })
            .unwrap();
        let behind = &mut others[behind];
        behind.fill(2);
        mapped.release(15 * PAGE, 16 * PAGE);
        mapped.release(17 * PAGE, PAGE);
        assert_eq!(mapped.bytes(), [1; 16 * PAGE]);
        assert!(behind.iter().all(|&byte| byte == 2));
    }
}
