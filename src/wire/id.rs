//! Identifiers: each in a type of its own, so that one cannot stand where another is meant.

use core::fmt;
use core::str::FromStr;

use uuid::Uuid;

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a UUID of the form 01234567-89ab-cdef-0123-456789abcdef")
    }
}

impl core::error::Error for InvalidId {}

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(Uuid::from_bytes(self.0).as_hyphenated(), f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(|id| Self(id.into_bytes())).map_err(|_| InvalidId)
            }
        }
    };
}

uuid_type! {
    /// The product, for all its editions (PROTOCOL 3, offset 16).
    ApplicationId
}
uuid_type! {
    /// The product's edition, also called SKU (PROTOCOL 3, offset 32).
    ActivationId
}
uuid_type! {
    /// The pool whose machines are counted together (PROTOCOL 3, offset 48).
    CountedId
}

/// A client machine id: what a host counts (PROTOCOL 3, offset 64). Never all zero.
///
/// It identifies a customer's machine, so `Debug` and `defmt` show only its last two bytes. It is
/// shown whole where a person asks for it, through `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cmid([u8; 16]);

impl Cmid {
    /// Of no machine: it is not random, nor has it the bits of a UUID.
    pub(crate) const NOBODY: Self = Self([0xff; 16]);

    /// `None` for sixteen zero bytes, which stand for "no CMID" on the wire.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// A new random CMID. It has the version and variant bits of a random UUID (RFC 9562), so it
    /// is never zero, whatever the generator yields.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let mut id = bytes;
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        Self(id)
    }

    /// The sixteen bytes, in the order in which they are written.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The wire form of an optional CMID: sixteen zero bytes when there is none.
    #[must_use]
    pub(crate) fn optional_bytes(cmid: Option<Self>) -> [u8; 16] {
        cmid.map_or([0; 16], |cmid| cmid.0)
    }
}

impl fmt::Debug for Cmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., a, b] = self.0;
        write!(f, "Cmid(..{a:02x}{b:02x})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Cmid {
    fn format(&self, f: defmt::Formatter<'_>) {
        let [.., a, b] = self.0;
        defmt::write!(f, "Cmid(..{=u8:02x}{=u8:02x})", a, b);
    }
}

impl fmt::Display for Cmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(Uuid::from_bytes(self.0).as_hyphenated(), f)
    }
}

impl FromStr for Cmid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
        Self::new(id.into_bytes()).ok_or(InvalidId)
    }
}

/// A machine as the authority's records know it: 160 bits of a digest of product, CMID and
/// fingerprint (PROTOCOL 14), made by [`machine_digest`](crate::trust::machine_digest).
///
/// It identifies a customer's machine, so `Debug` and `defmt` show only its last two bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineDigest(pub [u8; 20]);

impl fmt::Debug for MachineDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., a, b] = self.0;
        write!(f, "MachineDigest(..{a:02x}{b:02x})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for MachineDigest {
    fn format(&self, f: defmt::Formatter<'_>) {
        let [.., a, b] = self.0;
        defmt::write!(f, "MachineDigest(..{=u8:02x}{=u8:02x})", a, b);
    }
}

/// The number of a product key, which its text carries and every request names (PROTOCOL 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeyId(pub u32);

/// Sixteen random bytes, fresh for every new request, so that an old answer fits no new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nonce(pub [u8; 16]);

/// An Ed25519 public key as it stands on the wire: not yet checked to be a point (PROTOCOL 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_cmid_is_a_random_uuid() {
        for bytes in [[0; 16], [0xff; 16], [0x5a; 16], [0xa5; 16]] {
            let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
            assert_eq!(Cmid::from_random(bytes).as_bytes(), uuid.as_bytes());
        }
    }
}
