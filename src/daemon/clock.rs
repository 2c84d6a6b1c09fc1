//! Clocks for programs.

use std::time::{Instant as StdInstant, SystemTime, UNIX_EPOCH};

use crate::time::{Instant, Now, UnixTime};

/// Where a program gets its time from.
pub trait Clock: Send + Sync + 'static {
    /// What both clocks show now.
    fn now(&self) -> Now;
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: StdInstant,
}

impl SystemClock {
    /// A clock whose monotonic part starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: StdInstant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let monotonic = Instant::ZERO.after(self.start.elapsed());
        Now::new(monotonic, Some(unix_time(SystemTime::now())))
    }
}

/// The operating system's clocks, run faster from a common start: for demonstrations.
#[derive(Clone, Copy, Debug)]
pub struct ScaledClock {
    start: StdInstant,
    start_unix: UnixTime,
    factor: u32,
}

impl ScaledClock {
    /// A clock that starts now and runs `factor` times as fast as time does.
    #[must_use]
    pub fn start(factor: u32) -> Self {
        Self { start: StdInstant::now(), start_unix: unix_time(SystemTime::now()), factor }
    }

    /// The real time that a span on this clock takes.
    #[must_use]
    pub fn real(&self, span: std::time::Duration) -> std::time::Duration {
        span.checked_div(self.factor).unwrap_or(span)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Now {
        let passed = self.start.elapsed().saturating_mul(self.factor);
        Now::new(Instant::ZERO.after(passed), Some(self.start_unix.after(passed)))
    }
}

/// A time before 1970 counts as 1970.
fn unix_time(time: SystemTime) -> UnixTime {
    UnixTime::from_secs(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
