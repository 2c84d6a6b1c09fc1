//! Work against the clock.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use super::Clock;
use crate::time::Instant;

/// What `work` brings, or `None` when `until` comes first and `work` is dropped. Work that is done
/// wins, however late it is.
pub(super) async fn before<F: Future>(
    clock: &impl Clock,
    until: Instant,
    work: F,
) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut alarm = pin!(sleep_until(clock, until));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => alarm.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// Sleeps on where the caller's timer comes early.
pub(super) async fn sleep_until(clock: &impl Clock, until: Instant) {
    while clock.now() < until {
        clock.sleep_until(until).await;
    }
}
