//! Answering an activation request by multiple activation key (PROTOCOL 3, 5 and 9, method 1).
//!
//! The work is cut in three, so that a service can do the costly parts beside its database:
//! [`KeyService::examine`] hashes, [`KeyService::decide`] looks up and records,
//! [`KeyService::sign`] signs. [`KeyService::conclude`] is the last two, and
//! [`KeyService::answer_activation`] all of it.

use core::convert::Infallible;

use super::place::{Asking, Place, tolerates};
use super::{
    ActivationAnswer, ActivationError, ActivationOutcome, Decision, ExaminedActivation,
    KeyActivation, Ledger, MultipleActivationKeyRecord, UntrustedActivation,
};
use crate::fingerprint::Matching;
use crate::time::{Minutes, UnixTime};
use crate::trust::{
    MasterKey, ParsedRequest, Signer, TagSchedule, machine_digest, request_digest, sign_response,
};
use crate::wire::{
    ActivationId, ApplicationId, Certificate, Coverage, Frame, KeyKind, Method, Refusal, Request,
    Response, ResponseBody, Role, Validity, Verdict,
};

/// A product of the vendor's, as the authority needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CatalogueProduct {
    /// The product.
    pub application_id: ApplicationId,
    /// Its edition.
    pub activation_id: ActivationId,
    /// Its place in the catalogue.
    pub coverage: Coverage,
    /// How much of a machine's hardware may change before it counts as another one.
    pub matching: Matching,
}

/// What activates single machines by multiple activation key: the authority's keys and rules.
#[derive(Clone, Copy, Debug)]
pub struct KeyService<'a, S> {
    /// The key from which the tag keys of all product keys are derived.
    pub master: &'a MasterKey,
    /// The authority's own key, which the certificates name. It signs the answers.
    pub signer: &'a S,
    /// What the vendor's root keys say of that key: certificates of role authority, one for each
    /// product family. Of several that would do, the one that ends last is used. Others than the
    /// signer's, and those of hosts, are passed over.
    pub certificates: &'a [Certificate],
    /// The vendor's products.
    pub products: &'a [CatalogueProduct],
    /// How far a client's clock, where it has one, may be from the authority's; beyond, the request
    /// is refused with status 3. `None` never refuses, and is what an authority off line needs
    /// ([`Authority::max_skew`](super::Authority::max_skew)).
    pub max_skew: Option<Minutes>,
    /// How long a refused client waits before it asks again.
    pub activation_interval: Minutes,
    /// Told to clients because an answer has a place for it: an activation by key is perpetual.
    pub renewal_interval: Minutes,
}

impl<S: Signer> KeyService<'_, S> {
    /// Checks what needs no record: form, and the tag with the tag key derived for the key that the
    /// request names, whether that was ever issued or not: a MAK for method 1, a client setup key
    /// for method 0.
    pub fn examine(&self, frame: &Frame) -> Result<ExaminedActivation, UntrustedActivation> {
        let parsed = ParsedRequest::parse(frame).map_err(UntrustedActivation::Malformed)?;
        let request = parsed.unverified();
        let kind = match request.method {
            Method::Count => KeyKind::ClientSetup,
            Method::Key => KeyKind::MultipleActivation,
        };
        let schedule = TagSchedule::new(&self.master.product_key(kind, request.key_id).tag_key());
        parsed.check_tag(&schedule).map_err(|_| UntrustedActivation::Tag)?;
        let Request { application_id, activation_id, cmid, fingerprint, .. } = request;
        Ok(ExaminedActivation {
            frame: *frame,
            request_digest: request_digest(frame),
            machine: machine_digest(application_id, activation_id, cmid, fingerprint),
        })
    }

    /// Decides, and records what is granted. It hashes and signs nothing.
    ///
    /// In this order: method 1, else status 2; key known, else 5; key not blocked, else 7; a
    /// request granted before gets its answer again; product in the catalogue and covered by the
    /// key and by a certificate, else 2; such a certificate valid at `now`, else 4; clock, where
    /// [`max_skew`](Self::max_skew) is set, else 3. Then a machine that the key has activated
    /// before is granted and not counted, and another one is granted and counted while activations
    /// are left, else 6.
    ///
    /// A machine is the same when its digest is that of a counted one, or its CMID is, with a
    /// fingerprint that matches by the product's rule (PROTOCOL 8). One that was granted because it
    /// matched is not compared with later.
    ///
    /// An answer that was recorded for a key of the authority's that has been replaced since is not
    /// repeated: the request is decided anew, and not counted again.
    pub fn decide<L: Ledger>(
        &self,
        examined: &ExaminedActivation,
        now: UnixTime,
        ledger: &mut L,
    ) -> Result<Decision, ActivationError<S::Error, L::Error>> {
        let request = examined.request();
        let product = self.product(request.application_id, request.activation_id);
        let coverage = product.map(|product| product.coverage);
        let certificate = self.certificate(coverage, now).ok_or(ActivationError::NoCertificate)?;
        let reply = Reply { service: self, certificate, examined, now };
        if request.method != Method::Key {
            return Ok(reply.refusal(Refusal::NotCovered));
        }
        let key =
            ledger.multiple_activation_key(request.key_id).map_err(ActivationError::Ledger)?;
        let Some(key) = key else {
            return Ok(reply.refusal(Refusal::UnknownKey));
        };
        if key.blocked {
            return Ok(reply.refusal(Refusal::KeyBlocked));
        }
        let known = ledger.answer_to(&examined.request_digest).map_err(ActivationError::Ledger)?;
        if let Some(body) = known.and_then(|frame| self.still_signable(&frame)) {
            return Ok(Decision { body, outcome: ActivationOutcome::Repeated });
        }
        let product = match eligible(product, certificate, &key, now) {
            Ok(product) => product,
            Err(refusal) => return Ok(reply.refusal(refusal)),
        };
        if !tolerates(self.max_skew, request.client_time, now) {
            return Ok(reply.refusal(Refusal::ClockSkew));
        }
        let asking = Asking {
            machine: examined.machine,
            identity: Some((request.cmid, request.fingerprint)),
            product,
        };
        let Some(place) = Place::of(&asking, &key, ledger).map_err(ActivationError::Ledger)? else {
            return Ok(reply.refusal(Refusal::KeyExhausted));
        };
        let decision = reply.grant(place);
        let unsigned = decision.body.emit();
        let activation = KeyActivation {
            request_digest: examined.request_digest,
            answer: Some(&unsigned),
            name: request.workstation_name,
            virtual_machine: request.virtual_machine,
            ..asking.activation(&key, place, now)
        };
        ledger.record_activation(&activation).map_err(ActivationError::Ledger)?;
        Ok(decision)
    }

    /// Signs what was decided. The same decision gives the same frame.
    pub fn sign(&self, decision: &Decision) -> Result<ActivationAnswer, S::Error> {
        let frame = sign_response(&decision.body, self.signer)?;
        Ok(ActivationAnswer { frame, outcome: decision.outcome })
    }

    /// [`decide`](Self::decide) and [`sign`](Self::sign).
    pub fn conclude<L: Ledger>(
        &self,
        examined: &ExaminedActivation,
        now: UnixTime,
        ledger: &mut L,
    ) -> Result<ActivationAnswer, ActivationError<S::Error, L::Error>> {
        let decision = self.decide(examined, now, ledger)?;
        self.sign(&decision).map_err(ActivationError::Signer)
    }

    /// [`examine`](Self::examine) and [`conclude`](Self::conclude).
    pub fn answer_activation<L: Ledger>(
        &self,
        frame: &Frame,
        now: UnixTime,
        ledger: &mut L,
    ) -> Result<ActivationAnswer, ActivationError<S::Error, L::Error>> {
        let examined = self.examine(frame).map_err(ActivationError::Untrusted)?;
        self.conclude(&examined, now, ledger)
    }

    /// Refuses with status 8, of a service that has more to do than it can. No record is asked.
    pub fn busy(
        &self,
        examined: &ExaminedActivation,
        now: UnixTime,
    ) -> Result<ActivationAnswer, ActivationError<S::Error, Infallible>> {
        let Request { application_id, activation_id, .. } = examined.request();
        let coverage = self.product(application_id, activation_id).map(|product| product.coverage);
        let certificate = self.certificate(coverage, now).ok_or(ActivationError::NoCertificate)?;
        let reply = Reply { service: self, certificate, examined, now };
        self.sign(&reply.refusal(Refusal::Busy)).map_err(ActivationError::Signer)
    }

    fn product(
        &self,
        application_id: ApplicationId,
        activation_id: ActivationId,
    ) -> Option<&CatalogueProduct> {
        self.products.iter().find(|product| {
            product.application_id == application_id && product.activation_id == activation_id
        })
    }

    /// The certificate to answer with: one that covers the product, or at least is valid, so that
    /// the client can believe as much of a refusal as possible.
    fn certificate(&self, product: Option<Coverage>, now: UnixTime) -> Option<&Certificate> {
        let signer = self.signer.public_key();
        let own = self.certificates.iter().filter(|Certificate { claims, .. }| {
            claims.role == Role::Authority && claims.public_key == signer
        });
        own.max_by_key(|Certificate { claims, .. }| {
            let covers = product.is_some_and(|product| claims.coverage.covers(&product));
            (covers, claims.valid_at(now), claims.not_after)
        })
    }

    /// A recorded answer, unless the key that must sign it has been replaced.
    fn still_signable(&self, recorded: &Frame) -> Option<ResponseBody> {
        let Response { body, .. } = Response::parse(recorded).ok()?;
        (body.certificate.claims.public_key == self.signer.public_key()).then_some(body)
    }
}

/// The product, if the key may activate it and the certificate lets the authority say so.
fn eligible<'p>(
    product: Option<&'p CatalogueProduct>,
    Certificate { claims, .. }: &Certificate,
    key: &MultipleActivationKeyRecord,
    now: UnixTime,
) -> Result<&'p CatalogueProduct, Refusal> {
    let product = product.ok_or(Refusal::NotCovered)?;
    let covers =
        key.coverage.covers(&product.coverage) && claims.coverage.covers(&product.coverage);
    match (covers, claims.valid_at(now)) {
        (true, true) => Ok(product),
        (true, false) => Err(Refusal::NotEnrolled),
        (false, _) => Err(Refusal::NotCovered),
    }
}

/// What all answers to one request have in common.
struct Reply<'a, S> {
    service: &'a KeyService<'a, S>,
    certificate: &'a Certificate,
    examined: &'a ExaminedActivation,
    now: UnixTime,
}

impl<S> Reply<'_, S> {
    const fn grant(&self, Place { counted, left, .. }: Place) -> Decision {
        let verdict = Verdict::Granted { count: left, validity: Validity::Perpetual };
        Decision { body: self.body(verdict), outcome: ActivationOutcome::Granted { counted, left } }
    }

    const fn refusal(&self, refusal: Refusal) -> Decision {
        let body = self.body(Verdict::Refused(refusal));
        Decision { body, outcome: ActivationOutcome::Refused(refusal) }
    }

    const fn body(&self, verdict: Verdict) -> ResponseBody {
        ResponseBody {
            verdict,
            duplicate: false,
            activation_interval: self.service.activation_interval,
            renewal_interval: self.service.renewal_interval,
            host_time: self.now,
            request_digest: self.examined.request_digest,
            certificate: *self.certificate,
        }
    }
}
