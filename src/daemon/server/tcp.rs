//! TCP: one frame each way, again and again on one connection.

use core::future::Future;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::{Answer, Service, Shared, count};
use crate::policy::IDLE_LIMIT;
use crate::wire::FRAME_LEN;

/// Connections that wait to be accepted: a whole site may come up at once.
const BACKLOG: i32 = 4_096;

/// Wait after an accept that failed: out of file descriptors, most likely, and connections that end
/// free some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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

/// Serves until `stop` completes. No connection is served any more when this returns.
pub(super) async fn serve<S: Service>(
    listener: TcpListener,
    shared: Arc<Shared<S>>,
    stop: impl Future<Output = ()>,
) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept(&listener, &shared, &mut connections) => {}
        () = stop => {}
    }
    // Dropping the set would end them only some time later, and one of them may be answering.
    connections.shutdown().await;
}

/// Accepts connections, without an end.
async fn accept<S: Service>(
    listener: &TcpListener,
    shared: &Arc<Shared<S>>,
    connections: &mut JoinSet<()>,
) {
    loop {
        // Ended tasks are collected as we go.
        while let Some(ended) = connections.try_join_next() {
            ended.unwrap_or_else(|error| report(&error));
        }
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(times) = shared.warnings.accept.due() {
                    tracing::warn!(%error, times, "cannot accept a connection");
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = shared.places.clone().take(peer.ip(), &shared.limits) else {
            count(&shared.counters.turned_away);
            if let Some(times) = shared.warnings.turned_away.due() {
                tracing::warn!(%peer, times, "too many connections: turned away");
            }
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

/// A panic ends its connection alone: the listener still listens.
fn report(error: &JoinError) {
    tracing::error!(%error, "serving a connection failed: a defect of this program");
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
        let answer = match shared.service.answer(peer, &frame) {
            Answer::Now(answer) => answer,
            Answer::Later(answer) => answer.await,
        };
        let Some(answer) = answer else { return Ok(()) };
        match timeout(IDLE_LIMIT, stream.write_all(&answer)).await {
            Err(_) => return Ok(()),
            Ok(written) => written?,
        }
    }
}
