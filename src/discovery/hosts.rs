//! Where a client's hosts come from: the driver's numbered list, or whatever else can name one host
//! after the other, such as a [`Finder`](super::Finder).

use core::convert::Infallible;
use core::fmt;
use core::num::NonZeroU8;

use rand_core::CryptoRng;

use super::InstalledKey;
use crate::time::Instant;
use crate::wire::PublicKey;

/// Names the hosts of a client, one after the other.
///
/// A client begins a *round* when it is time to ask, and takes hosts from it until one has granted
/// something or the round has no more.
pub trait Hosts {
    /// Whether a client can be activated by key at all. One that cannot spends nothing on it, and
    /// believes no stored activation by key.
    const BY_KEY: bool = false;

    /// What the driver may have to find out before there is a host to ask.
    type Find: Copy + fmt::Debug;

    /// The key that is installed: the one place to ask is the authority then (method 1). Without
    /// one it is a host (method 0).
    fn key(&self) -> Option<&InstalledKey> {
        None
    }

    /// A new round begins.
    fn begin(&mut self);

    /// The next host of this round, or what must be found out before there is one.
    fn next(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Next<Self::Find>;

    /// The host that was asked last has answered, and the answer is believed. It `granted` what was
    /// asked, whatever its count, or refused.
    fn answered(&mut self, granted: bool);

    /// The host that was asked last has not answered, or not so that it can be believed.
    fn failed(&mut self);

    /// What was to be found out cannot be.
    fn not_found(&mut self) {}

    /// Whether a host that has this key may be believed, when its certificate and its answer are
    /// genuine.
    fn trusts(&self, key: &PublicKey) -> bool {
        let _ = key;
        true
    }
}

/// What a round says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next<F> {
    /// Ask this host; what the number means is between the list of hosts and the driver.
    Ask {
        /// Its number.
        host: u8,
    },
    /// First the driver is to find this out, see [`Step::Find`](crate::client::Step::Find).
    Find(F),
    /// The round has no more hosts.
    Exhausted {
        /// Whether it had any: whether at least one was asked.
        asked: bool,
    },
}

/// Hosts that the driver has in a list, each one asked once a round. The one that answered last goes
/// first, the others follow in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    count: NonZeroU8,
    preferred: u8,
    /// The host that was asked last, and how many were in this round, that one included.
    current: u8,
    tried: u8,
}

impl Numbered {
    /// As many hosts as this.
    #[must_use]
    pub const fn new(count: NonZeroU8) -> Self {
        Self { count, preferred: 0, current: 0, tried: 0 }
    }

    /// Puts this host first in the next round; one that does not exist is not heeded.
    pub const fn prefer(&mut self, host: u8) {
        if host < self.count.get() {
            self.preferred = host;
        }
    }
}

impl Hosts for Numbered {
    /// The list is the driver's own.
    type Find = Infallible;

    fn begin(&mut self) {
        self.tried = 0;
    }

    fn next(&mut self, _now: Instant, _rng: &mut impl CryptoRng) -> Next<Infallible> {
        if self.tried >= self.count.get() {
            return Next::Exhausted { asked: true };
        }
        let following = self.current.saturating_add(1);
        self.current = match self.tried {
            0 => self.preferred,
            _ if following >= self.count.get() => 0,
            _ => following,
        };
        self.tried = self.tried.saturating_add(1);
        Next::Ask { host: self.current }
    }

    fn answered(&mut self, _granted: bool) {
        self.preferred = self.current;
    }

    fn failed(&mut self) {}
}
