//! When a request by UDP is sent again, and when it is given up (PROTOCOL 13).

use core::time::Duration;

use crate::policy::RETRANSMISSION_WAITS;

/// Where the retransmissions stand.
pub(super) struct Schedule {
    /// Datagrams whose time has come, 1 to 5.
    pub(super) begun: usize,
    /// When the next one is due, or the end: time since the first.
    pub(super) next: Duration,
    /// The last wait has passed.
    pub(super) over: bool,
}

impl Schedule {
    /// So long after the first datagram's time.
    pub(super) fn at(elapsed: Duration) -> Self {
        let mut next = Duration::ZERO;
        let mut begun = 0_usize;
        for wait in RETRANSMISSION_WAITS {
            begun = begun.saturating_add(1);
            next = next.saturating_add(wait);
            if elapsed < next {
                return Self { begun, next, over: false };
            }
        }
        Self { begun, next, over: true }
    }
}
