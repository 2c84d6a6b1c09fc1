//! Which server takes updates of a domain, and in which zone.

use core::net::SocketAddr;
use std::string::{String, ToString};
use std::vec::Vec;

use domain::base::iana::Rtype;

use super::dialogue::NameServer;
use super::error::PublicationError;
use super::message;
use super::name::{self, DnsName, Named as _};
use crate::daemon::machine::whole_name;
use crate::daemon::{MachineFacts, Resolver};
use crate::discovery::DomainName;
use crate::os::Clock;

/// The zone of a domain, by a server's own word.
pub(super) async fn zone(
    server: &NameServer<'_>,
    domain: &DnsName,
) -> Result<DnsName, PublicationError> {
    let answer = server.query(domain, Rtype::SOA).await?;
    let found = message::authority(&answer).map(|(zone, _)| zone);
    found.filter(|zone| domain.is_within(zone) && !zone.is_root()).ok_or_else(|| {
        PublicationError::NoZone { server: server.address, domain: domain.to_string() }
    })
}

/// The primary server of a domain, `NAME:PORT`, by the word of the system's resolvers.
pub(super) async fn primary(
    resolvers: &[SocketAddr],
    domain: &DnsName,
    clock: &dyn Clock,
) -> Result<String, PublicationError> {
    let mut reason = "this machine has no resolver".to_string();
    for &address in resolvers {
        let resolver = NameServer { address, key: None, clock, recursion: true };
        match resolver.query(domain, Rtype::SOA).await.map(|answer| message::authority(&answer)) {
            Ok(Some((zone, primary))) if domain.is_within(&zone) && !zone.is_root() => {
                return Ok(std::format!("{primary}:53"));
            }
            Ok(_) => reason = std::format!("the resolver {address} knows no zone for it"),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(PublicationError::NoServer { domain: domain.to_string(), reason })
}

/// The system's resolvers, as clients read them.
pub(super) fn resolvers() -> Vec<SocketAddr> {
    Resolver::of_system().servers().to_vec()
}

/// This machine's whole name: its host name, with the domain that `/etc/hosts` or else the resolver's
/// configuration gives it. `None` when neither does.
pub(super) fn machine_name() -> Option<DnsName> {
    let name = whole_name(&MachineFacts::of_this_machine().name);
    name::parse(&in_first_domain(name, Resolver::of_system().search())?).ok()
}

fn in_first_domain(name: String, search: &[DomainName]) -> Option<String> {
    if name.is_empty() || name.contains('.') {
        return Some(name).filter(|name| !name.is_empty());
    }
    search.first().map(|domain| std::format!("{name}.{domain}"))
}

#[cfg(test)]
mod tests {
    use domain::base::iana::{Class, Rcode};
    use domain::base::{Message, MessageBuilder, Serial, Ttl};
    use domain::rdata::Soa;
    use tokio::net::UdpSocket;

    use super::*;
    use crate::os::SystemClock;

    fn name(text: &str) -> DnsName {
        name::parse(text).unwrap()
    }

    #[test]
    fn a_short_name_is_in_the_first_domain_of_the_search_list() {
        let resolver = Resolver::of_resolv_conf(b"nonsense\nsearch example.org example.net\n");
        for (given, search, full) in [
            ("kms", resolver.search(), Some("kms.example.org")),
            ("kms.example.net", resolver.search(), Some("kms.example.net")),
            ("kms", &[], None),
            ("", resolver.search(), None),
        ] {
            assert_eq!(in_first_domain(given.into(), search).as_deref(), full, "{given}");
        }
    }

    /// A resolver that says this of every name.
    async fn resolver(zone: Option<&'static str>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_octets(&buffer[..length]).unwrap();
                let answer = MessageBuilder::new_vec();
                let answer = answer.start_answer(&question, Rcode::NXDOMAIN).unwrap();
                let mut authority = answer.authority();
                if let Some(zone) = zone {
                    let second = Ttl::from_secs(1);
                    let (primary, mail) = (name("ns.example.org"), name("mail.example.org"));
                    let soa = Soa::new(primary, mail, Serial(1), second, second, second, second);
                    authority.push((name(zone), Class::IN, second, soa)).unwrap();
                }
                socket.send_to(authority.finish().as_slice(), from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn the_primary_server_is_that_of_the_zone() {
        let domain = name("lab.example.org");
        let (nothing, other) = (resolver(None).await, resolver(Some("example.net")).await);
        let right = resolver(Some("example.org")).await;
        let clock = SystemClock::start();
        let found = primary(&[nothing, other, right], &domain, &clock).await;
        assert_eq!(found.as_deref(), Ok("ns.example.org:53"));
        let error = primary(&[nothing, other], &domain, &clock).await.unwrap_err();
        assert!(error.to_string().contains("knows no zone for it"), "{error}");
        let error = primary(&[], &domain, &clock).await.unwrap_err();
        assert!(error.to_string().contains("no resolver"), "{error}");
        let server = NameServer { address: right, key: None, clock: &clock, recursion: false };
        assert_eq!(zone(&server, &domain).await, Ok(name("example.org")));
        let server = NameServer { address: other, ..server };
        assert!(matches!(zone(&server, &domain).await, Err(PublicationError::NoZone { .. })));
    }
}
