//! Opening files that may be anything; small ones read and written whole.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Opens a regular file for reading. Looks before it opens: opening a pipe waits until somebody writes into it.
pub(crate) fn open(path: &Path) -> Result<File> {
    let fail = |source| Error::io(path, source);
    let kind = std::fs::metadata(path).map_err(fail)?;
    if kind.is_dir() {
        return Err(fail(std::io::ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(Error::format(path, "is not a regular file; name a file on disk"));
    }
    File::open(path).map_err(fail)
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let fail = |source| Error::io(path, source);
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > limit {
        return Err(Error::format(
            path,
            format!("is larger than the {limit} bytes it may have; it is another kind of file"),
        ));
    }
    Ok(bytes)
}

/// Writes a file so that its name holds either the old content or the whole new one, whatever happens meanwhile.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |source| Error::io(path, source);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = new_beside(folder).map_err(fail)?;
    temporary.write_all(bytes).map_err(fail)?;
    temporary.as_file().sync_all().map_err(fail)?;
    temporary.persist(path).map_err(|e| fail(e.error))?;
    Ok(())
}

/// A temporary file with the access rights that a new file of this process gets.
fn new_beside(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".volary-");
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_without_waiting_for_a_writer() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(open(&pipe).unwrap_err().to_string().contains("not a regular file"));
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused_without_reading_it_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"four").unwrap();
        assert!(read(&path, 3).unwrap_err().to_string().contains("larger than the 3 bytes"));
        assert!(read(folder.path(), 3).unwrap_err().to_string().contains("directory"));
    }
}
