//! The vendor's side: certificates, and answers to enrolment and activation requests (PROTOCOL 4
//! to 6, 9) and to installation ids told by phone (PROTOCOL 14).
//!
//! Pure: time, keys and the record of what was granted come in from outside, so the same code
//! answers a request that arrived on a memory stick and one that arrived over a network.
//!
//! - [`Authority`] has the vendor's root key: it makes certificates, enrols hosts by host key, and
//!   answers by phone.
//! - [`KeyService`] has a key of its own that the root key has certified: it activates single
//!   machines by multiple activation key, or MAK.
//! - [`Ledger`] is what both need to remember.
//!
//! What this layer promises:
//!
//! - Only a request whose tag verifies, and whose signature where it has one, is answered; anything
//!   else gets an error for the operator and nothing for the sender.
//! - What an answer grants is recorded before it is handed out; a refusal records nothing.
//! - A frame that was granted gets the same bytes again, as long as the ledger keeps its answer
//!   ([`ANSWERS_PER_MACHINE`]) and the key that signed it is in use. It is never counted again.
//! - A key grants no more than its limit. The same machine is counted once for a key, the same host
//!   has one place.
//!
//! Product keys come from [`MasterKey::product_key`](crate::trust::MasterKey::product_key).

mod activation;
mod enrolment;
mod key_service;
mod keys;
mod ledger;
mod phone;
mod place;

pub use activation::{
    ActivationAnswer, ActivationError, ActivationOutcome, Decision, ExaminedActivation,
    UntrustedActivation,
};
pub use enrolment::{EnrolmentAnswer, EnrolmentError, EnrolmentOutcome, ExaminedEnrolment};
pub use key_service::{CatalogueProduct, KeyService};
pub use keys::{ACTIVATIONS_PER_HOST, HOSTS_PER_KEY, HostKeyRecord, MultipleActivationKeyRecord};
pub use ledger::{ANSWERS_PER_MACHINE, Enrolment, KeyActivation, Ledger};
pub use phone::{PhoneActivation, PhoneEnrolment, PhoneError};

use crate::policy::CLOCK_TOLERANCE;
use crate::time::{EpochMinute, Minutes, UnixTime};
use crate::trust::{MasterKey, Signer, sign_certificate};
use crate::wire::{Certificate, Claims, Coverage, PublicKey, Role};

/// The vendor's keys and the rules by which they are used.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a, S> {
    /// The key from which the tag keys of all product keys are derived.
    pub master: &'a MasterKey,
    /// The id by which products know the root key.
    pub root_id: u16,
    /// The root key.
    pub root: &'a S,
    /// How long a certificate lasts from its issue. A host that does not enrol again before its
    /// end stops answering, and each host has a limited number of enrolments
    /// ([`HostKeyRecord::activations_per_host`]): the two multiplied are what a host key is worth.
    pub certificate_validity: Minutes,
    /// How far the host's clock, where it has one, may be from the authority's; beyond, the request
    /// is refused with status 3 (PROTOCOL 9).
    ///
    /// `None` never refuses, and is what an authority off line needs: the time in a request that
    /// was carried by hand is as old as the journey was long, which cannot be told from a clock
    /// that is slow. A service on line uses [`CLOCK_TOLERANCE`].
    pub max_skew: Option<Minutes>,
}

impl<S: Signer> Authority<'_, S> {
    /// Issues a certificate (PROTOCOL 4) for whatever key the caller has reason to trust; hosts
    /// that ask get theirs by [`answer_enrolment`](Self::answer_enrolment).
    ///
    /// It is valid from 240 minutes before `now`, so that a host whose clock is tolerably slow can
    /// use it at once, until the validity after `now` has passed, that minute included. Both dates
    /// stop at the ends of their scale, 1970 and the year 10,136. `serial` must be unique for the
    /// root. The error is the signer's.
    pub fn certify(
        &self,
        public_key: PublicKey,
        role: Role,
        coverage: Coverage,
        serial: u64,
        now: UnixTime,
    ) -> Result<Certificate, S::Error> {
        sign_certificate(&self.claims(public_key, role, coverage, serial, now), self.root)
    }
}

impl<S> Authority<'_, S> {
    /// What a certificate issued now says.
    fn claims(
        &self,
        public_key: PublicKey,
        role: Role,
        coverage: Coverage,
        serial: u64,
        now: UnixTime,
    ) -> Claims {
        let EpochMinute(minute) = now.minute();
        Claims {
            public_key,
            serial,
            not_before: EpochMinute(minute.saturating_sub(CLOCK_TOLERANCE.0)),
            not_after: EpochMinute(minute.saturating_add(self.certificate_validity.0)),
            root_id: self.root_id,
            coverage,
            role,
        }
    }
}
