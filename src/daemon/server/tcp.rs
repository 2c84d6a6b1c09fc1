//! TCP: one frame each way, again and again on one connection.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Service, Shared, count};
use crate::host::Source;
use crate::policy::IDLE_LIMIT;
use crate::wire::FRAME_LEN;

/// Connections that wait to be accepted: a whole site may come up at once.
const BACKLOG: i32 = 4_096;

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // An IPv4 socket may stand beside it on the same port.
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the old connections' last minutes.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

pub(super) async fn serve<S: Service>(listener: TcpListener, shared: Arc<Shared<S>>) {
    let places = Arc::new(Places::default());
    let mut connections = JoinSet::new();
    loop {
        // Ended tasks are collected as we go.
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: connections that end free some.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(core::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = places.clone().take(peer, &shared) else {
            count(&shared.counters.turned_away);
            tracing::debug!(%peer, "too many connections, turned away");
            continue;
        };
        count(&shared.counters.accepted);
        let shared = shared.clone();
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = converse(stream, peer, &shared).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
}

/// Exchanges frames until the peer closes, falls silent or sends what is not answered.
async fn converse<S: Service>(
    mut stream: TcpStream,
    peer: SocketAddr,
    shared: &Shared<S>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut frame = [0; FRAME_LEN];
    loop {
        // One limit for the whole frame: a peer that sends byte after byte gains nothing.
        match timeout(IDLE_LIMIT, stream.read_exact(&mut frame)).await {
            Err(_) => {
                count(&shared.counters.timed_out);
                return Ok(());
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(read) => read?,
        };
        let Some(answer) = shared.service.answer(peer, &frame) else { return Ok(()) };
        match timeout(IDLE_LIMIT, stream.write_all(&answer)).await {
            Err(_) => return Ok(()),
            Ok(written) => written?,
        }
    }
}

/// Connections open now, in all and for each source.
#[derive(Default)]
struct Places(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// A connection's place, given back when dropped.
struct Place {
    places: Arc<Places>,
    source: Source,
}

impl Places {
    fn take<S>(self: Arc<Self>, peer: SocketAddr, shared: &Shared<S>) -> Option<Place> {
        let source = Source::from(peer.ip());
        {
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Taken { all, by_source } = &mut *taken;
            let of_source = by_source.get(&source).copied().unwrap_or(0);
            let limits = &shared.limits;
            if *all >= limits.connections || of_source >= limits.connections_per_source {
                return None;
            }
            *all = all.saturating_add(1);
            by_source.insert(source, of_source.saturating_add(1));
        }
        Some(Place { places: self, source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by_source.get_mut(&self.source).map(|of_source| {
            *of_source = of_source.saturating_sub(1);
            *of_source
        });
        if left == Some(0) {
            taken.by_source.remove(&self.source);
        }
    }
}
