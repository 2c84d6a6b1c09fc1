//! The certificate: what the vendor's root key says of a host key (PROTOCOL 4).

use super::error::{Fault, Malformed};
use super::id::PublicKey;
use super::parse::{self, Fields};
use super::{SIGNATURE_LEN, Signature};
use crate::cursor::Writer;
use crate::time::{EpochMinute, UnixTime};

/// Bytes of a certificate.
pub const CERTIFICATE_LEN: usize = 120;

/// Bytes of a certificate that the root key signs.
pub(crate) const CERTIFICATE_SIGNED_LEN: usize = CERTIFICATE_LEN - SIGNATURE_LEN;

/// A certificate as it stands in a response. That it was parsed says nothing of its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Certificate {
    /// What the root key says.
    pub claims: Claims,
    /// The root key's signature over the claims, not verified.
    pub signature: Signature,
}

/// The part of a certificate that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Claims {
    /// The key that signs responses.
    pub public_key: PublicKey,
    /// Serial number, unique for a root.
    pub serial: u64,
    /// First minute of validity.
    pub not_before: EpochMinute,
    /// Last minute of validity, itself included.
    pub not_after: EpochMinute,
    /// Which of the vendor's root keys signed.
    pub root_id: u16,
    /// What may be activated.
    pub coverage: Coverage,
    /// Whom the certificate is for.
    pub role: Role,
}

/// A place in the vendor's catalogue: of a product, or the highest that a certificate reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Coverage {
    /// Product family.
    pub family: u16,
    /// Product group; a certificate reaches this and all lower ones.
    pub rank: u8,
    /// Product generation; a certificate reaches this and all older ones.
    pub generation: u8,
}

impl Coverage {
    /// Whether a certificate with this coverage covers `product`: families are equal, the
    /// product's rank and generation are not above.
    #[must_use]
    pub const fn covers(&self, product: &Self) -> bool {
        self.family == product.family
            && product.rank <= self.rank
            && product.generation <= self.generation
    }
}

/// Whom a certificate is for, and so which method its holder answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Role {
    /// A host: answers requests by count.
    Host = 0,
    /// The authority: answers requests by key.
    Authority = 1,
}

impl Claims {
    /// Whether `time` lies within the dates, whose last minute is included.
    #[must_use]
    pub fn valid_at(&self, time: UnixTime) -> bool {
        let minute = time.as_secs() / 60;
        u64::from(self.not_before.0) <= minute && minute <= u64::from(self.not_after.0)
    }

    /// Writes the 56 bytes that the root key signs.
    #[must_use]
    pub(crate) fn emit(&self) -> [u8; CERTIFICATE_SIGNED_LEN] {
        let mut bytes = [0; CERTIFICATE_SIGNED_LEN];
        let mut writer = Writer::new(&mut bytes);
        writer
            .put(&self.public_key.0)
            .u64(self.serial)
            .u32(self.not_before.0)
            .u32(self.not_after.0)
            .u16(self.root_id)
            .u16(self.coverage.family)
            .u8(self.coverage.rank)
            .u8(self.coverage.generation)
            .u8(self.role as u8)
            .reserved::<1>()
            .finish();
        bytes
    }
}

impl Certificate {
    /// Reads a certificate outside a frame, for instance from a file.
    pub fn parse(bytes: &[u8; CERTIFICATE_LEN]) -> Result<Self, Malformed> {
        parse::all(bytes, Self::read)
    }

    /// Writes the 120 bytes.
    #[must_use]
    pub fn emit(&self) -> [u8; CERTIFICATE_LEN] {
        let mut bytes = [0; CERTIFICATE_LEN];
        Writer::new(&mut bytes).put(&self.claims.emit()).put(&self.signature.0).finish();
        bytes
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let public_key = PublicKey(fields.array());
        let serial = fields.u64();
        let not_before = EpochMinute(fields.u32());
        let not_after = EpochMinute(fields.u32());
        let root_id = fields.u16();
        let family = fields.u16();
        let rank = fields.u8();
        let generation = fields.u8();
        let role = fields.checked(Fields::u8, |role| match role {
            0 => Ok(Role::Host),
            1 => Ok(Role::Authority),
            other => Err(Fault::Role(other)),
        });
        fields.reserved(1);
        let signature = Signature(fields.array());
        let coverage = Coverage { family, rank, generation };
        let role = role?;
        let claims = Claims { public_key, serial, not_before, not_after, root_id, coverage, role };
        Some(Self { claims, signature })
    }
}
