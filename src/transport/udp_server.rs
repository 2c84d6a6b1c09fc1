//! A host's UDP port.

use core::fmt;
use core::net::SocketAddr;

use embedded_nal::{UdpFullStack, nb};

use super::{
    DATAGRAM_LEN, DATAGRAMS_PER_POLL, OPEN_RETRY, OpenError, Served, canonical, whole_frame,
};
use crate::policy::IDLE_LIMIT;
use crate::time::Instant;
use crate::wire::Frame;

/// A UDP server (PROTOCOL 13).
///
/// A datagram of another length than 250 bytes is met with silence. An answer is sent once, to
/// where the question came from: what the stack does not take at once is dropped, since the client
/// asks again. One call takes at most [`DATAGRAMS_PER_POLL`] datagrams from the stack.
///
/// The stack's receive buffers should hold at least that many. Where a stack reports "nothing
/// there" as an error, this server cannot tell a dead socket from a quiet one: after an event that
/// closes sockets, such as a lost link, call [`close`](Self::close), and `poll` opens it again.
pub struct UdpServer<S: UdpFullStack> {
    port: u16,
    socket: Option<S::UdpSocket>,
    /// Not before this is the port opened again.
    open_at: Instant,
    counters: UdpCounters,
}

/// What a [`UdpServer`] has done since it was made. Each counter stops at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct UdpCounters {
    /// The port could not be opened.
    pub open_errors: u32,
    /// Datagrams of another length than 250 bytes, ignored.
    pub wrong_length: u32,
    /// Whole frames received.
    pub frames: u32,
    /// Answers that the stack took.
    pub answers: u32,
    /// Answers that the stack did not take, dropped.
    pub dropped: u32,
    /// Frames without an answer (PROTOCOL 9).
    pub silences: u32,
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

impl<S: UdpFullStack> UdpServer<S> {
    /// A server of this port that is not open yet.
    #[must_use]
    pub const fn new(port: u16) -> Self {
        let counters = UdpCounters {
            open_errors: 0,
            wrong_length: 0,
            frames: 0,
            answers: 0,
            dropped: 0,
            silences: 0,
        };
        Self { port, socket: None, open_at: Instant::ZERO, counters }
    }

    /// Opens the port now, for a caller that wants to know; `poll` does it too, and tries again
    /// every [`OPEN_RETRY`]. Does nothing when it is open. May be repeated after an error.
    pub fn open(&mut self, stack: &mut S) -> Result<(), OpenError> {
        if self.socket.is_some() {
            return Ok(());
        }
        let opened = bind(stack, self.port);
        if opened.is_err() {
            count(&mut self.counters.open_errors);
        }
        self.socket = Some(opened?);
        Ok(())
    }

    /// Whether the port is open, as far as the stack has said.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// What it has done so far.
    #[must_use]
    pub const fn counters(&self) -> UdpCounters {
        self.counters
    }

    /// Does what can be done now. `serve` is told the time, the sender and the frame, and answers
    /// with a frame or, for silence, with `None`.
    pub fn poll(
        &mut self,
        stack: &mut S,
        now: Instant,
        mut serve: impl FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
    ) -> Served {
        if self.socket.is_none() && now >= self.open_at && self.open(stack).is_err() {
            self.open_at = now.after(OPEN_RETRY);
        }
        let Some(socket) = &mut self.socket else {
            return Served { frames: 0, wake_at: self.open_at };
        };
        let counters = &mut self.counters;
        let mut buffer = [0; DATAGRAM_LEN];
        let mut frames = 0_u16;
        let mut more = false;
        for _ in 0..DATAGRAMS_PER_POLL {
            let (length, sender) = match stack.receive(socket, &mut buffer) {
                Ok((length @ 1.., sender)) => (length, sender),
                Err(nb::Error::WouldBlock) => {
                    more = false;
                    break;
                }
                // Nothing there, or a datagram that the stack dropped: another may be behind it.
                Err(nb::Error::Other(_)) | Ok((0, _)) => {
                    more = false;
                    continue;
                }
            };
            more = true;
            let Some(frame) = whole_frame(&buffer, length) else {
                count(&mut counters.wrong_length);
                continue;
            };
            frames = frames.saturating_add(1);
            count(&mut counters.frames);
            let Some(answer) = serve(now, canonical(sender), frame) else {
                count(&mut counters.silences);
                continue;
            };
            match stack.send_to(socket, sender, &answer) {
                Ok(()) => count(&mut counters.answers),
                Err(_) => count(&mut counters.dropped),
            }
        }
        Served { frames, wake_at: if more { now } else { now.after(IDLE_LIMIT) } }
    }

    /// Closes the port. A later `open` or `poll` starts again.
    pub fn close(&mut self, stack: &mut S) {
        if let Some(socket) = self.socket.take() {
            drop(stack.close(socket));
        }
    }
}

fn bind<S: UdpFullStack>(stack: &mut S, port: u16) -> Result<S::UdpSocket, OpenError> {
    let mut socket = stack.socket().map_err(|_| OpenError::NoSocket)?;
    if stack.bind(&mut socket, port).is_err() {
        drop(stack.close(socket));
        return Err(OpenError::Bind(port));
    }
    Ok(socket)
}

impl<S: UdpFullStack> fmt::Debug for UdpServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpServer")
            .field("port", &self.port)
            .field("open", &self.is_open())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
