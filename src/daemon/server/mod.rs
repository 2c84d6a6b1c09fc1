//! The server: frames in, answers out, over TCP and UDP at once (PROTOCOL 13).
//!
//! It carries frames and keeps limits. What a frame means is its [`Service`]'s business.

mod tcp;
mod udp;

use core::fmt;
use core::future::Future;
use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::vec::Vec;

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::host_config::{Listen, ServerLimits};
use crate::wire::Frame;

/// Answers frames.
pub trait Service: Send + Sync + 'static {
    /// The answer to what `source` sent, or silence. Datagrams may have any length.
    fn answer(&self, source: SocketAddr, frame: &[u8]) -> Option<Frame>;
}

/// Bound sockets and what answers on them.
pub struct Server<S> {
    shared: Arc<Shared<S>>,
    listeners: Vec<TcpListener>,
    sockets: Vec<UdpSocket>,
}

struct Shared<S> {
    service: Arc<S>,
    limits: ServerLimits,
    counters: Arc<ServerCounters>,
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
        let counters = Arc::default();
        Ok(Self { shared: Arc::new(Shared { service, limits, counters }), listeners, sockets })
    }

    /// Where TCP connections are accepted.
    #[must_use]
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Where datagrams are received.
    #[must_use]
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Counters that go on counting while the server runs.
    #[must_use]
    pub fn counters(&self) -> Arc<ServerCounters> {
        self.shared.counters.clone()
    }

    /// Serves until `stop` completes. Exchanges under way are then cut, which costs nobody more
    /// than a repetition.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            tasks.spawn(tcp::serve(listener, self.shared.clone()));
        }
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        for socket in self.sockets.into_iter().map(Arc::new) {
            for _ in 0..workers {
                tasks.spawn(udp::serve(socket.clone(), self.shared.clone()));
            }
        }
        stop.await;
        tasks.shutdown().await;
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
) -> Result<(Option<TcpListener>, Option<UdpSocket>), StartError> {
    let mut listener = None;
    if tcp {
        let opened = tcp::listen(address).and_then(|opened| Ok((opened.local_addr()?, opened)));
        let (chosen, opened) = opened.map_err(|error| StartError { address, error })?;
        address = chosen;
        listener = Some(opened);
    }
    let socket = udp.then(|| udp::bind(address)).transpose();
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
