//! What the vendor's database remembers. These types are its rows as well: a change of one of them
//! is a new version of its encoding.

use core::fmt;
use std::string::String;

use serde::{Deserialize, Serialize};

use crate::authority::{HostKeyRecord, MultipleActivationKeyRecord};
use crate::time::{EpochMinute, UnixTime};
use crate::trust;
use crate::wire::{Cmid, Coverage, HostId, KeyId, KeyKind, MachineDigest, PublicKey};

/// A product key that was issued. Its secret is not stored: it is derived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its number.
    pub id: u32,
    /// What it is for, and how much it is worth.
    pub terms: KeyTerms,
    /// When it was issued, in seconds since 1970.
    pub issued: u64,
    /// The product it was made for, if it was made for one.
    pub product: Option<String>,
    /// Product family.
    pub family: u16,
    /// The highest product group that it covers.
    pub rank: u8,
    /// The newest product generation that it covers.
    pub generation: u8,
    /// Whether the vendor has blocked it.
    pub blocked: bool,
    /// The vendor's own words, such as the customer's name.
    pub note: Option<String>,
}

/// What a product key is for, and how much it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyTerms {
    /// It enrols hosts.
    Host {
        /// How many.
        hosts: u32,
        /// How many times each, the first included.
        activations: u32,
    },
    /// A multiple activation key: it activates single machines at the authority.
    Mak {
        /// How many.
        activations: u32,
    },
    /// It ships in every unit of a product.
    Setup,
}

/// A product key to be issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// What it is for, and how much it is worth.
    pub terms: KeyTerms,
    /// The product it is made for, if it is made for one.
    pub product: Option<String>,
    /// Product family.
    pub family: u16,
    /// The highest product group that it covers.
    pub rank: u8,
    /// The newest product generation that it covers.
    pub generation: u8,
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

/// What was used of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUsage {
    /// Different hosts that it has enrolled.
    pub hosts: u32,
    /// Machines that it has activated and that were counted.
    pub machines: u32,
}

/// An enrolment that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentRecord {
    /// The host key it was granted with.
    pub key_id: u32,
    /// The host.
    pub public_key: [u8; 32],
    /// Which activation of this host with this key it was: 1 is the first.
    pub activation: u32,
    /// The name that the host gave itself; empty by phone.
    pub host_name: String,
    /// The highest product group that the host's platform may serve.
    pub platform_rank: u8,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Serial number of the certificate.
    pub serial: u64,
    /// The certificate's last minute, since 1970.
    pub not_after: u32,
    /// The product group that the certificate covers, the lower of the key's and the platform's.
    pub rank: u8,
}

/// A machine that was activated by multiple activation key.
///
/// `Debug` shows no more of the machine than its digest does.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// The MAK.
    pub key_id: u32,
    /// Its place among the machines of the key: 0 was recorded first.
    pub place: u32,
    /// The machine.
    pub machine: [u8; 20],
    /// Its CMID; `None` when it was activated by phone, which does not tell it.
    pub cmid: Option<[u8; 16]>,
    /// The product.
    pub application_id: [u8; 16],
    /// Its edition.
    pub activation_id: [u8; 16],
    /// The name it told last, if it told one.
    pub name: String,
    /// Whether it is a virtual machine, as it says.
    pub virtual_machine: bool,
    /// Whether it used up one activation of the key.
    pub counted: bool,
    /// Whether its last activation was by phone.
    pub by_phone: bool,
    /// How many times it was activated.
    pub times: u32,
    /// When first, in seconds since 1970.
    pub first: u64,
    /// When last, in seconds since 1970.
    pub last: u64,
}

impl KeyRecord {
    /// Its number.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        KeyId(self.id)
    }

    /// What it covers.
    #[must_use]
    pub const fn coverage(&self) -> Coverage {
        Coverage { family: self.family, rank: self.rank, generation: self.generation }
    }

    /// The key as the authority's rules see it; `None` unless it is a host key.
    #[must_use]
    pub const fn as_host_key(&self) -> Option<HostKeyRecord> {
        let KeyTerms::Host { hosts, activations } = self.terms else { return None };
        Some(HostKeyRecord {
            key_id: self.key_id(),
            coverage: self.coverage(),
            hosts_limit: hosts,
            activations_per_host: activations,
            blocked: self.blocked,
        })
    }

    /// The key as the authority's rules see it; `None` unless it is a MAK.
    #[must_use]
    pub const fn as_multiple_activation_key(&self) -> Option<MultipleActivationKeyRecord> {
        let KeyTerms::Mak { activations } = self.terms else { return None };
        Some(MultipleActivationKeyRecord {
            key_id: self.key_id(),
            coverage: self.coverage(),
            activations_limit: activations,
            blocked: self.blocked,
        })
    }

    pub(super) fn new(id: u32, key: &NewKey, at: UnixTime) -> Self {
        let NewKey { terms, product, family, rank, generation, note } = key.clone();
        let issued = at.as_secs();
        Self { id, terms, issued, product, family, rank, generation, blocked: false, note }
    }
}

impl KeyTerms {
    /// What the key is for.
    #[must_use]
    pub const fn kind(self) -> RegisteredKind {
        match self {
            Self::Host { .. } => RegisteredKind::Host,
            Self::Mak { .. } => RegisteredKind::Mak,
            Self::Setup => RegisteredKind::Setup,
        }
    }
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

impl EnrolmentRecord {
    /// The host by its 35 digits.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        trust::host_id(&PublicKey(self.public_key))
    }

    /// The certificate's end.
    #[must_use]
    pub const fn valid_until(&self) -> UnixTime {
        EpochMinute(self.not_after).start()
    }
}

impl MachineRecord {
    /// The machine.
    #[must_use]
    pub const fn digest(&self) -> MachineDigest {
        MachineDigest(self.machine)
    }

    /// Its CMID, when it is known.
    #[must_use]
    pub fn cmid(&self) -> Option<Cmid> {
        self.cmid.and_then(Cmid::new)
    }
}

impl fmt::Debug for MachineRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineRecord")
            .field("key_id", &self.key_id)
            .field("place", &self.place)
            .field("machine", &self.digest())
            .field("counted", &self.counted)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}
