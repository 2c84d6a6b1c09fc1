//! The file `key.toml` in a client's state: the multiple activation key that is installed.
//!
//! It holds what requests need, the tag key, and not the product key itself: whoever reads the file
//! cannot type the key elsewhere.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use headcount::daemon::files::{self, FileError, Secrecy};
use headcount::discovery::InstalledKey;
use headcount::trust::TagKey;
use headcount::wire::KeyId;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

const HEADER: &str = "\
# The multiple activation key of this machine. It is a secret.
# 'headcount client install-key' writes and removes this file.

";

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Content {
    key_id: u32,
    /// 32 bytes, hexadecimal.
    tag_key: String,
}

/// The key, if one is installed.
pub(super) fn read(state: &Path) -> Result<Option<InstalledKey>, FileError> {
    let path = path(state);
    if !path.exists() {
        return Ok(None);
    }
    let content: Content = files::read_toml(&path)?;
    let bytes = files::from_hex(&content.tag_key).and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or_else(|| {
        FileError::new(&path, "cannot understand", "tag_key: not 64 hexadecimal digits")
    })?;
    Ok(Some(InstalledKey { key_id: KeyId(content.key_id), tag_key: TagKey::from_bytes(bytes) }))
}

/// Installs a key, in place of another one.
pub(super) fn write(state: &Path, key: &InstalledKey) -> Result<(), FileError> {
    let content = Content { key_id: key.key_id.0, tag_key: files::to_hex(key.tag_key.expose()) };
    files::write_toml(&path(state), HEADER, &content, Secrecy::Secret)
}

/// Takes the key out, where there is one.
pub(super) fn remove(state: &Path) -> Result<(), FileError> {
    let path = path(state);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(FileError::new(&path, "cannot remove", error))
        }
        _ => Ok(()),
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("key.toml")
}
