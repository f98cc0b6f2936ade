//! RWKV language models on the CPU: every generation from RWKV-4 to RWKV-7, from the files people have, to text.
//!
//! ```
//! use volary::{GenerateOptions, Model};
//!
//! # fn main() -> volary::Result<()> {
//! // A tiny random model of the tests. Real ones are .pth, .safetensors, .bin and .gguf files alike. With the feature
//! // `demo`, `Model::demo()` needs no file.
//! let model = Model::open("tests/golden/v7.pth")?;
//! for piece in model.generate("Once upon a time", GenerateOptions { max_tokens: 20, ..Default::default() })? {
//!     print!("{}", piece?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Model`] is weights, tokenizer and threads; it is immutable, and cloning it shares it. A [`State`] is what it
//! remembers of a text: of fixed size, cheap to clone, to be saved and loaded. [`Model::generate`] gives a
//! [`TokenStream`], [`Model::chat`] a [`Chat`]; [`Model::forward`] is the layer below, from token ids to logits, for
//! any mixture of sessions at once.
#![deny(unsafe_code)]
// What comes in is an error if it is wrong, and never the end of the process.
#![cfg_attr(not(test), warn(clippy::panic, clippy::todo, clippy::unimplemented, clippy::unreachable))]

pub mod chat;
// Modules that read what others wrote are marked like this one: no index there that is not proven.
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod convert;
mod error;
pub mod eval;
#[cfg(feature = "ffi")]
mod ffi;
/// UniFFI's code looks for it here.
#[cfg(feature = "ffi")]
use ffi::UniFfiTag;
pub mod generate;
mod kernel;
mod merge_lora;
pub mod model;
mod pool;
pub mod quant;
mod quantize;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
mod sealed;
pub mod tokenizer;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
mod whole_file;

pub use chat::{Chat, ChatFormat, ChatOptions};
pub use error::{Error, Result};
pub use generate::{Completion, FinishReason, GenerateOptions, Piece, TokenStream};
pub use merge_lora::{MergeOptions, merge_lora};
pub use model::{Model, ModelOptions, State};
pub use tokenizer::Tokenizer;

/// Runs the examples of the README and of the page for Rust.
#[cfg(all(doctest, feature = "demo"))]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/rust.md")]
struct Readme;
