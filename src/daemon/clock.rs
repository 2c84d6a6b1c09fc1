//! A clock for demonstrations.

use core::time::Duration;
use std::time::{Instant as StdInstant, SystemTime};

use crate::os::Clock;
use crate::time::{Instant, Now, UnixTime};

/// The operating system's clocks, run faster from a common start.
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
        Self { start: StdInstant::now(), start_unix: SystemTime::now().into(), factor }
    }

    /// The real time that a span on this clock takes.
    #[must_use]
    pub fn real(&self, span: Duration) -> Duration {
        span.checked_div(self.factor).unwrap_or(span)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Now {
        let passed = self.start.elapsed().saturating_mul(self.factor);
        Now::new(Instant::ZERO.after(passed), Some(self.start_unix.after(passed)))
    }
}
