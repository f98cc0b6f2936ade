//! The one error type. A message names what was wrong, where, and what to do about it, in one line.

use std::fmt::{self, Debug, Display};
use std::io;
use std::path::Path;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. [`Display`] gives one complete line for a person; match on the variant in a program.
#[derive(thiserror::Error)]
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

/// As [`Display`]: it is what a `main` that returns the error prints.
impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl Error {
    pub(crate) fn io(file: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { file: printable(file.as_ref().display()), source }
    }

    pub(crate) fn format(file: impl AsRef<Path>, cause: impl Display) -> Self {
        Self::Format { file: printable(file.as_ref().display()), cause: one_line(&cause.to_string()) }
    }

    pub(crate) fn unsupported(subject: impl Display, cause: impl Display) -> Self {
        Self::Unsupported { subject: printable(subject), cause: one_line(&cause.to_string()) }
    }

    pub(crate) fn mismatch(subject: impl Display, cause: impl Display) -> Self {
        Self::Mismatch { subject: printable(subject), cause: one_line(&cause.to_string()) }
    }

    /// A name that is none of those there are.
    pub(crate) fn unknown(argument: &str, name: &str, known: &[impl AsRef<str>]) -> Self {
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        let what = if name.is_empty() { "is empty".to_string() } else { format!("{name} is unknown") };
        Self::argument(argument, format!("{what}; choose {}", known.join(", ")))
    }

    pub(crate) fn argument(argument: impl Display, cause: impl Display) -> Self {
        Self::InvalidArgument { argument: argument.to_string(), cause: one_line(&cause.to_string()) }
    }

    /// A file to be written into a folder that there is none of.
    pub(crate) fn no_folder(file: &Path) -> Self {
        Self::io(
            file,
            io::Error::new(io::ErrorKind::NotFound, "its folder does not exist; create it, or check the path"),
        )
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
    cause.chars().take(MAX_CHARS).map(shown).collect()
}

/// Names of files may be anything, too: those of shards come from an index, and terminals obey control characters.
fn printable(name: impl Display) -> String {
    name.to_string().chars().map(shown).collect()
}

fn shown(c: char) -> char {
    if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }
}

/// The operating system's reason in plain words, with a remedy where there is an obvious one.
fn describe(source: &io::Error) -> String {
    match source.kind() {
        // Said by `no_folder`: the system's own errors have nothing inside.
        io::ErrorKind::NotFound if source.get_ref().is_some() => source.to_string(),
        io::ErrorKind::NotFound => "no such file; check the path".into(),
        io::ErrorKind::NotADirectory => "a file stands where its folder should; check the path".into(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; check the access rights of the file and its folder".into()
        }
        io::ErrorKind::IsADirectory => "is a directory; name a file inside it".into(),
        io::ErrorKind::OutOfMemory => "not enough memory; free some, or take a smaller model or format".into(),
        io::ErrorKind::StorageFull => "no space left on the device; free some and try again".into(),
        _ => source.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operating_system_refuses_is_told_in_plain_words_with_a_remedy() {
        let message = |kind: io::ErrorKind| Error::io("a.pth", kind.into()).to_string();
        for (kind, told) in [
            (io::ErrorKind::NotFound, "no such file; check the path"),
            (io::ErrorKind::NotADirectory, "a file stands where its folder should; check the path"),
            (io::ErrorKind::PermissionDenied, "permission denied; check the access rights of the file and its folder"),
        ] {
            assert_eq!(message(kind), format!("a.pth: {told}"));
        }
    }

    #[test]
    fn a_message_is_one_line_whatever_it_quotes() {
        let message = Error::unknown("format", "a\nb", &["auto"]).to_string();
        assert_eq!(message, "format: a\u{fffd}b is unknown; choose auto");
        assert_eq!(format!("{:?}", Error::unknown("format", "x", &["auto"])), "format: x is unknown; choose auto");
        assert_eq!(Error::unknown("format", "", &["auto"]).to_string(), "format: is empty; choose auto");
        let message = Error::io("\u{1b}[2J\n.pth", io::ErrorKind::NotFound.into()).to_string();
        assert_eq!(message, "\u{fffd}[2J\u{fffd}.pth: no such file; check the path");
        for error in [Error::format("a\n", "b"), Error::unsupported("a\n", "b"), Error::mismatch("a\n", "b")] {
            assert_eq!(error.to_string(), "a\u{fffd}: b");
        }
    }
}
