//! The demo's time: an hour in a second, but none while anybody is busy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as StdInstant};

use headcount::daemon::{Clock, SystemClock};
use headcount::time::{Instant, Now, UnixTime};

/// A clock that runs fast, and stands still as long as an exchange is under way.
///
/// At this speed a request would be hours old after a few seconds, and refused for its time, on a
/// machine that is busy, stopped or has many other machines' requests before it. Real machines do
/// not age while they exchange 250 bytes; these do not either.
#[derive(Clone)]
pub(super) struct DemoClock {
    start: UnixTime,
    factor: u32,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Demo time until the clock stopped or started last.
    passed: Duration,
    /// When it started last; without meaning while it stands.
    running_since: StdInstant,
    /// Exchanges under way.
    exchanges: usize,
}

/// Time stands still while this lives.
pub(super) struct Pause(DemoClock);

impl DemoClock {
    /// A clock that starts now and runs `factor` times as fast as time does.
    pub(super) fn start(factor: u32) -> Self {
        let start = SystemClock::start().now().clock.unwrap_or_default();
        let state =
            State { passed: Duration::ZERO, running_since: StdInstant::now(), exchanges: 0 };
        Self { start, factor, state: Arc::new(Mutex::new(state)) }
    }

    /// Stops the time for an exchange.
    pub(super) fn pause(&self) -> Pause {
        let mut state = self.state();
        state.passed = self.passed(&state);
        state.exchanges += 1;
        Pause(self.clone())
    }

    /// Sleeps until this time on the clock has come.
    pub(super) async fn sleep_until(&self, until: Instant) {
        loop {
            let left = until.since(self.now().monotonic);
            if left.is_zero() {
                return;
            }
            let real = left.checked_div(self.factor).unwrap_or(left);
            // Rounded up, or the end would be a busy wait.
            tokio::time::sleep(real.max(Duration::from_millis(1))).await;
        }
    }

    fn passed(&self, state: &State) -> Duration {
        if state.exchanges > 0 {
            return state.passed;
        }
        let since = state.running_since.elapsed().saturating_mul(self.factor);
        state.passed.saturating_add(since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two halves of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Now {
        let passed = self.passed(&self.state());
        Now::new(Instant::ZERO.after(passed), Some(self.start.after(passed)))
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.exchanges -= 1;
        state.running_since = StdInstant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    #[test]
    fn time_stands_still_during_exchanges_and_runs_between_them() {
        let clock = DemoClock::start(3_600);
        let first = clock.pause();
        let begun = clock.now();
        let second = clock.pause();
        sleep(Duration::from_millis(5));
        drop(first);
        sleep(Duration::from_millis(5));
        assert_eq!(clock.now(), begun, "the second is still under way");
        drop(second);
        sleep(Duration::from_millis(5));
        let passed = clock.now().monotonic.since(begun.monotonic);
        assert!(passed >= Duration::from_secs(18), "5 ms are 18 s: {passed:?}");
        assert!(clock.now().clock >= begun.clock);
    }
}
