//! Names in DNS, as far as hosts, domains and zones have them.

use std::string::String;
use std::vec::Vec;

use domain::base::Name;
use domain::base::name::{Label, ToName};

/// A whole name, in lower case.
pub(super) type DnsName = Name<Vec<u8>>;

/// Reads a name with or without the dot at its end: labels of letters, digits, `-` and `_`. Others
/// exist, and clients would pass over a host with such a name.
pub(super) fn parse(text: &str) -> Result<DnsName, String> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(is_allowed)
    };
    let fail = || std::format!("\"{text}\" is no name such as \"example.org\"");
    if !bare.split('.').all(is_label) {
        return Err(fail());
    }
    DnsName::vec_from_str(bare).map(|name| canonical(&name)).map_err(|_| fail())
}

/// Any name in lower case.
pub(super) fn canonical(name: &impl ToName) -> DnsName {
    let mut name = name.to_vec();
    name.make_canonical();
    name
}

/// Whether a text is the label of a service (RFC 6335, section 5.1): a small one behind a `_`.
pub(super) fn is_service(text: &str) -> bool {
    let is_word = |rest: &str| !rest.is_empty() && !rest.contains('.') && rest.len() <= 62;
    text.strip_prefix('_').is_some_and(is_word) && parse(text).is_ok()
}

/// What names are asked.
pub(super) trait Named: Sized {
    /// `_headcount._tcp` and the like before a domain; `None` when that gets too long.
    fn service(&self, service: &str, transport: &str) -> Option<Self>;

    /// Whether it is that zone's, or below it.
    fn is_within(&self, zone: &Self) -> bool;
}

impl Named for DnsName {
    fn service(&self, service: &str, transport: &str) -> Option<Self> {
        let labels = [service, transport].map(|label| Label::from_slice(label.as_bytes()));
        let mut octets = Vec::new();
        for label in labels.into_iter().map(Result::ok).chain(self.iter().map(Some)) {
            let label = label?;
            octets.push(u8::try_from(label.len()).ok()?);
            octets.extend_from_slice(label.as_slice());
        }
        Self::from_octets(octets).ok()
    }

    fn is_within(&self, zone: &Self) -> bool {
        self.ends_with(zone)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn names_are_read_in_lower_case() {
        for (text, name) in
            [("Example.ORG", "example.org"), ("a-1._b.", "a-1._b"), ("host", "host")]
        {
            assert_eq!(parse(text).unwrap().to_string(), name);
        }
        let long = "a".repeat(64);
        for text in ["", ".", "a..b", "a.b..", ".a", "a b", "a*", "ä", "a\\046b", &long] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&["a"; 128].join(".")).is_err());
    }

    #[test]
    fn a_service_is_below_its_domain() {
        let domain = parse("example.org").unwrap();
        let service = domain.service("_headcount", "_tcp").unwrap();
        assert_eq!(service, parse("_headcount._tcp.example.org").unwrap());
        assert!(service.is_within(&domain) && domain.is_within(&domain));
        assert!(!domain.is_within(&service));
        for (label, expected) in [
            ("_headcount", true),
            ("_a-1", true),
            ("headcount", false),
            ("_", false),
            ("_a._b", false),
        ] {
            assert_eq!(is_service(label), expected, "{label}");
        }
        assert!(!parse("badexample.org").unwrap().is_within(&domain));
        let longest = parse(&["a"; 120].join(".")).unwrap();
        assert!(longest.service("_headcount", "_tcp").is_none());
    }
}
