//! Product keys as the vendor's register has them: what each is worth.

use crate::wire::{Coverage, KeyId};

/// How many hosts a host key enrols, by default (PROTOCOL 6).
pub const HOSTS_PER_KEY: u32 = 6;

/// How many times each host may be activated with a host key, by default; the first time counts
/// (PROTOCOL 6).
pub const ACTIVATIONS_PER_HOST: u32 = 10;

/// A host key (product key of kind 1) in the vendor's register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HostKeyRecord {
    /// Its number.
    pub key_id: KeyId,
    /// The highest that its hosts may activate; a host's platform may lower the rank.
    pub coverage: Coverage,
    /// How many hosts it enrols; a host is a public key.
    pub hosts_limit: u32,
    /// How many times it enrols each host, the first included.
    pub activations_per_host: u32,
    /// The vendor has blocked it: it enrols nobody any more, and repeats no answer.
    pub blocked: bool,
}

impl HostKeyRecord {
    /// A key with the default limits, 6 hosts with 10 activations each, not blocked.
    #[must_use]
    pub const fn new(key_id: KeyId, coverage: Coverage) -> Self {
        Self {
            key_id,
            coverage,
            hosts_limit: HOSTS_PER_KEY,
            activations_per_host: ACTIVATIONS_PER_HOST,
            blocked: false,
        }
    }
}

/// A multiple activation key, or MAK (product key of kind 2), in the vendor's register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MultipleActivationKeyRecord {
    /// Its number.
    pub key_id: KeyId,
    /// The products that it activates.
    pub coverage: Coverage,
    /// How many machines it activates: any number, 50 to 1,000 are usual. A machine that is
    /// activated again uses up nothing.
    pub activations_limit: u32,
    /// The vendor has blocked it: it activates nothing any more, and repeats no answer.
    pub blocked: bool,
}
