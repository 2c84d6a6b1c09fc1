//! When a host enrols again, and when the end of its certificate is warned about. It asks for no time
//! and does nothing itself.

use core::fmt;
use core::time::Duration;

use crate::policy::warning_period;
use crate::time::{Instant, Minutes, Now, UnixTime};
use crate::wire::Certificate;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Wait after the first failure that may pass by itself. Each one after it waits twice as long, up to
/// [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(5 * 60);
const LONGEST_WAIT: Duration = Duration::from_secs(12 * 60 * 60);
/// Wait after a refusal, which somebody has to do something about.
const REFUSED_WAIT: Duration = DAY;
/// How often an end that is near is warned about.
const REMIND: Duration = DAY;
/// The part of the time before the end over which hosts spread their first try: one day of 30.
const SPREAD_PART: u32 = 30;

/// The dates of a certificate's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalDates {
    /// From here on the end is near: 30 days before it, or half the validity where that is shorter.
    pub near: UnixTime,
    /// From here on a host asks by itself: up to a day later, by its key, so that hosts that were
    /// enrolled together do not ask together.
    pub due: UnixTime,
    /// The last minute in which it is valid begins here.
    pub end: UnixTime,
}

impl RenewalDates {
    /// Those of a certificate.
    #[must_use]
    pub fn of(Certificate { claims, .. }: &Certificate) -> Self {
        let minutes = claims.not_after.0.saturating_sub(claims.not_before.0);
        let before = warning_period(Minutes(minutes).as_millis()).as_duration();
        let end = claims.not_after.start();
        let near = UnixTime::from_secs(end.as_secs().saturating_sub(before.as_secs()));
        let [a, b, c, d, ..] = claims.public_key.0;
        let spread = share(part(before, SPREAD_PART), u32::from_be_bytes([a, b, c, d]));
        Self { near, due: near.after(spread), end }
    }

    /// Whether the end is near, or over.
    #[must_use]
    pub fn is_near(&self, clock: UnixTime) -> bool {
        clock >= self.near
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self, clock: UnixTime) -> bool {
        clock.minute() > self.end.minute()
    }

    /// The time that is left; zero when it is over.
    #[must_use]
    pub fn left(&self, clock: UnixTime) -> Duration {
        self.end.since(clock)
    }
}

/// What to do about the end now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Ask the authority.
    Ask,
    /// Tell that somebody should enrol the host.
    Warn,
}

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// It may pass by itself: nobody answered, say.
    Passing,
    /// Somebody has to do something.
    Lasting,
}

/// Tries and warnings over time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    /// Failures since it last went well.
    failures: u32,
    /// No try before this.
    not_before: Option<Instant>,
    warned: Option<Instant>,
}

impl Schedule {
    /// What to do now; `asks` tells whether the host asks by itself.
    pub(super) fn poll(&mut self, now: Now, dates: &RenewalDates, asks: bool) -> Due {
        let Some(clock) = now.clock else { return Due::Nothing };
        let waits = self.not_before.is_some_and(|not_before| now.monotonic < not_before);
        if asks {
            return if clock >= dates.due && !waits { Due::Ask } else { Due::Nothing };
        }
        let was_told = self.warned.is_some_and(|warned| now.monotonic.since(warned) < REMIND);
        if !dates.is_near(clock) || was_told {
            return Due::Nothing;
        }
        self.warned = Some(now.monotonic);
        Due::Warn
    }

    /// A try failed; returns how long it is until the next one, spread by 10 %.
    pub(super) fn failed(
        &mut self,
        now: Now,
        dates: &RenewalDates,
        setback: Setback,
        random: u32,
    ) -> Duration {
        let wait = match setback {
            Setback::Passing => {
                let doublings = self.failures.min(16);
                FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
            }
            Setback::Lasting => REFUSED_WAIT,
        };
        self.failures = self.failures.saturating_add(1);
        // The nearer the end, the more it matters.
        let left = now.clock.map_or(Duration::ZERO, |clock| dates.left(clock));
        let wait = wait.min(part(left, 4).max(HOUR));
        let wait = wait.saturating_sub(part(wait, 10)).saturating_add(share(part(wait, 5), random));
        self.not_before = Some(now.monotonic.after(wait));
        wait
    }

    /// Whether the last try failed.
    pub(super) const fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Something has changed: another certificate, another key. Failures so far tell nothing.
    pub(super) fn start_over(&mut self) {
        *self = Self::default();
    }
}

fn part(whole: Duration, parts: u32) -> Duration {
    whole.checked_div(parts).unwrap_or_default()
}

/// The part of a whole that `random` is of 2^32, in whole seconds.
fn share(whole: Duration, random: u32) -> Duration {
    let seconds = whole.as_secs().saturating_mul(random.into()) >> 32;
    Duration::from_secs(seconds)
}

/// Why a certificate that was granted does not take the place of the one in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwanted {
    NotValidNow,
    EndsNoLater,
    CoversLess,
}

/// Whether a new certificate may take the place of one that is held. As long as that is valid, nothing
/// that is worse in any way does; afterwards anything that is valid does.
pub(super) fn is_better(
    held: &Certificate,
    new: &Certificate,
    clock: UnixTime,
) -> Result<(), Unwanted> {
    let (held, new) = (&held.claims, &new.claims);
    if !new.valid_at(clock) {
        return Err(Unwanted::NotValidNow);
    }
    if !held.valid_at(clock) {
        return Ok(());
    }
    if !new.coverage.covers(&held.coverage) {
        return Err(Unwanted::CoversLess);
    }
    if new.not_after <= held.not_after { Err(Unwanted::EndsNoLater) } else { Ok(()) }
}

impl fmt::Display for Unwanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotValidNow => "is not valid by this machine's clock",
            Self::EndsNoLater => "ends no later",
            Self::CoversLess => {
                "covers less, as another host key's or a lower platform_rank's does"
            }
        })
    }
}

/// A time in its largest unit, for people.
pub(super) fn in_words(time: Duration) -> std::string::String {
    let (unit, name) = match time {
        time if time >= DAY.saturating_mul(2) => (DAY, "days"),
        time if time >= HOUR.saturating_mul(2) => (HOUR, "hours"),
        _ => (MINUTE, "minutes"),
    };
    let number = time.as_secs().checked_div(unit.as_secs()).unwrap_or_default();
    std::format!("{number} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EpochMinute;
    use crate::wire::{Claims, Coverage, PublicKey, Role, Signature};

    const START: UnixTime = UnixTime::from_secs(1_795_000_020);

    fn certificate(days: u32, first_byte: u8) -> Certificate {
        let mut public_key = [0; 32];
        public_key[0] = first_byte;
        let not_before = START.minute();
        Certificate {
            claims: Claims {
                public_key: PublicKey(public_key),
                serial: 1,
                not_before,
                not_after: EpochMinute(not_before.0 + days * 24 * 60),
                root_id: 1,
                coverage: Coverage { family: 7, rank: 3, generation: 2 },
                role: Role::Host,
            },
            signature: Signature([0; 64]),
        }
    }

    /// A host's life in virtual time, an hour a step.
    struct Life {
        schedule: Schedule,
        dates: RenewalDates,
        now: Now,
    }

    impl Life {
        fn new(dates: RenewalDates) -> Self {
            let now = Now::new(Instant::from_millis(0), Some(START));
            Self { schedule: Schedule::default(), dates, now }
        }

        fn pass(&mut self, time: Duration) {
            let clock = self.now.clock.map(|clock| clock.after(time));
            self.now = Now::new(self.now.monotonic.after(time), clock);
        }

        fn clock(&self) -> UnixTime {
            self.now.clock.unwrap()
        }

        /// Times after the start at which this is due, until a day after the end.
        fn times(&mut self, asks: bool, setback: Setback) -> std::vec::Vec<Duration> {
            let mut times = std::vec::Vec::new();
            while self.clock() < self.dates.end.after(DAY) {
                match self.schedule.poll(self.now, &self.dates, asks) {
                    Due::Nothing => {}
                    Due::Warn => times.push(self.clock().since(START)),
                    Due::Ask => {
                        times.push(self.clock().since(START));
                        self.schedule.failed(self.now, &self.dates, setback, u32::MAX / 2);
                    }
                }
                self.pass(MINUTE);
            }
            times
        }
    }

    #[test]
    fn the_end_is_near_thirty_days_ahead_and_hosts_spread_over_the_first() {
        let dates = RenewalDates::of(&certificate(365, 0));
        assert_eq!(dates.near, START.minute().start().after(DAY * 335));
        assert_eq!(dates.due, dates.near);
        assert_eq!(dates.end.since(dates.near), DAY * 30);
        let half = RenewalDates::of(&certificate(365, 0x80));
        assert_eq!(half.due.since(half.near), DAY / 2);
        // A short one is renewed in its second half.
        let short = RenewalDates::of(&certificate(10, 0xff));
        assert_eq!(short.end.since(short.near), DAY * 5);
        assert!(short.due.since(short.near) < DAY / 6);
    }

    #[test]
    fn what_fails_is_tried_ever_less_often_and_more_often_towards_the_end() {
        let mut life = Life::new(RenewalDates::of(&certificate(365, 0)));
        let times = life.times(true, Setback::Passing);
        assert!(times[0].abs_diff(DAY * 335) < MINUTE, "{times:?}");
        let gaps: std::vec::Vec<_> =
            times.windows(2).map(|pair| pair[1].abs_diff(pair[0])).collect();
        assert!(gaps[0] <= MINUTE * 7 && gaps[1] > gaps[0] && gaps[5] > gaps[4], "{gaps:?}");
        let longest = gaps.iter().max().unwrap();
        assert!(*longest > HOUR * 11 && *longest < HOUR * 14, "{longest:?}");
        assert!(*gaps.last().unwrap() <= HOUR * 2, "still tried after the end: {gaps:?}");
        assert!(times.len() < 150, "{}", times.len());
    }

    #[test]
    fn who_was_refused_asks_once_a_day() {
        let mut life = Life::new(RenewalDates::of(&certificate(365, 0)));
        let times = life.times(true, Setback::Lasting);
        let of_first_weeks = times.iter().filter(|time| **time < DAY * (335 + 20));
        assert!((19..=22).contains(&of_first_weeks.count()), "{times:?}");
    }

    #[test]
    fn a_wait_is_spread_by_a_tenth() {
        let life = Life::new(RenewalDates::of(&certificate(365, 0)));
        let wait = |random| {
            let mut schedule = Schedule::default();
            schedule.failed(life.now, &life.dates, Setback::Passing, random)
        };
        assert_eq!(wait(0), FIRST_WAIT * 9 / 10);
        assert!(wait(u32::MAX) > FIRST_WAIT && wait(u32::MAX) <= FIRST_WAIT * 11 / 10);
    }

    #[test]
    fn who_does_not_ask_is_warned_once_a_day_from_thirty_days_ahead() {
        let mut life = Life::new(RenewalDates::of(&certificate(365, 0xff)));
        let times = life.times(false, Setback::Passing);
        assert!(times[0].abs_diff(DAY * 335) < MINUTE, "{times:?}");
        assert!((30..=32).contains(&times.len()), "{}", times.len());
    }

    #[test]
    fn a_change_makes_what_failed_due_at_once() {
        let mut life = Life::new(RenewalDates::of(&certificate(10, 0)));
        life.pass(DAY * 9);
        assert_eq!(life.schedule.poll(life.now, &life.dates, true), Due::Ask);
        life.schedule.failed(life.now, &life.dates, Setback::Lasting, 0);
        assert_eq!(life.schedule.poll(life.now, &life.dates, true), Due::Nothing);
        assert!(life.schedule.has_failed());
        life.schedule.start_over();
        assert_eq!(life.schedule.poll(life.now, &life.dates, true), Due::Ask);
        // Who does not know what time it is does nothing.
        let clockless = Now::new(life.now.monotonic, None);
        assert_eq!(life.schedule.poll(clockless, &life.dates, true), Due::Nothing);
    }

    #[test]
    fn nothing_worse_takes_the_place_of_a_valid_certificate() {
        let held = certificate(30, 0);
        let now = START.after(DAY * 20);
        let with = |days, coverage| {
            let mut new = certificate(days, 0);
            new.claims.coverage = coverage;
            new
        };
        let coverage = held.claims.coverage;
        let less = Coverage { rank: coverage.rank - 1, ..coverage };
        assert_eq!(is_better(&held, &with(365, coverage), now), Ok(()));
        assert_eq!(is_better(&held, &held, now), Err(Unwanted::EndsNoLater));
        assert_eq!(is_better(&held, &with(365, less), now), Err(Unwanted::CoversLess));
        assert_eq!(is_better(&held, &with(10, coverage), now), Err(Unwanted::NotValidNow));
        // Once it has ended anything is better.
        assert_eq!(is_better(&held, &with(365, less), START.after(DAY * 31)), Ok(()));
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        assert_eq!(in_words(DAY * 12 + HOUR), "12 days");
        assert_eq!(in_words(DAY), "24 hours");
        assert_eq!(in_words(MINUTE * 90), "90 minutes");
    }
}
