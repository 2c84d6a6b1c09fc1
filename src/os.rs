//! Feature `std`: what the core is told by its caller, as an operating system knows it. The time
//! and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use rand_core::CryptoRng;

use crate::time::{Instant, Now, UnixTime};

/// Where a program gets its time from.
pub trait Clock: Send + Sync + 'static {
    /// What both clocks show now.
    fn now(&self) -> Now;
}

/// The operating system's clocks.
///
/// On Linux and Android the monotonic one goes on while the machine sleeps, as [`Instant`] asks for.
/// Elsewhere it is that of [`std::time::Instant`], which on some systems stands still meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: monotonic::Point,
}

impl SystemClock {
    /// Clocks of which the monotonic one starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: monotonic::now() }
    }

    /// What the monotonic clock shows: milliseconds since its start.
    #[must_use]
    pub fn monotonic(&self) -> Instant {
        Instant::ZERO.after(monotonic::since(self.start))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now::new(self.monotonic(), Some(SystemTime::now().into()))
    }
}

/// A time before 1970 counts as 1970.
impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        Self::from_secs(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

/// Randomness of the operating system.
///
/// # Panics
///
/// Using it panics when the system has no randomness to give, which those in use today only do when
/// something forbids the program to ask.
#[must_use]
pub const fn system_rng() -> impl CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// `CLOCK_BOOTTIME`, which counts the time that the machine was suspended. std's clock does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod monotonic {
    use core::time::Duration;

    use nix::time::{ClockId, clock_gettime};

    pub(super) type Point = Duration;

    pub(super) fn now() -> Point {
        // The call fails for clocks that do not exist; this one does since Linux 2.6.39.
        clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
    }

    pub(super) fn since(start: Point) -> Duration {
        now().saturating_sub(start)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod monotonic {
    use core::time::Duration;
    use std::time::Instant;

    pub(super) type Point = Instant;

    pub(super) fn now() -> Point {
        Instant::now()
    }

    pub(super) fn since(start: Point) -> Duration {
        start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn the_monotonic_clock_starts_at_zero_and_goes_on() {
        let clock = SystemClock::start();
        let pause = Duration::from_millis(20);
        std::thread::sleep(pause);
        let (first, second) = (clock.now().monotonic, clock.monotonic());
        assert!(first.since(Instant::ZERO) >= pause);
        assert!(second >= first);
    }

    #[test]
    fn a_time_before_1970_counts_as_1970() {
        let second = Duration::from_secs(1);
        assert_eq!(UnixTime::from(UNIX_EPOCH + 5 * second), UnixTime::from_secs(5));
        assert_eq!(UnixTime::from(UNIX_EPOCH - second), UnixTime::from_secs(0));
    }
}
