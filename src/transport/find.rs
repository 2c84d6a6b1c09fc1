//! What a client wants to know before it can ask anybody, from the network's resolvers.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use embedded_nal::{TcpClientStack, UdpClientStack};
use rand_core::CryptoRng;

use super::{DnsExchange, DnsFailure, Platform, look_up};
use crate::client::Client;
use crate::discovery::message::{Query, RecordType};
use crate::discovery::{ADDRESSES, DnsHosts, DomainName};
use crate::time::Now;
use crate::trust::Verifier;

/// Whom to ask, for what, and where their answers go.
#[derive(Debug)]
pub struct Resolver<'a> {
    /// The resolvers, of which the first [`MAX_RESOLVERS`](super::MAX_RESOLVERS) count; their port is
    /// 53 as a rule.
    pub servers: &'a [SocketAddr],
    /// Which addresses of a host the stack can reach, those first that are to be tried first.
    pub families: &'a [Family],
    /// Where an answer goes, as with [`DnsExchange`]. It may serve other purposes in between.
    pub buffer: &'a mut [u8],
}

/// The two kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Family {
    /// IPv4, by A records.
    V4,
    /// IPv6, by AAAA records.
    V6,
}

impl<'a> Resolver<'a> {
    /// For a stack that reaches addresses of both families; IPv4 is tried first.
    pub const fn new(servers: &'a [SocketAddr], buffer: &'a mut [u8]) -> Self {
        Self { servers, families: &[Family::V4, Family::V6], buffer }
    }

    fn exchange<S>(&mut self, query: Query) -> DnsExchange<'_, S>
    where
        S: UdpClientStack + TcpClientStack,
    {
        DnsExchange::new(self.servers, query, self.buffer)
    }
}

impl Family {
    const fn record_type(self) -> RecordType {
        match self {
            Self::V4 => RecordType::A,
            Self::V6 => RecordType::Aaaa,
        }
    }
}

/// Finds the addresses of a name, as many as there is place for in `found`: those of the first family,
/// then those of the next. Each family takes a question of its own, with the times of
/// [`DnsExchange`]; none is asked once the place is full.
///
/// # Errors
///
/// Why there is no answer, when there is none for any family. A name without addresses is none: then
/// they are empty.
pub fn look_up_addresses<'f, S, P>(
    name: &DomainName,
    found: &'f mut [IpAddr],
    resolver: &mut Resolver<'_>,
    stack: &mut S,
    platform: &mut P,
    rng: &mut impl CryptoRng,
) -> Result<&'f [IpAddr], DnsFailure>
where
    S: UdpClientStack + TcpClientStack,
    P: Platform<S>,
{
    let mut count = 0_usize;
    let mut end = Err(DnsFailure::NoQuestion);
    for family in resolver.families {
        let rest = found.get_mut(count..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let query = Query::new(family.record_type(), name, rng);
        let mut exchange = resolver.exchange(query.clone());
        match look_up(&mut exchange, stack, platform) {
            Err(DnsFailure::Abandoned) => return Err(DnsFailure::Abandoned),
            Err(failure) => end = end.or(Err(failure)),
            Ok(message) => {
                // The exchange has judged it already.
                let Ok(answer) = query.answer(message) else { continue };
                for (place, address) in rest.iter_mut().zip(answer.addresses(name)) {
                    *place = address.ip;
                    count = count.saturating_add(1);
                }
                end = Ok(());
            }
        }
    }
    end.map(|()| found.get(..count).unwrap_or_default())
}

/// Does what [`Step::Find`](crate::client::Step::Find) says: asks the resolvers, and brings the client
/// their answer or the news that there is none.
///
/// # Errors
///
/// Why there is no answer, for people: the client has been told, and goes on without.
/// [`DnsFailure::NoQuestion`] when it has nothing to find out.
pub fn find<S, P>(
    client: &mut Client<'_, impl Verifier, impl DnsHosts>,
    resolver: &mut Resolver<'_>,
    stack: &mut S,
    platform: &mut P,
    rng: &mut impl CryptoRng,
) -> Result<(), DnsFailure>
where
    S: UdpClientStack + TcpClientStack,
    P: Platform<S>,
{
    let end = if let Some(query) = client.query().cloned() {
        let mut exchange = resolver.exchange(query);
        look_up(&mut exchange, stack, platform).and_then(|message| {
            let now = Now::new(platform.now(), platform.calendar());
            // The exchange has judged it already.
            client.handle_dns_answer(now, rng, message).map_err(|_| DnsFailure::NoQuestion)
        })
    } else if let Some(name) = client.name_to_look_up().cloned() {
        let mut found = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); ADDRESSES];
        look_up_addresses(&name, &mut found, resolver, stack, platform, rng).map(|addresses| {
            let now = Now::new(platform.now(), platform.calendar());
            client.handle_addresses(now, rng, addresses);
        })
    } else {
        return Err(DnsFailure::NoQuestion);
    };
    if end.is_err() {
        client.give_up_finding(Now::new(platform.now(), platform.calendar()), rng);
    }
    end
}
