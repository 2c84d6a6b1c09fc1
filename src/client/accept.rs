//! How an exchange ends: with an answer that is accepted, with one that is discarded, or with none.

use rand_core::CryptoRng;

use super::record::{Activation, method_of};
use super::span::Span;
use super::step::{Discard, Failure, Outcome};
use super::{Asking, Client, Phase, new_cmid};
use crate::discovery::Hosts;
use crate::log::debug;
use crate::policy::{self, Skew};
use crate::time::{Millis, Now, UnixTime};
use crate::trust::{Expected, Verified, Verifier};
use crate::wire::{self, ResponseView, Verdict};

impl<V: Verifier, H: Hosts> Client<'_, V, H> {
    /// Takes an answer to the pending request. All that follows from it is in what
    /// [`poll`](Self::poll) says next.
    ///
    /// # Errors
    ///
    /// The answer is not accepted (PROTOCOL 11) and has changed nothing. The request stays pending:
    /// listen on (UDP) or [give up](Self::give_up).
    pub fn handle_response(
        &mut self,
        now: Now,
        rng: &mut impl CryptoRng,
        answer: &[u8],
    ) -> Result<Outcome, Discard> {
        let verified = self.verify(answer);
        let outcome = verified.and_then(|answer| self.conclude(answer, now, rng));
        outcome.inspect_err(|discard| debug!("answer discarded: {:?}", discard))
    }

    /// The rest of the checks, and what follows from an accepted answer. Not inlined: what it needs of
    /// the stack need not be there while signatures are verified.
    #[inline(never)]
    fn conclude(
        &mut self,
        response: Verified<ResponseView<'_>>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, Discard> {
        let Phase::Asking(asking) = self.phase else { return Err(Discard::NotAsked) };
        let by_key = asking.is_by_key::<H>();
        // The authority is no host of the site's.
        if !by_key && !self.hosts.trusts(&response.certificate().public_key()) {
            return Err(Discard::HostNotTrusted);
        }
        let host_time = response.host_time();
        self.check_time(now, host_time)?;
        self.record.floor = self.record.floor.max(host_time);
        self.activation_interval = policy::bounded_interval(response.activation_interval());
        self.unsaved = true;
        let (verdict, duplicate) = (response.verdict(), response.duplicate());
        self.hosts.answered(matches!(verdict, Verdict::Granted { .. }));
        debug!("host {} says {:?}, duplicate {:?}", asking.host, verdict, duplicate);
        let outcome = match verdict {
            Verdict::Refused(refusal) => {
                self.last_attempt = Some(Ok(Outcome::Refused(refusal)));
                self.next_host(asking.rearmed, now, rng);
                return Ok(Outcome::Refused(refusal));
            }
            Verdict::Granted { count, .. }
                if by_key || policy::meets_threshold(count, self.product.required_count) =>
            {
                self.activate(&asking, response, now, rng);
                Outcome::Activated { count }
            }
            Verdict::Granted { count, .. } => {
                self.rest_for_retry(now, rng);
                let required = self.product.required_count.get();
                Outcome::BelowThreshold { count, required }
            }
        };
        // The authority tells machines apart by itself, and to it a fresh CMID is another machine.
        if !by_key {
            self.record.counted = true;
        }
        if duplicate && !by_key {
            self.rearm_automatically(&asking, now, rng);
        }
        self.last_attempt = Some(Ok(outcome));
        Ok(outcome)
    }

    /// Ends the exchange with the host that was asked: the next one's turn, or a wait for the
    /// activation interval when all had theirs. Without a pending request nothing happens.
    pub fn give_up(&mut self, now: Now, rng: &mut impl CryptoRng, failure: Failure) {
        let Phase::Asking(asking) = self.phase else { return };
        debug!("host {} failed: {:?}", asking.host, failure);
        self.last_attempt = Some(Err(failure));
        self.hosts.failed();
        self.next_host(asking.rearmed, now, rng);
    }

    /// The checks of PROTOCOL 11, in its order, as far as the client's clock and floor.
    #[inline(never)]
    fn verify<'f>(&mut self, answer: &'f [u8]) -> Result<Verified<ResponseView<'f>>, Discard> {
        let Phase::Asking(asking) = &self.phase else { return Err(Discard::NotAsked) };
        let answer = wire::frame_from_slice(answer)
            .map_err(|malformed| Discard::Untrusted(malformed.into()))?;
        let expected = Expected {
            request: &asking.frame,
            method: method_of::<H>(&asking.frame),
            product: self.product.coverage,
            roots: self.product.roots,
            known_certificate: None,
        };
        let held = self.record.activation.as_ref().filter(|held| !held.is_by_phone::<H>());
        let held = held.map(|held| held.response().certificate());
        self.known.verify(answer, &expected, held).map_err(Discard::Untrusted)
    }

    fn check_time(&self, now: Now, host_time: UnixTime) -> Result<(), Discard> {
        if let Some(clock) = now.clock {
            let skew = Skew::of(clock, host_time);
            if !skew.is_tolerable() {
                return Err(Discard::ClockSkew(skew));
            }
        }
        if !policy::above_floor(host_time, self.record.floor) {
            let behind = Skew::of(host_time, self.record.floor).seconds();
            return Err(Discard::BelowFloor { behind });
        }
        Ok(())
    }

    fn activate(
        &mut self,
        asking: &Asking,
        response: Verified<ResponseView<'_>>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) {
        let age = Span::begin_at(response.host_time(), now);
        self.record.activation = Some(Activation::new(&asking.frame, response, age));
        self.record.previous_cmid = None;
        self.rest_for_renewal(Millis::ZERO, now, rng);
        // The driver may have named other hardware while the request was on its way.
        self.check_hardware(now);
    }

    /// Two machines share this CMID (PROTOCOL 8): takes a new one and asks the same host again at
    /// once. An answer to that request does not rearm again, whatever the host says, so that no
    /// host can make a client ask without end.
    fn rearm_automatically(&mut self, asking: &Asking, now: Now, rng: &mut impl CryptoRng) {
        if asking.rearmed {
            return;
        }
        let fresh = new_cmid(rng);
        self.record.replace_cmid(fresh);
        self.rearm_to_report = true;
        self.ask(asking.host, true, now, rng);
    }
}
