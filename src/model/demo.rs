//! The demo model, which is a part of the program (feature `demo`).

use super::{Model, ModelOptions};
use crate::checkpoint::Checkpoint;
use crate::error::Result;

/// 8 MB. `models/README.md` says what it is and how it was trained.
static DEMO: &[u8] = include_bytes!("../../models/demo.gguf");

impl Model {
    /// The demo model: an RWKV-7 of 7.3 million parameters that tells old stories, for trying things out. It needs no file.
    ///
    /// ```
    /// # fn main() -> volary::Result<()> {
    /// let model = volary::Model::demo()?;
    /// for piece in model.generate("Once upon a time", volary::GenerateOptions { max_tokens: 20, ..Default::default() })? {
    ///     print!("{}", piece?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`demo_with`](Self::demo_with).
    pub fn demo() -> Result<Self> {
        Self::demo_with(ModelOptions::default())
    }

    /// The demo model, opened with some options.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with), but for those of the model's file.
    pub fn demo_with(options: ModelOptions) -> Result<Self> {
        Self::load(Checkpoint::embedded("demo.gguf", DEMO)?, options)
    }
}

#[cfg(test)]
mod tests;
