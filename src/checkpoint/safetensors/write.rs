//! Writing a `.safetensors`: the length of the header, the header, the numbers.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata as Header, TensorInfo};

use super::super::original::{Entry, Writing};
use crate::error::{Error, Result};
use crate::quant::Format;

pub(in crate::checkpoint) fn write(tensors: &mut Writing<'_>, mut out: impl Write, path: &Path) -> Result<()> {
    /// What a header's length is a multiple of, so that the numbers after it are aligned.
    const ALIGNMENT: usize = 8;
    // Wide numbers first, as the format's own library has it: all are aligned then. Otherwise in the model's order.
    let mut entries: Vec<_> = tensors.entries().iter().enumerate().collect();
    entries.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.format.block_bytes()));

    let mut end = 0;
    let infos = entries.iter().map(|&(_, entry @ &Entry { name, shape, format, .. })| {
        let start = end;
        end += entry.size();
        let dtype = dtype(format).ok_or_else(|| Error::unsupported(path.display(), format!("{name} is {format}")))?;
        Ok((name.to_string(), TensorInfo { dtype, shape: shape.to_vec(), data_offsets: (start, end) }))
    });
    let infos = infos.collect::<Result<Vec<_>>>()?;
    let order: Vec<_> = entries.iter().map(|(index, _)| *index).collect();
    let pairs: HashMap<_, _> = tensors.pairs().iter().cloned().collect();
    let unwritable = |e: &dyn std::fmt::Display| Error::format(path, format!("cannot be written: {e}"));
    let header = Header::new((!pairs.is_empty()).then_some(pairs), infos).map_err(|e| unwritable(&e))?;
    let mut header = serde_json::to_vec(&header).map_err(|e| unwritable(&e))?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');

    let io = |e| Error::io(path, e);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    out.write_all(&header).map_err(io)?;
    order.into_iter().try_for_each(|index| tensors.copy(index, &mut out, path))?;
    out.flush().map_err(io)
}

fn dtype(format: Format) -> Option<Dtype> {
    match format {
        Format::F32 => Some(Dtype::F32),
        Format::F16 => Some(Dtype::F16),
        Format::BF16 => Some(Dtype::BF16),
        _ => None,
    }
}
