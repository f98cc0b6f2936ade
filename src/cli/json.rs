//! `--json`: one object on standard output, and nothing else there.

use std::io::Write;

use serde::Serialize;

use super::{Failure, Outcome};

pub(super) fn print(object: &impl Serialize) -> Outcome {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, object).map_err(|e| Failure::Output(e.into()))?;
    Ok(writeln!(out)?)
}
