//! Units of time. The core never asks what time it is: every call that needs to know is told.
//!
//! Two clocks are kept apart because they fail differently. [`Instant`] only moves forward and is
//! lost at a restart; [`UnixTime`] survives a restart and may jump either way. Deadlines are set
//! on the first, dates are compared on the second.

use core::time::Duration;

/// A point on a monotonic clock: milliseconds since an arbitrary start, such as power-on.
///
/// The clock should go on while the device sleeps: what it does not show, such as a night in
/// standby, delays renewals and keeps a host's records alive for longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);

    /// From milliseconds since the start of the clock.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start of the clock.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This point moved forward by `span`, at most to the end of the clock.
    #[must_use]
    pub fn after(self, span: impl Into<Millis>) -> Self {
        self.plus(span.into())
    }

    #[inline(never)]
    const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// Milliseconds since `earlier`; zero when `earlier` is in fact later.
    pub(crate) const fn millis_since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

/// A span in milliseconds: what the core reckons with. A [`Duration`] has 96 bits, and takes a division
/// to make and to compare with a clock: on a small processor that is much more code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Longer than anything.
    pub const MAX: Self = Self(u64::MAX);

    /// From whole seconds; those that do not fit are cut.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        let most = u64::MAX / 1_000;
        Self(if secs > most { most } else { secs }.wrapping_mul(1_000))
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        divided(self.0, 1_000)
    }

    /// As a span of the standard library's.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        let secs = self.as_secs();
        let part = self.0.wrapping_sub(secs.wrapping_mul(1_000)) as u32;
        // It is below 1,000 already: the remainder is for the compiler to know it.
        Duration::new(secs, (part % 1_000).wrapping_mul(1_000_000))
    }

    /// What is left without a part of it; zero when nothing is.
    #[must_use]
    pub const fn less(self, part: Self) -> Self {
        Self(self.0.saturating_sub(part.0))
    }

    /// Half of it, rounded down.
    pub(crate) const fn half(self) -> Self {
        Self(self.0 >> 1)
    }
}

/// At most `u64::MAX` milliseconds; parts of one are cut.
impl From<Duration> for Millis {
    fn from(span: Duration) -> Self {
        let whole = span.as_secs().saturating_mul(1_000);
        Self(whole.saturating_add(span.subsec_millis().into()))
    }
}

/// A quotient, rounded down. No processor of 32 bits has an instruction for it, and what the compiler
/// calls instead takes 900 bytes. This divides digit by digit, of 16 bits each.
#[inline(never)]
const fn divided(dividend: u64, divisor: u16) -> u64 {
    // At the top the digits that are still to be divided, at the bottom those of the quotient.
    let mut digits = dividend;
    let mut rest: u32 = 0;
    let mut round = 0_u8;
    while round < 4 {
        let part = rest << 16 | (digits >> 48) as u32;
        let (Some(digit), Some(remainder)) =
            (part.checked_div(divisor as u32), part.checked_rem(divisor as u32))
        else {
            return 0; // No divisor here is zero.
        };
        digits = digits << 16 | digit as u64;
        rest = remainder;
        round = round.wrapping_add(1);
    }
    digits
}

/// Seconds since the Unix epoch, as set by a person, a battery or a time server: it may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnixTime(u64);

impl UnixTime {
    /// From seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The minute this second lies in, at most `u32::MAX` (the year 10,136).
    #[must_use]
    pub const fn minute(self) -> EpochMinute {
        EpochMinute(saturated(divided(self.0, 60)))
    }

    /// Time since `earlier`; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// This time moved forward by `span`, at most to the end of the scale.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }

    /// Whether it lies in these minutes or between them.
    pub(crate) const fn is_within(self, first: EpochMinute, last: EpochMinute) -> bool {
        first.start().0 <= self.0 && self.0 < last.start().0.saturating_add(60)
    }

    /// Time since `earlier`; zero when `earlier` is in fact later.
    pub(crate) const fn millis_since(self, earlier: Self) -> Millis {
        Millis::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// Minutes since the Unix epoch (PROTOCOL 1, `u32 epoch-min`): the dates of a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EpochMinute(pub u32);

impl EpochMinute {
    /// The first second of this minute.
    #[must_use]
    pub const fn start(self) -> UnixTime {
        UnixTime((self.0 as u64).saturating_mul(60))
    }
}

/// A number of minutes (PROTOCOL 1, `u32 min`): intervals and validities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Minutes(pub u32);

impl Minutes {
    /// From whole days; 2,982,616 days are the most that fit, more is cut to `u32::MAX` minutes.
    #[must_use]
    pub const fn from_days(days: u32) -> Self {
        Self(days.saturating_mul(24 * 60))
    }

    /// Whole minutes in a span, rounded down, at most `u32::MAX`.
    pub(crate) const fn within(span: Millis) -> Self {
        Self(saturated(divided(span.0, 60_000)))
    }

    /// Minutes that hold the whole seconds of a span, at most `u32::MAX`.
    pub(crate) const fn around(span: Millis) -> Self {
        Self::within(Millis(span.0.saturating_add(59_000)))
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> Millis {
        Millis((self.0 as u64).wrapping_mul(60_000)) // 48 bits
    }

    /// As a span.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs((self.0 as u64).saturating_mul(60))
    }
}

const fn saturated(value: u64) -> u32 {
    if value > u32::MAX as u64 { u32::MAX } else { value as u32 }
}

/// What both clocks show, as the caller of the core reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Now {
    /// The monotonic clock.
    pub monotonic: Instant,
    /// The calendar clock; `None` on a device that has none, or whose clock was never set.
    pub clock: Option<UnixTime>,
}

impl Now {
    /// Both clocks.
    #[must_use]
    pub const fn new(monotonic: Instant, clock: Option<UnixTime>) -> Self {
        Self { monotonic, clock }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotient_is_the_compilers() {
        let bits = (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, u64::MAX >> bit]);
        for dividend in bits.chain([0, 59, 60, 119_999, 120_000, 1_800_000_000_123]) {
            for divisor in [1, 2, 60, 1_000, 59_999, 60_000, u16::MAX] {
                assert_eq!(divided(dividend, divisor), dividend / u64::from(divisor));
            }
        }
    }

    #[test]
    fn minutes_around_a_span_hold_its_whole_seconds() {
        for (millis, minutes) in
            [(0, 0), (999, 0), (1_000, 1), (60_999, 1), (61_000, 2), (u64::MAX, u32::MAX)]
        {
            assert_eq!(Minutes::around(Millis(millis)), Minutes(minutes), "{millis}");
        }
        assert_eq!(Minutes::within(Millis(119_999)), Minutes(1));
        assert_eq!(Minutes(u32::MAX).as_millis(), Millis(u64::from(u32::MAX) * 60_000));
    }
}
