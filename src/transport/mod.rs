//! Frames over sockets (PROTOCOL 13): one exchange of a client, and a host's two servers, over any
//! stack that implements `embedded-nal`. It moves bytes and keeps time; it never looks inside a
//! frame.
//!
//! This page is about the feature `nal`. A client whose stack implements `embedded-nal-async`, such
//! as one under Embassy, takes `asynchronous` with the feature `nal-async` instead.
//!
//! Everything is a step machine: `poll(&mut stack, now)` does what can be done now and says when
//! to come back. A firmware's main loop calls `poll`; a simple program lets [`ask`], [`find`] or
//! [`serve`] loop over it.
//!
//! | | client | host |
//! | --- | --- | --- |
//! | TCP | [`TcpExchange`] | [`TcpServer`] |
//! | UDP | [`UdpExchange`] | [`UdpServer`] |
//! | DNS | [`DnsExchange`] | |
//!
//! # The caller's part
//!
//! - Call `poll` again when the stack has something new, and at `wake_at` at the latest. Earlier,
//!   later and extra calls are harmless. A `wake_at` that is not after `now` means that more work
//!   may be waiting already: run the stack once and call again.
//! - The stack is never polled from here, nor does anything sleep: both are the main loop's, or
//!   [`Platform::idle`]'s.
//! - Sockets are closed on every path that ends by itself. Giving up earlier takes a call of
//!   `close`, because closing needs the stack and `Drop` has none.
//!
//! # What is asked of a stack
//!
//! Stacks read the traits differently, so little is believed:
//!
//! - TCP `receive` or `send` with `Ok(0)` is no progress, like `WouldBlock`. It means "nothing
//!   yet" on one stack and "closed by the peer" on another, and only time can tell them apart. The
//!   price: where it means "closed", a closed connection is noticed at the deadline.
//! - Any error of TCP `connect`, `send` or `receive` ends the connection. Error kinds are not read.
//! - A refused connection may never be reported, `connect` may block, and its time then counts for
//!   nothing: the wait for the answer starts at the first `poll` after it.
//! - On UDP, any error of `receive` is "nothing yet", and a datagram that could not be sent is
//!   tried again. Length and sender are checked here, even where `connect` filters.
//! - Every wait ends by the caller's clock.
//!
//! # A super-loop
//!
//! A client in a main loop that never sleeps long and never blocks. The exchange is kept between
//! turns, and every turn does what can be done now:
//!
//! ```
//! # #[cfg(feature = "nal")]
//! # mod firmware {
//! use core::net::SocketAddr;
//!
//! use embedded_nal::UdpClientStack;
//! use headcount::client::{Client, Failure, IMAGE_LEN, Step};
//! use headcount::time::{Instant, Now};
//! use headcount::transport::{Progress, UdpExchange};
//!
//! trait Board: rand_core::CryptoRng {
//!     type Stack: UdpClientStack;
//!     fn now(&self) -> Now;
//!     /// Runs the network; called once a turn.
//!     fn network(&mut self) -> &mut Self::Stack;
//!     fn store(&mut self, image: &[u8; IMAGE_LEN]);
//!     /// The rest of the product, then sleep: until an interrupt, or until then.
//!     fn work(&mut self, until: Instant);
//! }
//!
//! fn main_loop<B: Board>(client: &mut Client<'_>, hosts: &[SocketAddr], board: &mut B) -> ! {
//!     let mut exchange: Option<UdpExchange<B::Stack>> = None;
//!     loop {
//!         let until = turn(client, hosts, board, &mut exchange);
//!         board.work(until);
//!     }
//! }
//!
//! /// One turn; the time of the next one at the latest.
//! fn turn<B: Board>(
//!     client: &mut Client<'_>,
//!     hosts: &[SocketAddr],
//!     board: &mut B,
//!     exchange: &mut Option<UdpExchange<B::Stack>>,
//! ) -> Instant {
//!     let now = board.now();
//!     if let Some(running) = exchange {
//!         match running.poll(board.network(), now.monotonic) {
//!             Progress::Pending { wake_at } => return wake_at,
//!             Progress::Received(answer) => {
//!                 // What is not believed is passed over: the next turn goes on listening.
//!                 if client.handle_response(now, board, &answer).is_ok() {
//!                     running.close(board.network());
//!                     *exchange = None;
//!                 }
//!             }
//!             Progress::Failed(_reason) => {
//!                 *exchange = None;
//!                 client.give_up(now, board, Failure::NoAnswer);
//!             }
//!         }
//!         return now.monotonic;
//!     }
//!     match client.poll(now, board) {
//!         Step::Save => board.store(&client.image(now)),
//!         Step::Report(_event) => {} // tell people
//!         Step::Wait { until } => return until,
//!         Step::Send { host } => {
//!             let to = hosts[usize::from(host)];
//!             *exchange = client.pending_frame().map(|frame| UdpExchange::new(to, *frame));
//!         }
//!     }
//!     now.monotonic
//! }
//! # }
//! ```
//!
//! # RTIC
//!
//! The same `turn` is the body of one software task. `Client`, board and exchange are its `local`
//! resources, since nobody else needs them:
//!
//! ```text
//! #[task(priority = 1, local = [client, board, exchange])]
//! async fn activation(cx: activation::Context) {
//!     loop {
//!         let until = turn(cx.local.client, &HOSTS, cx.local.board, cx.local.exchange);
//!         let wait = until.since(cx.local.board.now().monotonic);
//!         // The network interrupt's channel, or the time: whichever comes first.
//!         let _ = Mono::timeout_after(ms(wait), NETWORK.recv()).await;
//!     }
//! }
//! ```
//!
//! The network's interrupt sends to the channel. Accepting an answer takes two signature
//! verifications, so the task's priority is below everything that must not wait for them. With the
//! feature `nal-async` the task can be the loop of `asynchronous` instead.
//!
//! # A program that may block
//!
//! What [`Step::Send`](crate::client::Step::Send) says, by UDP over the operating system's sockets:
//!
//! ```
//! # #[cfg(all(feature = "nal", feature = "std"))]
//! # mod example {
//! use std::net::SocketAddr;
//!
//! use headcount::client::Client;
//! use headcount::transport::{OsPlatform, UdpExchange, ask};
//!
//! fn send(client: &mut Client<'_>, host: SocketAddr, rng: &mut impl rand_core::CryptoRng) {
//!     let Some(request) = client.pending_frame() else { return };
//!     let exchange = UdpExchange::new(host, *request);
//!     let mut stack = std_embedded_nal::Stack::default();
//!     match ask(client, exchange, &mut stack, &mut OsPlatform::default(), rng) {
//!         Ok(outcome) => println!("{outcome:?}"),
//!         Err(failure) => println!("{failure}"), // the client knows, and says what is next
//!     }
//! }
//! # }
//! ```
//!
//! # A client that finds its hosts in DNS
//!
//! Its hosts come from a [`Finder`](crate::discovery::Finder), which says what to find out first. The
//! resolvers are those of the network, as DHCP brings them:
//!
//! ```
//! # #[cfg(all(feature = "nal", feature = "std"))]
//! # mod example {
//! use std::net::SocketAddr;
//!
//! use headcount::client::{Client, IMAGE_LEN, Step};
//! use headcount::discovery::Finder;
//! use headcount::time::{Instant, Now};
//! use headcount::transport::{
//!     OsPlatform, Platform, Resolver, TcpExchange, Timeouts, ask, find,
//! };
//! use headcount::trust::VerifyingKey;
//!
//! type Stack = std_embedded_nal::Stack;
//!
//! /// Does what the client says until it waits; until when.
//! fn work(
//!     client: &mut Client<'_, VerifyingKey, Finder<'_, 4>>,
//!     servers: &[SocketAddr],
//!     store: impl Fn(&[u8; IMAGE_LEN]),
//!     rng: &mut impl rand_core::CryptoRng,
//! ) -> Instant {
//!     let (mut stack, mut platform) = (Stack::default(), OsPlatform::default());
//!     let mut buffer = [0; 2_048];
//!     let mut resolver = Resolver::new(servers, &mut buffer);
//!     loop {
//!         let clock: &mut dyn Platform<Stack> = &mut platform;
//!         let now = Now::new(clock.now(), clock.calendar());
//!         match client.poll(now, rng) {
//!             Step::Save => store(&client.image(now)),
//!             Step::Report(event) => println!("{event:?}"),
//!             Step::Wait { until } => return until,
//!             Step::Find(_) => {
//!                 if let Err(failure) = find(client, &mut resolver, &mut stack, &mut platform, rng) {
//!                     println!("{failure}"); // the client knows
//!                 }
//!             }
//!             Step::Send { .. } => {
//!                 let Some(to) = client.address() else { continue };
//!                 let Some(request) = client.pending_frame() else { continue };
//!                 let exchange = TcpExchange::new(to, *request, Timeouts::default());
//!                 match ask(client, exchange, &mut stack, &mut platform, rng) {
//!                     Ok(outcome) => println!("{to}: {outcome:?}"),
//!                     Err(failure) => println!("{to}: {failure}"),
//!                 }
//!             }
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! Store the name of [`Finder::remembered`](crate::discovery::Finder::remembered) when it has changed,
//! and give it to [`Client::remember_host`](crate::client::Client::remember_host) at the next start:
//! a host that counts this machine already is asked first.

use core::fmt;
#[cfg(feature = "nal")]
use core::net::SocketAddr;
use core::time::Duration;

use crate::time::Instant;
use crate::wire::{FRAME_LEN, Frame};

#[cfg(feature = "nal-async")]
pub mod asynchronous;
#[cfg(feature = "nal")]
mod dns;
#[cfg(feature = "nal")]
mod find;
#[cfg(feature = "nal")]
mod run;
mod schedule;
#[cfg(feature = "nal")]
mod stream;
#[cfg(feature = "nal")]
mod tcp_client;
#[cfg(feature = "nal")]
mod tcp_server;
#[cfg(feature = "nal")]
mod udp_client;
#[cfg(feature = "nal")]
mod udp_server;

#[cfg(all(feature = "nal", feature = "std"))]
pub use run::OsPlatform;
#[cfg(feature = "nal")]
pub use {
    dns::{
        DnsExchange, DnsFailure, DnsProgress, DnsTrouble, MAX_RESOLVERS, RESOLVER_TCP_TIMEOUT,
        RESOLVER_TIMEOUT, look_up,
    },
    find::{Family, Resolver, find, look_up_addresses},
    run::{Exchange, Platform, Service, ask, run, serve},
    tcp_client::TcpExchange,
    tcp_server::{ANSWERED_EVICTION_AGE, EVICTION_AGE, TcpCounters, TcpServer},
    udp_client::UdpExchange,
    udp_server::{UdpCounters, UdpServer},
};

/// Datagrams that one call of `poll` takes from the stack at most.
pub const DATAGRAMS_PER_POLL: usize = 8;

/// How soon a datagram that the stack did not take is offered again: 100 ms.
pub const SEND_RETRY: Duration = Duration::from_millis(100);

/// How long a server waits before it tries again to open its port: 1 s.
pub const OPEN_RETRY: Duration = Duration::from_secs(1);

/// One byte more than a frame, so that a longer datagram is told from a whole frame.
const DATAGRAM_LEN: usize = FRAME_LEN + 1;

/// How long a TCP exchange waits for each of its two stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timeouts {
    /// From the start, which is the first `poll`, until the connection stands; 10 s by default.
    pub connect: Duration,
    /// From then on, or from the first `poll` of a standing connection, until the whole answer is
    /// there, the request being sent included; 10 s by default.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), answer: Duration::from_secs(10) }
    }
}

/// Where an exchange stands after a call of `poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to put a frame elsewhere")]
pub enum Progress {
    /// Nothing to report yet.
    Pending {
        /// Call again by then at the latest.
        wake_at: Instant,
    },
    /// A whole frame, of which nothing is known but its length and, by UDP, the sender's address.
    /// A caller that does not believe it calls `poll` again; one that does calls `close`.
    Received(Frame),
    /// The exchange is over and its socket closed. Further calls answer the same.
    Failed(Failure),
}

/// Why an exchange ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Failure {
    /// The stack has no socket to give.
    NoSocket,
    /// The stack reported that it cannot connect: refused, unreachable, no route, no port.
    NotConnected,
    /// TCP: not connected in time.
    ConnectTimeout {
        /// Time since the first try.
        waited: Duration,
    },
    /// TCP: the connection broke before the whole request was sent.
    SendBroken {
        /// Bytes that the stack had taken, below 250.
        sent: u8,
    },
    /// TCP: the connection ended before the whole answer was there. A host that refuses to answer
    /// at all closes after 0 bytes (PROTOCOL 9).
    ClosedEarly {
        /// Bytes of the answer, below 250.
        received: u8,
    },
    /// TCP: connected, but the whole answer was not there in time.
    AnswerTimeout {
        /// Bytes of the request that the stack took, up to 250.
        sent: u8,
        /// Bytes of the answer, below 250.
        received: u8,
        /// Time since the connection stood.
        waited: Duration,
    },
    /// UDP: no believable answer to the request or its retransmissions (PROTOCOL 13).
    NoAnswer {
        /// Datagrams that the stack took, up to 5; with 0 the host was never asked.
        sent: u8,
        /// Frames that were handed to the caller and not believed.
        rejected: u16,
        /// Datagrams of another length, or from somebody else.
        ignored: u16,
        /// Time since the first try.
        waited: Duration,
    },
    /// TCP: the one frame of this exchange was handed over before, and the caller called again.
    Answered,
    /// The caller gave up.
    Abandoned,
    /// There was nothing to send: no request is pending.
    NoRequest,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoSocket => f.write_str("no free socket"),
            Self::NotConnected => f.write_str("connection refused, or host unreachable"),
            Self::ConnectTimeout { waited } => {
                write!(f, "no connection within {waited:?}")
            }
            Self::SendBroken { sent } => {
                write!(f, "connection broken after {sent} of {FRAME_LEN} bytes sent")
            }
            Self::ClosedEarly { received } => {
                write!(f, "connection closed after {received} of {FRAME_LEN} bytes received")
            }
            Self::AnswerTimeout { sent, received, waited } => write!(
                f,
                "no whole answer within {waited:?}: {sent} bytes sent, {received} of {FRAME_LEN} \
                 received",
            ),
            Self::NoAnswer { sent: 0, waited, .. } => {
                write!(f, "no datagram could be sent within {waited:?}")
            }
            Self::NoAnswer { sent, rejected, ignored, waited } => write!(
                f,
                "no answer to {sent} datagrams within {waited:?}: {rejected} frames rejected, \
                 {ignored} other datagrams ignored",
            ),
            Self::Answered => f.write_str("answer rejected, and the connection brings no other"),
            Self::Abandoned => f.write_str("given up by the caller"),
            Self::NoRequest => f.write_str("no request to send"),
        }
    }
}

impl core::error::Error for Failure {}

/// Why a server's port is not open. The socket is closed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpenError {
    /// The stack has no socket to give.
    NoSocket,
    /// The stack refused to bind this port: in use, or not permitted.
    Bind(u16),
    /// The stack refused to listen on this port.
    Listen(u16),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket => f.write_str("no free socket"),
            Self::Bind(port) => write!(f, "port {port} is in use or not permitted"),
            Self::Listen(port) => write!(f, "the stack does not listen on port {port}"),
        }
    }
}

impl core::error::Error for OpenError {}

/// What a call of a server's `poll` did, and when to call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Served {
    /// Whole frames that were handed to the caller.
    pub frames: u16,
    /// Call again by then at the latest; never later than 30 s from now.
    pub wake_at: Instant,
}

impl Served {
    /// Two servers of one main loop, taken together.
    pub fn and(self, other: Self) -> Self {
        Self {
            frames: self.frames.saturating_add(other.frames),
            wake_at: self.wake_at.min(other.wake_at),
        }
    }
}

/// The address as people and rate limits know it: a dual-stack socket reports an IPv4 peer as
/// `::ffff:192.0.2.1`.
#[cfg(feature = "nal")]
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The datagram, when it is exactly one frame.
fn whole_frame(buffer: &[u8; DATAGRAM_LEN], length: usize) -> Option<&Frame> {
    buffer.get(..length)?.try_into().ok()
}
