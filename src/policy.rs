//! The rules that need no state: thresholds, intervals, clock skew, waits (PROTOCOL 5, 9 to 13).
//! Pure functions and the protocol's numbers.

use core::num::NonZeroU32;
use core::time::Duration;

use crate::time::{Millis, Minutes, UnixTime};
use crate::wire::Validity;

/// Default wait before the next try while not activated: 2 hours (PROTOCOL 5).
pub const ACTIVATION_INTERVAL: Minutes = Minutes(120);
/// Default wait before renewing while activated: 7 days (PROTOCOL 5).
pub const RENEWAL_INTERVAL: Minutes = Minutes::from_days(7);
/// Default validity of an activation: 180 days (PROTOCOL 5).
pub const VALIDITY: Minutes = Minutes::from_days(180);
/// Shortest interval: 15 minutes (PROTOCOL 5).
pub const SHORTEST_INTERVAL: Minutes = Minutes(15);
/// Longest interval: 30 days (PROTOCOL 5).
pub const LONGEST_INTERVAL: Minutes = Minutes::from_days(30);
/// Default initial grace: 30 days (PROTOCOL 11).
pub const INITIAL_GRACE: Minutes = Minutes::from_days(30);
/// How long before its end an activation that is not renewed is warned about: 30 days.
pub const WARNING_PERIOD: Minutes = Minutes::from_days(30);
/// How far two clocks may be apart: 240 minutes (PROTOCOL 9 and 11).
pub const CLOCK_TOLERANCE: Minutes = Minutes(240);
/// A device's clock that shows an earlier time was never set: the beginning of 2026, when this
/// library was written.
pub const EARLIEST_CLOCK: UnixTime = UnixTime::from_secs(1_767_225_600);
/// How many times a product may be rearmed by hand, by default (PROTOCOL 8).
pub const REARM_LIMIT: u8 = 3;
/// The TCP and UDP port of a host (PROTOCOL 13).
pub const PORT: u16 = 1688;
/// How long a host waits for a whole frame, and for the next one (PROTOCOL 13).
pub const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Waits after the first and each repeated datagram of one request (PROTOCOL 13): the client sends
/// when each but the last has passed, and gives up after the last.
pub const RETRANSMISSION_WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(8),
];

/// Whether a count meets a product's threshold.
#[must_use]
pub const fn meets_threshold(count: u32, required: NonZeroU32) -> bool {
    count >= required.get()
}

/// An interval as a client obeys it: a value outside 15 to 43,200 minutes counts as the nearer
/// bound (PROTOCOL 5).
#[must_use]
pub fn bounded_interval(interval: Minutes) -> Minutes {
    interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

/// A granted validity, capped by the product's own maximum; perpetual when neither limits it
/// (PROTOCOL 11).
#[must_use]
pub fn capped_validity(granted: Validity, maximum: Validity) -> Validity {
    match (granted, maximum) {
        (Validity::For(granted), Validity::For(maximum)) => Validity::For(granted.min(maximum)),
        (Validity::Perpetual, limit) | (limit, Validity::Perpetual) => limit,
    }
}

/// How far a clock is from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Skew {
    /// It shows an earlier time, by this many seconds.
    Behind(u64),
    /// It shows a later or the same time, by this many seconds.
    Ahead(u64),
}

impl Skew {
    /// How far `clock` is from `reference`.
    #[must_use]
    pub const fn of(clock: UnixTime, reference: UnixTime) -> Self {
        match clock.as_secs().checked_sub(reference.as_secs()) {
            Some(ahead) => Self::Ahead(ahead),
            None => Self::Behind(reference.as_secs().saturating_sub(clock.as_secs())),
        }
    }

    /// The distance in seconds, whichever way.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Behind(seconds) | Self::Ahead(seconds) => seconds,
        }
    }

    /// Whether the distance is at most 240 minutes.
    #[must_use]
    pub const fn is_tolerable(self) -> bool {
        self.seconds() <= CLOCK_TOLERANCE.as_duration().as_secs()
    }
}

/// Whether a host's time is acceptable above the latest one accepted so far, the floor: at most
/// 240 minutes before it (PROTOCOL 11).
#[must_use]
pub const fn above_floor(host_time: UnixTime, floor: UnixTime) -> bool {
    match Skew::of(host_time, floor) {
        Skew::Ahead(_) => true,
        behind @ Skew::Behind(_) => behind.is_tolerable(),
    }
}

/// Whether a device's own clock can be right: not before [`EARLIEST_CLOCK`], and not more than 240
/// minutes before the latest time that a host has vouched for, the floor.
#[must_use]
pub fn can_be_right(clock: UnixTime, floor: UnixTime) -> bool {
    clock >= EARLIEST_CLOCK && above_floor(clock, floor)
}

/// An interval as a client obeys it, spread by up to ±10 %, evenly over `random`'s range, so that a
/// site that comes up together does not ask together (PROTOCOL 11). Exact to the millisecond.
#[must_use]
#[inline(never)]
pub fn spread(interval: Minutes, random: u32) -> Millis {
    let tenth = tenth(interval);
    Millis(share(tenth.wrapping_mul(2), random).wrapping_add(tenth.wrapping_mul(9)))
}

/// Wait before a renewal: the interval, bounded and spread, or half the validity (`None` for a
/// perpetual one) where that is shorter, so that no activation ends before it is renewed. Never
/// less than the shortest interval, spread: an activation of minutes, or of none, ends unrenewed
/// rather than make a client ask without a pause.
#[must_use]
pub fn renewal_wait(interval: Minutes, validity: Option<Millis>, random: u32) -> Millis {
    let wait = spread(interval, random);
    let shortest = spread(SHORTEST_INTERVAL, random);
    validity.map_or(wait, |validity| wait.min(validity.half().max(shortest)))
}

/// How long before the end of an activation its missing renewal is warned about: 30 days, or half
/// the validity where that is shorter.
#[must_use]
pub fn warning_period(validity: Millis) -> Millis {
    WARNING_PERIOD.as_millis().min(validity.half())
}

/// How long an activated client that is due at a start waits at most: a tenth of the activation
/// interval, so that a site that starts together after a power cut does not ask together.
#[must_use]
pub fn start_wait(activation_interval: Minutes, random: u32) -> Millis {
    Millis(share(tenth(activation_interval), random))
}

/// A tenth of an interval as a client obeys it, in milliseconds: below 2^28.
fn tenth(interval: Minutes) -> u64 {
    u64::from(bounded_interval(interval).0).wrapping_mul(6_000)
}

/// The part of `whole`, which has less than 32 bits, that `random` is of 2^32.
const fn share(whole: u64, random: u32) -> u64 {
    whole.wrapping_mul(random as u64) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn intervals_are_bounded_at_15_minutes_and_30_days() {
        for (given, obeyed) in
            [(0, 15), (14, 15), (15, 15), (16, 16), (43_199, 43_199), (43_200, 43_200)]
        {
            assert_eq!(bounded_interval(Minutes(given)), Minutes(obeyed));
        }
        assert_eq!(bounded_interval(Minutes(43_201)), LONGEST_INTERVAL);
        assert_eq!(bounded_interval(Minutes(u32::MAX)), LONGEST_INTERVAL);
    }

    #[test]
    fn thresholds_are_met_from_the_count_itself() {
        let required = NonZeroU32::new(25).unwrap();
        assert!(!meets_threshold(0, required));
        assert!(!meets_threshold(24, required));
        assert!(meets_threshold(25, required));
        assert!(meets_threshold(u32::MAX, NonZeroU32::MAX));
    }

    #[test]
    fn skew_is_tolerable_up_to_240_minutes_to_the_second() {
        let reference = at(1_800_000_000);
        for (clock, skew, tolerable) in [
            (1_800_000_000, Skew::Ahead(0), true),
            (1_800_014_400, Skew::Ahead(14_400), true),
            (1_800_014_401, Skew::Ahead(14_401), false),
            (1_799_985_600, Skew::Behind(14_400), true),
            (1_799_985_599, Skew::Behind(14_401), false),
            (0, Skew::Behind(1_800_000_000), false),
            (u64::MAX, Skew::Ahead(u64::MAX - 1_800_000_000), false),
        ] {
            assert_eq!(Skew::of(at(clock), reference), skew);
            assert_eq!(skew.is_tolerable(), tolerable, "{skew:?}");
        }
    }

    #[test]
    fn floor_refuses_only_the_past() {
        let floor = at(1_800_000_000);
        assert!(above_floor(at(u64::MAX), floor));
        assert!(above_floor(at(1_799_985_600), floor));
        assert!(!above_floor(at(1_799_985_599), floor));
        assert!(above_floor(at(0), at(0)));
    }

    #[test]
    fn a_clock_can_be_right_from_2026_and_from_the_floor_on() {
        let (earliest, none) = (EARLIEST_CLOCK.as_secs(), at(0));
        assert!(can_be_right(at(earliest), none));
        assert!(!can_be_right(at(earliest - 1), none));
        assert!(can_be_right(at(u64::MAX), at(earliest)));
        let floor = at(earliest + 100_000);
        assert!(can_be_right(at(earliest + 100_000 - 240 * 60), floor));
        assert!(!can_be_right(at(earliest + 100_000 - 240 * 60 - 1), floor));
    }

    #[test]
    fn validity_is_the_lower_of_grant_and_maximum() {
        let days = |days| Validity::For(Minutes::from_days(days));
        assert_eq!(capped_validity(days(180), days(90)), days(90));
        assert_eq!(capped_validity(days(90), days(180)), days(90));
        assert_eq!(capped_validity(Validity::Perpetual, days(180)), days(180));
        assert_eq!(capped_validity(days(180), Validity::Perpetual), days(180));
        assert_eq!(capped_validity(Validity::Perpetual, Validity::Perpetual), Validity::Perpetual);
    }

    #[test]
    fn spread_reaches_both_ends_and_nothing_beyond() {
        let wait = Minutes(120);
        assert_eq!(spread(wait, 0), Millis::from_secs(6480));
        assert_eq!(spread(wait, u32::MAX), Millis(7_919_999));
        assert_eq!(spread(Minutes(0), 0), Millis::from_secs(810), "15 min - 10 %");
        assert_eq!(spread(Minutes(u32::MAX), u32::MAX), Millis(43_200 * 66_000 - 1));
        for random in (0..u32::MAX).step_by(99_999_937) {
            let spread = spread(wait, random).as_secs();
            assert!((6480..7920).contains(&spread), "{spread}");
        }
    }

    #[test]
    fn renewal_comes_before_the_end() {
        let days = |days| Minutes::from_days(days).as_millis();
        assert_eq!(
            renewal_wait(RENEWAL_INTERVAL, Some(days(180)), u32::MAX / 2).as_secs(),
            604_799
        );
        assert_eq!(renewal_wait(RENEWAL_INTERVAL, Some(days(1)), 0), days(1).half());
        assert_eq!(renewal_wait(Minutes(0), None, 0), Millis::from_secs(810), "15 min - 10 %");
        assert_eq!(warning_period(days(180)), days(30));
        assert_eq!(warning_period(days(10)), days(5));
    }

    #[test]
    fn an_activation_that_ends_at_once_is_not_renewed_at_once() {
        for (minutes, seconds) in [(0, 810), (1, 810), (27, 810), (28, 840)] {
            let validity = Some(Minutes(minutes).as_millis());
            assert_eq!(renewal_wait(RENEWAL_INTERVAL, validity, 0).as_secs(), seconds);
        }
    }

    #[test]
    fn start_wait_is_below_a_tenth_of_the_interval() {
        assert_eq!(start_wait(ACTIVATION_INTERVAL, 0), Millis::ZERO);
        assert_eq!(start_wait(ACTIVATION_INTERVAL, u32::MAX), Millis(719_999));
    }
}
