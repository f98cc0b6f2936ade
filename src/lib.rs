//! RWKV language models on the CPU: every generation from RWKV-4 to RWKV-7, from the files people have, to text.
#![deny(unsafe_code)]

pub mod chat;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
mod error;
pub mod eval;
pub mod generate;
mod kernel;
pub mod model;
mod pool;
pub mod quant;
pub mod tokenizer;
mod whole_file;

pub use chat::{Chat, ChatFormat, ChatOptions};
pub use error::{Error, Result};
pub use generate::{Completion, FinishReason, GenerateOptions, Piece, TokenStream};
pub use model::{Model, ModelOptions, State};
pub use tokenizer::Tokenizer;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
