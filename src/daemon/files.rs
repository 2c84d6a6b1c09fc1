//! Files: read with a clear error, written whole or not at all, secret where they hold secrets.

use core::fmt::{self, Display};
use std::borrow::ToOwned;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::storage;

/// No file that a program of this crate reads or writes is larger: 64 MiB. A vendor's ledger gets
/// there after some 50,000 enrolments.
pub const LARGEST: u64 = 64 << 20;

const TOO_LARGE: &str = "larger than 64 MiB";

/// What went wrong, with which file. Displays as one line that names both.
#[derive(Debug)]
pub struct FileError {
    /// The file; empty when the reason names it.
    pub path: PathBuf,
    /// What could not be done with it, such as "cannot read".
    pub action: &'static str,
    /// The reason.
    pub reason: String,
}

impl FileError {
    /// An error with a reason that displays.
    pub fn new(path: &Path, action: &'static str, reason: impl Display) -> Self {
        Self { path: path.to_owned(), action, reason: reason.to_string() }
    }
}

impl Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.as_os_str().is_empty() {
            write!(f, "{} {}", self.action, self.reason)
        } else {
            write!(f, "{} {}: {}", self.action, self.path.display(), self.reason)
        }
    }
}

impl core::error::Error for FileError {}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Everybody that the process's umask allows.
    Public,
    /// The owner alone: mode 0600.
    Secret,
}

/// Reads a whole file, of [`LARGEST`] bytes at most.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::other(TOO_LARGE));
        }
        Ok(bytes)
    };
    read().map_err(|error| FileError::new(path, "cannot read", error))
}

/// Reads a TOML file. An error names line and column but quotes neither the line nor a value: product
/// files hold a key.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let bytes = Zeroizing::new(read(path)?);
    let text = core::str::from_utf8(&bytes)
        .map_err(|error| FileError::new(path, "cannot understand", error))?;
    toml::from_str(text)
        .map_err(|error| FileError::new(path, "cannot understand", toml_reason(text, &error)))
}

fn toml_reason(text: &str, error: &toml::de::Error) -> String {
    let reason = without_strings(error.message());
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else { return reason };
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.chars().rev().take_while(|c| *c != '\n').count().saturating_add(1);
    std::format!("line {line}, column {column}: {reason}")
}

/// A message without the values that serde quotes: `invalid type: string "...", expected u16`.
fn without_strings(message: &str) -> String {
    match (message.split_once("string \""), message.rsplit_once("\", expected")) {
        (Some((before, _)), Some((_, after))) => std::format!("{before}string, expected{after}"),
        _ => message.to_owned(),
    }
}

/// Writes a value as TOML below a header of comments.
pub fn write_toml<T: Serialize>(
    path: &Path,
    header: &str,
    value: &T,
    secrecy: Secrecy,
) -> Result<(), FileError> {
    let body =
        toml::to_string(value).map_err(|error| FileError::new(path, "cannot write", error))?;
    write(path, std::format!("{header}{body}").as_bytes(), secrecy)
}

/// Writes a file whole or not at all: aside, synced, then renamed over an older one. What could not
/// be read again, being larger than [`LARGEST`], is not written. A device or a pipe is written to.
pub fn write(path: &Path, bytes: &[u8], secrecy: Secrecy) -> Result<(), FileError> {
    if bytes.len() as u64 > LARGEST {
        return Err(FileError::new(path, "will not write", TOO_LARGE));
    }
    let mode = match secrecy {
        Secrecy::Public => 0o644,
        Secrecy::Secret => storage::OWNER_ONLY,
    };
    // A file in the place of a device would break the system, as with /dev/null. A link may have been
    // put there by somebody else, so it is not followed to one.
    let special = |found: fs::Metadata| !found.is_file() && !found.is_dir();
    if fs::metadata(path).is_ok_and(special) {
        if path.is_symlink() {
            return Err(FileError::new(path, "will not write", "it is a link to no file"));
        }
        return fs::write(path, bytes).map_err(|error| FileError::new(path, "cannot write", error));
    }
    storage::replace(path, bytes, mode).map_err(|error| FileError {
        // The reason names the path that failed, which may be the folder.
        path: PathBuf::new(),
        action: "cannot write",
        reason: error.to_string(),
    })
}

/// Writes anew, whole or not at all, a file that somebody else looks after: what a link leads to, with
/// the mode and, as far as the system allows, the owner and group that it has.
pub fn rewrite(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let fail = |error: io::Error| FileError::new(path, "cannot write", error);
    let path = fs::canonicalize(path).map_err(fail)?;
    let old = fs::metadata(&path).map_err(fail)?;
    let adopt = |new: &File| {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, fchown};
            // Only root may give files away, and whoever may write here need not be root.
            let _ = fchown(new, Some(old.uid()), Some(old.gid()));
        }
        new.set_permissions(old.permissions())
    };
    storage::replace_as(&path, bytes, storage::OWNER_ONLY, adopt).map_err(fail)
}

/// Writes a file that must not exist yet, so that no key is ever overwritten.
pub fn write_new(path: &Path, bytes: &[u8], secrecy: Secrecy) -> Result<(), FileError> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(FileError::new(path, "will not overwrite", "it exists"));
    }
    write(path, bytes, secrecy)
}

/// Removes a file, where there is one.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::new(path, "cannot remove", error))
        }
        _ => Ok(()),
    }
}

/// Makes a folder that only its owner may enter, unless it exists.
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| FileError::new(path, "cannot create folder", error))
}

/// Takes the lock of a folder, which is held for as long as the file lives; `None` while another
/// process has it. The system releases it when its holder ends, however that ends.
pub(super) fn try_lock(folder: &Path) -> Result<Option<File>, FileError> {
    try_lock_file(&folder.join("lock"))
}

/// Takes a lock that is this file's, as [`try_lock`] does a folder's.
pub(super) fn try_lock_file(path: &Path) -> Result<Option<File>, FileError> {
    let fail = |error: io::Error| FileError::new(path, "cannot lock", error);
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, storage::OWNER_ONLY);
    let file = options.open(path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

/// Writes secret bytes as a line of hexadecimal digits into a file that must not exist yet.
pub fn write_new_secret(path: &Path, secret: &[u8; 32]) -> Result<(), FileError> {
    let mut line = Zeroizing::new(to_hex(secret));
    line.push('\n');
    write_new(path, line.as_bytes(), Secrecy::Secret)
}

/// Reads what [`write_new_secret`] wrote.
pub fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, FileError> {
    let bytes = Zeroizing::new(read(path)?);
    let text = core::str::from_utf8(&bytes).unwrap_or_default().trim();
    match from_hex(text).map(Zeroizing::new) {
        Some(secret) => match <[u8; 32]>::try_from(secret.as_slice()) {
            Ok(secret) => Ok(Zeroizing::new(secret)),
            Err(_) => Err(FileError::new(path, "cannot understand", "not 64 hexadecimal digits")),
        },
        None => Err(FileError::new(path, "cannot understand", "not 64 hexadecimal digits")),
    }
}

/// Reads a secret, and refuses a file that others than its owner may read or write.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<[u8; 32]>, FileError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let fail = |error: io::Error| FileError::new(path, "cannot read", error);
        let mode = fs::metadata(path).map_err(fail)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let reason =
                std::format!("its mode is {mode:o}: chmod 600 it, and ask who has read it");
            return Err(FileError::new(path, "will not use", reason));
        }
    }
    read_secret(path)
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hexadecimal digits as bytes; white space between them is skipped. `None` when there is anything
/// else, or half a byte.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = Zeroizing::new(digits?);
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let path =
            std::env::temp_dir().join(std::format!("headcount-large-{}", std::process::id()));
        let bytes = std::vec![0; LARGEST as usize + 1];
        let error = write(&path, &bytes, Secrecy::Public).unwrap_err();
        assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        write(&link, b"text", Secrecy::Public).unwrap_err();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write(&pipe, b"text", Secrecy::Public).unwrap();
        assert_eq!(reader.join().unwrap(), b"text");
        assert!(!fs::metadata(&pipe).unwrap().is_file());
    }

    #[test]
    fn errors_in_toml_name_the_place_and_quote_nothing() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[expect(dead_code, reason = "reading it fails")]
            number: u16,
        }
        for (text, place) in [
            ("# comment\nnumber = \"C0000-SECRET\"\n", "line 2, column 10"),
            ("number = 1\nkey = \"C0000-SECRET\"\n", "line 2, column 1"),
            ("number = 1\nkey = C0000-SECRET\n", "line 2"),
            ("number = 1\nkey = \"C0000-SECRET\n", "line 2"),
        ] {
            let error = toml::from_str::<File>(text).unwrap_err();
            let reason = toml_reason(text, &error);
            assert!(reason.contains(place) && !reason.contains("SECRET"), "{reason}");
        }
    }

    #[test]
    fn hex_both_ways() {
        assert_eq!(to_hex(&[0, 0x0f, 0xff]), "000fff");
        assert_eq!(from_hex("00 0F\nff"), Some(std::vec![0, 0x0f, 0xff]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0g"), None);
    }
}
