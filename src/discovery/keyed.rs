//! Asking the authority in place of hosts, once a key is installed (PROTOCOL 3, method 1).

use rand_core::CryptoRng;

use super::{Hosts, Next};
use crate::time::Instant;
use crate::trust::TagKey;
use crate::wire::{KeyId, PublicKey};

/// A multiple activation key (MAK) as a client keeps it: what its requests need of it, and no more.
/// [`KeyChoice`](crate::client::KeyChoice) makes one of the key that somebody typed.
#[derive(Clone, Debug)]
pub struct InstalledKey {
    /// Its number.
    pub key_id: KeyId,
    /// Keys the tags of requests. It is a secret.
    pub tag_key: TagKey,
}

/// Any hosts, and the authority instead of them while a key is installed.
///
/// With a key, a round has one place to ask, and its number is 0: the authority, whose address the
/// driver knows. Whether that is meant or the first host, [`Hosts::key`] tells. Without a key it is
/// as if `H` stood alone.
#[derive(Clone, Debug)]
pub struct Keyed<'k, H> {
    hosts: H,
    key: Option<&'k InstalledKey>,
    /// Whether the authority had its turn in this round.
    asked: bool,
}

impl<'k, H> Keyed<'k, H> {
    /// These hosts, or the authority with this key.
    #[must_use]
    pub const fn new(hosts: H, key: Option<&'k InstalledKey>) -> Self {
        Self { hosts, key, asked: false }
    }

    /// The hosts that are asked without a key.
    #[must_use]
    pub const fn hosts(&self) -> &H {
        &self.hosts
    }

    /// The same, unless the authority is asked in their place.
    pub(super) fn hosts_asked(&self) -> Option<&H> {
        self.key.is_none().then_some(&self.hosts)
    }

    pub(crate) const fn hosts_mut(&mut self) -> &mut H {
        &mut self.hosts
    }

    pub(crate) const fn install(&mut self, key: Option<&'k InstalledKey>) {
        self.key = key;
    }
}

impl<H: Hosts> Hosts for Keyed<'_, H> {
    const BY_KEY: bool = true;

    type Find = H::Find;

    fn key(&self) -> Option<&InstalledKey> {
        self.key
    }

    fn begin(&mut self) {
        self.asked = false;
        if self.key.is_none() {
            self.hosts.begin();
        }
    }

    fn next(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Next<H::Find> {
        if self.key.is_none() {
            return self.hosts.next(now, rng);
        }
        if core::mem::replace(&mut self.asked, true) {
            Next::Exhausted { asked: true }
        } else {
            Next::Ask { host: 0 }
        }
    }

    fn answered(&mut self, granted: bool) {
        if self.key.is_none() {
            self.hosts.answered(granted);
        }
    }

    fn failed(&mut self) {
        if self.key.is_none() {
            self.hosts.failed();
        }
    }

    fn not_found(&mut self) {
        self.hosts.not_found();
    }

    fn trusts(&self, key: &PublicKey) -> bool {
        self.hosts.trusts(key)
    }
}
