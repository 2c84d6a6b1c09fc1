//! Hosts that are found in DNS, be the [`Finder`] wrapped or not.

use core::net::{IpAddr, SocketAddr};

use rand_core::CryptoRng;

use super::message::{AnswerError, Query};
use super::{DomainName, Find, Finder, Host, Hosts, Keyed};
use crate::time::Instant;

/// Hosts whose driver brings what DNS says of them: a [`Finder`], also a [`Keyed`] one. What each of
/// these does is said where a client does it, see [`Client::query`](crate::client::Client::query)
/// and those that follow it.
pub trait DnsHosts: Hosts<Find = Find> {
    /// The query that is on its way.
    fn query(&self) -> Option<&Query>;

    /// The name whose addresses are wanted.
    fn name_to_look_up(&self) -> Option<&DomainName>;

    /// Where to ask the host whose turn it is; of the authority the driver itself knows it.
    fn address(&self) -> Option<SocketAddr>;

    /// Takes an answer to the query. After an error the query goes on.
    fn take_answer(
        &mut self,
        now: Instant,
        rng: &mut impl CryptoRng,
        message: &[u8],
    ) -> Result<(), AnswerError>;

    /// Takes the addresses of the name that was to be looked up.
    fn take_addresses(&mut self, addresses: &[IpAddr]);

    /// Puts this host, which was at these addresses, first in the next round.
    fn remember(&mut self, host: Host, addresses: &[IpAddr]);
}

impl<const N: usize> DnsHosts for Finder<'_, N> {
    fn query(&self) -> Option<&Query> {
        self.query()
    }

    fn name_to_look_up(&self) -> Option<&DomainName> {
        self.name_to_look_up()
    }

    fn address(&self) -> Option<SocketAddr> {
        self.address()
    }

    fn take_answer(
        &mut self,
        now: Instant,
        rng: &mut impl CryptoRng,
        message: &[u8],
    ) -> Result<(), AnswerError> {
        self.take_answer(now, rng, message)
    }

    fn take_addresses(&mut self, addresses: &[IpAddr]) {
        self.take_addresses(addresses);
    }

    fn remember(&mut self, host: Host, addresses: &[IpAddr]) {
        self.remember(host, addresses);
    }
}

impl<H: DnsHosts> DnsHosts for Keyed<'_, H> {
    fn query(&self) -> Option<&Query> {
        self.hosts_asked()?.query()
    }

    fn name_to_look_up(&self) -> Option<&DomainName> {
        self.hosts_asked()?.name_to_look_up()
    }

    fn address(&self) -> Option<SocketAddr> {
        self.hosts_asked()?.address()
    }

    fn take_answer(
        &mut self,
        now: Instant,
        rng: &mut impl CryptoRng,
        message: &[u8],
    ) -> Result<(), AnswerError> {
        self.hosts_mut().take_answer(now, rng, message)
    }

    fn take_addresses(&mut self, addresses: &[IpAddr]) {
        self.hosts_mut().take_addresses(addresses);
    }

    fn remember(&mut self, host: Host, addresses: &[IpAddr]) {
        self.hosts_mut().remember(host, addresses);
    }
}
