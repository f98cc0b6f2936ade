//! The demo model, for who names none.

use std::path::{Path, PathBuf};

use super::terminal;
use crate::error::Result;
use crate::model::{Model, ModelOptions};

/// Where the demo model is.
pub(super) enum Demo {
    /// In a file, which a package of another language brings.
    File(PathBuf),
    /// In this program, if it was built so.
    Embedded,
}

impl Demo {
    pub fn new(file: Option<&Path>) -> Self {
        file.map_or(Self::Embedded, |file| Self::File(file.into()))
    }

    /// Opens it, and says that it is only the demo.
    pub fn open(&self, options: ModelOptions) -> Result<Model> {
        let model = match self {
            Self::File(path) => Model::open_with(path, options),
            Self::Embedded => embedded(options),
        }?;
        terminal::note("volary: this is the demo model, which tells old stories; `volary models` lists real ones");
        Ok(model)
    }
}

#[cfg(feature = "demo")]
fn embedded(options: ModelOptions) -> Result<Model> {
    Model::demo_with(options)
}

#[cfg(not(feature = "demo"))]
fn embedded(_options: ModelOptions) -> Result<Model> {
    Err(crate::Error::unsupported("the demo model", "is not in this program, which was built without it; name a model"))
}
