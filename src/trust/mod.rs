//! What makes a frame believable: labels, digests, tags, signatures (PROTOCOL 1, 4 to 7, 14).
//!
//! The only module that names a crypto crate; another implementation of Ed25519 comes in through
//! [`Signer`] and [`Verifier`]. What it has checked has a type that nothing else can
//! make, [`Verified`]; signatures are checked strictly, tags are compared in constant time, and
//! secrets are wiped when dropped and never printed.
//!
//! The tag of a request keeps junk and other vendors' products out of the count. What makes an
//! activation unforgeable is the chain root key → certificate → response.

mod chain;
mod conformance;
mod encoding;
mod enrolment;
mod key;
mod known;
mod label;
mod phone;
mod response;
mod sign;
mod tag;
mod verify;

pub use chain::{
    check_certificate, check_enrolment_signatures, check_possession, check_response_signatures,
};
pub use conformance::{Misjudged, VERIFIER_CASES, VerifierCase, check_verifier};
pub use enrolment::{
    UntrustedEnrolment, UntrustedGrant, seal_enrolment_request, sign_enrolment_response,
    verify_enrolment_request, verify_enrolment_response,
};
pub use key::{MasterKey, ProductKey, TagKey};
pub(crate) use known::KnownCertificates;
pub(crate) use phone::{
    confirming_root, installation_digest, installation_tag, is_same_installation, product_digest,
    sign_confirmation,
};
pub use response::{Expected, Untrusted, sign_response, verify_response};
pub use sign::{Signer, SigningKey, sign_certificate};
pub use tag::{BadTag, ParsedRequest, TagSchedule};
pub use verify::{Root, Verifier, VerifyingKey, WeakKey};

use core::ops::Deref;

use crate::cursor::part;
use crate::fingerprint::{COMPONENTS, Fingerprint};
use crate::wire::{
    ActivationId, ApplicationId, Cmid, Digest, Frame, HostId, MachineDigest, PublicKey,
};

/// A value whose tag or signatures have been verified. Only this module can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value, no longer marked as verified.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The digest of a whole request frame, by which its response refers to it (PROTOCOL 5 and 6).
#[must_use]
pub fn request_digest(frame: &Frame) -> Digest {
    Digest(label::DIGEST.hash(&[frame]))
}

/// The host id of a public key (PROTOCOL 7).
#[must_use]
pub fn host_id(key: &PublicKey) -> HostId {
    HostId::from_digest(&label::HOST_ID.hash(&[&key.0]))
}

/// A machine as the authority's records know it (PROTOCOL 14): the same for the same product, CMID
/// and fingerprint, whatever else its requests say.
#[must_use]
pub fn machine_digest(
    application_id: ApplicationId,
    activation_id: ActivationId,
    cmid: Cmid,
    fingerprint: Fingerprint,
) -> MachineDigest {
    let parts: [&[u8]; 4] =
        [&application_id.0, &activation_id.0, cmid.as_bytes(), &fingerprint.to_bytes()];
    MachineDigest(*part::<0, _, _>(&label::MACHINE.hash(&parts)))
}

/// The fingerprint of a machine from its components' bytes; `None` for a component it does not
/// have (PROTOCOL 8). The product's application id makes a machine's fingerprints for two products
/// unrelated.
#[must_use]
pub fn fingerprint(
    application_id: ApplicationId,
    components: &[Option<&[u8]>; COMPONENTS],
) -> Fingerprint {
    let mut digests = [0; COMPONENTS];
    for ((index, digest), component) in (0_u8..).zip(&mut digests).zip(components) {
        if let Some(bytes) = component {
            let [a, b, ..] = label::FINGERPRINT.hash(&[&application_id.0, &[index], bytes]);
            *digest = u16::from_be_bytes([a, b]).max(1);
        }
    }
    Fingerprint::new(digests)
}
