//! A host as people name it: `NAME[:PORT]`.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::num::NonZeroU16;
use core::str::FromStr;

use super::name::{DomainName, InvalidDomainName};
use crate::policy::PORT;

/// A host's name or address, without a port.
#[expect(clippy::large_enum_variant, reason = "there is no heap")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HostName {
    /// A name to be looked up.
    Name(DomainName),
    /// An address.
    Address(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] IpAddr),
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Host {
    /// Its name or address.
    pub name: HostName,
    /// Its port; [`PORT`] where people give none.
    pub port: NonZeroU16,
}

/// A text that is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvalidHost {
    /// What stands for the name is neither a name nor an address.
    Name(InvalidDomainName),
    /// What stands in brackets is no IPv6 address.
    Brackets,
    /// The port is no number from 1 to 65535.
    Port,
}

impl FromStr for HostName {
    type Err = InvalidDomainName;

    /// An IPv6 address stands as it is, without brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => match DomainName::parse(text)? {
                root if root.is_root() => Err(InvalidDomainName::Empty),
                name => Ok(Self::Name(name)),
            },
        }
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    /// `NAME`, `NAME:PORT`, or an address in place of the name; an IPv6 address in brackets, or
    /// without them where no port follows.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const DEFAULT: NonZeroU16 = NonZeroU16::MIN.saturating_add(PORT - 1);
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self { name: HostName::Address(address.into()), port: DEFAULT });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            _ => (text, None),
        };
        let port = match port.map(str::parse) {
            None => DEFAULT,
            Some(Ok(port)) => port,
            Some(Err(_)) => return Err(InvalidHost::Port),
        };
        let name = match name.strip_prefix('[') {
            None => name.parse().map_err(InvalidHost::Name)?,
            Some(rest) => {
                let address = rest.strip_suffix(']').and_then(|rest| rest.parse::<Ipv6Addr>().ok());
                HostName::Address(address.ok_or(InvalidHost::Brackets)?.into())
            }
        };
        Ok(Self { name, port })
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// With the port, also where it is the usual one.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            HostName::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            name => write!(f, "{name}:{}", self.port),
        }
    }
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(invalid) => invalid.fmt(f),
            Self::Brackets => f.write_str("in brackets stands no IPv6 address"),
            Self::Port => f.write_str("the port is a number from 1 to 65535"),
        }
    }
}

impl core::error::Error for InvalidHost {}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn port_is_added_only_where_there_is_none() {
        for (given, full) in [
            ("Counting", "counting:1688"),
            ("counting.example.:99", "counting.example:99"),
            ("192.0.2.1", "192.0.2.1:1688"),
            ("192.0.2.1:99", "192.0.2.1:99"),
            ("::1", "[::1]:1688"),
            ("2001:db8::5", "[2001:db8::5]:1688"),
            ("[::1]", "[::1]:1688"),
            ("[::1]:99", "[::1]:99"),
        ] {
            assert_eq!(given.parse::<Host>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        use InvalidDomainName as Name;
        for (given, error) in [
            ("", InvalidHost::Name(Name::Empty)),
            (":99", InvalidHost::Name(Name::Empty)),
            (".", InvalidHost::Name(Name::Empty)),
            ("a:", InvalidHost::Port),
            ("a:0", InvalidHost::Port),
            ("a:65536", InvalidHost::Port),
            ("a b", InvalidHost::Name(Name::Character(1))),
            ("a:b:1", InvalidHost::Name(Name::Character(1))),
            ("[::1", InvalidHost::Brackets),
            ("[a]:1", InvalidHost::Brackets),
        ] {
            assert_eq!(given.parse::<Host>(), Err(error), "{given}");
        }
    }
}
