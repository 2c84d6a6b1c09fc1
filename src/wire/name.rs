//! Names of workstations and hosts: UTF-8, at most 64 bytes (PROTOCOL 1).

use core::fmt;

use super::error::{Fault, Malformed};
use super::parse::Fields;

/// Bytes that a name takes in a frame.
pub const NAME_LEN: usize = 64;

/// A name of 0 to 64 bytes of UTF-8 without a zero byte, borrowed from where it stands.
///
/// It is kept as the bytes that were found to be UTF-8: so a host that never shows it needs no more
/// than the finding.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Name<'a>(&'a [u8]);

/// A text that cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvalidName {
    /// It is longer than 64 bytes; this many it has.
    TooLong(usize),
    /// It has a zero byte at this index.
    ZeroByte(usize),
}

impl<'a> Name<'a> {
    /// The name of nobody.
    pub const EMPTY: Self = Self(&[]);

    /// Checks the text.
    pub fn new(text: &'a str) -> Result<Self, InvalidName> {
        if let Some(index) = text.bytes().position(|byte| byte == 0) {
            return Err(InvalidName::ZeroByte(index));
        }
        if text.len() > NAME_LEN {
            Err(InvalidName::TooLong(text.len()))
        } else {
            Ok(Self(text.as_bytes()))
        }
    }

    /// The name, cut before its first zero byte and to the characters that fit into 64 bytes.
    #[must_use]
    pub fn truncated(text: &'a str) -> Self {
        let text = text.split('\0').next().unwrap_or_default();
        let end = (0..=NAME_LEN.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        Self(text.get(..end.unwrap_or(0)).unwrap_or_default().as_bytes())
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        match core::str::from_utf8(self.0) {
            Ok(text) => text,
            // No other bytes are ever kept.
            Err(_) => "",
        }
    }

    /// The 64 bytes of a frame, padded with zeros.
    #[must_use]
    pub fn to_bytes(self) -> [u8; NAME_LEN] {
        let mut bytes = [0; NAME_LEN];
        self.emit(&mut bytes);
        bytes
    }

    /// Writes the name to the start of bytes that are zero.
    pub(super) fn emit(self, to: &mut [u8]) {
        for (to, from) in to.iter_mut().zip(self.0) {
            *to = *from;
        }
    }

    /// Reads the 64 bytes of a frame. The error names the byte among them.
    pub(super) fn parse(bytes: &'a [u8; NAME_LEN]) -> Result<Self, Malformed> {
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN);
        let (text, padding) = bytes.split_at_checked(length).unwrap_or_default();
        let valid = valid_up_to(text);
        if valid < length {
            return Err(Malformed::at(valid, Fault::NameEncoding));
        }
        match padding.iter().position(|byte| *byte != 0) {
            Some(index) => Err(Malformed::at(length.saturating_add(index), Fault::NamePadding)),
            None => Ok(Self(text)),
        }
    }

    pub(super) fn read(fields: &mut Fields<'a>) -> Option<Self> {
        fields.chunk(Self::parse)
    }
}

/// Where the first sequence of bytes begins that is not UTF-8 (RFC 3629), or the end. The standard
/// library's check, which is made for long texts, takes 550 bytes of flash.
fn valid_up_to(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        // How many bytes follow, and what the first of those may be.
        let (more, least, most) = match first {
            0x00..=0x7f => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => break,
        };
        let Some((sequence, after)) = tail.split_at_checked(more) else { break };
        let fits = |byte: &u8| (0x80..=0xbf).contains(byte);
        let begins_well = sequence.first().is_none_or(|byte| (least..=most).contains(byte));
        if !begins_well || !sequence.iter().all(fits) {
            break;
        }
        rest = after;
    }
    text.len().saturating_sub(rest.len())
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Name").field(&self.as_str()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Name<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Name({=str})", self.as_str());
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => write!(f, "{length} bytes long, a name has at most 64"),
            Self::ZeroByte(index) => write!(f, "a name has no zero byte, this one at {index}"),
        }
    }
}

impl core::error::Error for InvalidName {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every first byte with every second, and all that may decide of a third and fourth.
    #[test]
    fn utf_8_is_what_the_standard_library_says() {
        let edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xf4, 0xff];
        for (first, second) in (0..=255).flat_map(|a| (0..=255).map(move |b| (a, b))) {
            for (third, fourth) in edges.iter().flat_map(|a| edges.map(|b| (*a, b))) {
                let bytes = [first, second, third, fourth];
                for length in 0..=4 {
                    let text = &bytes[..length];
                    let expected =
                        core::str::from_utf8(text).map_or_else(|e| e.valid_up_to(), str::len);
                    assert_eq!(valid_up_to(text), expected, "{text:x?}");
                }
            }
        }
    }
}
