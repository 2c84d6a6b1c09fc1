//! Warnings that a flood would turn into a flood of warnings.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The shortest time between two warnings of one kind.
const QUIET: Duration = Duration::from_secs(10);

/// Lets the first of many warnings through, then one every 10 s, which stands for those between.
#[derive(Default)]
pub(super) struct Seldom(Mutex<State>);

#[derive(Default)]
struct State {
    last: Option<Instant>,
    untold: u64,
}

impl Seldom {
    /// How many times it happened since it was told last, this time included, when it is to be told
    /// again.
    pub(super) fn due(&self) -> Option<u64> {
        self.due_at(Instant::now())
    }

    fn due_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold = state.untold.saturating_add(1);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < QUIET) {
            return None;
        }
        state.last = Some(now);
        Some(core::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_stands_for_those_that_were_not_told() {
        let seldom = Seldom::default();
        let start = Instant::now();
        assert_eq!(seldom.due_at(start), Some(1));
        assert_eq!(seldom.due_at(start), None);
        assert_eq!(seldom.due_at(start + QUIET / 2), None);
        assert_eq!(seldom.due_at(start + QUIET), Some(3));
        assert_eq!(seldom.due_at(start + QUIET), None);
    }
}
