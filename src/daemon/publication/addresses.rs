//! The addresses that a host can be reached at.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeSet;
use std::vec::Vec;

use crate::daemon::Listen;

/// Addresses of this machine that others can reach: none of loopback, of one link or of a group, and
/// none of those that IPv6 makes up for a day.
pub(super) fn of_this_machine() -> BTreeSet<IpAddr> {
    let mut addresses = interface_addresses();
    let passing = passing_addresses();
    addresses.retain(|address| is_for_others(*address) && !passing.contains(address));
    addresses
}

/// Those of them that a host listens on.
pub(super) fn listened_on(listen: &[Listen], machine: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
    let listen: Vec<_> = listen
        .iter()
        .filter(|listen| listen.tcp || listen.udp)
        .map(|listen| listen.address.ip())
        .collect();
    let is_listened_on = |address: &&IpAddr| {
        listen.iter().any(|listen| {
            let all = listen.is_unspecified() && listen.is_ipv4() == address.is_ipv4();
            all || listen == *address
        })
    };
    machine.iter().filter(is_listened_on).copied().collect()
}

fn is_for_others(address: IpAddr) -> bool {
    let of_one_link = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || of_one_link)
}

#[cfg(unix)]
fn interface_addresses() -> BTreeSet<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
    });
    addresses.collect()
}

#[cfg(not(unix))]
fn interface_addresses() -> BTreeSet<IpAddr> {
    BTreeSet::new()
}

/// IPv6 addresses that Linux marks as temporary, deprecated or not usable yet.
fn passing_addresses() -> BTreeSet<IpAddr> {
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    text.lines().filter_map(passing_address).collect()
}

/// A line of `/proc/net/if_inet6`: address, interface, prefix, scope, flags, name.
fn passing_address(line: &str) -> Option<IpAddr> {
    /// `IFA_F_TEMPORARY`, `IFA_F_DADFAILED`, `IFA_F_DEPRECATED`, `IFA_F_TENTATIVE`.
    const PASSING: u32 = 0x01 | 0x08 | 0x20 | 0x40;
    let mut fields = line.split_whitespace();
    let address = u128::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    (flags & PASSING != 0).then(|| Ipv6Addr::from_bits(address).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> BTreeSet<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_what_others_can_reach() {
        for text in
            ["127.0.0.1", "::1", "169.254.3.4", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::"]
        {
            assert!(!is_for_others(text.parse().unwrap()), "{text}");
        }
        for text in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"] {
            assert!(is_for_others(text.parse().unwrap()), "{text}");
        }
        assert!(of_this_machine().into_iter().all(is_for_others));
    }

    #[test]
    fn only_where_the_host_listens() {
        let machine = addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        let listen = |text: &str, tcp| Listen { address: text.parse().unwrap(), tcp, udp: false };
        for (listen, expected) in [
            (std::vec![listen("0.0.0.0:1", true)], addresses(&["192.0.2.1", "192.0.2.2"])),
            (
                std::vec![listen("[::]:1", true), listen("192.0.2.2:1", true)],
                addresses(&["192.0.2.2", "2001:db8::1"]),
            ),
            (std::vec![listen("0.0.0.0:1", false)], addresses(&[])),
            (std::vec![listen("192.0.2.9:1", true)], addresses(&[])),
        ] {
            assert_eq!(listened_on(&listen, &machine), expected);
        }
    }

    #[test]
    fn temporary_addresses_pass() {
        let line =
            |flags| std::format!("20010db8000000000000000000000001 02 40 00 {flags}     eth0");
        assert_eq!(passing_address(&line("01")), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(passing_address(&line("a0")), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(passing_address(&line("80")), None);
        assert_eq!(passing_address("nonsense"), None);
    }
}
