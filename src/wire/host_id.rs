//! The host id as people see it: 35 decimal digits in seven groups of five (PROTOCOL 7).

use core::fmt;
use core::str::FromStr;

const DIGITS: usize = 35;
const GROUP: usize = 5;

/// A host id: 116 bits, the name of a host's public key for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u128);

/// The text is not a host id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvalidHostId {
    /// There are not 35 digits; this many there are.
    Length(usize),
    /// The character at this byte is neither digit nor hyphen nor space.
    Character(usize),
    /// 35 digits, but above 2^116 - 1.
    Range,
}

impl HostId {
    /// The first 116 bits of a digest.
    #[must_use]
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        let (first, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        Self(u128::from_be_bytes(*first) >> 12)
    }

    /// The number, below 2^116.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; DIGITS];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0'.saturating_add((rest % 10) as u8);
            rest /= 10;
        }
        for (index, group) in digits.as_chunks::<GROUP>().0.iter().enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            f.write_str(core::str::from_utf8(group).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl FromStr for HostId {
    type Err = InvalidHostId;

    fn from_str(text: &str) -> Result<Self, InvalidHostId> {
        let mut value: u128 = 0;
        let mut digits: usize = 0;
        for (index, character) in text.char_indices() {
            if matches!(character, '-' | ' ') {
                continue;
            }
            let digit = character.to_digit(10).ok_or(InvalidHostId::Character(index))?;
            digits = digits.saturating_add(1);
            value = value.saturating_mul(10).saturating_add(u128::from(digit));
        }
        match digits {
            DIGITS if value >> 116 == 0 => Ok(Self(value)),
            DIGITS => Err(InvalidHostId::Range),
            other => Err(InvalidHostId::Length(other)),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for HostId {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

impl fmt::Display for InvalidHostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(digits) => write!(f, "{digits} digits, a host id has {DIGITS}"),
            Self::Character(index) => write!(f, "no digit at byte {index} of the host id"),
            Self::Range => f.write_str("a number above any host id: check the digits"),
        }
    }
}

impl core::error::Error for InvalidHostId {}
