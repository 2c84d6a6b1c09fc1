//! What has to change in a zone so that it says of this host what it should.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::message::{Change, Changes};
use super::name::DnsName;
use super::records::{Own, OwnAddress, Owners, Seen, ServiceRecord, TRANSPORTS, Target};
use crate::daemon::Transport;

/// Changes, and what they leave.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) changes: Changes,
    /// This host's records when the changes are made.
    pub(super) after: Own,
    /// How many records go.
    pub(super) removed: usize,
}

/// What should be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The host's name.
    pub(super) target: &'a Target,
    pub(super) services: &'a [ServiceRecord],
    pub(super) addresses: &'a BTreeSet<IpAddr>,
    /// Of the addresses.
    pub(super) ttl: u32,
}

impl Plan {
    /// What turns what is there into what is wanted, as far as it is this host's.
    pub(super) fn new(owners: &Owners, seen: &Seen, remembered: &Own, wanted: &Wanted<'_>) -> Self {
        let mut plan = Self { changes: Changes::default(), after: Own::default(), removed: 0 };
        for transport in TRANSPORTS {
            plan.services(owners.of(transport), transport, seen, wanted.services);
        }
        plan.addresses(seen, remembered, wanted);
        plan.removed = plan.changes.delete.len();
        plan
    }

    fn services(
        &mut self,
        owner: &DnsName,
        transport: Transport,
        seen: &Seen,
        wanted: &[ServiceRecord],
    ) {
        let is_of = |record: &&ServiceRecord| record.transport == transport;
        for own in seen.own.iter().filter(is_of) {
            if !wanted.iter().any(|wanted| wanted.says_the_same_as(own)) {
                self.changes.delete.push(Change::Service(owner.clone(), own.clone()));
            }
        }
        // All records of one name and type live equally long (RFC 2181, section 5.2): another host's
        // would be changed with this one's.
        let others = seen.others.iter().find(is_of).map(|record| record.ttl);
        for wanted in wanted.iter().filter(is_of) {
            let change = Change::Service(owner.clone(), wanted.clone());
            self.changes.add.push((change, others.unwrap_or(wanted.ttl)));
            self.after.services.push(wanted.owned());
        }
        if wanted.iter().any(|wanted| wanted.transport == transport) {
            self.changes.no_alias.push(owner.clone());
        }
    }

    /// An address that was there before this host came is not its own, even if it is the same.
    fn addresses(&mut self, seen: &Seen, remembered: &Own, wanted: &Wanted<'_>) {
        let is_wanted = |own: &OwnAddress| {
            own.name == *wanted.target && wanted.addresses.contains(&own.address)
        };
        let own = remembered.addresses.iter().filter(|own| seen.addresses.contains(own));
        for own in own.filter(|own| !is_wanted(own)) {
            self.changes.delete.push(Change::Address(own.name.0.clone(), own.address));
        }
        for address in wanted.addresses {
            let own = OwnAddress { name: wanted.target.clone(), address: *address };
            if remembered.addresses.contains(&own) || !seen.addresses.contains(&own) {
                let change = Change::Address(own.name.0.clone(), own.address);
                self.changes.add.push((change, wanted.ttl));
                self.after.addresses.push(own);
            }
        }
        if !self.after.addresses.is_empty() {
            self.changes.no_alias.push(wanted.target.0.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::super::name;
    use super::*;

    fn name(text: &str) -> DnsName {
        name::parse(text).unwrap()
    }

    fn record(
        target: &str,
        transport: Transport,
        port: u16,
        weight: u16,
        ttl: u32,
    ) -> ServiceRecord {
        let target = Target(name(target));
        ServiceRecord { transport, priority: 0, weight, port, target, ttl }
    }

    fn plan(seen: &Seen, remembered: &Own, services: &[ServiceRecord], addresses: &[&str]) -> Plan {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let target = Target(name("a.example.org"));
        let wanted = Wanted { target: &target, services, addresses: &addresses, ttl: 7 };
        Plan::new(&owners(), seen, remembered, &wanted)
    }

    fn owners() -> Owners {
        Owners::new("_headcount", &name("example.org")).unwrap()
    }

    fn seen(own: Vec<ServiceRecord>, others: Vec<ServiceRecord>, addresses: &[&str]) -> Seen {
        let own_address = |text: &&str| own_address(text);
        let addresses = addresses.iter().map(own_address).collect();
        Seen { zone: Target(name("example.org")), own, others, addresses }
    }

    fn own_address(text: &str) -> OwnAddress {
        OwnAddress { name: Target(name("a.example.org")), address: text.parse().unwrap() }
    }

    const TCP: Transport = Transport::Tcp;

    #[test]
    fn a_record_is_added_with_the_life_of_its_neighbours() {
        let wanted = record("a.example.org", TCP, 1688, 10, 60);
        let plan_alone = plan(
            &seen(Vec::new(), Vec::new(), &[]),
            &Own::default(),
            core::slice::from_ref(&wanted),
            &[],
        );
        let owner = name("_headcount._tcp.example.org");
        let change = Change::Service(owner.clone(), wanted.clone());
        assert_eq!(plan_alone.changes.add, [(change.clone(), 60)]);
        assert_eq!(plan_alone.changes.no_alias, [owner]);
        assert_eq!(plan_alone.after.services, [wanted.owned()]);
        let other = record("b.example.org", TCP, 1688, 1, 300);
        let both = seen(std::vec![wanted.clone()], std::vec![other], &[]);
        let plan = plan(&both, &Own::default(), &[wanted], &[]);
        assert_eq!(plan.changes.add, [(change, 300)]);
        assert!(plan.changes.delete.is_empty());
    }

    #[test]
    fn own_records_that_are_not_wanted_go_and_no_others() {
        let old = record("a.example.org", TCP, 1688, 1, 60);
        let older = record("old.example.org", Transport::Udp, 99, 1, 60);
        let other = record("b.example.org", TCP, 1688, 1, 60);
        let seen = seen(std::vec![old.clone(), older.clone()], std::vec![other], &[]);
        let gone =
            |record: ServiceRecord| Change::Service(owners().of(record.transport).clone(), record);
        let delete = [gone(old), gone(older)];
        let replaced =
            plan(&seen, &Own::default(), &[record("a.example.org", TCP, 1688, 2, 60)], &[]);
        assert_eq!(replaced.changes.delete, delete);
        assert_eq!(replaced.changes.add.len(), 1);
        let withdrawn = plan(&seen, &Own::default(), &[], &[]);
        assert_eq!((withdrawn.changes.delete, withdrawn.removed), (delete.to_vec(), 2));
        assert!(withdrawn.changes.add.is_empty() && withdrawn.changes.no_alias.is_empty());
        assert_eq!(withdrawn.after, Own::default());
    }

    #[test]
    fn an_address_that_was_there_before_stays() {
        let found = seen(Vec::new(), Vec::new(), &["192.0.2.1", "192.0.2.9"]);
        let first = plan(&found, &Own::default(), &[], &["192.0.2.1", "192.0.2.2"]);
        assert_eq!(first.after.addresses, [own_address("192.0.2.2")]);
        assert_eq!(first.changes.add.len(), 1);
        let found = seen(Vec::new(), Vec::new(), &["192.0.2.1", "192.0.2.2", "192.0.2.9"]);
        let moved = plan(&found, &first.after, &[], &["192.0.2.3"]);
        let gone = Change::Address(name("a.example.org"), "192.0.2.2".parse().unwrap());
        assert_eq!(moved.changes.delete, [gone]);
        assert_eq!(moved.after.addresses, [own_address("192.0.2.3")]);
        // What is remembered and gone is forgotten.
        let withdrawn = plan(&found, &moved.after, &[], &[]);
        assert!(withdrawn.changes.is_empty());
        assert_eq!(withdrawn.after, Own::default());
    }
}
