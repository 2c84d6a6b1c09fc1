//! Names of hosts and services in DNS.

use core::fmt::{self, Write as _};
use core::str::FromStr;

/// Characters of a name at most, without the dot that ends it (RFC 1035 2.3.4: 255 bytes of wire).
const NAME_LEN: usize = 253;

/// Characters of a label at most.
const LABEL_LEN: usize = 63;

/// A host's or service's name in DNS: at most 253 characters in lower case and without the dot at
/// its end; labels of 1 to 63 letters, digits, hyphens and underscores.
///
/// DNS itself allows any byte and does not tell upper from lower case. A name that people give to a
/// host has no others than these, and what is written in lower case compares byte by byte.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(heapless::String<NAME_LEN, u8>);

/// A text that is no name, and the byte at which it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvalidDomainName {
    /// There is nothing. The root of DNS is written as a dot.
    Empty,
    /// The label that begins here does not fit: with it the name has more than 253 characters.
    TooLong(usize),
    /// No label between two dots, or before the first.
    EmptyLabel(usize),
    /// The label that begins here has more than 63 characters.
    LabelTooLong(usize),
    /// Neither letter, digit, hyphen nor underscore.
    Character(usize),
}

/// The transport protocol in a service's name (RFC 2782).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Proto {
    /// `_tcp`.
    Tcp,
    /// `_udp`.
    Udp,
}

impl Proto {
    /// The label that stands for it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tcp => "_tcp",
            Self::Udp => "_udp",
        }
    }
}

impl DomainName {
    /// The root of DNS, a dot. As the target of an SRV record it means that the service is not
    /// there (RFC 2782).
    pub const ROOT: Self = Self(heapless::String::new());

    /// Takes the text in any case, with or without the dot at its end.
    pub fn parse(text: &str) -> Result<Self, InvalidDomainName> {
        let mut name = Self::ROOT;
        if text == "." {
            return Ok(name);
        }
        if text.is_empty() {
            return Err(InvalidDomainName::Empty);
        }
        let mut offset = 0_usize;
        let labels = text.strip_suffix('.').unwrap_or(text);
        // Bytes, because splitting a text is code that can panic.
        for label in labels.as_bytes().split(|byte| *byte == b'.') {
            name.push(label).map_err(|fault| fault.moved(offset))?;
            offset = offset.saturating_add(label.len()).saturating_add(1);
        }
        Ok(name)
    }

    /// The name of a label below this one: `child("host1")` of `example.com` is
    /// `host1.example.com`.
    ///
    /// # Errors
    ///
    /// The label is no label, or the whole would have more than 253 characters; offsets are those of
    /// the whole.
    pub fn child(&self, label: &str) -> Result<Self, InvalidDomainName> {
        let mut name = Self::ROOT;
        name.push(label.as_bytes())?;
        let offset = name.0.len().saturating_add(1);
        for label in self.labels() {
            // What is left of a name is a name: only its length can be wrong.
            name.push(label).map_err(|_| InvalidDomainName::TooLong(offset))?;
        }
        Ok(name)
    }

    /// The name that a service's SRV records have (RFC 2782): the label is the service's as it
    /// stands in DNS, with its underscore, `_headcount` by default (PROTOCOL 12).
    ///
    /// # Errors
    ///
    /// As with [`child`](Self::child).
    pub fn service(label: &str, proto: Proto, domain: &Self) -> Result<Self, InvalidDomainName> {
        domain.child(proto.label())?.child(label)
    }

    /// The name without the dot at its end; of the root, nothing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels from left to right; none of the root.
    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        self.0.as_bytes().split(|byte| *byte == b'.').filter(|label| !label.is_empty())
    }

    /// Adds a label at the end. After an error the name is not to be used.
    pub(super) fn push(&mut self, label: &[u8]) -> Result<(), InvalidDomainName> {
        if label.is_empty() {
            return Err(InvalidDomainName::EmptyLabel(0));
        }
        if label.len() > LABEL_LEN {
            return Err(InvalidDomainName::LabelTooLong(0));
        }
        let dot = if self.is_root() { "" } else { "." };
        self.0.push_str(dot).map_err(|_| InvalidDomainName::TooLong(0))?;
        for (index, byte) in label.iter().enumerate() {
            if !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_') {
                return Err(InvalidDomainName::Character(index));
            }
            let small = char::from(byte.to_ascii_lowercase());
            self.0.push(small).map_err(|_| InvalidDomainName::TooLong(0))?;
        }
        Ok(())
    }
}

impl InvalidDomainName {
    /// The same so many bytes further on.
    const fn moved(self, by: usize) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::TooLong(at) => Self::TooLong(at.saturating_add(by)),
            Self::EmptyLabel(at) => Self::EmptyLabel(at.saturating_add(by)),
            Self::LabelTooLong(at) => Self::LabelTooLong(at.saturating_add(by)),
            Self::Character(at) => Self::Character(at.saturating_add(by)),
        }
    }
}

impl FromStr for DomainName {
    type Err = InvalidDomainName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Without the dot at its end, but a dot for the root. [`DomainName::parse`] reads it again.
impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_root() { "." } else { self.as_str() })
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        fmt::Display::fmt(self, f)?;
        f.write_char('"')
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for DomainName {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", if self.is_root() { "." } else { self.as_str() });
    }
}

impl fmt::Display for InvalidDomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, at) = match *self {
            Self::Empty => return f.write_str("no name given"),
            Self::TooLong(at) => ("the name has more than 253 characters with the label", at),
            Self::EmptyLabel(at) => ("there is nothing between two dots, or before the first,", at),
            Self::LabelTooLong(at) => ("more than 63 characters between two dots,", at),
            Self::Character(at) => ("neither letter, digit, hyphen nor underscore", at),
        };
        write!(f, "{text} at byte {at}")
    }
}

impl core::error::Error for InvalidDomainName {}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use super::*;

    #[test]
    fn texts_that_are_names() {
        for (text, name) in [
            ("host1.example.com", "host1.example.com"),
            ("Host1.EXAMPLE.com.", "host1.example.com"),
            ("_headcount._tcp.example.com", "_headcount._tcp.example.com"),
            ("localhost", "localhost"),
            ("-", "-"),
            (".", ""),
        ] {
            let parsed = DomainName::parse(text).unwrap();
            assert_eq!(parsed.as_str(), name);
            assert_eq!(parsed.is_root(), name.is_empty());
            assert_eq!(parsed, format!("{parsed}").parse().unwrap());
        }
        let longest = [["a"; 63].concat().as_str(); 4].join(".");
        assert_eq!(DomainName::parse(&longest[2..]).unwrap().as_str(), &longest[2..]);
    }

    #[test]
    fn texts_that_are_not() {
        use InvalidDomainName as E;
        let label = String::from_utf8([b'a'; 64].to_vec()).unwrap();
        let longest = [&label[1..]; 4].join(".");
        let wide = format!("a.{label}.b");
        for (text, error) in [
            ("", E::Empty),
            ("..", E::EmptyLabel(0)),
            (".a", E::EmptyLabel(0)),
            ("a..b", E::EmptyLabel(2)),
            ("a.b..", E::EmptyLabel(4)),
            ("host 1", E::Character(4)),
            ("a.höst", E::Character(3)),
            ("a.b\0", E::Character(3)),
            (&wide, E::LabelTooLong(2)),
            (&longest, E::TooLong(192)),
            (&longest[1..], E::TooLong(191)),
        ] {
            assert_eq!(DomainName::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn names_below_a_name() {
        let domain = DomainName::parse("example.com").unwrap();
        let service = DomainName::service("_headcount", Proto::Udp, &domain).unwrap();
        assert_eq!(service.as_str(), "_headcount._udp.example.com");
        assert_eq!(DomainName::ROOT.child("Com").unwrap().as_str(), "com");
        assert_eq!(domain.child("a.b"), Err(InvalidDomainName::Character(1)));
        assert_eq!(domain.child(""), Err(InvalidDomainName::EmptyLabel(0)));
        let long = [["a"; 63].concat().as_str(); 4].join(".");
        let long = DomainName::parse(&long[2..]).unwrap();
        assert_eq!(long.child("b"), Err(InvalidDomainName::TooLong(2)));
    }
}
