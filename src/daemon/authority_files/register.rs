//! `keys.toml`: which product keys were issued, and what for. It holds no secrets.

use std::path::Path;
use std::string::String;
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::authority::HostKeyRecord;
use crate::daemon::date;
use crate::daemon::files::{self, FileError, Secrecy};
use crate::time::UnixTime;
use crate::wire::{Coverage, KeyId, KeyKind};

const HEADER: &str = "\
# The product keys that were issued. The keys themselves are not stored: they are derived from
# master.key. A number is never used twice, so do not lower next_key_id.

";

/// The register.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    pub(super) next_key_id: u32,
    #[serde(default, rename = "key", skip_serializing_if = "Vec::is_empty")]
    pub(super) keys: Vec<KeyRecord>,
}

/// A product key that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Its number.
    pub id: u32,
    /// What it is for.
    pub kind: RegisteredKind,
    /// When it was issued.
    pub issued: String,
    /// The product it was made for, if it was made for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Product family.
    pub family: u16,
    /// The highest product group that it covers.
    pub rank: u8,
    /// The newest product generation that it covers.
    pub generation: u8,
    /// Host keys: how many hosts it enrols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<u32>,
    /// Host keys: how many times it enrols each host. MAKs: how many machines it activates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations: Option<u32>,
    /// Whether the vendor has blocked it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub blocked: bool,
    /// The vendor's own words, such as the customer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A product key to be issued.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What it is for.
    pub kind: RegisteredKind,
    /// The product it is made for, if it is made for one.
    pub product: Option<String>,
    /// What it covers.
    pub coverage: Coverage,
    /// Host keys: how many hosts it enrols.
    pub hosts: Option<u32>,
    /// Host keys: how many times it enrols each host. MAKs: how many machines it activates.
    pub activations: Option<u32>,
    /// The vendor's own words.
    pub note: Option<String>,
}

/// What a product key is for, by the name that people use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegisteredKind {
    /// Enrols hosts.
    Host,
    /// Multiple activation key: activates single machines at the authority.
    Mak,
    /// Ships in every unit of a product.
    Setup,
}

impl RegisteredKind {
    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Mak => "mak",
            Self::Setup => "setup",
        }
    }
}

impl From<RegisteredKind> for KeyKind {
    fn from(kind: RegisteredKind) -> Self {
        match kind {
            RegisteredKind::Host => Self::Host,
            RegisteredKind::Mak => Self::MultipleActivation,
            RegisteredKind::Setup => Self::ClientSetup,
        }
    }
}

impl KeyRecord {
    /// What it covers.
    #[must_use]
    pub const fn coverage(&self) -> Coverage {
        Coverage { family: self.family, rank: self.rank, generation: self.generation }
    }

    /// The key as the authority's rules see it; `None` unless it is a host key.
    #[must_use]
    pub fn as_host_key(&self) -> Option<HostKeyRecord> {
        if self.kind != RegisteredKind::Host {
            return None;
        }
        let default = HostKeyRecord::new(KeyId(self.id), self.coverage());
        Some(HostKeyRecord {
            hosts_limit: self.hosts.unwrap_or(default.hosts_limit),
            activations_per_host: self.activations.unwrap_or(default.activations_per_host),
            blocked: self.blocked,
            ..default
        })
    }
}

impl Default for Register {
    fn default() -> Self {
        Self { next_key_id: 1, keys: Vec::new() }
    }
}

impl Register {
    pub(super) fn write(&self, path: &Path) -> Result<(), FileError> {
        // Whom a vendor sells to is nobody else's business.
        files::write_toml(path, HEADER, self, Secrecy::Secret)
    }

    pub(super) fn key(&self, id: u32) -> Option<&KeyRecord> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Enters a key under the next number.
    pub(super) fn add(
        &mut self,
        key: NewKey,
        at: UnixTime,
        path: &Path,
    ) -> Result<KeyRecord, FileError> {
        let id = self.next_key_id;
        let next = id.checked_add(1).filter(|_| self.key(id).is_none());
        let next = next.ok_or_else(|| {
            FileError::new(path, "cannot use", std::format!("next_key_id = {id} is taken"))
        })?;
        let Coverage { family, rank, generation } = key.coverage;
        let record = KeyRecord {
            id,
            kind: key.kind,
            issued: date(at),
            product: key.product,
            family,
            rank,
            generation,
            hosts: key.hosts,
            activations: key.activations,
            blocked: false,
            note: key.note,
        };
        let mut register = self.clone();
        register.next_key_id = next;
        register.keys.push(record.clone());
        register.write(path)?;
        *self = register;
        Ok(record)
    }

    pub(super) fn set_blocked(
        &mut self,
        id: u32,
        blocked: bool,
        path: &Path,
    ) -> Result<bool, FileError> {
        let mut register = self.clone();
        let Some(key) = register.keys.iter_mut().find(|key| key.id == id) else {
            return Ok(false);
        };
        key.blocked = blocked;
        register.write(path)?;
        *self = register;
        Ok(true)
    }
}
