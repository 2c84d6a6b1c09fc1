//! How a host stands with its next certificate, in `host status`.

use headcount::daemon::{EnrolmentKey, FailedRenewal, RenewalDates, date};
use headcount::time::UnixTime;
use headcount::wire::{Certificate, KeyId};
use serde_json::{Value, json};

use super::Installed;
use crate::output::{Exit, Output, Problem};

const SECONDS_A_DAY: u64 = 86_400;

/// What there is to tell of a host's next enrolment.
pub(super) struct Renewal {
    by_itself: bool,
    authority: Option<String>,
    key: Option<KeyId>,
    /// `None` without a certificate.
    dates: Option<RenewalDates>,
    failed: Option<FailedRenewal>,
    clock: UnixTime,
}

impl Renewal {
    pub(super) fn of(
        installed: &Installed,
        certificate: Option<&Certificate>,
        clock: UnixTime,
    ) -> Result<Self, Problem> {
        let state = installed.files.folder();
        let enrolment = &installed.config.enrolment;
        let place = enrolment.place(&installed.products);
        let place = place.map_err(|reason| Problem::new(Exit::Usage, reason))?;
        let dates = certificate.map(RenewalDates::of);
        // A host that runs forgets it itself; one that was enrolled while it stood still cannot.
        let is_near = dates.is_some_and(|dates| dates.is_near(clock));
        let failed = FailedRenewal::read(state)?.filter(|_| is_near);
        Ok(Self {
            by_itself: enrolment.renews(),
            authority: place.map(|place| place.to_string()),
            key: EnrolmentKey::read(state)?.map(|key| key.key_id),
            dates,
            failed,
            clock,
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let days_left = self.dates.map(|dates| dates.left(self.clock).as_secs() / SECONDS_A_DAY);
        json!({
            "by_itself": self.by_itself,
            "authority": self.authority,
            "key_id": self.key.map(|key| key.0),
            "due": self.dates.map(|dates| date(dates.due)),
            "ends_soon": self.dates.is_some_and(|dates| dates.is_near(self.clock)),
            "days_left": days_left,
            "failed": self.failed.as_ref().map(|FailedRenewal { tried, reason, again }| {
                json!({ "tried": tried, "reason": reason, "again": again })
            }),
        })
    }

    pub(super) fn print(&self, output: Output) {
        let Some(dates) = self.dates else { return };
        if dates.is_over(self.clock) {
            output.line("  WARNING: the certificate has ended: this host activates nobody.");
        } else if dates.is_near(self.clock) {
            let days = dates.left(self.clock).as_secs() / SECONDS_A_DAY;
            output.line(format_args!("  WARNING: the certificate ends in {days} days."));
        }
        output.line(format_args!("  {}", self.plan(&dates)));
        if let Some(FailedRenewal { tried, reason, again }) = &self.failed {
            output.line(format_args!("  Not enrolled again at {tried}: {reason}"));
            output.line(format_args!("  The next try, while the host runs, is at {again}."));
        }
    }

    /// Who sees to the next certificate, and when.
    fn plan(&self, dates: &RenewalDates) -> String {
        let due = date(dates.due);
        match (self.by_itself, &self.authority, self.key) {
            (false, ..) => format!(
                "Enrol it again from {} on: 'headcount host enrol'. [enrolment] in host.toml lets \
                 the host do it.",
                date(dates.near)
            ),
            (true, _, None) => {
                "It is to enrol again by itself, but no host key is installed: 'headcount host \
                 install-key'."
                    .into()
            }
            (true, None, _) => {
                "It is to enrol again by itself, but nobody says where the authority is: \
                 [enrolment] in host.toml."
                    .into()
            }
            (true, Some(authority), Some(KeyId(key))) => format!(
                "While it runs it enrols again by itself from {due} on, at {authority} with host \
                 key {key}."
            ),
        }
    }
}
