//! The errors of every language: a kind and a message.

use std::io::ErrorKind;

use crate::Error;

pub type Result<T, E = VolaryError> = std::result::Result<T, E>;

/// UniFFI hands over the variant's name and what `Display` says.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub enum VolaryError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Io(String),
    #[error("{0}")]
    Format(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    Mismatch(String),
    #[error("{0}")]
    InvalidArgument(String),
    #[error("{0}")]
    Cancelled(String),
    #[error("{0}")]
    Closed(String),
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Internal(String),
}

impl From<Error> for VolaryError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => Self::NotFound(message),
            Error::Io { .. } => Self::Io(message),
            Error::Format { .. } => Self::Format(message),
            Error::Unsupported { .. } => Self::Unsupported(message),
            Error::Mismatch { .. } => Self::Mismatch(message),
            Error::InvalidArgument { .. } => Self::InvalidArgument(message),
            Error::Cancelled => Self::Cancelled(message),
        }
    }
}
