//! The certificate: what the vendor's root key says of a host key (PROTOCOL 4).

use super::error::{Fault, Malformed};
use super::id::PublicKey;
use super::{SIGNATURE_LEN, Signature};
use crate::cursor::{Writer, part, place};
use crate::time::{EpochMinute, UnixTime};

/// Bytes of a certificate.
pub const CERTIFICATE_LEN: usize = 120;

/// Bytes of a certificate that the root key signs.
pub(crate) const CERTIFICATE_SIGNED_LEN: usize = CERTIFICATE_LEN - SIGNATURE_LEN;

mod field {
    pub(super) const PUBLIC_KEY: usize = 0;
    pub(super) const SERIAL: usize = 32;
    pub(super) const NOT_BEFORE: usize = 40;
    pub(super) const NOT_AFTER: usize = 44;
    pub(super) const ROOT_ID: usize = 48;
    pub(super) const FAMILY: usize = 50;
    pub(super) const RANK: usize = 52;
    pub(super) const GENERATION: usize = 53;
    pub(super) const ROLE: usize = 54;
    pub(super) const RESERVED: usize = 55;
}

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
        time.is_within(self.not_before, self.not_after)
    }

    /// Writes the 56 bytes that the root key signs.
    #[must_use]
    pub(crate) fn emit(&self) -> [u8; CERTIFICATE_SIGNED_LEN] {
        let mut bytes = [0; CERTIFICATE_SIGNED_LEN];
        let to = &mut bytes;
        place::<{ field::PUBLIC_KEY }, _, _>(to, self.public_key.0);
        place::<{ field::SERIAL }, _, _>(to, self.serial.to_be_bytes());
        place::<{ field::NOT_BEFORE }, _, _>(to, self.not_before.0.to_be_bytes());
        place::<{ field::NOT_AFTER }, _, _>(to, self.not_after.0.to_be_bytes());
        place::<{ field::ROOT_ID }, _, _>(to, self.root_id.to_be_bytes());
        place::<{ field::FAMILY }, _, _>(to, self.coverage.family.to_be_bytes());
        place::<{ field::RANK }, _, _>(to, [self.coverage.rank]);
        place::<{ field::GENERATION }, _, _>(to, [self.coverage.generation]);
        place::<{ field::ROLE }, _, _>(to, [self.role as u8]);
        bytes
    }
}

impl Certificate {
    /// Reads a certificate outside a frame, for instance from a file.
    pub fn parse(bytes: &[u8; CERTIFICATE_LEN]) -> Result<Self, Malformed> {
        CertificateView::parse(bytes).map(CertificateView::certificate)
    }

    /// Writes the 120 bytes.
    #[must_use]
    pub fn emit(&self) -> [u8; CERTIFICATE_LEN] {
        let mut bytes = [0; CERTIFICATE_LEN];
        Writer::new(&mut bytes).put(&self.claims.emit()).put(&self.signature.0).finish();
        bytes
    }
}

/// A well-formed certificate where it stands: what is needed of it is read without a copy of all.
#[derive(Clone, Copy)]
pub(crate) struct CertificateView<'a>(&'a [u8; CERTIFICATE_LEN]);

impl<'a> CertificateView<'a> {
    /// Checks all rules of PROTOCOL 4 but the signature.
    pub(super) fn parse(bytes: &'a [u8; CERTIFICATE_LEN]) -> Result<Self, Malformed> {
        let [role, reserved] = *part::<{ field::ROLE }, _, _>(bytes);
        if role > Role::Authority as u8 {
            return Err(Malformed::at(field::ROLE, Fault::Role(role)));
        }
        if reserved != 0 {
            return Err(Malformed::at(field::RESERVED, Fault::Reserved));
        }
        Ok(Self(bytes))
    }

    /// In a frame that is known to have one.
    pub(crate) const fn at(bytes: &'a [u8; CERTIFICATE_LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(self) -> &'a [u8; CERTIFICATE_LEN] {
        self.0
    }

    /// What the root key signs, and the signature.
    pub(crate) fn split(self) -> (&'a [u8; CERTIFICATE_SIGNED_LEN], &'a [u8; SIGNATURE_LEN]) {
        super::split(self.0)
    }

    pub(crate) fn public_key(self) -> PublicKey {
        PublicKey(*part::<{ field::PUBLIC_KEY }, _, _>(self.0))
    }

    pub(crate) fn root_id(self) -> u16 {
        u16::from_be_bytes(*part::<{ field::ROOT_ID }, _, _>(self.0))
    }

    pub(crate) fn coverage(self) -> Coverage {
        let [rank] = *part::<{ field::RANK }, _, _>(self.0);
        let [generation] = *part::<{ field::GENERATION }, _, _>(self.0);
        let family = u16::from_be_bytes(*part::<{ field::FAMILY }, _, _>(self.0));
        Coverage { family, rank, generation }
    }

    pub(crate) fn role(self) -> Role {
        match part::<{ field::ROLE }, _, _>(self.0) {
            [0] => Role::Host,
            [_] => Role::Authority,
        }
    }

    pub(crate) fn valid_at(self, time: UnixTime) -> bool {
        time.is_within(self.not_before(), self.not_after())
    }

    pub(crate) fn certificate(self) -> Certificate {
        let claims = Claims {
            public_key: self.public_key(),
            serial: u64::from_be_bytes(*part::<{ field::SERIAL }, _, _>(self.0)),
            not_before: self.not_before(),
            not_after: self.not_after(),
            root_id: self.root_id(),
            coverage: self.coverage(),
            role: self.role(),
        };
        Certificate { claims, signature: Signature(*self.split().1) }
    }

    fn not_before(self) -> EpochMinute {
        EpochMinute(u32::from_be_bytes(*part::<{ field::NOT_BEFORE }, _, _>(self.0)))
    }

    fn not_after(self) -> EpochMinute {
        EpochMinute(u32::from_be_bytes(*part::<{ field::NOT_AFTER }, _, _>(self.0)))
    }
}
