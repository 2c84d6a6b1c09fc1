//! The server: frames in, answers out, over TCP and UDP at once (PROTOCOL 13).
//!
//! It carries frames and keeps limits. What a frame means is its [`Service`]'s business.

mod local_address;
mod places;
mod seldom;
mod tcp;
mod udp;

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use std::boxed::Box;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::vec::Vec;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::host_config::{Listen, ServerLimits};
use crate::wire::Frame;
use places::Places;
use seldom::Seldom;
use udp::Datagrams;

/// Answers frames.
pub trait Service: Send + Sync + 'static {
    /// The answer to what `source` sent, now or later. Datagrams may have any length.
    ///
    /// This does not wait for anything: sockets are not read meanwhile. What takes longer than a
    /// signature is [`Answer::Later`].
    fn answer(&self, source: SocketAddr, frame: &[u8]) -> Answer;
}

/// What a [`Service`] does about a frame: a frame to give back, or silence.
#[must_use = "the sender waits for it"]
#[expect(clippy::large_enum_variant, reason = "a host answers at once: no allocation a frame")]
pub enum Answer {
    /// It is known.
    Now(Option<Frame>),
    /// It will be. Frames that come meanwhile do not wait for it.
    Later(Pin<Box<dyn Future<Output = Option<Frame>> + Send>>),
}

impl Answer {
    /// Nothing is given back.
    pub const SILENCE: Self = Self::Now(None);

    /// An answer that will be known when `future` completes.
    pub fn later(future: impl Future<Output = Option<Frame>> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl From<Option<Frame>> for Answer {
    fn from(answer: Option<Frame>) -> Self {
        Self::Now(answer)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
}

/// Bound sockets and what answers on them.
pub struct Server<S> {
    shared: Arc<Shared<S>>,
    listeners: Vec<TcpListener>,
    sockets: Vec<Datagrams>,
}

struct Shared<S> {
    service: Arc<S>,
    limits: ServerLimits,
    places: Arc<Places>,
    counters: Arc<ServerCounters>,
    warnings: Warnings,
}

/// What peers can make happen as often as they like is told seldom.
#[derive(Default)]
struct Warnings {
    accept: Seldom,
    turned_away: Seldom,
    receive: Seldom,
    waiting: Seldom,
}

/// What happened to connections. Frames are counted by the host.
#[derive(Debug, Default)]
pub struct ServerCounters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections turned away because there were too many, in all or from one source.
    pub turned_away: AtomicU64,
    /// Connections closed because no whole frame came within 30 s.
    pub timed_out: AtomicU64,
}

/// A socket could not be opened.
#[derive(Debug)]
pub struct StartError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.error)?;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => f.write_str(" (does another host run on this machine?)"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for StartError {}

/// A part of a server ended that should have run on: a defect, or out of memory. All others have
/// ended, too.
#[derive(Debug)]
pub struct ServeError(Option<JoinError>);

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(error) => write!(f, "a part of the server failed: {error}"),
            None => f.write_str("a part of the server ended by itself"),
        }
    }
}

impl core::error::Error for ServeError {}

impl<S: Service> Server<S> {
    /// Opens the sockets, within a tokio runtime. With port 0 the system chooses one, the same for
    /// TCP and UDP.
    pub fn bind(
        listen: &[Listen],
        limits: ServerLimits,
        service: Arc<S>,
    ) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        let mut sockets = Vec::new();
        let mut skipped = None;
        for Listen { address, tcp, udp } in listen {
            let opened = open(*address, *tcp, *udp);
            match opened {
                Ok((listener, socket)) => {
                    listeners.extend(listener);
                    sockets.extend(socket);
                }
                Err(error) if lacks_ipv6(&error) => {
                    tracing::warn!(%address, "this machine has no IPv6");
                    skipped = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let (Some(error), true, true) = (skipped, listeners.is_empty(), sockets.is_empty()) {
            return Err(error);
        }
        let shared = Shared {
            service,
            limits,
            places: Arc::default(),
            counters: Arc::default(),
            warnings: Warnings::default(),
        };
        Ok(Self { shared: Arc::new(shared), listeners, sockets })
    }

    /// Where TCP connections are accepted.
    #[must_use]
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Where datagrams are received.
    #[must_use]
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|udp| udp.socket.local_addr().ok()).collect()
    }

    /// Counters that go on counting while the server runs.
    #[must_use]
    pub fn counters(&self) -> Arc<ServerCounters> {
        self.shared.counters.clone()
    }

    /// Serves until `stop` completes. Exchanges under way are then cut, which costs nobody more
    /// than a repetition. Nothing asks the service any more when this returns: what it knows then is
    /// all that was answered.
    ///
    /// # Errors
    ///
    /// A part of the server failed. It stops then, since a host that is deaf on one of its sockets
    /// looks like one that works.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        // Dropping the sender is the signal.
        let (stopping, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            let mut stopped = stopped.clone();
            let stop = async move { while stopped.changed().await.is_ok() {} };
            tasks.spawn(tcp::serve(listener, self.shared.clone(), stop));
        }
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let mut datagrams = Vec::new();
        for socket in self.sockets.into_iter().map(Arc::new) {
            for _ in 0..workers {
                datagrams.push(tasks.spawn(udp::serve(socket.clone(), self.shared.clone())));
            }
        }
        let result = tokio::select! {
            () = stop => Ok(()),
            Some(ended) = tasks.join_next() => Err(ServeError(ended.err())),
        };
        drop(stopping);
        for worker in datagrams {
            worker.abort();
        }
        while tasks.join_next().await.is_some() {}
        result
    }
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.listeners)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}

/// Opens the sockets of one address. A port that the system chooses for TCP is UDP's, too.
fn open(
    mut address: SocketAddr,
    tcp: bool,
    udp: bool,
) -> Result<(Option<TcpListener>, Option<Datagrams>), StartError> {
    let mut listener = None;
    if tcp {
        let opened = tcp::listen(address).and_then(|opened| Ok((opened.local_addr()?, opened)));
        let (chosen, opened) = opened.map_err(|error| StartError { address, error })?;
        address = chosen;
        listener = Some(opened);
    }
    let socket = udp.then(|| Datagrams::bind(address)).transpose();
    Ok((listener, socket.map_err(|error| StartError { address, error })?))
}

/// Whether all that is wrong is that "every IPv6 address" was asked for where there is none.
fn lacks_ipv6(StartError { address, error }: &StartError) -> bool {
    let is_any_v6 = address.is_ipv6() && address.ip().is_unspecified();
    is_any_v6 && !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
