//! Reads little-endian fields off a file, never past its end.

use std::fmt::Display;
use std::path::Path;

use crate::error::{Error, Result};

/// A position in a file's bytes.
#[derive(Clone)]
pub(super) struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
    path: &'a Path,
}

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8], path: &'a Path) -> Self {
        Self { bytes, at: 0, path }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..len)).ok_or_else(|| self.truncated())?;
        self.at += len;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.first_chunk().copied().ok_or_else(|| self.truncated())
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A 64-bit count of things that take at least `size` bytes each: a larger one than the file could hold is an
    /// error before anything is allocated for it.
    pub fn count(&mut self, size: usize) -> Result<usize> {
        let count = self.u64()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.remaining() / size.max(1) => Ok(count),
            _ => Err(self.truncated()),
        }
    }

    pub fn error(&self, cause: impl Display) -> Error {
        Error::format(self.path, cause)
    }

    /// What no sound file holds.
    pub fn damaged(&self, cause: impl Display) -> Error {
        self.error(format!("{cause}; it is damaged, download or convert it again"))
    }

    pub fn unsupported(&self, cause: impl Display) -> Error {
        Error::unsupported(self.path.display(), cause)
    }

    pub fn truncated(&self) -> Error {
        let cause = format!(
            "ends in the middle of something, at byte {} of {}; it is truncated or damaged, download or convert it again",
            self.at,
            self.bytes.len()
        );
        self.error(cause)
    }
}
