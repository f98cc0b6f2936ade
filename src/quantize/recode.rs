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
    let from = tensor.format;
    let numbers: usize = tensor.shape.iter().product();
    let mut out = vec![0; size(to, numbers.min(BATCH))];
    for piece in tensor.data.chunks(size(from, BATCH)) {
        let out = &mut out[..size(to, count(from, piece))];
        let tasks = piece.chunks(size(from, TASK)).zip(out.chunks_mut(size(to, TASK)));
        let sound = AtomicBool::new(true);
        pool.for_each(tasks.collect(), |(bytes, out)| {
            let mut values = [0.0; TASK];
            let values = &mut values[..count(from, bytes)];
            quant::decode(from, bytes, values);
            if scale != 1.0 {
                values.iter_mut().for_each(|x| *x *= scale);
            }
            let is_copy = from == to && scale == 1.0;
            let largest = if is_copy { f32::MAX } else { largest(to) };
            if !values.iter().all(|x| x.abs() <= largest) {
                sound.store(false, Ordering::Relaxed);
            } else if is_copy {
                out.copy_from_slice(bytes);
            } else if scale != 1.0 || !quant::repack(from, to, bytes, out) {
                quant::encode(to, encoder, values, out);
            }
        });
        if !sound.into_inner() {
            let cause = match from == to {
                true => "holds numbers that are not finite; it is damaged, download or convert it again".to_string(),
                false => format!("holds numbers that are not finite, or beyond the range of {to}; choose another type"),
            };
            return Err(Error::unsupported(tensor.name, cause));
        }
        sink(out)?;
    }
    Ok(())
}

/// Bytes of so many numbers.
fn size(format: Format, numbers: usize) -> usize {
    numbers / format.block_len() * format.block_bytes()
}

/// Numbers in so many bytes.
fn count(format: Format, bytes: &[u8]) -> usize {
    bytes.len() / format.block_bytes() * format.block_len()
}

/// The largest number that a format is given: the scales of blocks are half-precision like F16.
fn largest(format: Format) -> f32 {
    const LARGEST_HALF: f32 = 65_504.0;
    match format {
        Format::F32 | Format::BF16 => f32::MAX,
        _ => LARGEST_HALF,
    }
}
