//! One exchange of a client over any stack that implements `embedded-nal-async`, such as Embassy's.
//!
//! | | |
//! | --- | --- |
//! | [`TcpExchange`] | over a stack with `TcpConnect` |
//! | [`UdpExchange`] | over a stack with `UdpStack` |
//! | [`ConnectedUdpExchange`] | over one `ConnectedUdp`, where a stack has no `UdpStack` |
//! | [`ask`] | any of them, between a [`Client`] and a host |
//!
//! No executor and no timer is named here: the caller's [`Clock`] is both. There is no server,
//! because `embedded-nal-async` has no trait for one.
//!
//! # What is promised
//!
//! - Every wait ends by the caller's clock.
//! - **Dropping is giving up.** An exchange may be dropped at any point, by a `select` for instance.
//!   Its socket is closed by then, as far as the stack closes what is dropped. A client whose
//!   [`ask`] was dropped counts that host as silent 120 s after [`Step::Send`], and goes on.
//! - No future of the stack's is dropped half-way and then called again, but for UDP's `send` and
//!   `receive_into`. There a datagram may be lost, as any datagram may, and is sent again.
//! - However many datagrams arrive, other tasks get their turn: see [`BREATH`].
//!
//! # What is asked of a stack
//!
//! These traits leave less open than their blocking counterparts: a call that cannot go on waits,
//! and `Ok(0)` of a read is the end of the stream. So a closed connection is noticed at once.
//! Beyond that, error kinds are not read, any error of TCP ends the exchange, and an error of UDP
//! ends nothing after the socket stands. That a socket connected by UDP takes datagrams from its
//! peer alone is the trait's promise; the length is checked here, and the rest is `judge`'s part.
//!
//! # A driver for Embassy
//!
//! A client's whole life in one task, with the caller's flash and the network's socket:
//!
//! ```
//! use core::net::SocketAddr;
//!
//! use headcount::client::{Client, IMAGE_LEN, Step};
//! use headcount::transport::Timeouts;
//! use headcount::transport::asynchronous::{Clock, TcpExchange, ask};
//!
//! trait Flash {
//!     async fn store(&mut self, image: &[u8; IMAGE_LEN]);
//! }
//!
//! async fn live(
//!     client: &mut Client<'_>,
//!     hosts: &[SocketAddr],
//!     network: &impl embedded_nal_async::TcpConnect,
//!     clock: &impl Clock,
//!     flash: &mut impl Flash,
//!     rng: &mut impl rand_core::CryptoRng,
//! ) -> ! {
//!     loop {
//!         match client.poll(clock.both(), rng) {
//!             Step::Save => flash.store(&client.image(clock.both())).await,
//!             Step::Report(_event) => {} // tell people
//!             Step::Wait { until } => clock.sleep_until(until).await,
//!             Step::Send { host } => {
//!                 let exchange =
//!                     TcpExchange::new(network, hosts[usize::from(host)], Timeouts::default());
//!                 if let Err(_failure) = ask(client, exchange, clock, rng).await {
//!                     // Log it; the client knows already, and says when to ask again.
//!                 }
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! Somebody who presses a button need not wait for the interval: `select` between the sleep and the
//! button, then [`Client::ask_now`]. `examples/embassy` is a whole firmware around this loop.
//!
//! [`Step::Send`]: crate::client::Step::Send

use core::future::Future;

use rand_core::CryptoRng;

use super::Failure;
use crate::client::{self, Client, Outcome};
use crate::discovery::Hosts;
use crate::time::{Instant, Now, UnixTime};
use crate::trust::Verifier;
use crate::wire::Frame;

mod race;
mod tcp;
mod udp;

pub use tcp::TcpExchange;
pub use udp::{BREATH, ConnectedUdpExchange, UdpExchange};

/// The caller's clocks, and its way to wait. Implementations may write `async fn`.
pub trait Clock {
    /// The monotonic clock. It must move on, or nothing here ever ends.
    fn now(&self) -> Instant;

    /// The calendar clock: `None`, as by default, without one or before it is set.
    fn calendar(&self) -> Option<UnixTime> {
        None
    }

    /// Waits until the monotonic clock shows `until`; at once, when it does already. Coming late is
    /// harmless, and so is coming early, but for the work.
    ///
    /// Several may wait at the same time. One that is dropped waits no more.
    fn sleep_until(&self, until: Instant) -> impl Future<Output = ()>;

    /// Both clocks, as a client asks for them.
    fn both(&self) -> Now {
        Now::new(self.now(), self.calendar())
    }
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> Instant {
        C::now(self)
    }

    fn calendar(&self) -> Option<UnixTime> {
        C::calendar(self)
    }

    fn sleep_until(&self, until: Instant) -> impl Future<Output = ()> {
        C::sleep_until(self, until)
    }
}

/// A way to one host, for one frame each way.
pub trait Exchange {
    /// Sends `request` and waits for the answer. `judge` is given each whole frame that comes:
    /// `Some` ends the exchange with that value, `None` is disbelief and goes on, which by UDP may
    /// bring another answer. Nothing is open afterwards, nor after the future was dropped.
    ///
    /// # Errors
    ///
    /// Why there was no answer that `judge` believed.
    fn run<T>(
        self,
        clock: &impl Clock,
        request: &Frame,
        judge: impl FnMut(&Frame) -> Option<T>,
    ) -> impl Future<Output = Result<T, Failure>>;
}

/// Does what [`Step::Send`](client::Step::Send) says: sends the client's pending request, and brings
/// the client the answer or the news that there is none.
///
/// # Errors
///
/// Why no answer was accepted, for people: the client has been told. When one came and was turned
/// down, [`Client::last_attempt`] says why. [`Failure::NoRequest`], at once, when none is pending.
pub async fn ask(
    client: &mut Client<'_, impl Verifier, impl Hosts>,
    exchange: impl Exchange,
    clock: &impl Clock,
    rng: &mut impl CryptoRng,
) -> Result<Outcome, Failure> {
    let Some(request) = client.pending_frame().copied() else { return Err(Failure::NoRequest) };
    let mut failure = client::Failure::NoAnswer;
    let judge = |answer: &Frame| {
        client
            .handle_response(clock.both(), rng, answer)
            .map_err(|discard| failure = client::Failure::Discarded(discard))
            .ok()
    };
    let end = exchange.run(clock, &request, judge).await;
    if end.is_err() {
        client.give_up(clock.both(), rng, failure);
    }
    end
}
