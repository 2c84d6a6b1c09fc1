//! UDP: one datagram each way; the answer is never larger than the question.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::local_address::{self, Local};
use super::{Answer, Service, Shared};
use crate::wire::{FRAME_LEN, Frame};

/// Room for datagrams that wait: what does not fit is lost, and asked again.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Errors in a row that are taken for news of earlier answers, which some systems report when
/// receiving. With more, the socket itself is broken, and asking it again and again heats the room.
const PATIENCE: u32 = 16;

/// Datagrams whose answers are not known yet, for each task that receives. More than that are lost:
/// their senders ask again.
const MOST_WAITING: usize = 8_192;

/// Wait between two tries of a broken socket.
const PAUSE: Duration = Duration::from_millis(200);

/// A bound socket.
#[derive(Debug)]
pub(super) struct Datagrams {
    pub(super) socket: UdpSocket,
    /// Whether it must be asked which of the machine's addresses a datagram was for. A socket with
    /// one address of its own needs not.
    any_address: bool,
}

impl Datagrams {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // The system may grant less; that is no reason not to start.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        socket.set_nonblocking(true)?;
        let any_address = local_address::CAN_TELL && address.ip().is_unspecified();
        if any_address {
            local_address::ask(&socket, address)?;
        }
        socket.bind(&address.into())?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())?, any_address })
    }

    /// A datagram's length, its sender, and the address it was sent to where that is to be known.
    async fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr, Option<Local>)> {
        if self.any_address {
            return local_address::receive(&self.socket, into).await;
        }
        self.socket.recv_from(into).await.map(|(length, source)| (length, source, None))
    }

    /// Answers from the address that was asked: a peer, and every firewall between, takes an answer
    /// from another one for somebody else's.
    async fn answer(&self, answer: &Frame, to: SocketAddr, from: Option<Local>) {
        let sent = match from {
            Some(local) => local_address::send(&self.socket, answer, to, local).await,
            None => self.socket.send_to(answer, to).await.map(|_| ()),
        };
        if let Err(error) = sent {
            tracing::debug!(source = %to, %error, "cannot send an answer");
        }
    }
}

/// Serves without an end. Answers that are not known yet are dropped with it.
pub(super) async fn serve<S: Service>(socket: Arc<Datagrams>, shared: Arc<Shared<S>>) {
    // One byte more than a frame shows that a datagram is too long.
    let mut datagram = [0; FRAME_LEN + 1];
    let mut failures: u32 = 0;
    let mut waiting = JoinSet::new();
    loop {
        let (length, source, local) = match socket.receive(&mut datagram).await {
            Ok(received) => received,
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures > PATIENCE {
                    if let Some(times) = shared.warnings.receive.due() {
                        tracing::warn!(%error, times, "cannot receive datagrams");
                    }
                    sleep(PAUSE).await;
                }
                tokio::task::yield_now().await;
                continue;
            }
        };
        failures = 0;
        let frame = datagram.get(..length).unwrap_or_default();
        match shared.service.answer(source, frame) {
            Answer::Now(None) => {}
            Answer::Now(Some(answer)) => socket.answer(&answer, source, local).await,
            Answer::Later(answer) => {
                while waiting.try_join_next().is_some() {}
                if waiting.len() >= MOST_WAITING {
                    if let Some(times) = shared.warnings.waiting.due() {
                        tracing::warn!(times, "too many answers wait: a datagram is dropped");
                    }
                    continue;
                }
                let socket = socket.clone();
                waiting.spawn(async move {
                    if let Some(answer) = answer.await {
                        socket.answer(&answer, source, local).await;
                    }
                });
            }
        }
    }
}
