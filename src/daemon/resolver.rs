//! Questions to name servers over tokio sockets (RFC 1035 4.2): those of the system, or one that a
//! configuration names.

use core::fmt;
use core::time::Duration;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use rand_core::CryptoRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::discovery::DomainName;
use crate::discovery::message::{AnswerError, Query, RecordType, UDP_PAYLOAD_LEN};

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
            servers: servers.map(|server| SocketAddr::new(server.into(), DNS_PORT)).collect(),
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

    /// The addresses of a name: as the system looks names up, or from the one server. IPv6 addresses
    /// come first in the latter case.
    pub async fn addresses(
        &self,
        name: &DomainName,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        if self.is_system {
            let found = lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|error| ResolveError::System(error.to_string()))?;
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found.map(|address| address.ip()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            return Ok(addresses);
        }
        let mut addresses = Vec::new();
        for record_type in [RecordType::Aaaa, RecordType::A] {
            let query = Query::new(record_type, name, rng);
            let answer = |message: &[u8]| {
                let answer = query.answer(message)?;
                Ok(answer.addresses(name).map(|address| address.ip).collect::<Vec<_>>())
            };
            addresses.extend(self.ask(&query, answer).await?.1);
        }
        Ok(addresses)
    }
}

/// A name server as people name it: `IP`, `IP:PORT` or `[IPv6]:PORT`.
///
/// # Errors
///
/// It is none. The text says so.
pub fn parse_dns_server(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
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
}
