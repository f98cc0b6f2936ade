//! From number format to number format: which tensor gets which, and the bringing of one tensor to it.

mod plan;
mod policy;
mod recode;

pub use plan::Quantization;
pub use policy::Policy;

pub(crate) use plan::{Container, Plan};
pub(crate) use recode::recode;
