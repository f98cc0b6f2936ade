//! Measurements of a model.

mod bench;
mod formats;
mod lockstep;
mod memory;
mod perplexity;
mod score;

pub use bench::{BenchOptions, BenchReport};
pub use formats::{ComparisonOptions, FormatComparison, FormatReport};
pub use memory::memory_bandwidth;
pub use perplexity::{PerplexityOptions, PerplexityReport};
