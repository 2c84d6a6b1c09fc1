//! Answering an installation id that was read out by phone (PROTOCOL 14).

use core::fmt;

use super::enrolment::Used;
use super::place::{Asking, Place};
use super::{
    Authority, CatalogueProduct, Enrolment, EnrolmentOutcome, HostKeyRecord, KeyActivation, Ledger,
    MultipleActivationKeyRecord,
};
use crate::fingerprint::Fingerprint;
use crate::phone::{
    Confirmation, HostConfirmation, HostInstallationId, InstallationId, whole_days,
};
use crate::policy::warning_period;
use crate::time::UnixTime;
use crate::trust::{Signer, sign_certificate, sign_enrolment_response};
use crate::wire::{
    Certificate, Claims, Coverage, EnrolmentBody, EnrolmentRequest, EnrolmentResponse, KeyKind,
    Name, Nonce, Refusal, Role,
};

/// A machine that is activated by phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the owner of the machine waits for the confirmation id"]
pub struct PhoneActivation {
    /// What to read out.
    pub confirmation: Confirmation,
    /// Whether the machine is new to the key, so that one activation was used up.
    pub counted: bool,
    /// The activations left on the key.
    pub left: u32,
}

/// A host that is enrolled by phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the operator of the host waits for the confirmation id"]
pub struct PhoneEnrolment {
    /// What to read out.
    pub confirmation: HostConfirmation,
    /// The certificate that it stands for.
    pub certificate: Certificate,
    /// Granted or repeated: a refusal is an error here.
    pub outcome: EnrolmentOutcome,
    /// Hosts that the key can still enrol.
    pub hosts_left: u32,
    /// Activations that this host has left on the key.
    pub activations_left: u32,
}

/// Why there is nothing to read out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PhoneError<S, L> {
    /// The id was not made with the key that it names.
    Tag,
    /// Refused by the same rules as a request. Nothing is recorded.
    Refused(Refusal),
    /// The serial number for the host's certificate has more than 32 bits, or the vendor's time is
    /// beyond the dates that a confirmation id can tell. Nothing is recorded.
    Untellable,
    /// The root key could not sign. Nothing is recorded.
    Signer(S),
    /// The ledger failed. Whether it is recorded only the ledger knows; asking again with the same
    /// id is safe either way.
    Ledger(L),
}

impl<S: Signer> Authority<'_, S> {
    /// Activates a machine by its installation id, for ever; the root key confirms it.
    ///
    /// In this order: tag, with the tag key derived for the MAK that it names; key known, else
    /// status 5; key not blocked, else 7; product in the vendor's catalogue, `products`, and covered
    /// by the key, else 2. Then a machine that the key has activated before is granted and not
    /// counted, and another one is granted and counted while activations are left, else 6. The same
    /// id gets the same confirmation.
    ///
    /// A machine is the same when its digest is: the id tells no more. So a machine whose hardware
    /// has changed is counted again by phone, and is not when it asks by a request.
    pub fn answer_installation<L: Ledger>(
        &self,
        id: &InstallationId,
        products: &[CatalogueProduct],
        now: UnixTime,
        ledger: &mut L,
    ) -> Result<PhoneActivation, PhoneError<S::Error, L::Error>> {
        let key_id = id.key_id();
        let mak = self.master.product_key(KeyKind::MultipleActivation, key_id);
        if !id.is_tagged_with(&mak.tag_key()) {
            return Err(PhoneError::Tag);
        }
        let key = ledger.multiple_activation_key(key_id).map_err(PhoneError::Ledger)?;
        let key = key.ok_or(PhoneError::Refused(Refusal::UnknownKey))?;
        if key.blocked {
            return Err(PhoneError::Refused(Refusal::KeyBlocked));
        }
        let product = product_of(id, products, &key).map_err(PhoneError::Refused)?;
        let asking = Asking { machine: id.machine(), identity: None, product };
        let place = Place::of(&asking, &key, ledger).map_err(PhoneError::Ledger)?;
        let place = place.ok_or(PhoneError::Refused(Refusal::KeyExhausted))?;
        let confirmation = id.confirm(self.root).map_err(PhoneError::Signer)?;
        let activation =
            KeyActivation { request_digest: id.digest(), ..asking.activation(&key, place, now) };
        ledger.record_activation(&activation).map_err(PhoneError::Ledger)?;
        Ok(PhoneActivation { confirmation, counted: place.counted, left: place.left })
    }

    /// Enrols a host by its installation id, by the rules of
    /// [`conclude_enrolment`](Self::conclude_enrolment) but for the proof of possession and the
    /// clock, which are not told.
    ///
    /// The certificate is one of whole days: it begins with the day in which it would begin
    /// otherwise, and ends with the day in which it would end. `serial` must have 32 bits.
    ///
    /// A host has one id, so what tells a repetition from a renewal is the certificate that was
    /// granted: it is told again, and not counted, while it is what would be granted now and more
    /// than 30 days of it are left, or half its validity where that is shorter.
    pub fn answer_host_installation<L: Ledger>(
        &self,
        id: &HostInstallationId,
        now: UnixTime,
        serial: u64,
        ledger: &mut L,
    ) -> Result<PhoneEnrolment, PhoneError<S::Error, L::Error>> {
        let key_id = id.key_id();
        if !id.is_tagged_with(&self.master.product_key(KeyKind::Host, key_id).tag_key()) {
            return Err(PhoneError::Tag);
        }
        let key = ledger.host_key(key_id).map_err(PhoneError::Ledger)?;
        let key = key.ok_or(PhoneError::Refused(Refusal::UnknownKey))?;
        if key.blocked {
            return Err(PhoneError::Refused(Refusal::KeyBlocked));
        }
        let used = Used {
            hosts: ledger.hosts(key_id).map_err(PhoneError::Ledger)?,
            activations: ledger
                .activations(key_id, &id.public_key())
                .map_err(PhoneError::Ledger)?,
        };
        let claims = self.claims_of_days(id, &key, serial, now);
        if !claims.valid_at(now) {
            return Err(PhoneError::Untellable);
        }
        let granted = ledger.answer_to(&id.digest()).map_err(PhoneError::Ledger)?;
        let granted =
            granted.and_then(|frame| EnrolmentResponse::parse(&frame).ok()?.body.outcome.ok());
        if let Some(certificate) = granted.filter(|granted| self.is_current(granted, &claims, now))
        {
            return tell(certificate, EnrolmentOutcome::Repeated, used, &key);
        }
        let used = used.once_more(&key).ok_or(PhoneError::Refused(Refusal::KeyExhausted))?;
        let certificate = sign_certificate(&claims, self.root).map_err(PhoneError::Signer)?;
        let outcome = EnrolmentOutcome::Granted { activation: used.activations };
        let told = tell(certificate, outcome, used, &key)?;
        let body = EnrolmentBody {
            outcome: Ok(certificate),
            hosts_left: told.hosts_left,
            activations_left: told.activations_left,
            authority_time: now,
            request_digest: id.digest(),
            root_id: self.root_id,
        };
        let answer = sign_enrolment_response(&body, self.root).map_err(PhoneError::Signer)?;
        let enrolment = Enrolment {
            request: &as_request(id),
            request_digest: id.digest(),
            activation: used.activations,
            certificate: &certificate,
            answer: &answer,
            at: now,
        };
        ledger.record(&enrolment).map_err(PhoneError::Ledger)?;
        Ok(told)
    }

    fn claims_of_days(
        &self,
        id: &HostInstallationId,
        key: &HostKeyRecord,
        serial: u64,
        now: UnixTime,
    ) -> Claims {
        let rank = key.coverage.rank.min(id.platform_rank());
        let coverage = Coverage { rank, ..key.coverage };
        let claims = self.claims(id.public_key(), Role::Host, coverage, serial, now);
        let (not_before, not_after) = whole_days(claims.not_before, claims.not_after);
        Claims { not_before, not_after, ..claims }
    }

    /// Whether a certificate still does for what would be claimed now.
    fn is_current(
        &self,
        Certificate { claims, .. }: &Certificate,
        new: &Claims,
        now: UnixTime,
    ) -> bool {
        let renewal = warning_period(self.certificate_validity.as_millis()).as_duration();
        claims.coverage == new.coverage
            && claims.root_id == new.root_id
            && claims.not_after.start().since(now) > renewal
    }
}

/// The product that an installation id names, if the key covers it. Its 24 bits might be those of
/// several products; the key has to cover them all then.
fn product_of<'p>(
    id: &InstallationId,
    products: &'p [CatalogueProduct],
    key: &MultipleActivationKeyRecord,
) -> Result<&'p CatalogueProduct, Refusal> {
    let mut named =
        products.iter().filter(|product| id.is_of(product.application_id, product.activation_id));
    let first = named.clone().next().ok_or(Refusal::NotCovered)?;
    let covered = named.all(|product| key.coverage.covers(&product.coverage));
    covered.then_some(first).ok_or(Refusal::NotCovered)
}

fn tell<S, L>(
    certificate: Certificate,
    outcome: EnrolmentOutcome,
    used: Used,
    key: &HostKeyRecord,
) -> Result<PhoneEnrolment, PhoneError<S, L>> {
    let confirmation =
        HostConfirmation::from_certificate(&certificate).ok_or(PhoneError::Untellable)?;
    let left = used.left(key);
    Ok(PhoneEnrolment {
        confirmation,
        certificate,
        outcome,
        hosts_left: left.hosts,
        activations_left: left.activations,
    })
}

/// What a host that enrols by phone tells, as a request would.
fn as_request(id: &HostInstallationId) -> EnrolmentRequest<'static> {
    EnrolmentRequest {
        platform_rank: id.platform_rank(),
        key_id: id.key_id(),
        public_key: id.public_key(),
        host_time: None,
        nonce: Nonce([0; 16]),
        fingerprint: Fingerprint::EMPTY,
        host_name: Name::default(),
    }
}

impl<S: fmt::Debug, L: fmt::Debug> fmt::Display for PhoneError<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag => f.write_str("the installation id was not made with the key that it names"),
            Self::Refused(refusal) => write!(f, "refused: {}", refusal.name()),
            Self::Untellable => {
                f.write_str("the certificate's serial number or dates do not fit a confirmation id")
            }
            Self::Signer(error) => write!(f, "the root key could not sign: {error:?}"),
            Self::Ledger(error) => write!(f, "the ledger failed: {error:?}"),
        }
    }
}

impl<S: fmt::Debug, L: fmt::Debug> core::error::Error for PhoneError<S, L> {}
