//! One round of asking: stage by stage, host by host.

use rand_core::CryptoRng;

use super::{Find, Finder, Remembered, Source, Stage, Target};
use crate::discovery::choice::choose;
use crate::discovery::host::{Host, HostName};
use crate::discovery::hosts::{Hosts, Next};
use crate::discovery::list::{Addresses, Listed, first_addresses};
use crate::discovery::message::{Query, RecordType};
use crate::discovery::name::DomainName;
use crate::discovery::settings::Settings;
use crate::log::debug;
use crate::time::Instant;
use crate::trust;
use crate::wire::PublicKey;

impl<const N: usize> Finder<'_, N> {
    /// What to do to ask this host; `None` when it may not be asked.
    fn turn_to(&mut self, source: Source, now: Instant) -> Option<Next<Find>> {
        let host = self.host_of(source)?;
        let name = match self.settings.name_to_ask(&host.name) {
            Ok(name) => name,
            Err(barred) => {
                debug!("{:?} is not asked: {:?}", host, barred);
                return None;
            }
        };
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
        let count = self.settings.hosts.len().min(usize::from(u8::MAX));
        let (first, place) = (usize::from(self.first_by_hand), usize::from(tried));
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
    pub(super) fn keep(&mut self, host: Host, addresses: Addresses) {
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
        let mut by_hand = self.settings.hosts.iter().take(usize::from(u8::MAX));
        let first = by_hand.position(|host| Some(host) == self.remembered());
        self.first_by_hand = first.and_then(|first| u8::try_from(first).ok()).unwrap_or(0);
        if !self.settings.caching {
            self.list.clear();
        }
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
