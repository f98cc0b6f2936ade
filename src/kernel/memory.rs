//! Memory of weights, in the largest pages that the system gives. Every token reads all of it, and with pages of 4 KiB up to a
//! fifth of the time goes into looking up where they are.
#![allow(unsafe_code, reason = "several matrices lie in one map")]

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{MmapMut, MmapRaw};

use crate::error::{Error, Result};

/// Gives out memory of maps that hold many matrices: with a map for each, a small one would never fill a large page.
#[derive(Debug)]
pub(crate) struct Arena {
    /// The file whose matrices it holds, for messages.
    file: PathBuf,
    /// Raw: nobody may hold a reference to all of it while a part is written.
    map: Option<Arc<MmapRaw>>,
    used: usize,
}

/// Bytes that begin a cache line. Their map goes when the last of its matrices does.
#[derive(Debug)]
pub(crate) struct Memory {
    _map: Option<Arc<MmapRaw>>,
    start: *const u8,
    len: usize,
}

// SAFETY: it is never written to after `Arena::fill` has given it out, and its map lives as long as it does.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Arena {
    /// For the matrices of a file.
    pub fn new(file: &Path) -> Self {
        Self { file: file.to_path_buf(), map: None, used: 0 }
    }

    /// Memory for `len` bytes, which `fill` writes. They are zeros before.
    ///
    /// # Errors
    /// [`Error::Io`] if there is not so much memory.
    pub fn fill(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Memory> {
        const LINE: usize = 64;
        /// Bytes of a map, of which the system gives those that are used.
        const MAP: usize = 32 << 20;
        if len == 0 {
            return Ok(Memory::empty());
        }
        let (map, begin) = match &self.map {
            _ if len > MAP => (self.map(len)?, 0),
            Some(map) if len <= map.len() - self.used => (map.clone(), self.used),
            _ => (self.map.insert(self.map(MAP)?).clone(), 0),
        };
        if len <= MAP {
            self.used = (begin + len).next_multiple_of(LINE).min(map.len());
        }
        // SAFETY: from `begin` on there are `len` bytes of the map that nobody else has been given.
        let bytes = unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr().add(begin), len) };
        fill(bytes);
        Ok(Memory { start: bytes.as_ptr(), len, _map: Some(map) })
    }

    fn map(&self, len: usize) -> Result<Arc<MmapRaw>> {
        let map = MmapMut::map_anon(len).map_err(|error| Error::io(&self.file, error))?;
        // Refused, it is slower. Miri does not know it.
        #[cfg(all(target_os = "linux", not(miri)))]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Arc::new(map.into()))
    }
}

impl Memory {
    /// No bytes.
    pub const fn empty() -> Self {
        Self { _map: None, start: std::ptr::dangling(), len: 0 }
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: these bytes are this memory's alone, written, and in a map that it keeps; or there are none.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_an_arena_are_apart_begin_lines_and_outlive_it() {
        let mut arena = Arena::new(Path::new("a.gguf"));
        let sizes = [1, 64, 0, 65, 20 << 20, 20 << 20, 40 << 20, 100];
        let pieces: Vec<Memory> = (0..)
            .zip(sizes)
            .map(|(index, len)| {
                let fill = |bytes: &mut [u8]| {
                    assert!(bytes.iter().all(|&byte| byte == 0));
                    bytes.fill(index);
                };
                arena.fill(len, fill).unwrap()
            })
            .collect();
        drop(arena);
        for ((index, len), piece) in (0..).zip(sizes).zip(&pieces) {
            assert_eq!(piece.len(), len);
            assert!(piece.iter().all(|&byte| byte == index), "{index}");
            assert_eq!(if len == 0 { 0 } else { piece.as_ptr().addr() % 64 }, 0);
        }
    }

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let error = Arena::new(Path::new("a.gguf")).fill(1 << 60, |_| unreachable!()).unwrap_err();
        assert!(error.to_string().starts_with("a.gguf: not enough memory"), "{error}");
    }
}
