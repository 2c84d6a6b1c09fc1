//! The host key from the vendor, as an enrolled host keeps it.
//!
//! The file holds what requests need, the tag key, and not the product key itself: whoever reads it
//! cannot type the key elsewhere.

use core::fmt;
use std::path::{Path, PathBuf};
use std::string::String;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::daemon::files::{self, FileError, Secrecy};
use crate::trust::{ProductKey, TagKey};
use crate::wire::{KeyId, KeyKind};

const HEADER: &str = "\
# The vendor's host key that this host enrols with. It is a secret.
# 'headcount host install-key' writes this file.

";

/// What a host key is to the host that enrols with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentKey {
    /// Its number, which requests name.
    pub key_id: KeyId,
    /// What tags them.
    pub tag_key: TagKey,
}

/// Why a product key is none that a host enrols with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHostKey {
    /// It activates single machines.
    MultipleActivation,
    /// It is a product's setup key.
    ClientSetup,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Content {
    key_id: u32,
    /// 32 bytes, hexadecimal.
    tag_key: String,
}

impl EnrolmentKey {
    /// What this product key is to a host.
    pub fn of(key: &ProductKey) -> Result<Self, NoHostKey> {
        match key.kind() {
            KeyKind::Host => Ok(Self { key_id: key.key_id(), tag_key: key.tag_key() }),
            KeyKind::MultipleActivation => Err(NoHostKey::MultipleActivation),
            KeyKind::ClientSetup => Err(NoHostKey::ClientSetup),
        }
    }

    /// The key that is installed in a host's state folder.
    pub fn read(state: &Path) -> Result<Option<Self>, FileError> {
        let path = path(state);
        if !path.exists() {
            return Ok(None);
        }
        let content: Content = files::read_toml(&path)?;
        let bytes = files::from_hex(&content.tag_key).and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or_else(|| {
            FileError::new(&path, "cannot understand", "tag_key: not 64 hexadecimal digits")
        })?;
        Ok(Some(Self { key_id: KeyId(content.key_id), tag_key: TagKey::from_bytes(bytes) }))
    }

    /// Installs it in a state folder, in place of another one.
    pub fn write(&self, state: &Path) -> Result<(), FileError> {
        let content =
            Content { key_id: self.key_id.0, tag_key: files::to_hex(self.tag_key.expose()) };
        files::write_toml(&path(state), HEADER, &content, Secrecy::Secret)
    }

    /// Takes the installed key away, where there is one.
    pub fn remove(state: &Path) -> Result<(), FileError> {
        files::remove(&path(state))
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("enrolment-key.toml")
}

impl fmt::Display for NoHostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MultipleActivation => {
                "this is a multiple activation key: it activates single machines, and enrols no host"
            }
            Self::ClientSetup => "this is a product's setup key: it enrols no host",
        })
    }
}

impl core::error::Error for NoHostKey {}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;
    use crate::trust::MasterKey;

    fn key(kind: KeyKind) -> ProductKey {
        MasterKey::from_bytes([7; 32]).product_key(kind, KeyId(900))
    }

    #[test]
    fn an_installed_key_is_read_back_and_is_not_the_product_key() {
        let state = std::env::temp_dir().join(std::format!("headcount-key-{}", std::process::id()));
        std::fs::create_dir_all(&state).unwrap();
        assert_eq!(EnrolmentKey::read(&state).unwrap(), None);
        let product_key = key(KeyKind::Host);
        let installed = EnrolmentKey::of(&product_key).unwrap();
        installed.write(&state).unwrap();
        assert_eq!(EnrolmentKey::read(&state).unwrap().as_ref(), Some(&installed));
        let text = std::fs::read_to_string(path(&state)).unwrap();
        let written = product_key.to_text().as_str().replace('-', "");
        assert!(!text.replace('-', "").contains(&written[8..]), "{text}");
        std::fs::write(path(&state), "key_id = 1\ntag_key = \"12\"\n").unwrap();
        let error = EnrolmentKey::read(&state).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits") && !error.contains("\"12\""), "{error}");
        EnrolmentKey::remove(&state).unwrap();
        EnrolmentKey::remove(&state).unwrap();
        assert_eq!(EnrolmentKey::read(&state).unwrap(), None);
        std::fs::remove_dir_all(&state).unwrap();
    }

    #[test]
    fn other_product_keys_are_told_by_what_they_are() {
        let refused = |kind| EnrolmentKey::of(&key(kind)).unwrap_err();
        assert_eq!(refused(KeyKind::MultipleActivation), NoHostKey::MultipleActivation);
        assert_eq!(refused(KeyKind::ClientSetup), NoHostKey::ClientSetup);
    }
}
