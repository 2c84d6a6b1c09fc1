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
//! one with each of `N` hosts a domain, each at up to [`ADDRESSES`] addresses.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use core::time::Duration;

use rand_core::CryptoRng;

use super::choice::{Rank, choose};
use super::host::{Host, HostName};
use super::hosts::{Hosts, Next};
use super::message::{Answer, AnswerError, Query, RecordType, Service};
use super::name::DomainName;
use super::settings::{Settings, redirected};
use crate::log::debug;
use crate::time::Instant;
use crate::trust;
use crate::wire::PublicKey;

/// Addresses of one host that are tried, at most.
pub const ADDRESSES: usize = 4;

/// Records of one answer that are looked at, at most.
const RECORDS: usize = 256;

/// Records are kept for a week at most, whatever they say themselves.
const LONGEST_TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

type Addresses = heapless::Vec<IpAddr, ADDRESSES, u8>;

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

/// Finds a client's hosts. It keeps up to `N` hosts of the list that DNS gives: of more, those that
/// come first in the order of RFC 2782. A host takes 334 bytes, the rest 714: 2,048 with four hosts.
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

/// A host on the list.
#[derive(Debug)]
struct Listed {
    host: Host,
    rank: Rank,
    /// Those that came along; none when they must be looked up.
    addresses: Addresses,
    /// Whether it was asked in this round.
    tried: bool,
    /// Whether it is off the list until DNS is asked anew.
    off: bool,
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

    /// Asks this host first in the next round: it granted something before the restart. Where caching
    /// is off, nothing is remembered.
    pub fn remember(&mut self, host: Host) {
        self.keep(host, Addresses::new());
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
        redirected(&self.host()?.name, self.settings.redirects).ok()
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
        let (mut list, ttl) = list_of(&query.answer(message)?, rng);
        debug!("{} hosts in domain {}", list.len(), domain);
        self.query = None;
        self.stage = Stage::Domain(domain.saturating_add(1));
        if list.is_empty() {
            return Ok(());
        }
        if let Some(remembered) = self.remembered.as_ref().filter(|_| self.remembered_asked) {
            for listed in list.iter_mut().filter(|listed| listed.host == remembered.host) {
                listed.tried = true;
            }
        }
        self.list = list;
        self.fresh_until = now.after(ttl);
        self.stage = Stage::Found(domain);
        Ok(())
    }

    /// Takes the addresses of the host that is to be asked; only the first [`ADDRESSES`] are tried.
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

    /// What to do to ask this host; `None` when it may not be asked.
    fn turn_to(&mut self, source: Source, now: Instant) -> Option<Next<Find>> {
        let host = self.host_of(source)?;
        let name = match redirected(&host.name, self.settings.redirects) {
            Ok(name) => name,
            Err(error) => {
                debug!("{:?} is not asked: {:?}", host, error);
                return None;
            }
        };
        if !self.settings.trusted.has_name(name) {
            debug!("{:?} is not trusted", host);
            return None;
        }
        let addresses = match name {
            HostName::Address(address) => first_addresses([*address].into_iter()),
            HostName::Name(_) if *name == host.name => self.listed(host, now),
            HostName::Name(_) => Addresses::new(),
        };
        self.target = Some(Target { source, addresses, at: 0 });
        Some(self.ask_or_look_up())
    }

    /// Asks the target, at its next address.
    fn ask_or_look_up(&mut self) -> Next<Find> {
        if self.address().is_none() {
            return Next::Find(Find::LookUp);
        }
        self.asked = true;
        Next::Ask { host: 0 }
    }

    /// The addresses that the list has of a host, while they may be kept.
    fn listed(&self, host: &Host, now: Instant) -> Addresses {
        let just_found = matches!(self.stage, Stage::Found(_) | Stage::Stale);
        let mut list = self.list.iter().filter(|_| just_found || now < self.fresh_until);
        let listed = list.find(|listed| listed.host == *host);
        listed.map(|listed| listed.addresses.clone()).unwrap_or_default()
    }

    /// The next host of this stage; when there is none any more, the next stage.
    fn source_of_stage(&mut self, rng: &mut impl CryptoRng) -> Result<Source, Stage> {
        match self.stage {
            Stage::ByHand(tried) => {
                self.stage = Stage::ByHand(tried.saturating_add(1));
                self.by_hand(tried).ok_or(Stage::Done)
            }
            Stage::Remembered if self.remembered_asked || self.remembered.is_none() => {
                Err(if self.settings.caching { Stage::Fresh } else { Stage::Domain(0) })
            }
            Stage::Remembered => {
                self.remembered_asked = true;
                Ok(Source::Remembered)
            }
            Stage::Fresh => self.next_listed(rng).ok_or(Stage::Domain(0)),
            Stage::Found(domain) => {
                self.next_listed(rng).ok_or(Stage::Domain(domain.saturating_add(1)))
            }
            Stage::Stale => self.next_listed(rng).ok_or(Stage::Done),
            Stage::Domain(_) if self.outage => Err(Stage::Stale),
            Stage::Domain(_) | Stage::Done => Err(Stage::Done),
        }
    }

    /// The host set by hand that comes after so many others of this round.
    fn by_hand(&self, tried: u8) -> Option<Source> {
        let hosts = self.settings.hosts.iter().take(usize::from(u8::MAX));
        let count = hosts.len();
        let first = hosts.clone().position(|host| Some(host) == self.remembered()).unwrap_or(0);
        let place = usize::from(tried);
        let index = (0..count).cycle().skip(first).take(count).nth(place)?;
        u8::try_from(index).ok().map(Source::ByHand)
    }

    /// The next host of the list.
    fn next_listed(&mut self, rng: &mut impl CryptoRng) -> Option<Source> {
        let is_stale = self.stage == Stage::Stale;
        let is_left = |listed: &Listed| !listed.tried && (is_stale || !listed.off);
        let index = if matches!(self.stage, Stage::Found(_)) {
            self.list.iter().position(is_left)?
        } else {
            choose(self.list.iter().map(|listed| is_left(listed).then_some(listed.rank)), rng)?
        };
        self.list.get_mut(index)?.tried = true;
        u8::try_from(index).ok().map(Source::Listed)
    }

    /// The query for the domain of this number; `None` after the last.
    fn query_for(&self, domain: u8, rng: &mut impl CryptoRng) -> Option<Query> {
        let mut after = self.settings.domains.iter().take(usize::from(u8::MAX)).skip(domain.into());
        let Settings { service, proto, .. } = *self.settings;
        // A name too long for DNS is one that nobody can have published.
        let name = after.find_map(|domain| DomainName::service(service, proto, domain).ok())?;
        Some(Query::new(RecordType::Srv, &name, rng))
    }

    /// Keeps a host that has granted something, and where it was.
    fn keep(&mut self, host: Host, addresses: Addresses) {
        if self.settings.caching {
            self.remembered = Some(Remembered { host, addresses });
        }
    }

    /// Marks this host on the list as asked in this round and, when it has failed, takes it off.
    fn mark(&mut self, source: Source, failed: bool) {
        let Self { list, remembered, .. } = self;
        let is_meant = |index: usize, listed: &Listed| match source {
            Source::Listed(at) => index == usize::from(at),
            Source::Remembered => {
                remembered.as_ref().is_some_and(|remembered| remembered.host == listed.host)
            }
            Source::ByHand(_) => false,
        };
        for (index, listed) in list.iter_mut().enumerate() {
            if is_meant(index, listed) {
                listed.tried = true;
                listed.off |= failed;
            }
        }
    }
}

impl<const N: usize> Hosts for Finder<'_, N> {
    type Find = Find;

    fn begin(&mut self) {
        let by_hand = !self.settings.hosts.is_empty();
        self.stage = if by_hand { Stage::ByHand(0) } else { Stage::Remembered };
        self.target = None;
        self.query = None;
        (self.outage, self.asked, self.remembered_asked) = (false, false, false);
        for listed in &mut self.list {
            listed.tried = false;
        }
    }

    fn next(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Next<Find> {
        if self.target.is_some() {
            return self.ask_or_look_up();
        }
        // Each turn leaves a stage or has one host less.
        loop {
            if now >= self.fresh_until && self.stage == Stage::Fresh {
                self.stage = Stage::Domain(0);
            }
            if let Stage::Domain(domain) = self.stage
                && let Some(query) = self.query_for(domain, rng)
            {
                self.query = Some(query);
                return Next::Find(Find::Query);
            }
            match self.source_of_stage(rng) {
                Ok(source) => {
                    if let Some(next) = self.turn_to(source, now) {
                        return next;
                    }
                }
                Err(Stage::Done) => return Next::Exhausted { asked: self.asked },
                Err(stage) => self.stage = stage,
            }
        }
    }

    fn answered(&mut self, granted: bool) {
        let Some(target) = &self.target else { return };
        let source = target.source;
        if !granted {
            self.mark(source, false);
            self.target = None;
        } else if let Some(host) = self.host().cloned() {
            let addresses = target.addresses.clone();
            self.keep(host, addresses);
        }
    }

    fn failed(&mut self) {
        let Some(target) = &mut self.target else { return };
        target.at = target.at.saturating_add(1);
        if usize::from(target.at) >= target.addresses.len() {
            let source = target.source;
            self.mark(source, true);
            self.target = None;
        }
    }

    fn not_found(&mut self) {
        if let (Stage::Domain(domain), Some(_)) = (self.stage, &self.query) {
            self.query = None;
            self.outage = true;
            self.stage = Stage::Domain(domain.saturating_add(1));
            return;
        }
        let Some(target) = &mut self.target else { return };
        if let (Source::Remembered, Some(remembered)) = (target.source, &self.remembered) {
            target.addresses = remembered.addresses.clone();
        }
        if target.addresses.is_empty() {
            self.failed();
        }
    }

    fn trusts(&self, key: &PublicKey) -> bool {
        let trusted = &self.settings.trusted;
        trusted.ids.is_empty() || trusted.has_id(trust::host_id(key))
    }
}

/// The hosts of an answer in the order in which they are to be tried, and how long they may be kept.
fn list_of<const N: usize>(
    answer: &Answer<'_>,
    rng: &mut impl CryptoRng,
) -> (heapless::Vec<Listed, N>, Duration) {
    let mut list = heapless::Vec::new();
    let mut ttl = LONGEST_TTL;
    let mut taken = [false; RECORDS];
    let services = answer.services().take(RECORDS);
    while !list.is_full() {
        let ranks = services.clone().zip(&taken).map(|(service, taken)| {
            let Service { priority, weight, .. } = service;
            (!taken && host_at(&service).is_some()).then_some(Rank { priority, weight })
        });
        let Some(index) = choose(ranks, rng) else { break };
        if let Some(taken) = taken.get_mut(index) {
            *taken = true;
        }
        let Some(service) = services.clone().nth(index) else { break };
        let Some(host) = host_at(&service) else { break };
        if list.iter().any(|listed: &Listed| listed.host == host) {
            continue;
        }
        let rank = Rank { priority: service.priority, weight: service.weight };
        let records = answer.addresses(&service.target).take(ADDRESSES);
        let shortest = records.clone().map(|record| record.ttl).fold(service.ttl, u32::min);
        ttl = ttl.min(Duration::from_secs(shortest.into()));
        let addresses = first_addresses(records.map(|record| record.ip));
        // There is room: the loop ends when there is none.
        let _ = list.push(Listed { host, rank, addresses, tried: false, off: false });
    }
    (list, ttl)
}

/// The host that a record names; `None` when it says that there is none.
fn host_at(service: &Service) -> Option<Host> {
    let port = NonZeroU16::new(service.port)?;
    let name = (!service.target.is_root()).then(|| service.target.clone())?;
    Some(Host { name: HostName::Name(name), port })
}

fn first_addresses(addresses: impl Iterator<Item = IpAddr>) -> Addresses {
    let mut first = Addresses::new();
    for address in addresses.take(ADDRESSES) {
        // So many fit.
        let _ = first.push(address);
    }
    first
}
