//! Checks of signatures on their own, for people who look at a frame or a certificate. None of them
//! makes a frame believable: that takes the request it answers, and what the product expects
//! ([`verify_response`](super::verify_response)).

use super::enrolment::{UntrustedEnrolment, UntrustedGrant, prove_possession};
use super::response::{Untrusted, verify_certificate};
use super::verify::{Root, StrictKey, Verifier};
use super::{Verified, label};
use crate::wire::{self, Certificate, EnrolmentRequest, EnrolmentResponse, Frame, Response};

/// Checks a certificate's signature by the root key that it names. Dates, coverage and role are not
/// looked at.
pub fn check_certificate<V: Verifier>(
    certificate: &Certificate,
    roots: &[Root<V>],
) -> Result<Verified<Certificate>, Untrusted> {
    verify_certificate(certificate, roots).map(|()| Verified(*certificate))
}

/// Checks both signatures of a response, whatever it answers: of the certificate by its root key,
/// of the frame by the certificate's key.
pub fn check_response_signatures<V: Verifier>(
    frame: &Frame,
    roots: &[Root<V>],
) -> Result<(), Untrusted> {
    let response = Response::parse(frame)?;
    verify_certificate(&response.body.certificate, roots)?;
    let (signed, _) = wire::split_signature(frame);
    match StrictKey::<V>::new(&response.body.certificate.claims.public_key) {
        Ok(key) if key.verify(label::RESPONSE, signed, &response.signature) => Ok(()),
        _ => Err(Untrusted::ResponseSignature),
    }
}

/// Checks the signatures of an enrolment response, whatever it answers: of the frame by its root
/// key, and of the certificate in it, if there is one.
pub fn check_enrolment_signatures<V: Verifier>(
    frame: &Frame,
    roots: &[Root<V>],
) -> Result<(), UntrustedGrant> {
    let response = EnrolmentResponse::parse(frame)?;
    let root_id = response.body.root_id;
    let root = Root::find(roots, root_id).ok_or(UntrustedGrant::UnknownRoot(root_id))?;
    let (signed, _) = wire::split_signature(frame);
    if !root.verify(label::ENROL_RESPONSE, signed, &response.signature) {
        return Err(UntrustedGrant::Signature);
    }
    match &response.body.outcome {
        Ok(certificate) => {
            verify_certificate(certificate, roots).map_err(|_| UntrustedGrant::Certificate)
        }
        Err(_) => Ok(()),
    }
}

/// Checks that the sender of an enrolment request holds the public key that it names. The tag is
/// not checked: that takes the host key. Always done with
/// [`VerifyingKey`](super::VerifyingKey).
pub fn check_possession(frame: &Frame) -> Result<(), UntrustedEnrolment> {
    let request = EnrolmentRequest::parse(frame)?;
    prove_possession(wire::split_tag(frame).0, &request)
}
