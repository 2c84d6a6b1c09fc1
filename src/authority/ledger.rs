//! What the authority asks of the vendor's records, and what it remembers there. They are kept
//! outside, by whatever the vendor trusts to keep them.

use core::fmt;

use super::{HostKeyRecord, MultipleActivationKeyRecord};
use crate::fingerprint::Fingerprint;
use crate::time::UnixTime;
use crate::wire::{
    ActivationId, ApplicationId, Certificate, Cmid, Digest, EnrolmentRequest, Frame, KeyId,
    MachineDigest, Name, PublicKey,
};

/// The least number of answers that a ledger keeps for each machine that a MAK has activated, the
/// latest ones. A frame whose answer is forgotten is answered anew, and not counted either.
pub const ANSWERS_PER_MACHINE: usize = 10;

/// A granted enrolment, as the ledger remembers it. All answers to enrolments are kept.
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

/// A granted activation by multiple activation key, as the ledger remembers it.
#[derive(Clone, Copy, Debug)]
pub struct KeyActivation<'a> {
    /// The MAK.
    pub key_id: KeyId,
    /// The counted machine that it is, by which [`Ledger::knows`] finds it from now on. It is the
    /// one that asks, unless that has changed within its product's tolerance since it was counted.
    pub machine: MachineDigest,
    /// The machine by the parts that [`Ledger::fingerprints`] finds it by. `None` when it is not to
    /// be compared with later, because only its likeness to the counted machine was granted, and
    /// when it was activated by phone, which tells no more than the digest.
    pub identity: Option<(Cmid, Fingerprint)>,
    /// What was activated on it.
    pub product: (ApplicationId, ActivationId),
    /// Whether the machine is new to the key, so that one activation is used up:
    /// [`Ledger::machines`] grows by one.
    pub counted: bool,
    /// The digest of the request, by which a repetition is recognised.
    pub request_digest: Digest,
    /// What [`Ledger::answer_to`] gives back for that digest: the answer's frame with zeros in the
    /// signature's place, because signing again gives the same signature. `None` by phone.
    pub answer: Option<&'a Frame>,
    /// The machine's name, if it told one.
    pub name: Name<'a>,
    /// Whether it is a virtual machine, as it says.
    pub virtual_machine: bool,
    /// When, by the authority's clock.
    pub at: UnixTime,
}

/// The vendor's register of keys and of what was granted with them.
///
/// All calls for one request belong to one transaction: nothing else may be recorded between the
/// look-ups and [`record`](Self::record) or [`record_activation`](Self::record_activation), or a
/// key could grant more than it may. One transaction may serve many requests, one after the other:
/// what is recorded is seen by the look-ups that follow.
///
/// An answer must not be handed out before what was recorded for it is safe from a power cut. A
/// ledger whose `record` returns only then needs no more care; one that commits a batch holds the
/// answers back until it has. If the commit fails, so do all its answers, and the same frames may
/// be sent again: what was recorded is repeated, what was not is granted anew.
pub trait Ledger {
    /// Why the ledger failed.
    type Error: fmt::Debug;

    /// The host key of this number; `None` when the vendor has not issued it.
    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, Self::Error>;

    /// The MAK of this number; `None` when the vendor has not issued it.
    fn multiple_activation_key(
        &mut self,
        key_id: KeyId,
    ) -> Result<Option<MultipleActivationKeyRecord>, Self::Error>;

    /// The answer that was recorded for a request with this digest.
    fn answer_to(&mut self, request_digest: &Digest) -> Result<Option<Frame>, Self::Error>;

    /// How many different hosts the host key has enrolled.
    fn hosts(&mut self, key_id: KeyId) -> Result<u32, Self::Error>;

    /// How many times the host key has enrolled this host; 0 when never.
    fn activations(&mut self, key_id: KeyId, host: &PublicKey) -> Result<u32, Self::Error>;

    /// How many machines the MAK has activated: the recorded activations that are
    /// [`counted`](KeyActivation::counted).
    fn machines(&mut self, key_id: KeyId) -> Result<u32, Self::Error>;

    /// Whether an activation of this machine with this MAK is recorded, counted or not.
    fn knows(&mut self, key_id: KeyId, machine: &MachineDigest) -> Result<bool, Self::Error>;

    /// Shows each machine that is recorded with this CMID under this MAK, and its fingerprint
    /// ([`KeyActivation::identity`]), in any order.
    fn fingerprints(
        &mut self,
        key_id: KeyId,
        cmid: Cmid,
        visit: &mut dyn FnMut(&MachineDigest, &Fingerprint),
    ) -> Result<(), Self::Error>;

    /// Remembers an enrolment. A host that renews by phone sends the same digest again, and the
    /// later answer takes the place of the earlier one; the enrolments are two all the same.
    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), Self::Error>;

    /// Remembers an activation by MAK. A machine or a digest that is recorded already is recorded
    /// again, and the later answer takes the place of the earlier one.
    fn record_activation(&mut self, activation: &KeyActivation<'_>) -> Result<(), Self::Error>;
}

impl<L: Ledger + ?Sized> Ledger for &mut L {
    type Error = L::Error;

    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, Self::Error> {
        L::host_key(self, key_id)
    }

    fn multiple_activation_key(
        &mut self,
        key_id: KeyId,
    ) -> Result<Option<MultipleActivationKeyRecord>, Self::Error> {
        L::multiple_activation_key(self, key_id)
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

    fn machines(&mut self, key_id: KeyId) -> Result<u32, Self::Error> {
        L::machines(self, key_id)
    }

    fn knows(&mut self, key_id: KeyId, machine: &MachineDigest) -> Result<bool, Self::Error> {
        L::knows(self, key_id, machine)
    }

    fn fingerprints(
        &mut self,
        key_id: KeyId,
        cmid: Cmid,
        visit: &mut dyn FnMut(&MachineDigest, &Fingerprint),
    ) -> Result<(), Self::Error> {
        L::fingerprints(self, key_id, cmid, visit)
    }

    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), Self::Error> {
        L::record(self, enrolment)
    }

    fn record_activation(&mut self, activation: &KeyActivation<'_>) -> Result<(), Self::Error> {
        L::record_activation(self, activation)
    }
}
