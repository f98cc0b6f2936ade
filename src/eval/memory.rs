//! How fast the machine reads its memory: what bounds the writing of tokens.

use std::hint::black_box;
use std::time::{Duration, Instant};

use memmap2::MmapMut;

use crate::error::{Error, Result};
use crate::pool::Pool;

/// Far more than the caches hold.
const SIZE: usize = 256 << 20;
/// What one thread takes at a time.
const PART: usize = 1 << 20;
/// Passes begin until then; the fastest counts, since whatever else runs only slows one down.
const PATIENCE: Duration = Duration::from_millis(100);

/// Measures how fast this machine reads memory, in GB/s (10^9 bytes a second), with so many threads; `None`: as many as
/// there are cores for this process. It takes some tenths of a second, and 256 MiB of memory meanwhile.
///
/// A model cannot write tokens faster than this divided by
/// [`decode_bytes_per_token`](super::BenchReport::decode_bytes_per_token), unless the caches hold it.
///
/// ```
/// # fn main() -> volary::Result<()> {
/// assert!(volary::eval::memory_bandwidth(Some(1))? > 0.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::InvalidArgument`] for a number of threads that cannot be; [`Error::Io`] if there is no such memory.
pub fn memory_bandwidth(threads: Option<usize>) -> Result<f64> {
    let pool = Pool::new(threads)?;
    let buffer = buffer(&pool)?;
    let parts: Vec<&[u8]> = buffer.chunks(PART).collect();
    let started = Instant::now();
    let mut fastest = Duration::MAX;
    while started.elapsed() < PATIENCE {
        let pass = Instant::now();
        pool.run(parts.len(), &|index| {
            black_box(sum(parts[index]));
        });
        fastest = fastest.min(pass.elapsed());
    }
    Ok(SIZE as f64 / fastest.as_secs_f64() / 1e9)
}

/// Memory whose pages are there: what was never written, all reads from one page of zeros.
fn buffer(pool: &Pool) -> Result<MmapMut> {
    /// No system's are smaller.
    const PAGE: usize = 4 << 10;
    let mut buffer = MmapMut::map_anon(SIZE).map_err(|source| Error::io("memory", source))?;
    // With pages of 4 KiB half a second would go into their making. Refused, it is slower.
    #[cfg(target_os = "linux")]
    let _ = buffer.advise(memmap2::Advice::HugePage);
    pool.run_chunks(&mut buffer, PART, |_, part| part.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1));
    Ok(buffer)
}

/// Reads every byte: 16 sums, since a single one would wait for itself.
fn sum(part: &[u8]) -> u64 {
    let mut sums = [0u64; 16];
    for line in part.as_chunks::<128>().0 {
        for (sum, bytes) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*bytes));
        }
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_to_its_end() {
        let mut part = vec![0; 4096];
        for at in (0..part.len()).step_by(8) {
            part[at] = 1;
            assert_eq!(sum(&part), at as u64 / 8 + 1);
        }
    }
}
