//! Product keys as text: 25 Crockford base-32 symbols in five groups (PROTOCOL 7).
//!
//! This module knows the bits. Whether the check bits fit needs a digest:
//! [`ProductKey`](crate::trust::ProductKey).

use core::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::id::KeyId;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SYMBOLS: usize = 25;
const GROUP: usize = 5;

const SECRET_BITS: u32 = 72;
const CHECK_BITS: u32 = 18;

/// What a product key is for (PROTOCOL 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum KeyKind {
    /// Enrols hosts.
    Host = 1,
    /// Activates single machines at the authority.
    MultipleActivation = 2,
    /// Ships in every unit: keys the tags of requests to hosts.
    ClientSetup = 3,
}

/// The fields of a product key whose check bits have not been compared.
#[derive(Clone, PartialEq, Eq)]
pub struct UncheckedKey {
    /// What the key is for.
    pub kind: KeyKind,
    /// Its number.
    pub key_id: KeyId,
    /// 72 bits of secret.
    pub secret: [u8; 9],
    /// 18 check bits.
    pub check: u32,
}

/// A text that is no product key. Symbols are counted from 1, without the hyphens, as people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvalidKeyText {
    /// There are not 25 symbols; this many there are.
    Length(usize),
    /// This symbol is none of the alphabet (`U` and punctuation are not).
    Symbol(usize),
    /// Its kind is none of 1, 2 and 3.
    Kind(u8),
    /// The check bits do not fit: a typing error somewhere in the key.
    Check,
}

impl UncheckedKey {
    /// Reads a text: case is ignored, `I` and `L` are read as 1 and `O` as 0, hyphens and spaces
    /// are skipped.
    pub fn from_text(text: &str) -> Result<Self, InvalidKeyText> {
        let mut bits = Zeroizing::new(0_u128);
        let mut count: usize = 0;
        for character in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            count = count.saturating_add(1);
            if count <= SYMBOLS {
                let value = symbol_value(character).ok_or(InvalidKeyText::Symbol(count))?;
                *bits = *bits << 5 | u128::from(value);
            }
        }
        if count != SYMBOLS {
            return Err(InvalidKeyText::Length(count));
        }
        let check = *bits as u32 & ((1 << CHECK_BITS) - 1);
        let secret = Zeroizing::new((*bits >> CHECK_BITS).to_be_bytes());
        let (_, secret) = secret.split_last_chunk::<9>().unwrap_or((&[], &[0; 9]));
        let key_id = KeyId((*bits >> (CHECK_BITS + SECRET_BITS)) as u32);
        let kind = match (*bits >> (CHECK_BITS + SECRET_BITS + 32)) as u8 {
            1 => KeyKind::Host,
            2 => KeyKind::MultipleActivation,
            3 => KeyKind::ClientSetup,
            other => return Err(InvalidKeyText::Kind(other)),
        };
        Ok(Self { kind, key_id, secret: *secret, check })
    }

    /// Writes the text, in upper case with hyphens.
    #[must_use]
    pub fn to_text(&self) -> KeyText {
        let bits = Zeroizing::new(self.unchecked_bits() << CHECK_BITS | u128::from(self.check));
        let mut text = KeyText([b'-'; KeyText::LEN]);
        let places = text.0.iter_mut().enumerate();
        let places =
            places.filter(|(index, _)| index % (GROUP + 1) != GROUP).map(|(_, place)| place);
        let mut shift = (SYMBOLS * 5) as u32;
        for place in places {
            shift = shift.saturating_sub(5);
            let index = (bits.checked_shr(shift).unwrap_or(0) & 0x1f) as usize;
            *place = ALPHABET.get(index).copied().unwrap_or(b'0');
        }
        text
    }

    /// The 107 bits that the check covers, followed by 5 zero bits, as 14 bytes.
    #[must_use]
    pub(crate) fn check_input(&self) -> [u8; 14] {
        let bytes = (self.unchecked_bits() << 5).to_be_bytes();
        let (_, last) = bytes.split_last_chunk::<14>().unwrap_or((&[], &[0; 14]));
        *last
    }

    /// The check bits that a digest gives: its first 18.
    #[must_use]
    pub(crate) fn check_from_digest(digest: &[u8; 32]) -> u32 {
        let (first, _) = digest.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        u32::from_be_bytes(*first) >> (32 - CHECK_BITS)
    }

    fn unchecked_bits(&self) -> u128 {
        let secret = self.secret.iter().fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
        ((self.kind as u128) << 32 | u128::from(self.key_id.0)) << SECRET_BITS | secret
    }
}

fn symbol_value(character: char) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    let index = ALPHABET.iter().position(|symbol| char::from(*symbol) == upper)?;
    u8::try_from(index).ok()
}

impl Drop for UncheckedKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for UncheckedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} key {} (secret hidden)", self.kind, self.key_id.0)
    }
}

/// A product key's text: 29 characters with the hyphens. It is a secret: it is wiped when dropped
/// and has no `Debug` that shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText([u8; Self::LEN]);

impl KeyText {
    /// Characters of the text, hyphens included.
    pub const LEN: usize = SYMBOLS + SYMBOLS / GROUP - 1;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Drop for KeyText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

impl fmt::Display for InvalidKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(symbols) => write!(f, "{symbols} symbols, a product key has {SYMBOLS}"),
            Self::Symbol(index) => write!(f, "symbol {index} of the product key does not exist"),
            Self::Kind(kind) => write!(f, "product key of kind {kind}, known are 1, 2 and 3"),
            Self::Check => {
                f.write_str("the product key has a typing error: its check does not fit")
            }
        }
    }
}

impl core::error::Error for InvalidKeyText {}
