//! Questions to name servers over tokio sockets (RFC 1035 4.2): those of the system, or one that a
//! configuration names.

use core::fmt;
use core::time::Duration;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use rand_core::CryptoRng;
use resolv_conf::ScopedIp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::discovery::message::{AnswerError, Query, RecordType, UDP_PAYLOAD_LEN};
use crate::discovery::{DomainName, Host, HostName};

/// The port of name servers.
pub const DNS_PORT: u16 = 53;

/// Where the system says which name servers it has.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The name servers that are asked, one after the other.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    /// How long one is waited for.
    timeout: Duration,
    /// How often each gets its turn.
    attempts: u32,
    /// Whether these are the system's, which then looks names up by its own ways as well.
    is_system: bool,
    /// Domains that the system adds to short names, the first its own.
    search: Vec<DomainName>,
}

/// Why a name server's answer could not be had. The last reason stands for all servers.
#[derive(Debug)]
pub enum ResolveError {
    /// The network failed.
    Network(SocketAddr, String),
    /// It did not answer in time.
    Silent(SocketAddr),
    /// It answered, but not so that it helps.
    Answer(SocketAddr, AnswerError),
    /// The system could not look the name up.
    System(String),
}

impl Resolver {
    /// The system's name servers and search list, from `/etc/resolv.conf`. Without such a file, the
    /// name server of this machine, as the C library has it.
    #[must_use]
    pub fn of_system() -> Self {
        let text = super::files::read(Path::new(RESOLV_CONF)).unwrap_or_default();
        Self::of_resolv_conf(&text)
    }

    /// As a `resolv.conf` says. Lines that cannot be understood are passed over, as the C library does.
    #[must_use]
    pub fn of_resolv_conf(text: &[u8]) -> Self {
        let (mut config, _) = resolv_conf::Config::parse_with_errors(text);
        config.glibc_normalize();
        let servers = config.get_nameservers_or_local().into_iter();
        let domains = config.get_last_search_or_domain();
        let seconds = config.timeout.clamp(1, 30);
        Self {
            servers: servers.map(|server| name_server(&server)).collect(),
            timeout: Duration::from_secs(seconds.into()),
            attempts: config.attempts.clamp(1, 5),
            is_system: true,
            search: domains.filter_map(|domain| domain.parse().ok()).collect(),
        }
    }

    /// This name server alone, for hosts and their names, in place of the system's.
    #[must_use]
    pub fn with_server(self, server: SocketAddr) -> Self {
        let timeout = Duration::from_secs(2);
        Self { servers: std::vec![server], timeout, attempts: 2, is_system: false, ..self }
    }

    /// The name servers in the order in which they are asked.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The domains that the system adds to short names.
    pub(crate) fn search(&self) -> &[DomainName] {
        &self.search
    }

    /// The machine's own domain, where its name has one, and those of the search list.
    #[must_use]
    pub fn domains(&self, machine: &str) -> Vec<DomainName> {
        let own = machine.split_once('.').and_then(|(_, domain)| domain.parse::<DomainName>().ok());
        let mut domains = Vec::new();
        for domain in own.iter().chain(&self.search).filter(|domain| !domain.is_root()) {
            if !domains.contains(domain) {
                domains.push(domain.clone());
            }
        }
        domains
    }

    /// Sends a query to one server after the other, by UDP and, where the answer is truncated, by TCP,
    /// and hands what comes back to `judge` until it is content. Also returns the server that answered.
    pub async fn ask<T>(
        &self,
        query: &Query,
        mut judge: impl FnMut(&[u8]) -> Result<T, AnswerError>,
    ) -> Result<(SocketAddr, T), ResolveError> {
        let mut failure = ResolveError::System("no name server is known".into());
        for _ in 0..self.attempts {
            for server in &self.servers {
                let mut result = udp(*server, query, self.timeout, &mut judge).await;
                if matches!(result, Err(ResolveError::Answer(_, AnswerError::Truncated))) {
                    result = tcp(*server, query, self.timeout, &mut judge).await;
                }
                match result {
                    Ok(value) => return Ok((*server, value)),
                    Err(error) => failure = error,
                }
            }
        }
        Err(failure)
    }

    /// The addresses of a name from DNS, as it stands: never with a domain of the search list added.
    /// The name servers are asked; when these find nothing and are the system's, the system itself, by
    /// whatever ways it has.
    pub async fn addresses(
        &self,
        name: &DomainName,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        let asked = self.ask_for_addresses(name, rng).await;
        match asked {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            asked if self.is_system => {
                // The dot says that the name is whole.
                let found = by_system(&std::format!("{name}.")).await;
                found.or(asked)
            }
            asked => asked,
        }
    }

    /// The addresses of a name that somebody typed: as the system looks names up, `/etc/hosts` and the
    /// search list included. When it finds nothing, the one name server is asked, where one is set.
    pub async fn addresses_by_hand(
        &self,
        name: &DomainName,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        match by_system(name.as_str()).await {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            found if self.is_system => found,
            _ => self.ask_for_addresses(name, rng).await,
        }
    }

    /// Where a host is that somebody typed, by [`addresses_by_hand`](Self::addresses_by_hand); at least
    /// one address.
    ///
    /// # Errors
    ///
    /// There is none; why, for people.
    pub async fn addresses_of(
        &self,
        host: &Host,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<SocketAddr>, String> {
        let found = match &host.name {
            HostName::Address(address) => std::vec![*address],
            HostName::Name(name) => {
                self.addresses_by_hand(name, rng).await.map_err(|error| error.to_string())?
            }
        };
        if found.is_empty() {
            return Err(std::format!("{} has none", host.name));
        }
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, host.port.get())).collect())
    }

    /// Asks for addresses of both families. One of them is enough.
    async fn ask_for_addresses(
        &self,
        name: &DomainName,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        let (aaaa, a) =
            (Query::new(RecordType::Aaaa, name, rng), Query::new(RecordType::A, name, rng));
        let ask = async |query: &Query| {
            let addresses = |message: &[u8]| {
                let answer = query.answer(message)?;
                Ok(answer.addresses(name).map(|address| address.ip).collect::<Vec<_>>())
            };
            self.ask(query, addresses).await.map(|(_, addresses)| addresses)
        };
        match tokio::join!(ask(&aaaa), ask(&a)) {
            (Err(error), Err(_)) => Err(error),
            (six, four) => Ok(alternately(&six.unwrap_or_default(), &four.unwrap_or_default())),
        }
    }
}

/// The addresses of a name as the system looks names up.
async fn by_system(name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let found = lookup_host((name, 0)).await;
    let found = found.map_err(|error| ResolveError::System(error.to_string()))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// One of the first list, one of the second, and so on: only a few are tried, and where one family does
/// not work the other should be among them.
fn alternately(first: &[IpAddr], second: &[IpAddr]) -> Vec<IpAddr> {
    let longer = first.len().max(second.len());
    let pairs = (0..longer).flat_map(|index| [first.get(index), second.get(index)]);
    pairs.flatten().copied().collect()
}

/// A name server's address; one of a single link with the number of the interface it is at.
fn name_server(ip: &ScopedIp) -> SocketAddr {
    match ip {
        ScopedIp::V6(ip, Some(scope)) => {
            SocketAddrV6::new(*ip, DNS_PORT, 0, interface_number(scope)).into()
        }
        ip => SocketAddr::new(ip.into(), DNS_PORT),
    }
}

/// The number of an interface of this name or number. 0, which is none, where there is no such: the
/// failure to reach the server then tells.
fn interface_number(scope: &str) -> u32 {
    scope.parse().unwrap_or_else(|_| {
        #[cfg(unix)]
        return nix::net::if_::if_nametoindex(scope).unwrap_or(0);
        #[cfg(not(unix))]
        0
    })
}

/// A name server as people name it: `IP`, `IP%INTERFACE`, `IP:PORT` or `[IPv6]:PORT`.
///
/// # Errors
///
/// It is none. The text says so.
pub fn parse_dns_server(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse().map(|address| name_server(&address));
    alone.or_else(|_| text.parse()).map_err(|_| {
        std::format!("\"{text}\" is no name server: an address, please, with or without a port")
    })
}

async fn udp<T>(
    server: SocketAddr,
    query: &Query,
    limit: Duration,
    judge: &mut impl FnMut(&[u8]) -> Result<T, AnswerError>,
) -> Result<T, ResolveError> {
    let network = |error: io::Error| ResolveError::Network(server, error.to_string());
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A new socket has a random port, and a connected one takes datagrams from nobody else.
    let socket = UdpSocket::bind((any, 0)).await.map_err(network)?;
    socket.connect(server).await.map_err(network)?;
    socket.send(query.as_bytes()).await.map_err(network)?;
    let deadline = Instant::now().checked_add(limit).unwrap_or_else(Instant::now);
    let mut message = [0; UDP_PAYLOAD_LEN];
    loop {
        let received = timeout_at(deadline, socket.recv(&mut message)).await;
        let Ok(received) = received else { return Err(ResolveError::Silent(server)) };
        let length = received.map_err(network)?;
        match judge(message.get(..length).unwrap_or_default()) {
            // Whoever guesses the port must not end the query by a guess at the rest.
            Err(AnswerError::NotOurs) => {}
            judged => return judged.map_err(|error| ResolveError::Answer(server, error)),
        }
    }
}

async fn tcp<T>(
    server: SocketAddr,
    query: &Query,
    limit: Duration,
    judge: &mut impl FnMut(&[u8]) -> Result<T, AnswerError>,
) -> Result<T, ResolveError> {
    let talk = async {
        let mut stream = TcpStream::connect(server).await?;
        let question = query.as_bytes();
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
        let length = stream.read_u16().await?;
        let mut message = std::vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    match timeout(limit, talk).await {
        Err(_) => Err(ResolveError::Silent(server)),
        Ok(Err(error)) => Err(ResolveError::Network(server, io::Error::to_string(&error))),
        Ok(Ok(message)) => judge(&message).map_err(|error| ResolveError::Answer(server, error)),
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(server, error) => write!(f, "name server {server}: {error}"),
            Self::Silent(server) => write!(f, "name server {server} does not answer"),
            Self::Answer(server, error) => write!(f, "name server {server}: {error}"),
            Self::System(error) => f.write_str(error),
        }
    }
}

impl core::error::Error for ResolveError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_the_c_library_does() {
        let text = b"nameserver 192.0.2.1\nnonsense\nnameserver 2001:db8::1\n\
                     search corp.example example\noptions timeout:3 attempts:9\n";
        let resolver = Resolver::of_resolv_conf(text);
        assert_eq!(
            resolver.servers(),
            ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()]
        );
        assert_eq!((resolver.timeout.as_secs(), resolver.attempts), (3, 5));
        let names = |machine| {
            let domains = resolver.domains(machine).into_iter();
            domains.map(|domain| domain.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("host"), ["corp.example", "example"]);
        assert_eq!(names("host.lab.example"), ["lab.example", "corp.example", "example"]);
        assert_eq!(names("host.example"), ["example", "corp.example"]);
        assert_eq!(
            Resolver::of_resolv_conf(b"").servers(),
            ["127.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]
        );
    }

    #[test]
    fn name_servers_of_one_link_keep_their_interface() {
        let resolver = Resolver::of_resolv_conf(b"nameserver fe80::1%7\n");
        let SocketAddr::V6(server) = resolver.servers()[0] else { panic!("{resolver:?}") };
        assert_eq!((server.scope_id(), server.port()), (7, DNS_PORT));
        let SocketAddr::V6(server) = parse_dns_server("fe80::1%no0such").unwrap() else { panic!() };
        assert_eq!(server.scope_id(), 0);
        #[cfg(target_os = "linux")]
        {
            let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap();
            let server = Resolver::of_resolv_conf(b"nameserver fe80::1%lo\n").servers()[0];
            let expected = std::format!("[fe80::1%{}]:53", index.trim());
            assert_eq!(server.to_string(), expected);
        }
    }

    #[test]
    fn families_take_turns() {
        let ips = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let (six, four) = (ips(&["::1", "::2", "::3"]), ips(&["127.0.0.1"]));
        assert_eq!(alternately(&six, &four), ips(&["::1", "127.0.0.1", "::2", "::3"]));
        assert_eq!(alternately(&[], &four), four);
    }
}
