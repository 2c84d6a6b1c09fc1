//! A client that finds its hosts in DNS: what its driver reads and brings.

use core::net::{IpAddr, SocketAddr};

use rand_core::CryptoRng;

use super::{Client, Phase};
use crate::discovery::message::{AnswerError, Query};
use crate::discovery::{DnsHosts, DomainName, Host};
use crate::time::Now;
use crate::trust::Verifier;

impl<V: Verifier, H: DnsHosts> Client<'_, V, H> {
    /// The query to be sent to a name server; `None` when none is wanted. Its bytes may be sent as
    /// often as it takes, to any of the network's name servers.
    #[must_use]
    pub fn query(&self) -> Option<&Query> {
        self.hosts.query()
    }

    /// Takes what a name server sent. What follows from it is in what [`poll`](Self::poll) says next.
    ///
    /// # Errors
    ///
    /// It is no answer to the query, or none that helps; nothing has changed. The query waits on:
    /// listen on, ask by TCP when it was [truncated](AnswerError::Truncated), ask another name server,
    /// or [give up](Self::give_up_finding).
    pub fn handle_dns_answer(
        &mut self,
        now: Now,
        rng: &mut impl CryptoRng,
        message: &[u8],
    ) -> Result<(), AnswerError> {
        let Phase::Finding(finding) = self.phase else { return Err(AnswerError::NotOurs) };
        self.hosts.take_answer(now.monotonic, rng, message)?;
        self.next_host(finding.rearmed, now, rng);
        Ok(())
    }

    /// The name whose addresses are wanted; `None` when none is.
    #[must_use]
    pub fn name_to_look_up(&self) -> Option<&DomainName> {
        self.hosts.name_to_look_up()
    }

    /// Takes the addresses of that name; without any, as
    /// [`give_up_finding`](Self::give_up_finding).
    pub fn handle_addresses(&mut self, now: Now, rng: &mut impl CryptoRng, addresses: &[IpAddr]) {
        let Phase::Finding(finding) = self.phase else { return };
        if self.hosts.name_to_look_up().is_none() {
            return;
        }
        self.hosts.take_addresses(addresses);
        self.next_host(finding.rearmed, now, rng);
    }

    /// Where to send the pending request; `None` when there is none.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.pending_frame().and_then(|_| self.hosts.address())
    }

    /// Asks this host first in the next round: it granted something before the restart, and the driver
    /// has stored its [name](crate::discovery::Finder::remembered) and
    /// [addresses](crate::discovery::Finder::remembered_addresses).
    pub fn remember_host(&mut self, host: Host, addresses: &[IpAddr]) {
        self.hosts.remember(host, addresses);
    }
}
