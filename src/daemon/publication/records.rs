//! The records of a host, and those that it finds.

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeSet;
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::name::{DnsName, Named as _};
use crate::daemon::Transport;

/// Ports that a host listens on, by transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Where it accepts connections.
    pub tcp: BTreeSet<u16>,
    /// Where it receives datagrams.
    pub udp: BTreeSet<u16>,
}

impl Ports {
    /// The ports of one transport.
    #[must_use]
    pub const fn of(&self, transport: Transport) -> &BTreeSet<u16> {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }
}

/// The names of the service in a domain: `_headcount._tcp.example.org` and its like for UDP.
#[derive(Clone, Debug)]
pub(super) struct Owners {
    tcp: DnsName,
    udp: DnsName,
}

impl Owners {
    /// `None` when they would be too long.
    pub(super) fn new(service: &str, domain: &DnsName) -> Option<Self> {
        let name = |transport| domain.service(service, transport);
        Some(Self { tcp: name("_tcp")?, udp: name("_udp")? })
    }

    pub(super) const fn of(&self, transport: Transport) -> &DnsName {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }
}

pub(super) const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];

/// A service record as it is in DNS (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Whether it is that of `_tcp` or `_udp`.
    pub transport: Transport,
    /// Lower values are asked first.
    pub priority: u16,
    /// The share among hosts of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host's name.
    pub target: Target,
    /// How many seconds it may be kept.
    pub ttl: u32,
}

impl ServiceRecord {
    /// What makes it a certain host's.
    pub(super) fn owned(&self) -> OwnService {
        let Self { transport, port, target, .. } = self;
        OwnService { transport: *transport, port: *port, target: target.clone() }
    }

    /// Whether it tells clients the same: all but how long it may be kept.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let rest = |record: &Self| (record.priority, record.weight);
        self.owned() == other.owned() && rest(self) == rest(other)
    }
}

impl fmt::Display for ServiceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, weight, port, target, .. } = self;
        write!(f, "{priority} {weight} {port} {target}.")
    }
}

/// The name that a service record points at. Displays without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(pub(super) DnsName);

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::string::String as Deserialize>::deserialize(deserializer)?;
        super::name::parse(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A service record of this host's, whatever priority and weight it once had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnService {
    pub(super) transport: Transport,
    pub(super) port: u16,
    pub(super) target: Target,
}

/// An address record of this host's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnAddress {
    pub(super) name: Target,
    pub(super) address: IpAddr,
}

/// All that this host has, or may have, in one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Own {
    #[serde(rename = "service")]
    pub(super) services: Vec<OwnService>,
    #[serde(rename = "address")]
    pub(super) addresses: Vec<OwnAddress>,
}

impl Own {
    /// These and the other ones.
    pub(super) fn and(mut self, other: Self) -> Self {
        extend(&mut self.services, other.services);
        extend(&mut self.addresses, other.addresses);
        self
    }
}

fn extend<T: PartialEq>(items: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !items.contains(&item) {
            items.push(item);
        }
    }
}

/// What is in a domain now.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The zone.
    pub zone: Target,
    /// This host's records.
    pub own: Vec<ServiceRecord>,
    /// Records of other hosts.
    pub others: Vec<ServiceRecord>,
    /// Addresses of the names that are or were this host's.
    pub(super) addresses: Vec<OwnAddress>,
}

impl Seen {
    /// The addresses of a name, where they were asked for.
    pub fn addresses(&self, name: &Target) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter(move |seen| seen.name == *name).map(|seen| seen.address)
    }
}
