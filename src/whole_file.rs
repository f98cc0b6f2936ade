//! Opening files that may be anything; files that appear under their name only when they are whole.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// That a path names a file at all; `argument` is what the caller calls the path.
pub(crate) fn check_named(argument: &str, path: &Path) -> Result<()> {
    match path.as_os_str().is_empty() {
        true => Err(Error::argument(argument, "is empty; name a file")),
        false => Ok(()),
    }
}

/// Opens a regular file for reading. Looks before it opens: opening a pipe waits until somebody writes into it.
pub(crate) fn open(path: &Path) -> Result<File> {
    check_named("path", path)?;
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
    let mut file = Replacement::create(path)?;
    file.write_all(bytes).map_err(|source| Error::io(path, source))?;
    file.commit()
}

/// A file that is being written beside the one whose place it takes at [`commit`](Self::commit). Until then the name
/// holds what it held before; dropped without a commit, it leaves nothing behind. If the process is killed, it leaves
/// `NAME.XXXXXX.volary-part`, which the next one that begins the same file removes.
///
/// Buffered: what is written in small pieces reaches the disk in large ones.
pub(crate) struct Replacement {
    /// As the caller calls it.
    path: PathBuf,
    /// The file of that name, or that it is a link to.
    target: PathBuf,
    temporary: BufWriter<NamedTempFile>,
}

impl Replacement {
    /// Begins a file that will be called `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if its folder does not exist or cannot be written to, or `path` is a directory; [`Error::Format`] if
    /// it is something that a rename would destroy, such as a device; [`Error::InvalidArgument`] if it is empty.
    pub fn create(path: &Path) -> Result<Self> {
        check_named("path", path)?;
        const BUFFER: usize = 1 << 20;
        let fail = |source| Error::io(path, source);
        let mut target = path.to_path_buf();
        let mut replaced = None;
        match std::fs::metadata(path) {
            Ok(kind) if kind.is_dir() => return Err(fail(io::ErrorKind::IsADirectory.into())),
            Ok(kind) if !kind.is_file() => {
                return Err(Error::format(path, "is not a regular file; name a file on disk"));
            }
            // The file that a link points to is the one to replace.
            Ok(kind) => {
                target = std::fs::canonicalize(path).map_err(fail)?;
                replaced = Some(kind.permissions());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A loop of links, a file in place of the folder, a folder that may not be searched.
            Err(error) => return Err(fail(error)),
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Error::no_folder(path));
        }
        let temporary = new_beside(folder, &target).map_err(fail)?;
        #[cfg(unix)]
        if let Some(permissions) = replaced {
            // Not every file system has them.
            let _ = temporary.as_file().set_permissions(permissions);
        }
        let temporary = BufWriter::with_capacity(BUFFER, temporary);
        Ok(Self { path: path.to_path_buf(), target, temporary })
    }

    /// Gives the file its name, once its content is on the disk.
    ///
    /// # Errors
    /// [`Error::Io`]; the name then holds what it held before.
    pub fn commit(self) -> Result<()> {
        let Self { path, target, temporary } = self;
        let fail = |source| Error::io(&path, source);
        let temporary = temporary.into_inner().map_err(|e| fail(e.into_error()))?;
        temporary.as_file().sync_all().map_err(fail)?;
        temporary.persist(&target).map_err(|e| fail(e.error))?;
        // The name is only safe from a power cut once its folder is on the disk. Not every file system can be asked
        // for that, and the file is whole either way.
        #[cfg(unix)]
        if let Some(folder) = target.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

impl Seek for Replacement {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.temporary.seek(position)
    }
}

/// What the names of unfinished files end in.
const UNFINISHED: &str = ".volary-part";

/// A temporary file for what will be `target`, with the access rights that a new file of this process gets. It is locked
/// for as long as it is open: so others can tell it from one whose writer was killed.
fn new_beside(folder: &Path, target: &Path) -> io::Result<NamedTempFile> {
    /// The whole name may have 255 bytes, and a character takes up to four.
    const MOST_CHARS: usize = 50;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let prefix: String = name.chars().take(MOST_CHARS).chain(['.']).collect();
    remove_left_behind(folder, &prefix);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(UNFINISHED).rand_bytes(RANDOM_CHARS);
    #[cfg(unix)]
    builder.permissions(<std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    loop {
        let file = builder.tempfile_in(folder)?;
        // Where there are no locks, nobody removes anything. Else somebody may have, before it was locked.
        if file.as_file().lock().is_err() || file.path().exists() {
            return Ok(file);
        }
    }
}

/// Characters that make a temporary file's name its own.
const RANDOM_CHARS: usize = 6;

/// Removes unfinished files of these names whose writers were killed: nobody holds their locks.
fn remove_left_behind(folder: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(UNFINISHED));
        let is_unfinished = random.is_some_and(|random| random.len() == RANDOM_CHARS);
        // Whatever fails here: the file is in nobody's way. Locked until it is gone: its writer may be about to lock it.
        if is_unfinished
            && let Ok(file) = open(&entry.path())
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
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
    fn a_file_that_is_replaced_keeps_its_access_rights_and_its_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("link"));
        write(&path, b"old").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(link.is_symlink());
    }

    #[test]
    fn a_replacement_that_is_not_committed_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        let mut file = Replacement::create(&path).unwrap();
        file.write_all(b"half of the new").unwrap();
        drop(file);
        assert_eq!(read(&path, 3).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_replacement_can_go_back_to_fill_in_what_it_left_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = Replacement::create(&path).unwrap();
        file.write_all(b"???d").unwrap();
        file.rewind().unwrap();
        file.write_all(b"wor").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"word");
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_by_the_next_one_and_what_a_running_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let names = || {
            let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        for name in ["a.abcdef.volary-part", "a.b.abcdef.volary-part", "a.part", "b.abcdef.volary-part"] {
            std::fs::write(folder.path().join(name), b"half").unwrap();
        }
        let running = Replacement::create(&path).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(names().len(), 5, "{:?}", names());
        assert!(!names().contains(&"a.abcdef.volary-part".to_string()));
        running.commit().unwrap();
        assert_eq!(names(), ["a", "a.b.abcdef.volary-part", "a.part", "b.abcdef.volary-part"]);
    }

    #[test]
    fn a_name_as_long_as_names_may_be_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a".repeat(255), "語".repeat(85)] {
            let path = folder.path().join(name);
            write(&path, b"new").unwrap();
            assert_eq!(read(&path, 3).unwrap(), b"new");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_a_rename_would_destroy_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), b"").unwrap_err().to_string().contains("directory"));
        assert!(write(Path::new("/dev/null"), b"").unwrap_err().to_string().contains("not a regular file"));
        let nowhere = write(Path::new("no such folder/a"), b"").unwrap_err().to_string();
        assert_eq!(nowhere, "no such folder/a: its folder does not exist; create it, or check the path");
        assert_eq!(write(Path::new(""), b"").unwrap_err().to_string(), "path: is empty; name a file");
        assert_eq!(open(Path::new("")).unwrap_err().to_string(), "path: is empty; name a file");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!((read(&file, 3).unwrap(), link.is_symlink()), (b"new".to_vec(), true));
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
