//! The records as lines of a zone file, for servers that take no updates.

use core::fmt::Write as _;
use core::net::IpAddr;
use std::collections::BTreeSet;
use std::string::String;

use super::config::PublishIn;
use super::name::{DnsName, Named as _};
use super::records::{Owners, ServiceRecord, Target};

/// Lines for the zone of a domain, in the form of RFC 1035, section 5. Names are whole, so that they
/// stand anywhere in the file. Addresses are comments where the host does not publish them itself.
pub(super) fn write(
    domain: &DnsName,
    owners: &Owners,
    services: &[ServiceRecord],
    target: &Target,
    addresses: &BTreeSet<IpAddr>,
    settings: &PublishIn,
) -> String {
    let mut text = String::new();
    let PublishIn { ttl, .. } = settings;
    // Writing to a String does not fail.
    let _ = writeln!(text, "; How clients in {domain} find this host of headcount:");
    let _ =
        writeln!(text, "; priority (lower first), weight (share within one priority), port, host");
    for record in services {
        let owner = owners.of(record.transport);
        let _ = writeln!(text, "{owner}. {ttl} IN SRV {record}");
    }
    let zone = settings.zone.as_ref().and_then(|zone| super::name::parse(zone).ok());
    let in_zone = target.0.is_within(zone.as_ref().unwrap_or(domain));
    let mark = if settings.addresses && in_zone { "" } else { "; " };
    if !mark.is_empty() {
        let _ =
            writeln!(text, "; The host's name must have its addresses, here or in its own zone:");
    }
    for address in addresses {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        let _ = writeln!(text, "{mark}{target}. {ttl} IN {kind} {address}");
    }
    text
}
