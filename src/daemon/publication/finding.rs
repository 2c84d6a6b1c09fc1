//! Which server takes updates of a domain, and in which zone.

use core::net::SocketAddr;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use domain::base::iana::Rtype;

use super::dialogue::NameServer;
use super::error::PublicationError;
use super::message;
use super::name::{self, DnsName, Named as _};
use crate::daemon::MachineFacts;
use crate::os::Clock;

/// What the system knows of resolvers and domains.
const RESOLV_CONF: &str = "/etc/resolv.conf";

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

/// The system's resolvers.
pub(super) fn resolvers() -> Vec<SocketAddr> {
    let config = resolv_conf().unwrap_or_default();
    config.nameservers.iter().map(|address| SocketAddr::new(address.into(), 53)).collect()
}

fn resolv_conf() -> Option<resolv_conf::Config> {
    let bytes = std::fs::read(RESOLV_CONF).ok()?;
    resolv_conf::Config::parse(bytes).ok()
}

/// This machine's whole name: its host name, with the domain that `/etc/hosts` or else the resolver's
/// configuration gives it. `None` when neither does.
pub(super) fn machine_name() -> Option<DnsName> {
    let short = MachineFacts::of_this_machine().name;
    let hosts = std::fs::read_to_string(Path::new("/etc/hosts")).unwrap_or_default();
    let config = resolv_conf().unwrap_or_default();
    let domain = config.get_last_search_or_domain().next().map(ToString::to_string);
    name::parse(&full_name(&short, &hosts, domain.as_deref())?).ok()
}

fn full_name(short: &str, hosts: &str, domain: Option<&str>) -> Option<String> {
    if short.contains('.') {
        return Some(short.to_string());
    }
    let of_hosts = hosts.lines().find_map(|line| {
        let line = line.split('#').next()?;
        let names: Vec<_> = line.split_whitespace().skip(1).collect();
        let first = names.first().filter(|first| first.contains('.'))?;
        names.contains(&short).then(|| (*first).to_string())
    });
    let in_domain = || domain.map(|domain| std::format!("{short}.{domain}"));
    of_hosts.or_else(in_domain).filter(|_| !short.is_empty())
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
    fn the_machine_has_its_name_from_hosts_or_else_from_the_search_list() {
        let hosts = "127.0.0.1 localhost\n# 192.0.2.1 no.example kms\n192.0.2.7  KMS.corp.example kms x # y\n";
        for (short, hosts, domain, full) in [
            ("kms", hosts, Some("example.org"), Some("KMS.corp.example")),
            ("kms", "127.0.0.1 kms kms.local\n", Some("example.org"), Some("kms.example.org")),
            ("localhost", hosts, None, None),
            ("kms.example.net", hosts, None, Some("kms.example.net")),
            ("", hosts, Some("example.org"), None),
        ] {
            assert_eq!(full_name(short, hosts, domain).as_deref(), full, "{short}");
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
