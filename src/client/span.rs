//! Time that has passed since something, measured by clocks that fail.

use core::time::Duration;

use crate::policy;
use crate::time::{Instant, Now, UnixTime, millis};

/// Time since a mark, as the larger of what two clocks say: the monotonic one, which knows only the
/// time that the device was running, and the calendar, which knows all of it when it is right.
///
/// A calendar that was set forward makes a span look longer and, set right, as long as it is:
/// nothing is lost by the mistake. Set back, it cannot make a span shorter than the running time.
/// A mark is only taken from a calendar that can be right: of one that starts in 1970 at each
/// power-on, until the network sets it, a span would otherwise be decades long once it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The calendar at the mark; 0 when there was none.
    since: UnixTime,
    /// Milliseconds of running time up to `counted_to`.
    ran_millis: u64,
    counted_to: Instant,
}

impl Span {
    const NO_CALENDAR: UnixTime = UnixTime::from_secs(0);

    /// A span that begins now. `floor` is the latest time that a host has vouched for.
    pub(super) fn begin(now: Now, floor: UnixTime) -> Self {
        let set = now.clock.filter(|clock| policy::can_be_right(*clock, floor));
        Self::begin_at(set.unwrap_or(Self::NO_CALENDAR), now)
    }

    /// A span that begins now, which a trusted calendar calls `since`.
    pub(super) const fn begin_at(since: UnixTime, now: Now) -> Self {
        Self { since, ran_millis: 0, counted_to: now.monotonic }
    }

    /// A span read from a store at the start of the device.
    pub(super) const fn resume(since: UnixTime, ran_secs: u64, now: Now) -> Self {
        Self { since, ran_millis: ran_secs.saturating_mul(1_000), counted_to: now.monotonic }
    }

    /// The same running time since a mark that is known better.
    pub(super) const fn marked(self, since: UnixTime) -> Self {
        Self { since, ..self }
    }

    /// What a store keeps: the mark and the seconds of running time up to `now`.
    pub(super) fn stored(&self, now: Now) -> (UnixTime, u64) {
        (self.since, self.ran(now) / 1_000)
    }

    /// Time since the mark.
    pub(super) fn elapsed(&self, now: Now) -> Duration {
        Duration::from_millis(self.elapsed_millis(now))
    }

    /// What is left of `limit`; zero when it is over.
    pub(super) fn left_of(&self, limit: Duration, now: Now) -> Duration {
        Duration::from_millis(millis(limit).saturating_sub(self.elapsed_millis(now)))
    }

    fn elapsed_millis(&self, now: Now) -> u64 {
        let calendar = match now.clock {
            Some(clock) if self.since != Self::NO_CALENDAR => {
                clock.as_secs().saturating_sub(self.since.as_secs()).saturating_mul(1_000)
            }
            _ => 0,
        };
        self.ran(now).max(calendar)
    }

    /// Milliseconds of running time.
    const fn ran(&self, now: Now) -> u64 {
        self.ran_millis.saturating_add(now.monotonic.millis_since(self.counted_to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_FLOOR: UnixTime = UnixTime::from_secs(0);

    /// The clock is in seconds after the earliest time that is believed.
    fn now(millis: u64, clock: Option<u64>) -> Now {
        let clock = clock.map(|secs| policy::EARLIEST_CLOCK.after(Duration::from_secs(secs)));
        Now::new(Instant::from_millis(millis), clock)
    }

    #[test]
    fn the_larger_clock_counts() {
        let span = Span::begin(now(5_000, Some(1_000)), NO_FLOOR);
        assert_eq!(span.elapsed(now(5_000, Some(1_000))), Duration::ZERO);
        assert_eq!(span.elapsed(now(65_000, Some(1_010))), Duration::from_secs(60));
        assert_eq!(span.elapsed(now(65_000, Some(5_000))), Duration::from_secs(4_000));
        assert_eq!(span.elapsed(now(65_000, Some(0))), Duration::from_secs(60), "set back");
        assert_eq!(span.elapsed(now(65_000, None)), Duration::from_secs(60), "clock lost");
    }

    #[test]
    fn running_time_survives_a_restart() {
        let before = Span::begin(now(0, None), NO_FLOOR);
        let (since, ran) = before.stored(now(100_000, None));
        let after = Span::resume(since, ran, now(7, None));
        assert_eq!(after.elapsed(now(7, None)), Duration::from_secs(100));
        assert_eq!(after.elapsed(now(50_007, None)), Duration::from_secs(150));
    }

    #[test]
    fn a_clock_that_cannot_be_right_makes_no_mark() {
        let never_set = Now::new(Instant::ZERO, Some(UnixTime::from_secs(946_684_800)));
        let span = Span::begin(never_set, NO_FLOOR);
        assert_eq!(span.elapsed(now(60_000, Some(0))), Duration::from_secs(60));
        // A host has said that it is later.
        let day = Duration::from_secs(86_400);
        let floor = policy::EARLIEST_CLOCK.after(day * 2);
        let span = Span::begin(now(0, Some(86_400)), floor);
        assert_eq!(span.elapsed(now(60_000, Some(2 * 86_400))), Duration::from_secs(60));
        let span = Span::begin(now(0, Some(2 * 86_400)), floor);
        assert_eq!(span.elapsed(now(60_000, Some(3 * 86_400))), day);
    }

    #[test]
    fn what_is_left_ends_at_zero() {
        let span = Span::begin(now(0, None), NO_FLOOR);
        assert_eq!(
            span.left_of(Duration::from_secs(60), now(59_000, None)),
            Duration::from_secs(1)
        );
        assert_eq!(span.left_of(Duration::from_secs(60), now(61_000, None)), Duration::ZERO);
    }
}
