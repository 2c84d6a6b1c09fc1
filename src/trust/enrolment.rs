//! Enrolment frames: sealing, signing and verifying both ways (PROTOCOL 6).

use core::fmt;

use hmac::Mac;
use subtle::ConstantTimeEq;

use super::response::verify_certificate;
use super::sign::{Signer, sign_labelled};
use super::verify::{Root, StrictKey, Verifier, VerifyingKey};
use super::{TagKey, Untrusted, Verified, label, request_digest};
use crate::wire::{
    self, EnrolmentBody, EnrolmentRequest, EnrolmentResponse, Frame, Malformed, POSSESSION_LEN,
    PublicKey, Role, SIGNATURE_LEN, Signature, TAG_LEN, TAGGED_LEN,
};

/// Writes an enrolment request: signed with the host's key, which must be the one it names, and
/// tagged with the host key's tag key.
pub fn seal_enrolment_request<S: Signer>(
    request: &EnrolmentRequest<'_>,
    signer: &S,
    tag_key: &TagKey,
) -> Result<Frame, S::Error> {
    let signed = request.emit();
    let signature = sign_labelled(label::ENROL_REQUEST, &signed, signer)?;
    let tagged = wire::tagged_part(&signed, &signature);
    Ok(wire::tagged_frame(&tagged, &tag(&tagged, tag_key)))
}

/// Why the authority does not believe an enrolment request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UntrustedEnrolment {
    /// The frame is malformed.
    Malformed(Malformed),
    /// The tag does not verify: the sender does not hold the host key.
    Tag,
    /// The signature does not verify: the sender does not hold the public key it names.
    Possession,
}

impl From<Malformed> for UntrustedEnrolment {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for UntrustedEnrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "the request is malformed: {malformed}"),
            Self::Tag => f.write_str("the tag does not verify: made with another host key"),
            Self::Possession => {
                f.write_str("the signature does not verify: the host does not hold its key")
            }
        }
    }
}

impl core::error::Error for UntrustedEnrolment {}

/// Checks an enrolment request: form, tag (in constant time), proof of possession. This is the
/// authority's side, and always done with [`VerifyingKey`].
pub fn verify_enrolment_request<'a>(
    frame: &'a Frame,
    tag_key: &TagKey,
) -> Result<Verified<EnrolmentRequest<'a>>, UntrustedEnrolment> {
    let request = EnrolmentRequest::parse(frame)?;
    let (tagged, sent) = wire::split_tag(frame);
    if !bool::from(tag(tagged, tag_key).ct_eq(sent)) {
        return Err(UntrustedEnrolment::Tag);
    }
    prove_possession(tagged, &request).map(|()| Verified(request))
}

/// Checks the signature that the sender made with the key that it names.
pub(super) fn prove_possession(
    tagged: &[u8; TAGGED_LEN],
    request: &EnrolmentRequest<'_>,
) -> Result<(), UntrustedEnrolment> {
    let (signed, signature): (&[u8; POSSESSION_LEN], &[u8; SIGNATURE_LEN]) = wire::split(tagged);
    match StrictKey::<VerifyingKey>::new(&request.public_key) {
        Ok(key) if key.verify(label::ENROL_REQUEST, signed, &Signature(*signature)) => Ok(()),
        _ => Err(UntrustedEnrolment::Possession),
    }
}

/// Signs the authority's answer with the root key that the body names, and writes the frame.
pub fn sign_enrolment_response<S: Signer>(
    body: &EnrolmentBody,
    root: &S,
) -> Result<Frame, S::Error> {
    let signed = body.emit();
    let signature = sign_labelled(label::ENROL_RESPONSE, &signed, root)?;
    Ok(wire::signed_frame(&signed, &signature))
}

/// Why a host does not believe an enrolment response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UntrustedGrant {
    /// The frame is malformed.
    Malformed(Malformed),
    /// It answers another request.
    OtherRequest,
    /// It names a root key that this product does not have.
    UnknownRoot(u16),
    /// The root key did not sign it.
    Signature,
    /// The certificate in it does not verify, or is not for this host's key and role.
    Certificate,
}

impl From<Malformed> for UntrustedGrant {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for UntrustedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "the answer is malformed: {malformed}"),
            Self::OtherRequest => f.write_str("the answer is to another enrolment request"),
            Self::UnknownRoot(id) => write!(f, "root key {id} is not one of the vendor's"),
            Self::Signature => f.write_str("the vendor's root key did not sign the answer"),
            Self::Certificate => f.write_str("the certificate is not for this host"),
        }
    }
}

impl core::error::Error for UntrustedGrant {}

/// Checks the vendor's answer to `request`, which was made for the host key `public_key`.
pub fn verify_enrolment_response<V: Verifier>(
    frame: &Frame,
    request: &Frame,
    public_key: &PublicKey,
    roots: &[Root<V>],
) -> Result<Verified<EnrolmentResponse>, UntrustedGrant> {
    let response = EnrolmentResponse::parse(frame)?;
    let body = &response.body;
    if body.request_digest != request_digest(request) {
        return Err(UntrustedGrant::OtherRequest);
    }
    let root = Root::find(roots, body.root_id).ok_or(UntrustedGrant::UnknownRoot(body.root_id))?;
    let (signed, _) = wire::split_signature(frame);
    if !root.verify(label::ENROL_RESPONSE, signed, &response.signature) {
        return Err(UntrustedGrant::Signature);
    }
    if let Ok(certificate) = &body.outcome {
        verify_certificate(certificate, roots).map_err(|untrusted| match untrusted {
            Untrusted::UnknownRoot(id) => UntrustedGrant::UnknownRoot(id),
            _ => UntrustedGrant::Certificate,
        })?;
        let claims = &certificate.claims;
        if claims.public_key != *public_key || claims.role != Role::Host {
            return Err(UntrustedGrant::Certificate);
        }
    }
    Ok(Verified(response))
}

fn tag(tagged: &[u8; TAGGED_LEN], key: &TagKey) -> [u8; TAG_LEN] {
    let mut mac = label::ENROL_TAG.keyed(key.expose());
    mac.update(tagged);
    mac.finalize().into_bytes().into()
}
