//! An executor in virtual time, and asynchronous sockets that do what a script says.
//!
//! Nothing sleeps: when a future waits, the clock jumps to the next time that anything waits for.
#![allow(dead_code, unreachable_pub, reason = "each test takes the parts it needs")]

pub mod tcp;
pub mod udp;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use headcount::time::{Instant, UnixTime};
use headcount::transport::asynchronous::Clock;

/// The only error of the fakes.
#[derive(Debug)]
pub struct Fault;

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fault")
    }
}

impl std::error::Error for Fault {}

impl embedded_io_async::Error for Fault {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        embedded_io_async::ErrorKind::Other
    }
}

/// The clock, the timer and the count of sockets.
#[derive(Debug, Default)]
pub struct World {
    now: Cell<u64>,
    wakes: RefCell<BTreeSet<u64>>,
    /// Sockets that are open now, and that were ever opened.
    pub open: Cell<usize>,
    pub opened: Cell<usize>,
    /// How often the future was polled.
    pub polls: Cell<usize>,
    /// The calendar at time 0.
    pub epoch: Cell<Option<u64>>,
    /// Whether the timer comes one millisecond before each whole second.
    pub early: Cell<bool>,
}

impl World {
    /// Milliseconds since the start.
    pub fn millis(&self) -> u64 {
        self.now.get()
    }

    /// Moves the clock by hand, as when a task gets its turn late.
    pub fn jump(&self, to: u64) {
        self.now.set(to);
    }

    /// Waits until then; for ever when there is no such time.
    pub async fn at(&self, time: Option<u64>) {
        poll_fn(|_| match time {
            Some(time) if self.millis() >= time => Poll::Ready(()),
            Some(time) => {
                self.wakes.borrow_mut().insert(time);
                Poll::Pending
            }
            None => Poll::Pending,
        })
        .await;
    }

    pub async fn after(&self, wait: Option<u64>) {
        self.at(wait.map(|wait| self.millis() + wait)).await;
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.run_until(u64::MAX, future).expect("something is waited for")
    }

    /// Runs a future until it ends, or until then: it is dropped there.
    pub fn run_until<T>(&self, limit: u64, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        for _ in 0..1_000_000 {
            self.polls.set(self.polls.get() + 1);
            if let Poll::Ready(value) =
                future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                return Some(value);
            }
            let mut wakes = self.wakes.borrow_mut();
            let next = loop {
                match wakes.pop_first() {
                    Some(past) if past <= self.millis() => {}
                    next => break next.filter(|next| *next <= limit),
                }
            };
            self.now.set(next?);
        }
        panic!("the future does not end");
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        Instant::from_millis(self.millis())
    }

    fn calendar(&self) -> Option<UnixTime> {
        self.epoch.get().map(|epoch| UnixTime::from_secs(epoch + self.millis() / 1_000))
    }

    async fn sleep_until(&self, until: Instant) {
        let until = until.as_millis();
        let early = self.early.get() && until.is_multiple_of(1_000) && until > self.millis() + 1;
        self.at(Some(until - u64::from(early))).await;
    }
}

/// An open socket: what is not dropped is missed.
#[derive(Debug)]
pub struct Socket<'a>(&'a World);

impl<'a> Socket<'a> {
    pub fn open(world: &'a World) -> Self {
        world.open.set(world.open.get() + 1);
        world.opened.set(world.opened.get() + 1);
        Self(world)
    }
}

impl Drop for Socket<'_> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}
