//! Files of Volary's own, of states and of chats: magic, version, content, checksum.

use std::fmt::Display;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};

/// A kind of file.
pub(crate) struct Kind {
    pub magic: &'static [u8; 8],
    pub version: u32,
    /// What a file holds: "a state".
    pub what: &'static str,
    /// What to give in place of another file: "one that save wrote".
    pub remedy: &'static str,
}

impl Kind {
    /// A whole file. `len` is the size of what `write` appends.
    pub fn seal(&self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.magic.len() + size_of_val(&self.version) + len + size_of::<u64>());
        bytes.extend(self.magic);
        bytes.extend(self.version.to_le_bytes());
        write(&mut bytes);
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    /// The content of a file. `source` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] if the bytes are of another kind, or damaged, [`Error::Unsupported`] if of another version.
    pub fn open<'a>(&self, bytes: &'a [u8], source: &str) -> Result<Content<'a>> {
        let Self { what, remedy, version: known, .. } = self;
        let rest = bytes.strip_prefix(self.magic);
        let Some((version, rest)) = rest.and_then(|rest| rest.split_first_chunk()) else {
            return Err(Error::format(source, format!("is not {what} saved by Volary; give {remedy}")));
        };
        let version = u32::from_le_bytes(*version);
        if version != *known {
            let cause = format!("is {what} of file version {version}, and this Volary reads version {known}");
            return Err(Error::unsupported(source, format!("{cause}; use the Volary that saved it")));
        }
        let sealed = bytes.split_last_chunk().filter(|(sealed, sum)| xxh3_64(sealed).to_le_bytes() == **sum);
        let content = sealed.and_then(|_| rest.split_last_chunk::<{ size_of::<u64>() }>());
        match content {
            Some((content, _)) => Ok(Content { bytes: content }),
            None => Err(damaged(source, "its checksum does not match")),
        }
    }
}

/// What no file holds that was saved whole.
pub(crate) fn damaged(source: &str, what: impl Display) -> Error {
    Error::format(source, format!("is truncated or damaged: {what}; save it again"))
}

/// What is left to read of a file's content.
pub(crate) struct Content<'a> {
    bytes: &'a [u8],
}

impl<'a> Content<'a> {
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }
}
