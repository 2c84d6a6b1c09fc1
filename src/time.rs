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
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// Milliseconds since `earlier`; zero when `earlier` is in fact later.
    pub(crate) const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A span in milliseconds, at most `u64::MAX`. In 64 bits, where the standard library takes 128: on a
/// small processor that is much less code.
pub(crate) const fn millis(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000).saturating_add(span.subsec_millis() as u64)
}

/// What is left of a span without a part of it, to the millisecond; zero when nothing is. The standard
/// library's subtraction can panic, as far as the compiler knows.
pub(crate) const fn less(span: Duration, part: Duration) -> Duration {
    Duration::from_millis(millis(span).saturating_sub(millis(part)))
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
        let minutes = self.0 / 60;
        EpochMinute(if minutes > u32::MAX as u64 { u32::MAX } else { minutes as u32 })
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

    /// From a span, rounded up to whole minutes, at most `u32::MAX`.
    #[must_use]
    pub fn from_duration(span: Duration) -> Self {
        let whole = span.as_secs().div_ceil(60);
        Self(u32::try_from(whole).unwrap_or(u32::MAX))
    }

    /// As a span.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs((self.0 as u64).saturating_mul(60))
    }
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
