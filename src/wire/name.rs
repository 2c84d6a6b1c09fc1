//! Names of workstations and hosts: UTF-8, at most 64 bytes (PROTOCOL 1).

use core::fmt;

use super::error::Fault;
use super::parse::Fields;

/// Bytes that a name takes in a frame.
pub const NAME_LEN: usize = 64;

/// A name of 0 to 64 bytes of UTF-8 without a zero byte, borrowed from where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Name<'a>(&'a str);

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
    pub const EMPTY: Self = Self("");

    /// Checks the text.
    pub fn new(text: &'a str) -> Result<Self, InvalidName> {
        if let Some(index) = text.bytes().position(|byte| byte == 0) {
            return Err(InvalidName::ZeroByte(index));
        }
        if text.len() > NAME_LEN { Err(InvalidName::TooLong(text.len())) } else { Ok(Self(text)) }
    }

    /// The name, cut before its first zero byte and to the characters that fit into 64 bytes.
    #[must_use]
    pub fn truncated(text: &'a str) -> Self {
        let text = text.split('\0').next().unwrap_or_default();
        let end = (0..=NAME_LEN.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        Self(text.get(..end.unwrap_or(0)).unwrap_or_default())
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// The 64 bytes of a frame, padded with zeros.
    #[must_use]
    pub fn to_bytes(self) -> [u8; NAME_LEN] {
        let mut bytes = [0; NAME_LEN];
        for (to, from) in bytes.iter_mut().zip(self.0.bytes()) {
            *to = from;
        }
        bytes
    }

    pub(super) fn read(fields: &mut Fields<'a>) -> Option<Self> {
        let start = fields.rest();
        let length = start.iter().take(NAME_LEN).take_while(|byte| **byte != 0).count();
        let text = fields.take(length)?;
        fields.zeros(NAME_LEN.saturating_sub(length), Fault::NamePadding);
        match core::str::from_utf8(text) {
            Ok(text) => Some(Self(text)),
            Err(error) => {
                let wrong = start.get(error.valid_up_to()..).unwrap_or_default();
                fields.fail(wrong, Fault::NameEncoding);
                None
            }
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
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
