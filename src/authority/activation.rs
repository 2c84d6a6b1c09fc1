//! What comes out of the steps in which an activation request is answered.

use core::fmt;

use crate::wire::{
    Digest, Frame, MachineDigest, Malformed, Refusal, Request, RequestView, ResponseBody,
};

/// A request that is well formed and whose tag was made with the product key that it names.
///
/// It owns the frame, so that it can wait in a queue. `Debug` hides the frame, which has the whole
/// CMID in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ExaminedActivation {
    pub(super) frame: Frame,
    pub(super) request_digest: Digest,
    pub(super) machine: MachineDigest,
}

/// What was decided, not yet signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the machine waits for the answer"]
pub struct Decision {
    pub(super) body: ResponseBody,
    pub(super) outcome: ActivationOutcome,
}

/// The frame to give back to the machine, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the machine waits for the frame"]
pub struct ActivationAnswer {
    /// The whole, signed response.
    pub frame: Frame,
    /// What was decided.
    pub outcome: ActivationOutcome,
}

/// What was decided on a request for activation by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ActivationOutcome {
    /// The machine is activated for ever, and that is recorded.
    Granted {
        /// Whether it is new to the key, so that one activation was used up.
        counted: bool,
        /// The activations left on the key.
        left: u32,
    },
    /// The request had been granted before: the same frame again, nothing counted or recorded.
    Repeated,
    /// The machine has a refusal, nothing is recorded: the same request may be granted later.
    Refused(Refusal),
}

/// Why an activation request cannot be believed. Its sender gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UntrustedActivation {
    /// The frame is malformed.
    Malformed(Malformed),
    /// The tag does not verify: the sender does not hold the product key that it names.
    Tag,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ActivationError<S, L> {
    /// The request is at fault. Its sender gets no answer.
    Untrusted(UntrustedActivation),
    /// The authority has no certificate for its key, so nobody could believe an answer. Nothing is
    /// recorded.
    NoCertificate,
    /// The authority's key could not sign. What was granted is recorded, and the same frame gets
    /// its answer once the key signs again.
    Signer(S),
    /// The ledger failed. Whether the activation is recorded only the ledger knows; asking again
    /// with the same frame is safe either way.
    Ledger(L),
}

impl ExaminedActivation {
    /// What was asked.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        self.view().request()
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

    /// The machine that asks.
    #[must_use]
    pub const fn machine(&self) -> MachineDigest {
        self.machine
    }

    const fn view(&self) -> RequestView<'_> {
        RequestView::answered(&self.frame)
    }
}

impl Decision {
    /// What was decided.
    #[must_use]
    pub const fn outcome(&self) -> ActivationOutcome {
        self.outcome
    }
}

impl fmt::Debug for ExaminedActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExaminedActivation").field(&self.request()).finish()
    }
}

impl fmt::Display for UntrustedActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "the request is malformed: {malformed}"),
            Self::Tag => f.write_str("the tag does not verify: made with another product key"),
        }
    }
}

impl core::error::Error for UntrustedActivation {}

impl<S: fmt::Debug, L: fmt::Debug> fmt::Display for ActivationError<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(untrusted) => {
                write!(f, "no believable activation request: {untrusted}")
            }
            Self::NoCertificate => f.write_str("the authority has no certificate for its key"),
            Self::Signer(error) => write!(f, "the authority's key could not sign: {error:?}"),
            Self::Ledger(error) => write!(f, "the ledger of activations failed: {error:?}"),
        }
    }
}

impl<S: fmt::Debug, L: fmt::Debug> core::error::Error for ActivationError<S, L> {}
