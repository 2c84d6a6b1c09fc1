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

/// A time before 1970 counts as 1970.
fn unix_time(time: SystemTime) -> UnixTime {
    UnixTime::from_secs(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
