//! Loops for programs that may block, over the step machines and one trait of the caller's.

use core::net::SocketAddr;

use embedded_nal::{TcpClientStack, TcpFullStack, UdpClientStack, UdpFullStack};

use rand_core::CryptoRng;

use super::{Failure, Progress, Served, TcpExchange, TcpServer, UdpExchange, UdpServer};
use crate::client::{self, Client, Outcome};
use crate::discovery::Hosts;
use crate::time::{Instant, Now, UnixTime};
use crate::trust::Verifier;
use crate::wire::Frame;

/// The clocks, and what to do while there is nothing to do.
pub trait Platform<S> {
    /// The monotonic clock. It must move on, or nothing here ever ends.
    fn now(&mut self) -> Instant;

    /// The calendar clock, which only [`ask`] looks at: `None`, as by default, without one or before
    /// it is set.
    fn calendar(&mut self) -> Option<UnixTime> {
        None
    }

    /// Runs the stack where it does not run by itself, and waits until it may have something new,
    /// `until` at the latest. Returning early is harmless. When `until` is not in the future, the
    /// stack is run once, without waiting.
    fn idle(&mut self, stack: &mut S, until: Instant);

    /// Whether to stop; asked once a turn. Never, by default.
    fn is_stopped(&mut self) -> bool {
        false
    }
}

/// What [`run`] can run: [`TcpExchange`] and [`UdpExchange`].
pub trait Exchange<S> {
    /// Does what can be done now.
    fn poll(&mut self, stack: &mut S, now: Instant) -> Progress;

    /// Gives up, or has enough: closes what is open.
    fn close(&mut self, stack: &mut S);
}

impl<S: TcpClientStack> Exchange<S> for TcpExchange<S> {
    fn poll(&mut self, stack: &mut S, now: Instant) -> Progress {
        Self::poll(self, stack, now)
    }

    fn close(&mut self, stack: &mut S) {
        Self::close(self, stack);
    }
}

impl<S: UdpClientStack> Exchange<S> for UdpExchange<S> {
    fn poll(&mut self, stack: &mut S, now: Instant) -> Progress {
        Self::poll(self, stack, now)
    }

    fn close(&mut self, stack: &mut S) {
        Self::close(self, stack);
    }
}

/// What [`serve`] can run: [`TcpServer`], [`UdpServer`], and a pair of them on one stack.
pub trait Service<S> {
    /// Does what can be done now.
    fn poll<F>(&mut self, stack: &mut S, now: Instant, serve: F) -> Served
    where
        F: FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>;

    /// Closes what is open.
    fn close(&mut self, stack: &mut S);
}

impl<S: TcpFullStack, const CONNECTIONS: usize> Service<S> for TcpServer<S, CONNECTIONS> {
    fn poll<F>(&mut self, stack: &mut S, now: Instant, serve: F) -> Served
    where
        F: FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
    {
        Self::poll(self, stack, now, serve)
    }

    fn close(&mut self, stack: &mut S) {
        Self::close(self, stack);
    }
}

impl<S: UdpFullStack> Service<S> for UdpServer<S> {
    fn poll<F>(&mut self, stack: &mut S, now: Instant, serve: F) -> Served
    where
        F: FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
    {
        Self::poll(self, stack, now, serve)
    }

    fn close(&mut self, stack: &mut S) {
        Self::close(self, stack);
    }
}

impl<S, A: Service<S>, B: Service<S>> Service<S> for (A, B) {
    fn poll<F>(&mut self, stack: &mut S, now: Instant, mut serve: F) -> Served
    where
        F: FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
    {
        let (first, second) = self;
        first.poll(stack, now, &mut serve).and(second.poll(stack, now, &mut serve))
    }

    fn close(&mut self, stack: &mut S) {
        let (first, second) = self;
        first.close(stack);
        second.close(stack);
    }
}

/// Runs one exchange to its end. `judge` is told the time and the frame: `Some` ends the exchange
/// with that value, `None` is disbelief and goes on, which by UDP may bring another answer. The
/// socket is closed on every path.
///
/// # Errors
///
/// Why there was no answer; [`Failure::Abandoned`] when the platform said stop.
pub fn run<S, E, P, T>(
    mut exchange: E,
    stack: &mut S,
    platform: &mut P,
    mut judge: impl FnMut(Instant, &Frame) -> Option<T>,
) -> Result<T, Failure>
where
    E: Exchange<S>,
    P: Platform<S>,
{
    while !platform.is_stopped() {
        let now = platform.now();
        match exchange.poll(stack, now) {
            Progress::Pending { wake_at } => platform.idle(stack, wake_at),
            Progress::Received(frame) => {
                if let Some(value) = judge(now, &frame) {
                    exchange.close(stack);
                    return Ok(value);
                }
            }
            Progress::Failed(failure) => return Err(failure),
        }
    }
    exchange.close(stack);
    Err(Failure::Abandoned)
}

/// Does what [`Step::Send`](client::Step::Send) says: sends the client's pending request with an
/// exchange that was made of it, and brings the client the answer or the news that there is none.
///
/// # Errors
///
/// Why no answer was accepted, for people: the client has been told. When one came and was turned
/// down, [`Client::last_attempt`] says why.
pub fn ask<S, E, P>(
    client: &mut Client<'_, impl Verifier, impl Hosts>,
    exchange: E,
    stack: &mut S,
    platform: &mut P,
    rng: &mut impl CryptoRng,
) -> Result<Outcome, Failure>
where
    E: Exchange<S>,
    P: Platform<S>,
{
    // The calendar as it was when the exchange began, carried on by the monotonic clock.
    let begun = Now::new(platform.now(), platform.calendar());
    let both = |now: Instant| {
        let passed = now.since(begun.monotonic);
        Now::new(now, begun.clock.map(|clock| clock.after(passed)))
    };
    let mut failure = client::Failure::NoAnswer;
    let end = run(exchange, stack, platform, |now, answer| {
        client
            .handle_response(both(now), rng, answer)
            .map_err(|discard| failure = client::Failure::Discarded(discard))
            .ok()
    });
    if end.is_err() {
        client.give_up(both(platform.now()), rng, failure);
    }
    end
}

/// Serves until the platform says stop, then closes the port and all connections. What `answer` is
/// told and answers is as with [`TcpServer::poll`] and [`UdpServer::poll`].
pub fn serve<S, V, P>(
    service: &mut V,
    stack: &mut S,
    platform: &mut P,
    mut answer: impl FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
) where
    V: Service<S>,
    P: Platform<S>,
{
    while !platform.is_stopped() {
        let now = platform.now();
        let served = service.poll(stack, now, &mut answer);
        platform.idle(stack, served.wake_at);
    }
    service.close(stack);
}

/// The operating system's clock, for stacks that run by themselves: looks for news every 5 ms.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct OsPlatform {
    clock: crate::os::SystemClock,
}

#[cfg(feature = "std")]
impl Default for OsPlatform {
    fn default() -> Self {
        Self { clock: crate::os::SystemClock::start() }
    }
}

#[cfg(feature = "std")]
impl<S> Platform<S> for OsPlatform {
    fn now(&mut self) -> Instant {
        self.clock.monotonic()
    }

    fn calendar(&mut self) -> Option<UnixTime> {
        Some(std::time::SystemTime::now().into())
    }

    fn idle(&mut self, _stack: &mut S, until: Instant) {
        let wait = until.since(Platform::<S>::now(self));
        std::thread::sleep(wait.min(core::time::Duration::from_millis(5)));
    }
}
