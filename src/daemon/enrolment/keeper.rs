//! The certificate of a host that runs: taken when it is written, renewed before it ends.

use core::time::Duration;
use std::string::{String, ToString};
use std::sync::Arc;

use rand_core::Rng as _;
use tokio::sync::watch;
use tokio::time::sleep;

use super::record::FailedRenewal;
use super::schedule::{Due, RenewalDates, Schedule, Setback, in_words, is_better};
use super::{Applicant, EnrolmentConfig, EnrolmentKey, NotEnrolled};
use crate::daemon::files::FileError;
use crate::daemon::{HostService, date};
use crate::discovery::Host;
use crate::os::{Clock, system_rng};
use crate::wire::{Certificate, KeyId, Refusal};

/// How often it is looked whether there is another certificate.
const TICK: Duration = Duration::from_secs(1);

/// Keeps the certificate of a host that runs.
///
/// It takes what `host enrol` writes, and enrols again by itself where that is configured. Whatever
/// fails, the certificate in use stays in use.
#[derive(Debug)]
pub struct CertificateKeeper<C> {
    service: Arc<HostService<C>>,
    clock: C,
    applicant: Applicant,
    config: EnrolmentConfig,
    place: Option<Host>,
    schedule: Schedule,
    /// The host key that failed, when one did: another one is tried at once.
    tried_with: Option<KeyId>,
    /// What was said last of the certificate's file: it is said once.
    complaint: String,
}

/// Why a host has not enrolled again.
struct Failure {
    setback: Setback,
    reason: String,
}

impl<C: Clock> CertificateKeeper<C> {
    /// For this host. `place` is where the authority is.
    #[must_use]
    pub fn new(
        service: Arc<HostService<C>>,
        clock: C,
        applicant: Applicant,
        config: EnrolmentConfig,
        place: Option<Host>,
    ) -> Self {
        Self {
            service,
            clock,
            applicant,
            config,
            place,
            schedule: Schedule::default(),
            tried_with: None,
            complaint: String::new(),
        }
    }

    /// Goes on until it is dropped, and tells whether the host has a certificate. It may be dropped
    /// at any time: a request that is under way is sent again by the next host.
    pub async fn run(mut self, enrolled: watch::Sender<bool>) {
        if let (true, Err(Failure { reason, .. })) = (self.config.renews(), self.means()) {
            tracing::warn!(%reason, "this host cannot enrol again by itself");
        }
        loop {
            self.look();
            let held = self.service.certificate();
            enrolled
                .send_if_modified(|is| core::mem::replace(is, held.is_some()) != held.is_some());
            if let Some(held) = held {
                self.keep(&held).await;
            }
            sleep(TICK).await;
        }
    }

    /// Takes a certificate that was written meanwhile.
    fn look(&mut self) {
        let complaint = match self.applicant.files.read_certificate() {
            Ok(written) if written == self.service.certificate() => String::new(),
            Ok(None) => "its file is gone".into(),
            Ok(Some(new)) if new.claims.public_key != self.applicant.public_key() => {
                "the new one is for another host key".into()
            }
            Ok(Some(new)) => {
                let (serial, end) = (new.claims.serial, date(new.claims.not_after.start()));
                tracing::info!(serial, end, "the host has a new certificate");
                self.service.set_certificate(new);
                self.schedule.start_over();
                self.forget_failure();
                String::new()
            }
            Err(error) => error.to_string(),
        };
        if !complaint.is_empty() && complaint != self.complaint {
            tracing::warn!(reason = %complaint, "the certificate in use is kept");
        }
        self.complaint = complaint;
    }

    /// Renews what is due, or tells that somebody should.
    async fn keep(&mut self, held: &Certificate) {
        let dates = RenewalDates::of(held);
        if self.schedule.has_failed() && self.key_id() != self.tried_with {
            self.schedule.start_over();
        }
        match self.schedule.poll(self.clock.now(), &dates, self.config.renews()) {
            Due::Nothing => {}
            Due::Warn => self.warn(&dates),
            Due::Ask => match self.renew(held).await {
                Ok(()) => self.look(),
                Err(failure) => self.fail(&dates, &failure),
            },
        }
    }

    fn warn(&self, dates: &RenewalDates) {
        let clock = self.clock.now().clock.unwrap_or_default();
        let end = date(dates.end);
        let advice = "'headcount host enrol' gets another one; [enrolment] in host.toml lets the \
                      host do it by itself";
        if dates.is_over(clock) {
            tracing::error!(end, advice, "the certificate has ended: nobody is activated");
        } else {
            let left = in_words(dates.left(clock));
            tracing::warn!(end, advice, "the certificate ends in {left}");
        }
    }

    async fn renew(&self, held: &Certificate) -> Result<(), Failure> {
        let (key, place) = self.means()?;
        let clock = self.clock.now().clock;
        tracing::info!(%place, key_id = key.key_id.0, "enrolling again");
        let answered = self.applicant.ask(&key, place, self.config.transport, clock).await?;
        let new = answered?;
        let clock = self.clock.now().clock.unwrap_or_default();
        // It stays with the authority: the same request is sent again, and counts nothing.
        is_better(held, &new, clock).map_err(|unwanted| Failure {
            setback: Setback::Lasting,
            reason: std::format!("the certificate that {place} granted {unwanted}"),
        })?;
        self.applicant.accept(&new)?;
        Ok(())
    }

    /// What it takes to ask.
    fn means(&self) -> Result<(EnrolmentKey, &Host), Failure> {
        let lacks = |reason: &str| Failure { setback: Setback::Lasting, reason: reason.into() };
        let key = EnrolmentKey::read(self.applicant.files.folder())?.ok_or_else(|| {
            lacks("no host key is installed: 'headcount host install-key' does that")
        })?;
        let place = self.place.as_ref().ok_or_else(|| {
            lacks("nobody says where the authority is: [enrolment] in host.toml can")
        })?;
        Ok((key, place))
    }

    fn fail(&mut self, dates: &RenewalDates, Failure { setback, reason }: &Failure) {
        self.tried_with = self.key_id();
        let now = self.clock.now();
        let wait = self.schedule.failed(now, dates, *setback, system_rng().next_u32());
        let clock = now.clock.unwrap_or_default();
        let (end, left, again) = (date(dates.end), in_words(dates.left(clock)), in_words(wait));
        if dates.is_over(clock) {
            tracing::error!(
                reason,
                end,
                again,
                "not enrolled again, and the certificate has ended: nobody is activated"
            );
        } else {
            tracing::warn!(
                reason,
                end,
                left,
                again,
                "not enrolled again; the certificate in use stays"
            );
        }
        let failed = FailedRenewal {
            tried: date(clock),
            reason: reason.clone(),
            again: date(clock.after(wait)),
        };
        if let Err(error) = failed.write(self.applicant.files.folder()) {
            tracing::warn!(%error, "'host status' will not know of it");
        }
    }

    fn forget_failure(&self) {
        if let Err(error) = FailedRenewal::forget(self.applicant.files.folder()) {
            tracing::warn!(%error, "'host status' tells of a failure that is over");
        }
    }

    fn key_id(&self) -> Option<KeyId> {
        let key = EnrolmentKey::read(self.applicant.files.folder());
        key.ok().flatten().map(|key| key.key_id)
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self { setback: Setback::Passing, reason: error.to_string() }
    }
}

impl From<NotEnrolled> for Failure {
    fn from(error: NotEnrolled) -> Self {
        Self { setback: Setback::Passing, reason: error.to_string() }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let setback = match refusal {
            Refusal::Busy | Refusal::ClockSkew => Setback::Passing,
            _ => Setback::Lasting,
        };
        let (name, code) = (refusal.name(), refusal.code());
        let reason = std::format!(
            "the vendor refused: {name} (status {code}); 'headcount explain {name}' tells more"
        );
        Self { setback, reason }
    }
}
