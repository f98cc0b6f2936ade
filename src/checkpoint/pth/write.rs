//! Writing a `.pth` as `torch.save` does: `PyTorchStreamWriter` of PyTorch's `caffe2/serialize/inline_container.cc`.

use std::io::{Seek, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::super::original::{Entry, Writing};
use super::super::pickle;
use crate::error::{Error, Result};

/// Every entry begins at a multiple of it, as PyTorch has it, so that tensors can be used where they are mapped.
const ALIGNMENT: u16 = 64;

pub(in crate::checkpoint) fn write(tensors: &mut Writing<'_>, out: impl Write + Seek, path: &Path) -> Result<()> {
    let mut zip = ZipWriter::new(out);
    let written = write_entries(tensors, &mut zip, path);
    match written {
        Ok(()) => zip.finish().map_err(ZipError::into).and_then(|mut out| out.flush()).map_err(|e| Error::io(path, e)),
        Err(error) => {
            // Dropped, it would try to finish the archive, and print on stderr that it cannot.
            std::mem::forget(zip);
            Err(error)
        }
    }
}

fn write_entries(tensors: &mut Writing<'_>, zip: &mut ZipWriter<impl Write + Seek>, path: &Path) -> Result<()> {
    let fail = |e: ZipError| Error::io(path, e.into());
    let io = |e| Error::io(path, e);
    let state_dict = pickle::write_state_dict(tensors.entries());
    for (name, bytes) in [("data.pkl", state_dict.as_slice()), ("byteorder", b"little")] {
        zip.start_file(format!("archive/{name}"), options(bytes.len())).map_err(fail)?;
        zip.write_all(bytes).map_err(io)?;
    }
    let sizes: Vec<_> = tensors.entries().iter().map(Entry::size).collect();
    for (index, size) in sizes.into_iter().enumerate() {
        zip.start_file(format!("archive/data/{index}"), options(size)).map_err(fail)?;
        tensors.copy(index, zip, path)?;
    }
    zip.start_file("archive/version", options(2)).map_err(fail)?;
    zip.write_all(b"3\n").map_err(io)?;
    // What is left to write is little enough for an empty buffer.
    zip.flush().map_err(io)
}

fn options(size: usize) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGNMENT)
        .large_file(u32::try_from(size).is_err())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn entries_of_more_than_four_gigabytes_are_aligned_too() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, size) in [("small", 5), ("large", usize::MAX), ("larger still", usize::MAX)] {
            zip.start_file(name, options(size)).unwrap();
            zip.write_all(b"some").unwrap();
        }
        let mut archive = zip::ZipArchive::new(zip.finish().unwrap()).unwrap();
        for index in 0..archive.len() {
            let entry = archive.by_index(index).unwrap();
            assert_eq!(entry.data_start().unwrap() % u64::from(ALIGNMENT), 0, "entry {index}");
        }
    }
}
