//! The list of hosts that DNS gave, and how an answer becomes one.

use core::net::IpAddr;
use core::num::NonZeroU16;

use rand_core::CryptoRng;

use super::choice::{Rank, choose};
use super::host::{Host, HostName};
use super::message::{Answer, Service};
use super::settings::Settings;
use crate::time::Millis;

/// Addresses of one host that are tried, at most.
pub const ADDRESSES: usize = 4;

/// Records of one answer that are looked at, at most; of more, the first.
pub const RECORDS: usize = 256;

/// Records are kept for a week at most, whatever they say themselves.
const LONGEST_TTL: u32 = 7 * 24 * 60 * 60;

pub(super) type Addresses = heapless::Vec<IpAddr, ADDRESSES, u8>;

/// A host on the list.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) host: Host,
    pub(super) rank: Rank,
    /// Those that came along; none when they must be looked up.
    pub(super) addresses: Addresses,
    /// Whether it was asked in this round.
    pub(super) tried: bool,
    /// Whether it is off the list until DNS is asked anew.
    pub(super) off: bool,
}

/// The hosts of an answer that may be asked, in the order in which they are to be tried, and how long
/// they may be kept.
pub(super) fn list_of<const N: usize>(
    answer: &Answer<'_>,
    settings: &Settings<'_>,
    rng: &mut impl CryptoRng,
) -> (heapless::Vec<Listed, N>, Millis) {
    let mut list = heapless::Vec::new();
    let mut ttl = LONGEST_TTL;
    let mut taken = [false; RECORDS];
    let services = answer.services().take(RECORDS);
    let may_be_asked = |service: &Service| {
        host_at(service).is_some_and(|host| settings.name_to_ask(&host.name).is_ok())
    };
    while !list.is_full() {
        let ranks = services.clone().zip(&taken).map(|(service, taken)| {
            let Service { priority, weight, .. } = service;
            (!taken && may_be_asked(&service)).then_some(Rank { priority, weight })
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
        ttl = ttl.min(shortest);
        let addresses = first_addresses(records.map(|record| record.ip));
        // There is room: the loop ends when there is none.
        let _ = list.push(Listed { host, rank, addresses, tried: false, off: false });
    }
    (list, Millis::from_secs(ttl.into()))
}

/// The host that a record names; `None` when it says that there is none.
fn host_at(service: &Service) -> Option<Host> {
    let port = NonZeroU16::new(service.port)?;
    let name = (!service.target.is_root()).then(|| service.target.clone())?;
    Some(Host { name: HostName::Name(name), port })
}

pub(super) fn first_addresses(addresses: impl Iterator<Item = IpAddr>) -> Addresses {
    let mut first = Addresses::new();
    for address in addresses.take(ADDRESSES) {
        // So many fit.
        let _ = first.push(address);
    }
    first
}
