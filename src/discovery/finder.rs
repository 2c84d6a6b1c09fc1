//! One client's hosts: where it looks for them, in which order it asks them, what it keeps.
//!
//! A *round* is what a client does each time it wants to be activated. Hosts come up in the order of
//! PROTOCOL 12, and each is asked at each of its addresses:
//!
//! 1. hosts set by hand, and then no others;
//! 2. the host that granted something last;
//! 3. what is left of the list that DNS gave, while its records may be kept;
//! 4. the service's records in each domain, asked for anew: the first domain whose hosts answer will
//!    do;
//! 5. when a domain's name servers were silent, the rest of the list in spite of its age: a host that
//!    counts is of more use than a fresh record.
//!
//! A host that fails is taken off the list until DNS is asked anew. So there is no more to a round
//! than the hosts by hand, or one exchange with the remembered host, one with each of the list, and
//! one with each of `N` hosts a domain, each at up to [`ADDRESSES`](super::ADDRESSES) addresses.

mod round;

use core::net::{IpAddr, SocketAddr};

use rand_core::CryptoRng;

use super::host::{Host, HostName};
use super::hosts::Hosts;
use super::list::{Addresses, Listed, first_addresses, list_of};
use super::message::{AnswerError, Query};
use super::name::DomainName;
use super::settings::Settings;
use crate::log::debug;
use crate::time::Instant;

/// What a client's driver is to find out, see [`Step::Find`](crate::client::Step::Find).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Find {
    /// Send [`Client::query`](crate::client::Client::query) to a name server and bring what comes to
    /// [`Client::handle_dns_answer`](crate::client::Client::handle_dns_answer); without an answer,
    /// [`Client::give_up_finding`](crate::client::Client::give_up_finding).
    Query,
    /// Find the addresses of [`Client::name_to_look_up`](crate::client::Client::name_to_look_up) by
    /// whatever means, and bring them to
    /// [`Client::handle_addresses`](crate::client::Client::handle_addresses); when there are none,
    /// [`Client::give_up_finding`](crate::client::Client::give_up_finding).
    LookUp,
}

/// Finds a client's hosts. It keeps up to `N` hosts of the list that DNS gives: of more that may be
/// asked, those that come first in the order of RFC 2782, which is drawn among the first
/// [`RECORDS`](super::RECORDS) records. A host takes 334 bytes, the rest 714:
/// 2,048 with four hosts.
#[derive(Debug)]
pub struct Finder<'a, const N: usize> {
    settings: &'a Settings<'a>,
    /// The host that granted something last.
    remembered: Option<Remembered>,
    list: heapless::Vec<Listed, N>,
    /// How long the list may be used without asking anew.
    fresh_until: Instant,
    stage: Stage,
    target: Option<Target>,
    query: Option<Query>,
    /// The host set by hand that is asked first in this round, whoever answers meanwhile.
    first_by_hand: u8,
    /// Whether a query of this round had no answer.
    outage: bool,
    /// Whether a host was asked in this round, and whether the remembered one was.
    asked: bool,
    remembered_asked: bool,
}

// What a microcontroller spends on finding hosts.
const _: () =
    assert!(size_of::<Finder<'static, 4>>() <= if usize::BITS == 32 { 2_048 } else { 2_064 });

/// Where in a round we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The hosts set by hand, of which so many were tried.
    ByHand(u8),
    Remembered,
    /// The list as it is.
    Fresh,
    /// The query for the domain of this number.
    Domain(u8),
    /// The hosts that it brought, in the order in which they stand on the list.
    Found(u8),
    /// The list, whatever its age.
    Stale,
    Done,
}

/// The host that is being asked.
#[derive(Debug)]
struct Target {
    source: Source,
    addresses: Addresses,
    /// The address that is being asked.
    at: u8,
}

/// Where a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    ByHand(u8),
    Remembered,
    Listed(u8),
}

#[derive(Debug)]
struct Remembered {
    host: Host,
    /// Where it was, in case that nobody can tell any more.
    addresses: Addresses,
}

impl<'a, const N: usize> Finder<'a, N> {
    /// Knows no host yet.
    #[must_use]
    pub const fn new(settings: &'a Settings<'a>) -> Self {
        const { assert!(N > 0 && N <= 255, "a list holds 1 to 255 hosts") };
        Self {
            settings,
            remembered: None,
            list: heapless::Vec::new(),
            fresh_until: Instant::ZERO,
            stage: Stage::Done,
            target: None,
            query: None,
            first_by_hand: 0,
            outage: false,
            asked: false,
            remembered_asked: false,
        }
    }

    /// What the site says.
    #[must_use]
    pub const fn settings(&self) -> &'a Settings<'a> {
        self.settings
    }

    /// The host that granted something last, for a driver that stores it: see
    /// [`remember`](Self::remember).
    #[must_use]
    pub fn remembered(&self) -> Option<&Host> {
        self.remembered.as_ref().map(|remembered| &remembered.host)
    }

    /// Where that host was; its name is looked up first, and these are for when that fails.
    #[must_use]
    pub fn remembered_addresses(&self) -> &[IpAddr] {
        self.remembered.as_ref().map_or(&[], |remembered| &remembered.addresses)
    }

    /// Asks this host first in the next round: it granted something before the restart, at these
    /// addresses. Where caching is off, nothing is remembered.
    pub fn remember(&mut self, host: Host, addresses: &[IpAddr]) {
        self.keep(host, first_addresses(addresses.iter().copied()));
    }

    /// Forgets what DNS said and who answered, so that the next round begins by asking DNS.
    pub fn forget(&mut self) {
        self.remembered = None;
        self.list.clear();
        self.fresh_until = Instant::ZERO;
    }

    /// The host that is being asked or looked up, as the site or DNS names it.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.host_of(self.target.as_ref()?.source)
    }

    /// The same under the name that is asked, after redirections.
    #[must_use]
    pub fn name(&self) -> Option<&HostName> {
        self.settings.name_to_ask(&self.host()?.name).ok()
    }

    /// Where to ask; `None` when no host is being asked.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let target = self.target.as_ref()?;
        let ip = target.addresses.get(usize::from(target.at))?;
        Some(SocketAddr::new(*ip, self.host()?.port.get()))
    }

    /// The query that is on its way.
    pub(crate) const fn query(&self) -> Option<&Query> {
        self.query.as_ref()
    }

    /// The name whose addresses are wanted.
    pub(crate) fn name_to_look_up(&self) -> Option<&DomainName> {
        let wanted = self.target.as_ref()?.addresses.is_empty();
        match self.name()? {
            HostName::Name(name) if wanted => Some(name),
            _ => None,
        }
    }

    /// Takes an answer to the query. After an error the query goes on.
    pub(crate) fn take_answer(
        &mut self,
        now: Instant,
        rng: &mut impl CryptoRng,
        message: &[u8],
    ) -> Result<(), AnswerError> {
        let (Stage::Domain(domain), Some(query)) = (self.stage, &self.query) else {
            return Err(AnswerError::NotOurs);
        };
        let (mut list, ttl) = list_of(&query.answer(message)?, self.settings, rng);
        debug!("{} hosts in domain {}", list.len(), domain);
        self.query = None;
        self.stage = Stage::Domain(domain.saturating_add(1));
        if list.is_empty() {
            return Ok(());
        }
        for listed in &mut list {
            let is_remembered = Some(&listed.host) == self.remembered();
            listed.tried = self.remembered_asked && is_remembered;
        }
        self.replace(list);
        self.fresh_until = now.after(ttl);
        self.stage = Stage::Found(domain);
        Ok(())
    }

    /// Takes a new list in place of the old one. When another domain was silent, its hosts may be on the
    /// old one: they stay for the end of the round, as far as there is room.
    fn replace(&mut self, mut list: heapless::Vec<Listed, N>) {
        if self.outage {
            for old in core::mem::take(&mut self.list) {
                if !list.iter().any(|listed| listed.host == old.host) {
                    // Without room it is forgotten.
                    let _ = list.push(Listed { off: true, ..old });
                }
            }
        }
        self.list = list;
    }

    /// Takes the addresses of the host that is to be asked; only the first [`ADDRESSES`](super::ADDRESSES) are tried.
    pub(crate) fn take_addresses(&mut self, addresses: &[IpAddr]) {
        let wanted = self.name_to_look_up().is_some();
        if let Some(target) = self.target.as_mut().filter(|_| wanted) {
            target.addresses = first_addresses(addresses.iter().copied());
            if target.addresses.is_empty() {
                self.not_found();
            }
        }
    }

    fn host_of(&self, source: Source) -> Option<&Host> {
        match source {
            Source::ByHand(index) => self.settings.hosts.get(usize::from(index)),
            Source::Remembered => self.remembered(),
            Source::Listed(index) => self.list.get(usize::from(index)).map(|listed| &listed.host),
        }
    }
}
