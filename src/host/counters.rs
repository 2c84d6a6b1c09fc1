//! What a host counts besides machines. All counters stop at their maximum instead of wrapping.

use super::Silence;
use crate::wire::{LicenceStatus, Refusal, RequestView, ResponseBody, Verdict};

const REFUSALS: usize = Refusal::ALL.len();
const STATUSES: usize = LicenceStatus::ALL.len();

/// One count for each frame that ever arrived: granted, refused (by reason) or silent (by reason).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HostCounters {
    /// Requests granted: answered with a count.
    pub granted: u32,
    /// Requests refused, in the order of [`Refusal::ALL`].
    pub refused: [u32; REFUSALS],
    /// Frames without an answer, in the order of [`Silence::NAMES`].
    pub silent: [u32; Silence::COUNT],
}

impl HostCounters {
    /// Frames that arrived.
    #[must_use]
    pub fn frames(&self) -> u32 {
        let others = self.refused.iter().chain(&self.silent);
        others.fold(self.granted, |sum, count| sum.saturating_add(*count))
    }

    pub(super) fn count(&mut self, decision: &Result<ResponseBody, Silence>) {
        match decision {
            Ok(body) => increase(self.answered(body)),
            Err(silence) => self.silent.get_mut(silence.index()).map(increase).unwrap_or_default(),
        }
    }

    /// Makes an answer that was counted, and then could not be signed, a silence.
    pub(super) fn signer_failed(&mut self, body: &ResponseBody) {
        let answered = self.answered(body);
        *answered = answered.saturating_sub(1);
        self.silent.get_mut(Silence::Signer.index()).map(increase).unwrap_or_default();
    }

    fn answered(&mut self, body: &ResponseBody) -> &mut u32 {
        match body.verdict {
            Verdict::Granted { .. } => &mut self.granted,
            Verdict::Refused(refusal) => self.refused_with(refusal),
        }
    }

    fn refused_with(&mut self, refusal: Refusal) -> &mut u32 {
        let [
            unknown_product,
            not_covered,
            clock_skew,
            not_enrolled,
            unknown_key,
            key_exhausted,
            key_blocked,
            busy,
        ] = &mut self.refused;
        match refusal {
            Refusal::UnknownProduct => unknown_product,
            Refusal::NotCovered => not_covered,
            Refusal::ClockSkew => clock_skew,
            Refusal::NotEnrolled => not_enrolled,
            Refusal::UnknownKey => unknown_key,
            Refusal::KeyExhausted => key_exhausted,
            Refusal::KeyBlocked => key_blocked,
            Refusal::Busy => busy,
        }
    }
}

/// What one pool was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PoolCounters {
    /// Requests for a product of this pool.
    pub requests: u32,
    /// Of these, the refused ones.
    pub failed: u32,
    /// The highest required count ever asked for; 0 when nobody has asked.
    pub required_count: u32,
    /// Requests by the licence status they named, in the order of [`LicenceStatus::ALL`].
    pub by_licence_status: [u32; STATUSES],
}

impl PoolCounters {
    pub(super) fn count(&mut self, request: RequestView<'_>, failed: bool) {
        increase(&mut self.requests);
        if failed {
            increase(&mut self.failed);
        } else {
            self.required_count = self.required_count.max(request.required_count().get());
        }
        let index = usize::from(request.licence_status() as u8);
        self.by_licence_status.get_mut(index).map(increase).unwrap_or_default();
    }
}

fn increase(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
