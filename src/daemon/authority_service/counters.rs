//! What became of the requests.

use core::sync::atomic::{AtomicU64, Ordering};

/// What became of the requests since the start. They are counted when they are durable, a moment
/// before they are answered.
#[derive(Debug, Default)]
pub struct AuthorityCounters {
    /// Activations by key that used up one activation.
    pub counted: AtomicU64,
    /// Activations by key of machines that the key had activated before.
    pub again: AtomicU64,
    /// Enrolments.
    pub enrolled: AtomicU64,
    /// Requests that had been granted before and got the same answer.
    pub repeated: AtomicU64,
    /// Requests refused, whatever the reason but a full queue.
    pub refused: AtomicU64,
    /// Requests told to come again later because too many waited.
    pub busy: AtomicU64,
    /// Frames that got no answer: malformed, not authentic, or too many from one sender.
    pub silent: AtomicU64,
    /// Believable requests that got no answer because the database or the root key failed, or no
    /// certificate could be had.
    pub failed: AtomicU64,
    /// Transactions ended well. One that changed nothing had nothing to commit.
    pub commits: AtomicU64,
}

impl AuthorityCounters {
    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 9] {
        [
            ("counted", &self.counted),
            ("again", &self.again),
            ("enrolled", &self.enrolled),
            ("repeated", &self.repeated),
            ("refused", &self.refused),
            ("busy", &self.busy),
            ("silent", &self.silent),
            ("failed", &self.failed),
            ("commits", &self.commits),
        ]
        .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
