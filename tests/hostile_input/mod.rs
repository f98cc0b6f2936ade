//! Input that may be anything: what becomes of it (`entry`), sound files to begin with (`seed`), and files that are
//! almost sound (`mutate`). The suite, `cargo xtask mutate` and the fuzz targets in `fuzz/` share it.
#![allow(clippy::unwrap_used, dead_code, unused_imports, reason = "each program uses a part")]

mod conversation;
mod entry;
mod fields;
mod mutate;
mod random;
mod seed;
mod sizes;

pub use entry::{ENTRIES, Entry, Outcome};
pub use fields::{Fields, fields};
pub use mutate::mutant;
pub use random::Random;
pub use seed::seeds;
