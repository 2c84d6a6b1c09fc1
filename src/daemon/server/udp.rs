//! UDP: one datagram each way; the answer is never larger than the question.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

use super::{Service, Shared};
use crate::wire::FRAME_LEN;

/// Room for datagrams that wait: what does not fit is lost, and asked again.
const RECEIVE_BUFFER: usize = 4 << 20;

pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system may grant less; that is no reason not to start.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

pub(super) async fn serve<S: Service>(socket: Arc<UdpSocket>, shared: Arc<Shared<S>>) {
    // One byte more than a frame shows that a datagram is too long.
    let mut datagram = [0; FRAME_LEN + 1];
    loop {
        let (length, source) = match socket.recv_from(&mut datagram).await {
            Ok(received) => received,
            Err(error) => {
                // Some systems report here that an earlier answer was refused by its receiver.
                tracing::debug!(%error, "cannot receive a datagram");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let frame = datagram.get(..length).unwrap_or_default();
        if let Some(answer) = shared.service.answer(source, frame)
            && let Err(error) = socket.send_to(&answer, source).await
        {
            tracing::debug!(%source, %error, "cannot send an answer");
        }
    }
}
