//! A host's installation id, and the confirmation id that is its certificate (PROTOCOL 14).

use core::fmt;

use super::bits;
use super::groups::{self, Group};
use super::number::{InvalidNumber, NumberKind, number};
use crate::time::EpochMinute;
use crate::trust::{
    Root, TagKey, Untrusted, Verified, Verifier, check_certificate, installation_digest,
    installation_tag, is_same_installation,
};
use crate::wire::{Certificate, Claims, Coverage, Digest, KeyId, PublicKey, Role, Signature};

/// Bits of an installation id.
const BITS: usize = field::TAG.end;

/// Bytes that hold them; the bits that are left over are zero.
const LEN: usize = BITS.div_ceil(8);

mod field {
    use core::ops::Range;
    pub(super) const KIND: Range<usize> = 0..4;
    pub(super) const KEY_ID: Range<usize> = 4..36;
    pub(super) const PLATFORM_RANK: Range<usize> = 36..44;
    pub(super) const PUBLIC_KEY: Range<usize> = 44..300;
    pub(super) const TAG: Range<usize> = 300..338;
}

/// Bytes that hold the bits before the tag, which it covers.
const TAGGED_LEN: usize = field::TAG.start.div_ceil(8);

/// What the operator of a host reads out: 17 groups of digits.
///
/// It has the host key's number and a tag that takes the host key to make, the rank of the host's
/// platform, and the host's public key. That the host holds its key is not proved, as it is by an
/// enrolment request: a certificate is of no use to who does not.
///
/// `Debug` shows the key only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostInstallationId([u8; LEN]);

number!(HostInstallationId, HostInstallation, BITS, reserved 0..0);

impl HostInstallationId {
    /// The id of a host. `tag_key` is the host key's.
    #[must_use]
    pub fn for_host(
        KeyId(key_id): KeyId,
        platform_rank: u8,
        public_key: &PublicKey,
        tag_key: &TagKey,
    ) -> Self {
        let mut id = [0; LEN];
        bits::write(&mut id, field::KIND, &[(Self::KIND as u8) << 4]);
        bits::write(&mut id, field::KEY_ID, &key_id.to_be_bytes());
        bits::write(&mut id, field::PLATFORM_RANK, &[platform_rank]);
        bits::write(&mut id, field::PUBLIC_KEY, &public_key.0);
        let tagged: [u8; TAGGED_LEN] = bits::read(&id, 0..field::TAG.start);
        bits::write(&mut id, field::TAG, &installation_tag(tag_key, &tagged));
        Self(id)
    }

    /// The host key's number.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        KeyId(u32::from_be_bytes(bits::read(&self.0, field::KEY_ID)))
    }

    /// The highest product group that the host's platform may serve.
    #[must_use]
    pub fn platform_rank(&self) -> u8 {
        let [rank] = bits::read(&self.0, field::PLATFORM_RANK);
        rank
    }

    /// The host.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(bits::read(&self.0, field::PUBLIC_KEY))
    }

    /// Whether it was made with the host key that has this tag key.
    #[must_use]
    pub fn is_tagged_with(&self, tag_key: &TagKey) -> bool {
        let (rank, host) = (self.platform_rank(), self.public_key());
        let made = Self::for_host(self.key_id(), rank, &host, tag_key);
        is_same_installation(&made.0, &self.0)
    }

    /// By which the authority's records know it again.
    #[must_use]
    pub fn digest(&self) -> Digest {
        installation_digest(&self.0)
    }
}

impl fmt::Debug for HostInstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostInstallationId(key {})", self.key_id().0)
    }
}

/// What the vendor reads back to the operator of a host: 32 groups of digits, the certificate
/// without the public key, which the host has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostConfirmation([u8; CONFIRMATION_LEN]);

const CONFIRMATION_BITS: usize = confirmation_field::SIGNATURE.end;
const CONFIRMATION_LEN: usize = CONFIRMATION_BITS.div_ceil(8);

mod confirmation_field {
    use core::ops::Range;
    pub(super) const KIND: Range<usize> = 0..4;
    pub(super) const RESERVED: Range<usize> = 4..13;
    pub(super) const SERIAL: Range<usize> = 13..45;
    pub(super) const FIRST_DAY: Range<usize> = 45..61;
    pub(super) const LAST_DAY: Range<usize> = 61..77;
    pub(super) const ROOT_ID: Range<usize> = 77..93;
    pub(super) const FAMILY: Range<usize> = 93..109;
    pub(super) const RANK: Range<usize> = 109..117;
    pub(super) const GENERATION: Range<usize> = 117..125;
    pub(super) const SIGNATURE: Range<usize> = 125..637;
}

number!(
    HostConfirmation, HostConfirmation, CONFIRMATION_BITS,
    reserved confirmation_field::RESERVED
);

impl HostConfirmation {
    /// From a certificate of a host, whose dates are those of whole days ([`whole_days`]) and whose
    /// serial number has 32 bits. `None` for another.
    #[must_use]
    pub fn from_certificate(Certificate { claims, signature }: &Certificate) -> Option<Self> {
        let serial = u32::try_from(claims.serial).ok()?;
        let first = day_of(claims.not_before);
        let last = day_of(claims.not_after);
        let exact = claims.not_before == first_minute(first)
            && claims.not_after == last_minute(last)
            && claims.role == Role::Host;
        let Coverage { family, rank, generation } = claims.coverage;
        let mut bytes = [0; CONFIRMATION_LEN];
        let mut put = |field, value: &[u8]| bits::write(&mut bytes, field, value);
        put(confirmation_field::KIND, &[(Self::KIND as u8) << 4]);
        put(confirmation_field::SERIAL, &serial.to_be_bytes());
        put(confirmation_field::FIRST_DAY, &first.to_be_bytes());
        put(confirmation_field::LAST_DAY, &last.to_be_bytes());
        put(confirmation_field::ROOT_ID, &claims.root_id.to_be_bytes());
        put(confirmation_field::FAMILY, &family.to_be_bytes());
        put(confirmation_field::RANK, &[rank]);
        put(confirmation_field::GENERATION, &[generation]);
        put(confirmation_field::SIGNATURE, &signature.0);
        exact.then_some(Self(bytes))
    }

    /// The certificate, if one of the root keys has signed it for this host.
    pub fn verify<V: Verifier>(
        &self,
        host: &PublicKey,
        roots: &[Root<V>],
    ) -> Result<Verified<Certificate>, Untrusted> {
        check_certificate(&self.certificate(host), roots)
    }

    /// The certificate for a host. Nothing vouches for it yet.
    #[must_use]
    pub fn certificate(&self, host: &PublicKey) -> Certificate {
        let two = |field| u16::from_be_bytes(bits::read(&self.0, field));
        let [rank] = bits::read(&self.0, confirmation_field::RANK);
        let [generation] = bits::read(&self.0, confirmation_field::GENERATION);
        let serial = u32::from_be_bytes(bits::read(&self.0, confirmation_field::SERIAL));
        let claims = Claims {
            public_key: *host,
            serial: serial.into(),
            not_before: first_minute(two(confirmation_field::FIRST_DAY)),
            not_after: last_minute(two(confirmation_field::LAST_DAY)),
            root_id: two(confirmation_field::ROOT_ID),
            coverage: Coverage { family: two(confirmation_field::FAMILY), rank, generation },
            role: Role::Host,
        };
        let signature = Signature(bits::read(&self.0, confirmation_field::SIGNATURE));
        Certificate { claims, signature }
    }
}

impl fmt::Debug for HostConfirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostConfirmation(..)")
    }
}

const MINUTES_A_DAY: u32 = 24 * 60;

/// The dates of a certificate widened to whole days (UTC): from the first minute of the day of
/// `not_before` to the last minute of the day of `not_after`. What is after the year 2149 ends
/// there, where 16 bits of days do.
#[must_use]
pub fn whole_days(not_before: EpochMinute, not_after: EpochMinute) -> (EpochMinute, EpochMinute) {
    (first_minute(day_of(not_before)), last_minute(day_of(not_after)))
}

fn day_of(EpochMinute(minute): EpochMinute) -> u16 {
    u16::try_from(minute / MINUTES_A_DAY).unwrap_or(u16::MAX)
}

/// Of a day since 1970: below 2^27.
fn first_minute(day: u16) -> EpochMinute {
    EpochMinute(u32::from(day).wrapping_mul(MINUTES_A_DAY))
}

fn last_minute(day: u16) -> EpochMinute {
    EpochMinute(first_minute(day).0.wrapping_add(MINUTES_A_DAY - 1))
}
