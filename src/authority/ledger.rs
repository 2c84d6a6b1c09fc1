//! What the authority knows of host keys, and what it remembers of enrolments. Kept outside, by
//! whatever the vendor trusts to keep it: the trait says what is asked of that.

use core::fmt;

use crate::time::UnixTime;
use crate::wire::{Certificate, Coverage, Digest, EnrolmentRequest, Frame, KeyId, PublicKey};

/// How many hosts a host key enrols, by default (PROTOCOL 6).
pub const HOSTS_PER_KEY: u32 = 6;

/// How many times each host may be activated with a host key, by default; the first time counts
/// (PROTOCOL 6).
pub const ACTIVATIONS_PER_HOST: u32 = 10;

/// A host key (product key of kind 1) in the vendor's register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HostKeyRecord {
    /// Its number.
    pub key_id: KeyId,
    /// The highest that its hosts may activate; a host's platform may lower the rank.
    pub coverage: Coverage,
    /// How many hosts it enrols; a host is a public key.
    pub hosts_limit: u32,
    /// How many times it enrols each host, the first included.
    pub activations_per_host: u32,
    /// The vendor has blocked it: it enrols nobody any more, and repeats no answer.
    pub blocked: bool,
}

impl HostKeyRecord {
    /// A key with the default limits, 6 hosts with 10 activations each, not blocked.
    #[must_use]
    pub const fn new(key_id: KeyId, coverage: Coverage) -> Self {
        Self {
            key_id,
            coverage,
            hosts_limit: HOSTS_PER_KEY,
            activations_per_host: ACTIVATIONS_PER_HOST,
            blocked: false,
        }
    }
}

/// A granted enrolment, as the ledger remembers it.
#[derive(Clone, Copy, Debug)]
pub struct Enrolment<'a> {
    /// What was asked, verified: key, host, platform, name.
    pub request: &'a EnrolmentRequest<'a>,
    /// The digest of the request's frame, by which a repetition is recognised.
    pub request_digest: Digest,
    /// Which activation of this host with this key it is: 1 is the first.
    pub activation: u32,
    /// What was issued.
    pub certificate: &'a Certificate,
    /// The answer's frame, to be given again to the same request.
    pub answer: &'a Frame,
    /// When, by the authority's clock.
    pub at: UnixTime,
}

/// The vendor's register of host keys and of what they have enrolled.
///
/// All calls for one request make one transaction: nothing else may be recorded between the
/// look-ups and [`record`](Self::record), or a key could enrol more hosts than it may. A ledger
/// that several processes share locks for the time it is lent out, or lets `record` fail when the
/// numbers have changed (`activation` must be one above what is recorded, and a first activation
/// one host more than before).
pub trait EnrolmentLedger {
    /// Why the ledger failed.
    type Error: fmt::Debug;

    /// The host key of this number; `None` when the vendor has not issued it.
    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, Self::Error>;

    /// The answer that was recorded for a request with this digest.
    fn answer_to(&mut self, request_digest: &Digest) -> Result<Option<Frame>, Self::Error>;

    /// How many different hosts the key has enrolled.
    fn hosts(&mut self, key_id: KeyId) -> Result<u32, Self::Error>;

    /// How many times the key has enrolled this host; 0 when never.
    fn activations(&mut self, key_id: KeyId, host: &PublicKey) -> Result<u32, Self::Error>;

    /// Remembers an enrolment, and returns when it is safe from a power cut. The answer is handed
    /// out only then, so an enrolment that the ledger lost was never used.
    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), Self::Error>;
}

impl<L: EnrolmentLedger + ?Sized> EnrolmentLedger for &mut L {
    type Error = L::Error;

    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, Self::Error> {
        L::host_key(self, key_id)
    }

    fn answer_to(&mut self, request_digest: &Digest) -> Result<Option<Frame>, Self::Error> {
        L::answer_to(self, request_digest)
    }

    fn hosts(&mut self, key_id: KeyId) -> Result<u32, Self::Error> {
        L::hosts(self, key_id)
    }

    fn activations(&mut self, key_id: KeyId, host: &PublicKey) -> Result<u32, Self::Error> {
        L::activations(self, key_id, host)
    }

    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), Self::Error> {
        L::record(self, enrolment)
    }
}
