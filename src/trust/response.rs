//! Responses: signing one, and deciding whether one can be believed (PROTOCOL 5 and 11).

use core::fmt;

use super::sign::{Signer, sign_labelled};
use super::verify::{Root, StrictKey, Verifier, VerifyingKey};
use super::{Verified, label, request_digest};
use crate::cursor::place;
use crate::time::UnixTime;
use crate::wire::{
    self, Certificate, CertificateView, Coverage, Frame, Malformed, Method, Response, ResponseBody,
    ResponseView, Role, SIGNED_LEN, Signature, Validity,
};

/// Signs a response with the key that its certificate names, and writes the frame.
pub fn sign_response<S: Signer>(body: &ResponseBody, signer: &S) -> Result<Frame, S::Error> {
    let mut frame = body.emit();
    let signature = sign_labelled(label::RESPONSE, wire::split_signature(&frame).0, signer)?;
    place::<SIGNED_LEN, _, _>(&mut frame, signature.0);
    Ok(frame)
}

/// What a client knows before the response comes, and compares it with. `Debug` hides the request,
/// which has the whole CMID in it.
pub struct Expected<'a, V = VerifyingKey> {
    /// The request that was sent.
    pub request: &'a Frame,
    /// The method of that request.
    pub method: Method,
    /// The product's place in the vendor's catalogue.
    pub product: Coverage,
    /// The vendor's root keys.
    pub roots: &'a [Root<V>],
    /// A certificate that verified before under the same roots: if the response carries the same
    /// one, its signature is not verified again. That halves the work. (A
    /// [`Client`](crate::client::Client) remembers by itself.)
    pub known_certificate: Option<&'a Verified<Certificate>>,
}

// By hand: a derive would ask the same of `V`, of which there are only references here.
impl<V> Copy for Expected<'_, V> {}

impl<V> Clone for Expected<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Expected<'_, V> {
    fn knows(&self, certificate: CertificateView<'_>) -> bool {
        self.known_certificate.is_some_and(|known| **known == certificate.certificate())
    }
}

impl<V: fmt::Debug> fmt::Debug for Expected<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected")
            .field("method", &self.method)
            .field("product", &self.product)
            .field("roots", &self.roots)
            .field("known_certificate", &self.known_certificate)
            .finish_non_exhaustive()
    }
}

/// Why a response cannot be believed, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Untrusted {
    /// The frame is malformed.
    Malformed(Malformed),
    /// It answers another request.
    OtherRequest,
    /// Its certificate names a root key that this product does not have.
    UnknownRoot(u16),
    /// The root key did not sign the certificate.
    CertificateSignature,
    /// A host answered for the authority or the authority for a host.
    WrongRole(Role),
    /// The certificate does not cover the product.
    NotCovered {
        /// What the certificate covers.
        certificate: Coverage,
        /// Where the product is.
        product: Coverage,
    },
    /// A host, not the authority, granted a perpetual activation.
    Perpetual,
    /// The certificate is not valid at the time the response names.
    OutsideDates {
        /// That time.
        host_time: UnixTime,
    },
    /// The certificate's key did not sign the response.
    ResponseSignature,
}

impl From<Malformed> for Untrusted {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "the answer is malformed: {malformed}"),
            Self::OtherRequest => f.write_str("the answer is to another request"),
            Self::UnknownRoot(id) => {
                write!(f, "the host's certificate is by root key {id}, which this product lacks")
            }
            Self::CertificateSignature => {
                f.write_str("the vendor's root key did not sign the host's certificate")
            }
            Self::WrongRole(Role::Host) => f.write_str("a host answered for the authority"),
            Self::WrongRole(Role::Authority) => f.write_str("the authority answered for a host"),
            Self::NotCovered { certificate, product } => write!(
                f,
                "the host's certificate covers family {} up to rank {} and generation {}, \
                 the product is of family {}, rank {}, generation {}",
                certificate.family,
                certificate.rank,
                certificate.generation,
                product.family,
                product.rank,
                product.generation
            ),
            Self::Perpetual => f.write_str("a host granted a perpetual activation"),
            Self::OutsideDates { .. } => {
                f.write_str("the host's certificate is not valid at the host's own time")
            }
            Self::ResponseSignature => f.write_str("the host's key did not sign the answer"),
        }
    }
}

impl core::error::Error for Untrusted {}

/// Decides whether a response can be believed. What remains is to compare its time with the
/// client's clock and floor: [`policy`](crate::policy).
pub fn verify_response<V: Verifier>(
    frame: &Frame,
    expected: &Expected<'_, V>,
) -> Result<Verified<Response>, Untrusted> {
    let verified = verify_unless(frame, expected, |certificate| expected.knows(certificate))?;
    Ok(Verified(verified.response()))
}

/// All that is to be checked of a response, with another rule for which certificates need no
/// verification.
///
/// A verification takes most of a small device's stack, so what is not needed during it does not lie
/// there: the response is read where it stands, and the steps are functions of their own.
pub(super) fn verify_unless<'f, V: Verifier>(
    frame: &'f Frame,
    expected: &Expected<'_, V>,
    is_known: impl FnOnce(CertificateView<'_>) -> bool,
) -> Result<Verified<ResponseView<'f>>, Untrusted> {
    let response = ResponseView::parse(frame)?;
    if response.request_digest() != request_digest(expected.request) {
        return Err(Untrusted::OtherRequest);
    }
    let certificate = response.certificate();
    if !is_known(certificate) {
        let root_id = certificate.root_id();
        let root = Root::find(expected.roots, root_id).ok_or(Untrusted::UnknownRoot(root_id))?;
        if !root_signed(root, certificate) {
            return Err(Untrusted::CertificateSignature);
        }
    }
    check(response, expected.method, expected.product)?;
    if host_signed::<V>(response) {
        Ok(Verified(response))
    } else {
        Err(Untrusted::ResponseSignature)
    }
}

/// What a certificate allows to say.
fn check(response: ResponseView<'_>, method: Method, product: Coverage) -> Result<(), Untrusted> {
    let certificate = response.certificate();
    let role = match method {
        Method::Count => Role::Host,
        Method::Key => Role::Authority,
    };
    if certificate.role() != role {
        return Err(Untrusted::WrongRole(certificate.role()));
    }
    if !certificate.coverage().covers(&product) {
        return Err(Untrusted::NotCovered { certificate: certificate.coverage(), product });
    }
    if response.validity() == Validity::Perpetual && role == Role::Host {
        return Err(Untrusted::Perpetual);
    }
    let host_time = response.host_time();
    if !certificate.valid_at(host_time) {
        return Err(Untrusted::OutsideDates { host_time });
    }
    Ok(())
}

#[inline(never)]
fn root_signed<V: Verifier>(root: &StrictKey<V>, certificate: CertificateView<'_>) -> bool {
    let (claims, signature) = certificate.split();
    root.verify(label::CERTIFICATE, claims, &Signature(*signature))
}

#[inline(never)]
fn host_signed<V: Verifier>(response: ResponseView<'_>) -> bool {
    let (signed, signature) = wire::split_signature(response.frame());
    let signature = Signature(*signature);
    StrictKey::<V>::new(&response.certificate().public_key())
        .is_ok_and(|key| key.verify(label::RESPONSE, signed, &signature))
}

/// Verifies a certificate's signature by one of the roots. Dates and coverage are not looked at.
pub(super) fn verify_certificate<V: Verifier>(
    certificate: &Certificate,
    roots: &[Root<V>],
) -> Result<(), Untrusted> {
    let root_id = certificate.claims.root_id;
    let root = Root::find(roots, root_id).ok_or(Untrusted::UnknownRoot(root_id))?;
    if root.verify(label::CERTIFICATE, &certificate.claims.emit(), &certificate.signature) {
        Ok(())
    } else {
        Err(Untrusted::CertificateSignature)
    }
}

impl Verified<Response> {
    /// The response's certificate, which is verified with it.
    #[must_use]
    pub const fn certificate(&self) -> Verified<Certificate> {
        Verified(self.0.body.certificate)
    }
}
