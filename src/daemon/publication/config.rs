//! The `[dns]` of `host.toml`: whether, where and how a host publishes itself.

use std::path::PathBuf;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::name::{self, DnsName, Named as _};
use super::records::Owners;
use crate::daemon::{DNS_PORT, parse_dns_server};

/// The longest time to live that a record may have (RFC 2181, section 8).
const LONGEST_TTL: u32 = i32::MAX.cast_unsigned();
/// Labels of a name with a domain, counting the root.
const WHOLE: usize = 3;

/// Publication of a host in DNS (PROTOCOL 12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsConfig {
    /// Whether to publish at all.
    pub enabled: bool,
    /// The host's name that is published; the machine's full name when empty.
    pub target: String,
    /// The label of the service, which clients must be told when it is not `_headcount`.
    pub service: String,
    /// Where to publish it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<PublishIn>,
}

/// One `[[dns.publish]]`: a domain in which clients look for hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishIn {
    /// The domain, such as `example.org`.
    pub domain: String,
    /// Hosts with lower values are asked first.
    #[serde(default)]
    pub priority: u16,
    /// The share of clients that a host gets among those of one priority.
    #[serde(default = "default_weight")]
    pub weight: u16,
    /// The name server that takes updates, `ADDRESS`, `NAME` or either with a port; the primary one
    /// of the zone's SOA record when absent.
    #[serde(default)]
    pub server: Option<String>,
    /// File of the TSIG key, in the form of `tsig-keygen`. Updates are not signed when absent.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The zone that holds the domain; the server is asked when absent.
    #[serde(default)]
    pub zone: Option<String>,
    /// Whether to publish the machine's addresses under the host's name, too.
    #[serde(default)]
    pub addresses: bool,
    /// How many seconds resolvers may keep the records, 1 to 2147483647.
    #[serde(default = "default_ttl")]
    pub ttl: u32,
}

/// Not 0: among weights of 0 the choice is not at random, and there would be none below.
const fn default_weight() -> u16 {
    10
}

const fn default_ttl() -> u32 {
    3_600
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            target: String::new(),
            service: "_headcount".to_string(),
            publish: Vec::new(),
        }
    }
}

impl DnsConfig {
    /// Whether nothing was configured.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong, with the key's name.
    pub(in super::super) fn check(&self) -> Result<(), String> {
        if !self.target.is_empty() {
            let target = name::parse(&self.target);
            let target = target.map_err(|reason| std::format!("dns.target: {reason}"))?;
            if target.label_count() < WHOLE {
                return Err(std::format!("dns.target: \"{target}\" is without its domain"));
            }
        }
        if !name::is_service(&self.service) {
            return Err(std::format!(
                "dns.service: \"{}\" is no label such as \"_headcount\"",
                self.service
            ));
        }
        let mut domains = Vec::new();
        for publish in &self.publish {
            let domain = publish.check().map_err(|reason| {
                std::format!("dns.publish, domain \"{}\": {reason}", publish.domain)
            })?;
            if Owners::new(&self.service, &domain).is_none() {
                return Err(std::format!("dns.publish: the domain \"{domain}\" is too long"));
            }
            if domains.contains(&domain) {
                return Err(std::format!("dns.publish: the domain \"{domain}\" occurs twice"));
            }
            domains.push(domain);
        }
        Ok(())
    }
}

impl PublishIn {
    fn check(&self) -> Result<DnsName, String> {
        let domain = name::parse(&self.domain)?;
        if let Some(zone) = &self.zone {
            let zone = name::parse(zone).map_err(|reason| std::format!("zone: {reason}"))?;
            if !domain.is_within(&zone) {
                return Err(std::format!("it is not in the zone \"{zone}\""));
            }
        }
        if !(1..=LONGEST_TTL).contains(&self.ttl) {
            return Err(std::format!("ttl = {}: between 1 and {LONGEST_TTL}, please", self.ttl));
        }
        if let Some(server) = &self.server {
            with_port(server)?;
        }
        Ok(domain)
    }
}

/// A name server with its port: 53 where none is given.
pub(super) fn with_port(server: &str) -> Result<String, String> {
    let bare = server.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(server);
    if let Ok(address) = parse_dns_server(bare)
        && address.port() != 0
    {
        return Ok(address.to_string());
    }
    let no_server =
        || std::format!("server = \"{server}\": an address or name, and :PORT after it, please");
    let (name, port) = match server.rsplit_once(':') {
        None => (server, DNS_PORT),
        Some((name, port)) => (name, port.parse().map_err(|_| no_server())?),
    };
    match name::parse(name) {
        Ok(name) if port != 0 => Ok(std::format!("{name}:{port}")),
        _ => Err(no_server()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DnsConfig, String> {
        let config: DnsConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn a_domain_alone_is_enough() {
        let config = read("[[publish]]\ndomain = \"Example.ORG.\"").unwrap();
        assert!(config.enabled);
        let publish = &config.publish[0];
        assert_eq!((publish.priority, publish.weight, publish.ttl), (0, 10, 3_600));
        assert!(!publish.addresses && publish.server.is_none() && publish.key_file.is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, reason) in [
            ("target = \"a b\"", "dns.target: \"a b\" is no name"),
            ("target = \"host\"", "dns.target: \"host\" is without its domain"),
            ("service = \"headcount\"", "dns.service: \"headcount\" is no label"),
            ("[[publish]]\ndomain = \"\"", "\"\" is no name"),
            ("[[publish]]\ndomain = \"a.b\"\nzone = \"c.b\"", "not in the zone \"c.b\""),
            ("[[publish]]\ndomain = \"a.b\"\nttl = 0", "ttl = 0: between 1"),
            ("[[publish]]\ndomain = \"a.b\"\nttl = 2147483648", "ttl = 2147483648"),
            ("[[publish]]\ndomain = \"a.b\"\nserver = \"a b\"", "server = \"a b\": an address"),
            ("[[publish]]\ndomain = \"a.b\"\ncolour = 1", "unknown field `colour`"),
            ("[[publish]]\ndomain = \"a.b\"\n[[publish]]\ndomain = \"A.b.\"", "occurs twice"),
            ("[[publish]]\nweight = 1", "missing field `domain`"),
            ("domains = []", "unknown field `domains`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn servers_get_a_port() {
        for (given, full) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::5", "[2001:db8::5]:53"),
            ("[2001:db8::5]", "[2001:db8::5]:53"),
            ("[::1]:5353", "[::1]:5353"),
            ("ns.example.org", "ns.example.org:53"),
            ("ns:5353", "ns:5353"),
        ] {
            assert_eq!(with_port(given).as_deref(), Ok(full));
        }
        for given in ["", ":53", "ns:0", "ns:x", "192.0.2.1:0", "[ns]:53", "a b", "::1:x"] {
            assert!(with_port(given).is_err(), "{given}");
        }
    }
}
