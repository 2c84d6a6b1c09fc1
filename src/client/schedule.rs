//! What happens next, and when: reports, requests, and the rests between them (PROTOCOL 11).

use core::time::Duration;

use rand_core::CryptoRng;

use super::step::{Event, Failure};
use super::{Asking, Client, EXCHANGE_LIMIT, Finding, Phase, WARNING_INTERVAL};
use crate::discovery::{Hosts, Next};
use crate::policy;
use crate::time::{Instant, Millis, Minutes, Now};
use crate::trust::{TagSchedule, Verifier};
use crate::wire::{LicenceStatus, Method, Nonce, Request};

impl<V: Verifier, H: Hosts> Client<'_, V, H> {
    /// The next thing to report, each one once.
    pub(super) fn event(&mut self, now: Now) -> Option<Event> {
        if let Some(rejection) = self.rejection.take() {
            return Some(Event::StoredActivationRejected(rejection));
        }
        if core::mem::take(&mut self.rearm_to_report) {
            return Some(Event::Rearmed);
        }
        let (status, left) = self.standing(now);
        if status != self.reported {
            let from = core::mem::replace(&mut self.reported, status);
            return Some(Event::StatusChanged { from, to: status });
        }
        let left = left.filter(|left| *left <= self.warning_period())?;
        // While a renewal is due or on its way it has not failed.
        let renewing = !matches!(self.phase, Phase::Resting { .. }) || self.is_due(now);
        if status != LicenceStatus::Licensed || renewing || now.monotonic < self.warn_at {
            return None;
        }
        self.warn_at = now.monotonic.after(WARNING_INTERVAL);
        Some(Event::ExpiresSoon { left: Duration::from_secs(left.as_secs()) })
    }

    fn warning_period(&self) -> Millis {
        let activation = self.record.activation.as_ref();
        let validity = activation.and_then(|activation| activation.validity::<_, H>(self.product));
        policy::warning_period(validity.map_or(Millis::MAX, Minutes::as_millis))
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        match self.phase {
            Phase::Resting { until, retry_at } => {
                now.monotonic >= until || (now.monotonic >= retry_at && !self.is_activated(now))
            }
            Phase::Finding(_) | Phase::Asking(_) => false,
        }
    }

    /// When something happens by itself: the next request, the end of the status, a warning, a
    /// checkpoint.
    pub(super) fn wake_at(&self, now: Now) -> Instant {
        let Phase::Resting { until, retry_at } = self.phase else { return self.checkpoint_at };
        let (status, left) = self.standing(now);
        let mut wake = until.min(self.checkpoint_at);
        if let Some(left) = left {
            wake = wake.min(now.monotonic.after(left));
        }
        if status == LicenceStatus::Licensed {
            if let Some(left) = left {
                let until_warning = left.less(self.warning_period());
                wake = wake.min(now.monotonic.after(until_warning).max(self.warn_at));
            }
        } else {
            wake = wake.min(retry_at);
        }
        // A status that ends within the clock's own tick would otherwise be asked for at once.
        wake.max(now.monotonic.after(Millis(1)))
    }

    /// The next host of the round, or what is to be found out first, or a wait for the activation
    /// interval when there is none any more.
    pub(super) fn next_host(&mut self, rearmed: bool, now: Now, rng: &mut impl CryptoRng) {
        match self.hosts.next(now.monotonic, rng) {
            Next::Ask { host } => self.ask(host, rearmed, now, rng),
            Next::Find(find) => {
                let deadline = now.monotonic.after(EXCHANGE_LIMIT);
                self.phase = Phase::Finding(Finding { find, rearmed, said: false, deadline });
            }
            Next::Exhausted { asked } => {
                if !asked {
                    self.last_attempt = Some(Err(Failure::NoHost));
                }
                self.rest_for_retry(now, rng);
            }
        }
    }

    /// What was to be [found out](super::Step::Find) cannot be. Without such a thing nothing happens.
    pub fn give_up_finding(&mut self, now: Now, rng: &mut impl CryptoRng) {
        let Phase::Finding(finding) = self.phase else { return };
        self.hosts.not_found();
        self.next_host(finding.rearmed, now, rng);
    }

    /// Makes a new request for a host.
    pub(super) fn ask(&mut self, host: u8, rearmed: bool, now: Now, rng: &mut impl CryptoRng) {
        let (status, left) = self.standing(now);
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let product = self.product;
        let (method, key_id, tag_key) = match self.installed() {
            Some(key) => (Method::Key, key.key_id, &key.tag_key),
            None => (Method::Count, product.key_id, &product.tag_key),
        };
        let request = Request {
            virtual_machine: self.machine.virtual_machine,
            renewal: status == LicenceStatus::Licensed,
            licence_status: status,
            method,
            required_count: product.required_count,
            time_left: left.map_or(Minutes(0), Minutes::around),
            application_id: product.application_id,
            activation_id: product.activation_id,
            counted_id: product.counted_id,
            cmid: self.record.cmid,
            previous_cmid: self.record.previous_cmid,
            client_time: now.clock,
            nonce: Nonce(nonce),
            fingerprint: self.machine.fingerprint,
            workstation_name: self.machine.workstation_name,
            key_id,
        };
        let frame = TagSchedule::new(tag_key).seal_last(&request);
        let deadline = now.monotonic.after(EXCHANGE_LIMIT);
        self.phase = Phase::Asking(Asking { frame, host, sent: false, rearmed, deadline });
    }

    /// Rests for a spread activation interval; or for longer, when somebody asked for what is granted
    /// for ever.
    pub(super) fn rest_for_retry(&mut self, now: Now, rng: &mut impl CryptoRng) {
        let wait = policy::spread(self.activation_interval, rng.next_u32());
        let retry_at = now.monotonic.after(wait);
        let until = if self.is_settled(now) { now.monotonic.after(Millis::MAX) } else { retry_at };
        self.phase = Phase::Resting { until, retry_at };
    }

    /// Rests until the renewal, of which `elapsed` has passed.
    pub(super) fn rest_for_renewal(&mut self, elapsed: Millis, now: Now, rng: &mut impl CryptoRng) {
        let Some(activation) = &self.record.activation else {
            return self.rest_for_retry(now, rng);
        };
        let interval = activation.response().renewal_interval();
        let validity = activation.validity::<_, H>(self.product);
        let wait = if activation.is_never_renewed::<H>() {
            Millis::MAX
        } else {
            policy::renewal_wait(interval, validity.map(Minutes::as_millis), rng.next_u32())
        };
        let until = now.monotonic.after(wait.less(elapsed));
        let retry = policy::spread(self.activation_interval, rng.next_u32());
        self.phase = Phase::Resting { until, retry_at: now.monotonic.after(retry) };
    }

    /// At a start, a client that is not activated asks at once, and so does one that is activated
    /// another way than it is to be now. Any other goes on with its
    /// renewal interval, and waits a little when that has passed or nobody can tell: after a power
    /// cut a whole site starts together.
    pub(super) fn rest_after_start(&mut self, now: Now, rng: &mut impl CryptoRng) {
        let Some(activation) = &self.record.activation else { return };
        if !self.is_activated(now) || !self.is_as_installed(activation) {
            return;
        }
        if activation.is_never_renewed::<H>() {
            return self.rest_for_renewal(Millis::ZERO, now, rng);
        }
        let elapsed = if now.clock.is_some() { activation.age.elapsed(now) } else { Millis::MAX };
        self.rest_for_renewal(elapsed, now, rng);
        let wait = policy::start_wait(self.activation_interval, rng.next_u32());
        let least = now.monotonic.after(wait);
        if let Phase::Resting { until, .. } = &mut self.phase {
            *until = least.max(*until);
            // Nothing has failed before the first try.
            self.warn_at = *until;
        }
    }
}
