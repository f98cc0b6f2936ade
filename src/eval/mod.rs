//! Measurements of a model.

mod bench;

pub use bench::{BenchOptions, BenchReport};
