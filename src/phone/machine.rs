//! A machine's installation id, and the confirmation id that activates it (PROTOCOL 14).

use core::fmt;

use super::groups::{self, Group};
use super::number::{InvalidNumber, NumberKind, number};
use super::{bits, record};
use crate::fingerprint::Fingerprint;
use crate::trust::{
    Root, Signer, TagKey, Verifier, confirming_root, installation_digest, installation_tag,
    is_same_installation, machine_digest, product_digest, sign_confirmation,
};
use crate::wire::{
    ActivationId, ApplicationId, Cmid, Digest, Frame, KeyId, MachineDigest, Request, Signature,
};

/// Bits of an installation id.
const BITS: usize = field::TAG.end;

/// Bytes that hold them; the bits that are left over are zero.
const LEN: usize = BITS.div_ceil(8);

mod field {
    use core::ops::Range;
    pub(super) const KIND: Range<usize> = 0..4;
    pub(super) const KEY_ID: Range<usize> = 4..36;
    pub(super) const PRODUCT: Range<usize> = 36..60;
    pub(super) const MACHINE: Range<usize> = 60..220;
    pub(super) const TAG: Range<usize> = 220..259;
}

/// Bytes that hold the bits before the tag, which it covers.
const TAGGED_LEN: usize = field::TAG.start.div_ceil(8);

/// A machine that is to be activated by phone, and the MAK that is to be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Machine {
    /// The MAK.
    pub key_id: KeyId,
    /// The product.
    pub application_id: ApplicationId,
    /// Its edition.
    pub activation_id: ActivationId,
    /// The machine.
    pub cmid: Cmid,
    /// Its hardware.
    pub fingerprint: Fingerprint,
}

/// What the owner of a machine reads out: 13 groups of digits.
///
/// It has the MAK's number and a tag that takes the MAK to make, so that nobody uses up a key that
/// he does not have; which product it is; and a digest of product, CMID and fingerprint. So a
/// confirmation fits this machine, this product and this key alone.
///
/// `Debug` shows the key and two bytes of the digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InstallationId(pub(super) [u8; LEN]);

number!(InstallationId, Installation, BITS, reserved 0..0);

impl InstallationId {
    /// The id of a machine. `tag_key` is the MAK's.
    #[must_use]
    pub fn for_machine(machine: &Machine, tag_key: &TagKey) -> Self {
        let product = product_digest(machine.application_id, machine.activation_id);
        Self::tagged(machine.key_id, product, machine.digest(), tag_key)
    }

    fn tagged(
        KeyId(key_id): KeyId,
        product: [u8; 3],
        MachineDigest(machine): MachineDigest,
        tag_key: &TagKey,
    ) -> Self {
        let mut id = [0; LEN];
        bits::write(&mut id, field::KIND, &[(Self::KIND as u8) << 4]);
        bits::write(&mut id, field::KEY_ID, &key_id.to_be_bytes());
        bits::write(&mut id, field::PRODUCT, &product);
        bits::write(&mut id, field::MACHINE, &machine);
        let tagged: [u8; TAGGED_LEN] = bits::read(&id, 0..field::TAG.start);
        bits::write(&mut id, field::TAG, &installation_tag(tag_key, &tagged));
        Self(id)
    }

    /// The MAK's number.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        KeyId(u32::from_be_bytes(bits::read(&self.0, field::KEY_ID)))
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> MachineDigest {
        MachineDigest(bits::read(&self.0, field::MACHINE))
    }

    /// Whether it is of this product and edition. 24 bits tell, so of 16 million other products one
    /// would seem to be it.
    #[must_use]
    pub fn is_of(&self, application_id: ApplicationId, activation_id: ActivationId) -> bool {
        self.product() == product_digest(application_id, activation_id)
    }

    /// Whether it was made with the MAK that has this tag key.
    #[must_use]
    pub fn is_tagged_with(&self, tag_key: &TagKey) -> bool {
        let made = Self::tagged(self.key_id(), self.product(), self.machine(), tag_key);
        is_same_installation(&made.0, &self.0)
    }

    /// By which the authority's records know it again.
    #[must_use]
    pub fn digest(&self) -> Digest {
        installation_digest(&self.0)
    }

    /// The root key confirms it: the machine is activated for ever.
    pub fn confirm<S: Signer>(&self, root: &S) -> Result<Confirmation, S::Error> {
        sign_confirmation(&self.0, root).map(Confirmation::new)
    }

    /// Whether it is that of a machine, but for the tag.
    pub(super) fn is_of_machine(&self, machine: &Machine) -> bool {
        self.key_id() == machine.key_id
            && self.is_of(machine.application_id, machine.activation_id)
            && self.machine() == machine.digest()
    }

    fn product(&self) -> [u8; 3] {
        bits::read(&self.0, field::PRODUCT)
    }
}

impl Machine {
    /// The machine that a request is from. A request by key has the MAK's number.
    #[must_use]
    pub const fn of(request: &Request<'_>) -> Self {
        Self {
            key_id: request.key_id,
            application_id: request.application_id,
            activation_id: request.activation_id,
            cmid: request.cmid,
            fingerprint: request.fingerprint,
        }
    }

    /// By which the authority's records know it.
    #[must_use]
    pub fn digest(&self) -> MachineDigest {
        machine_digest(self.application_id, self.activation_id, self.cmid, self.fingerprint)
    }
}

impl fmt::Debug for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallationId(key {}, {:?})", self.key_id().0, self.machine())
    }
}

/// What the vendor reads back to the owner of a machine: 26 groups of digits, the root key's
/// signature on the installation id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Confirmation([u8; CONFIRMATION_LEN]);

const CONFIRMATION_LEN: usize = confirmation_field::SIGNATURE.end.div_ceil(8);

mod confirmation_field {
    use core::ops::Range;
    pub(super) const KIND: Range<usize> = 0..4;
    pub(super) const RESERVED: Range<usize> = 4..6;
    pub(super) const SIGNATURE: Range<usize> = 6..518;
}

number!(
    Confirmation, Confirmation, confirmation_field::SIGNATURE.end,
    reserved confirmation_field::RESERVED
);

impl Confirmation {
    pub(super) fn new(signature: Signature) -> Self {
        let mut bytes = [0; CONFIRMATION_LEN];
        bits::write(&mut bytes, confirmation_field::KIND, &[(Self::KIND as u8) << 4]);
        bits::write(&mut bytes, confirmation_field::SIGNATURE, &signature.0);
        Self(bytes)
    }

    /// Whether one of the root keys has confirmed the machine's installation id, which the machine
    /// makes itself. The root's id is returned.
    pub fn verify<V: Verifier>(
        &self,
        id: &InstallationId,
        roots: &[Root<V>],
    ) -> Result<u16, Unconfirmed> {
        confirming_root(&id.0, &self.signature(), roots).ok_or(Unconfirmed)
    }

    /// What a client stores beside its request, in the place of a response: see
    /// [`verify_record`](super::verify_record). It is to be verified before.
    #[must_use]
    pub fn record(&self, id: &InstallationId, request: &Frame) -> Frame {
        record::emit(id, request, &self.signature())
    }

    pub(super) fn signature(&self) -> Signature {
        Signature(bits::read(&self.0, confirmation_field::SIGNATURE))
    }
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirmation(..)")
    }
}

/// None of the vendor's root keys has signed that: it is a confirmation of another installation
/// id, or by a root key that this product does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unconfirmed;

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the confirmation id is not for this installation id")
    }
}

impl core::error::Error for Unconfirmed {}
