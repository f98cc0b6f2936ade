//! One tensor from one format to another.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::checkpoint::Tensor;
use crate::error::{Error, Result};
use crate::pool::Pool;
use crate::quant::{self, Encoder, Format};

/// Numbers that are in memory as f32 at once, of all threads together.
const BATCH: usize = 1 << 22;

/// Numbers that a thread takes at a time. A multiple of every block's length.
const TASK: usize = 1 << 14;

/// Hands the tensor's bytes in another format to `sink`, piece by piece, every number multiplied by `scale`.
///
/// # Errors
/// [`Error::Unsupported`] if a number is not finite or exceeds the format's range; what `sink` returns.
pub(crate) fn recode(
    tensor: &Tensor<'_>,
    to: Format,
    encoder: Encoder,
    scale: f32,
    pool: &Pool,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    if tensor.format == to && scale == 1.0 {
        return tensor.data.chunks(BATCH).try_for_each(sink);
    }
    let size = |format: Format, numbers: usize| numbers / format.block_len() * format.block_bytes();
    let numbers: usize = tensor.shape.iter().product();
    let mut out = vec![0; size(to, numbers.min(BATCH))];
    for piece in tensor.data.chunks(size(tensor.format, BATCH)) {
        let numbers = piece.len() / tensor.format.block_bytes() * tensor.format.block_len();
        let out = &mut out[..size(to, numbers)];
        let tasks = piece.chunks(size(tensor.format, TASK)).zip(out.chunks_mut(size(to, TASK)));
        let sound = AtomicBool::new(true);
        pool.for_each(tasks.collect(), |(from, out)| {
            let numbers = from.len() / tensor.format.block_bytes() * tensor.format.block_len();
            if scale == 1.0 && quant::repack(tensor.format, to, from, out) {
                return;
            }
            let mut values = [0.0; TASK];
            let values = &mut values[..numbers];
            quant::decode(tensor.format, from, values);
            if scale != 1.0 {
                values.iter_mut().for_each(|x| *x *= scale);
            }
            if values.iter().all(|x| x.abs() <= largest(to)) {
                quant::encode(to, encoder, values, out);
            } else {
                sound.store(false, Ordering::Relaxed);
            }
        });
        if !sound.into_inner() {
            let cause = format!("holds numbers that are not finite, or beyond the range of {to}; keep it as it is");
            return Err(Error::unsupported(tensor.name, cause));
        }
        sink(out)?;
    }
    Ok(())
}

/// The largest number that a format is given: the scales of blocks are half-precision like F16.
fn largest(format: Format) -> f32 {
    const LARGEST_HALF: f32 = 65_504.0;
    match format {
        Format::F32 | Format::BF16 => f32::MAX,
        _ => LARGEST_HALF,
    }
}
