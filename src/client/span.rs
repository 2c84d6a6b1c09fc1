//! Time that has passed since something, measured by clocks that fail.

use crate::policy;
use crate::time::{Millis, Now, UnixTime};

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
    /// Where the monotonic clock, which begins anew with the device, would have had the mark. That may
    /// be before its start: the number wraps.
    ran_since: u64,
}

impl Span {
    const NO_CALENDAR: UnixTime = UnixTime::from_secs(0);

    /// The longest running time: so that two points on the clock are told apart, wrapped or not.
    const LONGEST: u64 = 1 << 62;

    /// A span that begins now. `floor` is the latest time that a host has vouched for.
    #[inline(never)]
    pub(super) fn begin(now: Now, floor: UnixTime) -> Self {
        let set = now.clock.filter(|clock| policy::can_be_right(*clock, floor));
        Self::begin_at(set.unwrap_or(Self::NO_CALENDAR), now)
    }

    /// A span that begins now, which a trusted calendar calls `since`.
    pub(super) const fn begin_at(since: UnixTime, now: Now) -> Self {
        Self { since, ran_since: now.monotonic.as_millis() }
    }

    /// A span read from a store at the start of the device.
    pub(super) fn resume(since: UnixTime, ran_secs: u64, now: Now) -> Self {
        let ran = Millis::from_secs(ran_secs).0.min(Self::LONGEST);
        Self { since, ran_since: now.monotonic.as_millis().wrapping_sub(ran) }
    }

    /// The same running time since a mark that is known better.
    pub(super) const fn marked(self, since: UnixTime) -> Self {
        Self { since, ..self }
    }

    /// What a store keeps: the mark and the seconds of running time up to `now`.
    pub(super) fn stored(&self, now: Now) -> (UnixTime, u64) {
        (self.since, self.ran(now).as_secs())
    }

    /// Time since the mark.
    #[inline(never)]
    pub(super) fn elapsed(&self, now: Now) -> Millis {
        let ran = self.ran(now);
        match now.clock {
            Some(clock) if self.since != Self::NO_CALENDAR => {
                ran.max(clock.millis_since(self.since))
            }
            _ => ran,
        }
    }

    /// What is left of `limit`; zero when it is over.
    #[inline(never)]
    pub(super) fn left_of(&self, limit: Millis, now: Now) -> Millis {
        limit.less(self.elapsed(now))
    }

    fn ran(&self, now: Now) -> Millis {
        let ran = now.monotonic.as_millis().wrapping_sub(self.ran_since);
        // A clock that ran backwards shows less than nothing.
        Millis(u64::try_from(ran.cast_signed()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    const NO_FLOOR: UnixTime = UnixTime::from_secs(0);

    /// The clock is in seconds after the earliest time that is believed.
    fn now(millis: u64, clock: Option<u64>) -> Now {
        let clock = clock.map(|secs| UnixTime::from_secs(policy::EARLIEST_CLOCK.as_secs() + secs));
        Now::new(Instant::from_millis(millis), clock)
    }

    #[test]
    fn the_larger_clock_counts() {
        let span = Span::begin(now(5_000, Some(1_000)), NO_FLOOR);
        assert_eq!(span.elapsed(now(5_000, Some(1_000))), Millis::ZERO);
        assert_eq!(span.elapsed(now(65_000, Some(1_010))), Millis::from_secs(60));
        assert_eq!(span.elapsed(now(65_000, Some(5_000))), Millis::from_secs(4_000));
        assert_eq!(span.elapsed(now(65_000, Some(0))), Millis::from_secs(60), "set back");
        assert_eq!(span.elapsed(now(65_000, None)), Millis::from_secs(60), "clock lost");
    }

    #[test]
    fn running_time_survives_a_restart() {
        let before = Span::begin(now(0, None), NO_FLOOR);
        let (since, ran) = before.stored(now(100_000, None));
        let after = Span::resume(since, ran, now(7, None));
        assert_eq!(after.elapsed(now(7, None)), Millis::from_secs(100));
        assert_eq!(after.elapsed(now(50_007, None)), Millis::from_secs(150));
    }

    #[test]
    fn the_longest_running_time_stays_so_and_a_clock_that_runs_backwards_shows_none() {
        let span = Span::resume(UnixTime::from_secs(0), u64::MAX, now(7, None));
        for later in [7, 8, 1 << 61] {
            assert_eq!(span.elapsed(now(later, None)).0, (1 << 62) + later - 7);
        }
        let span = Span::begin(now(1_000, None), NO_FLOOR);
        assert_eq!(span.elapsed(now(999, None)), Millis::ZERO);
    }

    #[test]
    fn a_clock_that_cannot_be_right_makes_no_mark() {
        let never_set = Now::new(Instant::ZERO, Some(UnixTime::from_secs(946_684_800)));
        let span = Span::begin(never_set, NO_FLOOR);
        assert_eq!(span.elapsed(now(60_000, Some(0))), Millis::from_secs(60));
        // A host has said that it is later.
        let day = Millis::from_secs(86_400);
        let floor = UnixTime::from_secs(policy::EARLIEST_CLOCK.as_secs() + 2 * 86_400);
        let span = Span::begin(now(0, Some(86_400)), floor);
        assert_eq!(span.elapsed(now(60_000, Some(2 * 86_400))), Millis::from_secs(60));
        let span = Span::begin(now(0, Some(2 * 86_400)), floor);
        assert_eq!(span.elapsed(now(60_000, Some(3 * 86_400))), day);
    }

    #[test]
    fn what_is_left_ends_at_zero() {
        let span = Span::begin(now(0, None), NO_FLOOR);
        assert_eq!(span.left_of(Millis::from_secs(60), now(59_000, None)), Millis::from_secs(1));
        assert_eq!(span.left_of(Millis::from_secs(60), now(61_000, None)), Millis::ZERO);
    }
}
