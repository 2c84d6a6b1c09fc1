//! Keys and signatures that lenient verifiers accept, to be refused whatever implementation of
//! Ed25519 is behind (PROTOCOL 1, RFC 8032).

use std::convert::Infallible;

use curve25519_dalek::Scalar;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use ed25519_dalek::VerifyingKey;
use headcount::time::Minutes;
use headcount::trust::{
    Root, Signer, Untrusted, UntrustedGrant, Verifier, WeakKey, sign_certificate, sign_response,
    verify_enrolment_response, verify_response,
};
use headcount::wire::{Frame, Method, PublicKey, Response, Role, Signature, Validity, Verdict};

use crate::ed25519::{add_order, join, secret, sign_with, small_order_encodings, times_base};
use crate::vendor::{
    HOST_SEED, answer, claims, enrolment, exchanges, expected, host_key, request, root_key,
    roots_of,
};

pub(crate) fn keys_of_small_order_are_no_roots<V: Verifier>() {
    let encodings = small_order_encodings();
    assert!(encodings.len() >= 20);
    for encoding in encodings {
        let refused = Root::<V>::with_verifier(1, &PublicKey(encoding)).unwrap_err();
        assert_eq!(refused, WeakKey, "{encoding:02x?}");
    }
}

pub(crate) fn only_the_canonical_encoding_of_a_key_is_a_root<V: Verifier>() {
    let mut points = 0;
    for y in 0..19 {
        for sign in [0, 0x80] {
            let mut canonical = [0; 32];
            (canonical[0], canonical[31]) = (y, sign);
            let mut shifted = [0xff; 32];
            (shifted[0], shifted[31]) = (y + 0xed, 0x7f | sign);
            assert!(Root::<V>::with_verifier(1, &PublicKey(shifted)).is_err(), "y = {y} + p");
            let accepted = Root::<V>::with_verifier(1, &PublicKey(canonical)).is_ok();
            // What is refused here passes elsewhere, so the rule is not idle.
            assert_eq!(accepted, VerifyingKey::from_bytes(&shifted).is_ok_and(|k| !k.is_weak()));
            points += usize::from(accepted);
        }
    }
    assert!(points > 0, "some of these are points of large order");

    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert!(CompressedEdwardsY(no_point).decompress().is_none());
    assert_eq!(Root::<V>::with_verifier(1, &PublicKey(no_point)).unwrap_err(), WeakKey);
}

/// A certificate for a weak key is the vendor's mistake; it must still activate nothing, or
/// everybody could answer in its name.
pub(crate) fn a_certified_key_of_small_order_activates_nothing<V: Verifier>() {
    let roots = roots_of::<V>();
    let request = request(Method::Count);
    for encoding in small_order_encodings() {
        let claims = claims(PublicKey(encoding), Role::Host);
        let certificate = sign_certificate(&claims, &root_key()).unwrap();
        let validity = Validity::For(Minutes(1));
        let body = answer(&request, Verdict::Granted { count: 99, validity }, certificate);
        // S·B = R + h·A with A of small order: no secret is needed when h·A is the identity.
        let nonce = Scalar::from_bytes_mod_order([5; 32]);
        let r = times_base(nonce).compress();
        let forged = Forged { public_key: PublicKey(encoding), r, s: nonce.to_bytes() };
        let frame = sign_response(&body, &forged).unwrap();
        let refused = verify_response(&frame, &expected(&request, Method::Count, &roots));
        assert_eq!(refused.unwrap_err(), Untrusted::ResponseSignature, "{encoding:02x?}");
    }
}

/// "Signs" with the same R and S whatever the message is.
struct Forged {
    public_key: PublicKey,
    r: CompressedEdwardsY,
    s: [u8; 32],
}

impl Signer for Forged {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        self.public_key
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, Self::Error> {
        Ok(join(self.r.0, self.s))
    }
}

/// A holder of the host's own key who leaves the nonce out: `R` is of small order, and
/// `S = h·a`. Lenient verifiers accept it for the identity.
struct SmallR(EdwardsPoint);

impl Signer for SmallR {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        host_key().public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Self::Error> {
        let (r, public_key) = (self.0.compress().0, self.public_key());
        let signature = sign_with(secret(HOST_SEED), &public_key, Scalar::ZERO, r, message);
        if self.0 == EdwardsPoint::default() {
            let lenient = VerifyingKey::from_bytes(&public_key.0).unwrap();
            let given = ed25519_dalek::Signature::from_bytes(&signature.0);
            assert!(ed25519_dalek::Verifier::verify(&lenient, message, &given).is_ok());
        }
        Ok(signature)
    }
}

pub(crate) fn a_small_order_r_is_refused<V: Verifier>() {
    let roots = roots_of::<V>();
    let (method, request, response) = exchanges()[0];
    let body = Response::parse(&response).unwrap().body;
    for point in EIGHT_TORSION {
        let frame = sign_response(&body, &SmallR(point)).unwrap();
        let refused = verify_response(&frame, &expected(&request, method, &roots));
        assert_eq!(refused.unwrap_err(), Untrusted::ResponseSignature);
    }
}

pub(crate) fn a_signature_with_s_plus_the_order_is_refused<V: Verifier>() {
    let roots = roots_of::<V>();
    for (method, request, response) in exchanges() {
        let expected = expected(&request, method, &roots);
        let mut malleated = response;
        add_order(&mut malleated);
        let scalar = |frame: &Frame| Scalar::from_bytes_mod_order(frame[218..].try_into().unwrap());
        assert_eq!(scalar(&malleated), scalar(&response), "the same number modulo the order");
        let refused = verify_response(&malleated, &expected).unwrap_err();
        assert_eq!(refused, Untrusted::ResponseSignature);

        let mut body = Response::parse(&response).unwrap().body;
        add_order(&mut body.certificate.signature.0);
        let frame = sign_response(&body, &host_key()).unwrap();
        let refused = verify_response(&frame, &expected).unwrap_err();
        assert_eq!(refused, Untrusted::CertificateSignature);
    }

    let (request, response) = enrolment();
    let mut malleated = response;
    add_order(&mut malleated);
    let refused = verify_enrolment_response(&malleated, &request, &host_key().public_key(), &roots);
    assert_eq!(refused.unwrap_err(), UntrustedGrant::Signature);
}
