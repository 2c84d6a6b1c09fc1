//! Answering an enrolment request (PROTOCOL 6).

use core::fmt;

use super::place::tolerates;
use super::{Authority, Enrolment, HostKeyRecord, Ledger};
use crate::time::UnixTime;
use crate::trust::{
    Signer, UntrustedEnrolment, request_digest, sign_enrolment_response, verify_enrolment_request,
};
use crate::wire::{
    Certificate, Coverage, Digest, EnrolmentBody, EnrolmentRequest, Frame, KeyKind, Malformed,
    Refusal, Role,
};

/// The frame to give back to the host, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the host waits for the frame"]
pub struct EnrolmentAnswer {
    /// The whole, signed response.
    pub frame: Frame,
    /// What was decided.
    pub outcome: EnrolmentOutcome,
}

/// What was decided on an enrolment request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EnrolmentOutcome {
    /// The host has a certificate, and the enrolment is counted and recorded.
    Granted {
        /// Which activation of this host with this key it is: 1 for a host that is new to the key.
        activation: u32,
    },
    /// The request had been granted before: the same frame again, nothing counted.
    Repeated,
    /// The host has a refusal, nothing is recorded: the same request may be granted later.
    Refused(Refusal),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EnrolmentError<S, L> {
    /// The request is at fault: malformed, or not made by who it says. Its sender gets no answer.
    Untrusted(UntrustedEnrolment),
    /// The root key could not sign. Nothing is recorded.
    Signer(S),
    /// The ledger failed. Whether the enrolment is recorded only the ledger knows; asking again
    /// with the same frame is safe either way.
    Ledger(L),
}

/// An enrolment request that is well formed, tagged with the host key that it names and signed with
/// the host's own key. It owns the frame, so that it can wait in a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ExaminedEnrolment {
    frame: Frame,
    request_digest: Digest,
}

impl ExaminedEnrolment {
    /// What was asked.
    pub fn request(&self) -> Result<EnrolmentRequest<'_>, Malformed> {
        EnrolmentRequest::parse(&self.frame)
    }

    /// The frame that was examined.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Its digest, by which the answer names it.
    #[must_use]
    pub const fn request_digest(&self) -> Digest {
        self.request_digest
    }
}

impl<S: Signer> Authority<'_, S> {
    /// Checks what needs no record: form; tag, with the tag key derived for the key that the
    /// request names, whether that was ever issued or not; signature of the host's key.
    pub fn examine_enrolment(
        &self,
        frame: &Frame,
    ) -> Result<ExaminedEnrolment, UntrustedEnrolment> {
        let key_id = EnrolmentRequest::parse(frame)?.key_id;
        let tag_key = self.master.product_key(KeyKind::Host, key_id).tag_key();
        verify_enrolment_request(frame, &tag_key)?;
        Ok(ExaminedEnrolment { frame: *frame, request_digest: request_digest(frame) })
    }

    /// Answers an examined enrolment request (PROTOCOL 6).
    ///
    /// In this order: key known, else status 5; key not blocked, else 7; a request granted before
    /// gets its answer again; clock, where [`max_skew`](Self::max_skew) is set, else 3; activations
    /// left for a host of this key, hosts left for another one, else 6. The certificate's rank is
    /// the lower of the key's and the platform's.
    ///
    /// `now` is the authority's clock. `serial` becomes the certificate's and must be unique for
    /// the root; it is used up only by [`EnrolmentOutcome::Granted`].
    ///
    /// A refusal tells how many hosts and activations are left, too; of an unknown or blocked key
    /// nothing is.
    pub fn conclude_enrolment<L: Ledger>(
        &self,
        examined: &ExaminedEnrolment,
        now: UnixTime,
        serial: u64,
        ledger: &mut L,
    ) -> Result<EnrolmentAnswer, EnrolmentError<S::Error, L::Error>> {
        let request = examined.request().map_err(UntrustedEnrolment::from)?;
        let key_id = request.key_id;
        let reply = Reply { authority: self, request_digest: examined.request_digest, now };
        let key = ledger.host_key(key_id).map_err(EnrolmentError::Ledger)?;
        let Some(key) = key else {
            return reply.refusal(Refusal::UnknownKey, Left::NOTHING);
        };
        if key.blocked {
            return reply.refusal(Refusal::KeyBlocked, Left::NOTHING);
        }
        let known = ledger.answer_to(&reply.request_digest).map_err(EnrolmentError::Ledger)?;
        if let Some(frame) = known {
            return Ok(EnrolmentAnswer { frame, outcome: EnrolmentOutcome::Repeated });
        }
        let used = Used {
            hosts: ledger.hosts(key_id).map_err(EnrolmentError::Ledger)?,
            activations: ledger
                .activations(key_id, &request.public_key)
                .map_err(EnrolmentError::Ledger)?,
        };
        if !tolerates(self.max_skew, request.host_time, now) {
            return reply.refusal(Refusal::ClockSkew, used.left(&key));
        }
        let Some(used) = used.once_more(&key) else {
            return reply.refusal(Refusal::KeyExhausted, used.left(&key));
        };

        let rank = key.coverage.rank.min(request.platform_rank);
        let coverage = Coverage { rank, ..key.coverage };
        let certificate = self
            .certify(request.public_key, Role::Host, coverage, serial, now)
            .map_err(EnrolmentError::Signer)?;
        let frame = reply.sign(Ok(certificate), used.left(&key)).map_err(EnrolmentError::Signer)?;
        let enrolment = Enrolment {
            request: &request,
            request_digest: reply.request_digest,
            activation: used.activations,
            certificate: &certificate,
            answer: &frame,
            at: now,
        };
        ledger.record(&enrolment).map_err(EnrolmentError::Ledger)?;
        let outcome = EnrolmentOutcome::Granted { activation: used.activations };
        Ok(EnrolmentAnswer { frame, outcome })
    }

    /// [`examine_enrolment`](Self::examine_enrolment) and
    /// [`conclude_enrolment`](Self::conclude_enrolment).
    pub fn answer_enrolment<L: Ledger>(
        &self,
        frame: &Frame,
        now: UnixTime,
        serial: u64,
        ledger: &mut L,
    ) -> Result<EnrolmentAnswer, EnrolmentError<S::Error, L::Error>> {
        let examined = self.examine_enrolment(frame)?;
        self.conclude_enrolment(&examined, now, serial, ledger)
    }

    /// Refuses with status 8, of a service that has more to do than it can. No record is asked.
    pub fn busy_enrolment(
        &self,
        examined: &ExaminedEnrolment,
        now: UnixTime,
    ) -> Result<EnrolmentAnswer, S::Error> {
        let reply = Reply { authority: self, request_digest: examined.request_digest, now };
        let frame = reply.sign(Err(Refusal::Busy), Left::NOTHING)?;
        Ok(EnrolmentAnswer { frame, outcome: EnrolmentOutcome::Refused(Refusal::Busy) })
    }
}

impl fmt::Debug for ExaminedEnrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExaminedEnrolment").field(&self.request()).finish()
    }
}

/// What has been used of a host key: how many hosts, and how many activations of the one that asks.
#[derive(Clone, Copy)]
pub(super) struct Used {
    pub(super) hosts: u32,
    pub(super) activations: u32,
}

/// What is left of a host key, as an answer tells it.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub(super) hosts: u32,
    pub(super) activations: u32,
}

impl Left {
    const NOTHING: Self = Self { hosts: 0, activations: 0 };
}

impl Used {
    /// One activation more, and one host more when this one is new; `None` beyond the limits. A
    /// limit that the vendor has lowered since takes nothing back.
    pub(super) fn once_more(self, key: &HostKeyRecord) -> Option<Self> {
        let Self { hosts, activations } = self;
        let hosts = if activations == 0 { hosts.saturating_add(1) } else { hosts };
        let fits = activations < key.activations_per_host && !self.is_shut_out(key);
        fits.then_some(Self { hosts, activations: activations.saturating_add(1) })
    }

    pub(super) fn left(self, key: &HostKeyRecord) -> Left {
        let left = key.activations_per_host.saturating_sub(self.activations);
        Left {
            hosts: key.hosts_limit.saturating_sub(self.hosts),
            activations: if self.is_shut_out(key) { 0 } else { left },
        }
    }

    /// A new host for which the key has no place.
    const fn is_shut_out(self, key: &HostKeyRecord) -> bool {
        self.activations == 0 && self.hosts >= key.hosts_limit
    }
}

/// What all answers to one request have in common.
struct Reply<'a, S> {
    authority: &'a Authority<'a, S>,
    request_digest: Digest,
    now: UnixTime,
}

impl<S: Signer> Reply<'_, S> {
    fn refusal<L>(
        &self,
        refusal: Refusal,
        left: Left,
    ) -> Result<EnrolmentAnswer, EnrolmentError<S::Error, L>> {
        let frame = self.sign(Err(refusal), left).map_err(EnrolmentError::Signer)?;
        Ok(EnrolmentAnswer { frame, outcome: EnrolmentOutcome::Refused(refusal) })
    }

    fn sign(&self, outcome: Result<Certificate, Refusal>, left: Left) -> Result<Frame, S::Error> {
        let body = EnrolmentBody {
            outcome,
            hosts_left: left.hosts,
            activations_left: left.activations,
            authority_time: self.now,
            request_digest: self.request_digest,
            root_id: self.authority.root_id,
        };
        sign_enrolment_response(&body, self.authority.root)
    }
}

impl<S, L> From<UntrustedEnrolment> for EnrolmentError<S, L> {
    fn from(untrusted: UntrustedEnrolment) -> Self {
        Self::Untrusted(untrusted)
    }
}

impl<S: fmt::Debug, L: fmt::Debug> fmt::Display for EnrolmentError<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(untrusted) => write!(f, "no believable enrolment request: {untrusted}"),
            Self::Signer(error) => write!(f, "the root key could not sign: {error:?}"),
            Self::Ledger(error) => write!(f, "the ledger of enrolments failed: {error:?}"),
        }
    }
}

impl<S: fmt::Debug, L: fmt::Debug> core::error::Error for EnrolmentError<S, L> {}
