//! A store in two files of a directory.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Slot, Store};

/// Two files, `<stem>.a` and `<stem>.b`, readable and writable by their owner only (mode 0600 on
/// Unix).
///
/// A write goes to a new file beside (`<stem>.a.new`), which is synchronised with the disk and then
/// renamed to its place, and on Unix the directory is synchronised too: a cut leaves the old file
/// or the new one. What a cut leaves beside is never read, and the next write replaces it.
///
/// Nothing locks the files: one process, one `FileStore`.
#[derive(Debug)]
pub struct FileStore {
    a: PathBuf,
    b: PathBuf,
}

impl FileStore {
    /// Keeps files whose names begin with `stem` in a directory, which must exist and should be
    /// its owner's alone. Creates nothing yet.
    ///
    /// Errors name the path: a `stem` that is not one plain file name, a directory that is not
    /// there or is none.
    pub fn open(directory: impl AsRef<Path>, stem: &str) -> io::Result<Self> {
        let directory = directory.as_ref();
        if Path::new(stem).file_name() != Some(stem.as_ref()) {
            let message = std::format!("not the beginning of a file's name: {stem:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let metadata = fs::metadata(directory).map_err(|error| at(directory, &error))?;
        if !metadata.is_dir() {
            return Err(at(directory, &io::ErrorKind::NotADirectory.into()));
        }
        let file = |end: &str| directory.join(std::format!("{stem}.{end}"));
        Ok(Self { a: file("a"), b: file("b") })
    }

    /// The file of a slot.
    #[must_use]
    pub fn path(&self, slot: Slot) -> &Path {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }
}

impl Store for FileStore {
    type Error = io::Error;

    fn read(&mut self, slot: Slot, into: &mut [u8]) -> io::Result<usize> {
        let path = self.path(slot);
        read(path, into).map_err(|error| at(path, &error))
    }

    fn write(&mut self, slot: Slot, image: &[u8]) -> io::Result<()> {
        replace(self.path(slot), image, OWNER_ONLY)
    }
}

/// Reads a file's beginning and returns the length of all of it; 0 when there is no file.
fn read(path: &Path, into: &mut [u8]) -> io::Result<usize> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut length: usize = 0;
    loop {
        match file.read(into.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => length = length.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let whole = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // A full buffer may have cut the file; a buffer that is not full has not.
    Ok(if length == into.len() { length.max(whole) } else { length })
}

/// The mode of files that nobody but their owner may read.
pub(crate) const OWNER_ONLY: u32 = 0o600;

/// Puts a file in the place of an older one, whole or not at all: written aside, synchronised,
/// renamed. Errors name the path.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace_as(path, bytes, mode, |_| Ok(()))
}

/// The same, with something done to the new file before it takes its place.
pub(crate) fn replace_as(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    adopt: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let mut beside = OsString::from(path);
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(at(&beside, &error));
        }
        _ => {}
    }
    let written = create(&beside, mode)
        .and_then(|mut file| {
            adopt(&file)?;
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(|error| at(&beside, &error))
        .and_then(|()| fs::rename(&beside, path).map_err(|error| at(path, &error)));
    if written.is_err() {
        // Only tidies up; the reason why it must is reported below.
        drop(fs::remove_file(&beside));
    }
    written?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    synchronise(directory).map_err(|error| at(directory, &error))
}

/// A new file. It must not exist, so a link that somebody put there is not followed.
fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

/// Makes a rename in a directory survive a power cut, where the system has a way to say so.
fn synchronise(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// An error that names the path.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), std::format!("{}: {error}", path.display()))
}
