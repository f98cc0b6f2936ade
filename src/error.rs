//! The one error type. A message names what was wrong, where, and what to do about it, in one line.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. [`Display`] gives one complete line for a person; match on the variant in a program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or written.
    #[error("{file}: {}", describe(source))]
    Io {
        /// The file, as the caller named it.
        file: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },

    /// A file is damaged, or is not what it was given as.
    #[error("{file}: {cause}")]
    Format {
        /// The file, or what stands for it when the bytes came from memory.
        file: String,
        /// What is wrong, and what to do.
        cause: String,
    },

    /// The input is sound, but this version of Volary cannot use it.
    #[error("{subject}: {cause}")]
    Unsupported {
        /// The file or feature.
        subject: String,
        /// What is not supported, and what is.
        cause: String,
    },

    /// Two things that must belong together do not: a model and a tokenizer, a model and a state.
    #[error("{subject}: {cause}")]
    Mismatch {
        /// The thing that does not fit.
        subject: String,
        /// What it does not fit, and what would.
        cause: String,
    },

    /// An argument or option is outside what it may be.
    #[error("{argument}: {cause}")]
    InvalidArgument {
        /// The argument's name, as callers of every language know it.
        argument: String,
        /// The value given and the values allowed.
        cause: String,
    },

    /// The caller cancelled the work.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    pub(crate) fn io(file: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { file: file.as_ref().display().to_string(), source }
    }

    pub(crate) fn format(file: impl AsRef<Path>, cause: impl Display) -> Self {
        Self::Format { file: file.as_ref().display().to_string(), cause: one_line(&cause.to_string()) }
    }

    pub(crate) fn unsupported(subject: impl Display, cause: impl Display) -> Self {
        Self::Unsupported { subject: subject.to_string(), cause: one_line(&cause.to_string()) }
    }

    pub(crate) fn mismatch(subject: impl Display, cause: impl Display) -> Self {
        Self::Mismatch { subject: subject.to_string(), cause: cause.to_string() }
    }

    /// A name that is none of those there are.
    pub(crate) fn unknown(argument: &str, name: &str, known: &[impl AsRef<str>]) -> Self {
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        Self::argument(argument, format!("{name} is unknown; choose {}", known.join(", ")))
    }

    pub(crate) fn argument(argument: impl Display, cause: impl Display) -> Self {
        Self::InvalidArgument { argument: argument.to_string(), cause: cause.to_string() }
    }
}

impl Error {
    /// The same error about a tensor, with the file that the tensor is in.
    pub(crate) fn in_file(self, file: &Path) -> Self {
        match self {
            Self::Unsupported { subject, cause } => Self::unsupported(file.display(), format!("{subject} {cause}")),
            other => other,
        }
    }
}

/// A cause may quote a file's own words, which may be anything: no control characters, nothing endless.
fn one_line(cause: &str) -> String {
    const MAX_CHARS: usize = 600;
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    cause.chars().take(MAX_CHARS).map(shown).collect()
}

/// The operating system's reason in plain words, with a remedy where there is an obvious one.
fn describe(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => "no such file; check the path".into(),
        io::ErrorKind::PermissionDenied => "permission denied; check the file's access rights".into(),
        io::ErrorKind::IsADirectory => "is a directory; name a file inside it".into(),
        io::ErrorKind::StorageFull => "no space left on the device; free some and try again".into(),
        _ => source.to_string(),
    }
}
