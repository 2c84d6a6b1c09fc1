//! One exchange over a TCP connection of its own.

use core::fmt;
use core::mem;
use core::net::SocketAddr;

use embedded_nal::{TcpClientStack, nb};

use super::stream::{Broken, Step, Transfer};
use super::{Failure, Progress, Timeouts};
use crate::time::Instant;
use crate::wire::{FRAME_LEN, Frame};

/// One request and its answer over TCP (PROTOCOL 13): connect, send 250 bytes, receive 250, close.
///
/// Bytes after the answer are never read and go with the connection. Whatever the stack does, the
/// exchange ends at the first `poll` at or after its deadline, with the socket closed.
#[must_use = "an exchange does nothing until it is polled"]
pub struct TcpExchange<S: TcpClientStack> {
    remote: SocketAddr,
    timeouts: Timeouts,
    /// The request, and once that is sent the answer.
    transfer: Transfer,
    state: State<S::TcpSocket>,
}

enum State<T> {
    Unopened,
    Connecting {
        socket: T,
        since: Instant,
    },
    /// `connect` may have blocked: the wait for the answer starts at the next call.
    Connected {
        socket: T,
    },
    /// `sent`: the whole request is, and the answer is being received.
    Exchanging {
        socket: T,
        since: Instant,
        sent: bool,
    },
    Ended(Failure),
}

impl<S: TcpClientStack> TcpExchange<S> {
    /// To send `request` to `remote`. Nothing happens, and no time counts, before the first `poll`.
    pub const fn new(remote: SocketAddr, request: Frame, timeouts: Timeouts) -> Self {
        Self { remote, timeouts, transfer: Transfer::of(request), state: State::Unopened }
    }

    /// Does what can be done now. After [`Progress::Received`] the exchange is over: a stream
    /// brings one frame, so the next call is [`Failure::Answered`].
    pub fn poll(&mut self, stack: &mut S, now: Instant) -> Progress {
        match mem::replace(&mut self.state, State::Ended(Failure::Abandoned)) {
            State::Unopened => match stack.socket() {
                Ok(socket) => self.connect(stack, socket, now, now),
                Err(_) => self.end(Failure::NoSocket),
            },
            State::Connecting { socket, since } => self.connect(stack, socket, since, now),
            State::Connected { socket } => self.exchange(stack, socket, now, false, now),
            State::Exchanging { socket, since, sent } => {
                self.exchange(stack, socket, since, sent, now)
            }
            State::Ended(failure) => self.end(failure),
        }
    }

    /// Gives up: closes the socket, if one is open. Harmless at any time.
    pub fn close(&mut self, stack: &mut S) {
        match mem::replace(&mut self.state, State::Ended(Failure::Abandoned)) {
            State::Unopened => {}
            State::Ended(failure) => self.state = State::Ended(failure),
            State::Connecting { socket, .. }
            | State::Connected { socket }
            | State::Exchanging { socket, .. } => drop(stack.close(socket)),
        }
    }

    fn connect(
        &mut self,
        stack: &mut S,
        mut socket: S::TcpSocket,
        since: Instant,
        now: Instant,
    ) -> Progress {
        match stack.connect(&mut socket, self.remote) {
            Ok(()) => {
                self.state = State::Connected { socket };
                Progress::Pending { wake_at: now }
            }
            Err(nb::Error::Other(_)) => self.fail(stack, socket, Failure::NotConnected),
            Err(nb::Error::WouldBlock) => {
                let wake_at = since.after(self.timeouts.connect);
                if now >= wake_at {
                    let waited = now.since(since);
                    return self.fail(stack, socket, Failure::ConnectTimeout { waited });
                }
                self.state = State::Connecting { socket, since };
                Progress::Pending { wake_at }
            }
        }
    }

    fn exchange(
        &mut self,
        stack: &mut S,
        mut socket: S::TcpSocket,
        since: Instant,
        mut sent: bool,
        now: Instant,
    ) -> Progress {
        if !sent {
            match self.transfer.send(stack, &mut socket) {
                Ok(Step::Whole) => {
                    self.transfer = Transfer::empty();
                    sent = true;
                }
                Ok(Step::Partial) => {}
                Err(Broken) => {
                    let sent = self.transfer.done();
                    return self.fail(stack, socket, Failure::SendBroken { sent });
                }
            }
        }
        if sent {
            match self.transfer.receive(stack, &mut socket) {
                Ok(Step::Whole) => {
                    drop(stack.close(socket));
                    self.state = State::Ended(Failure::Answered);
                    return Progress::Received(*self.transfer.frame());
                }
                Ok(Step::Partial) => {}
                Err(Broken) => {
                    let received = self.transfer.done();
                    return self.fail(stack, socket, Failure::ClosedEarly { received });
                }
            }
        }
        let wake_at = since.after(self.timeouts.answer);
        if now >= wake_at {
            let (waited, done) = (now.since(since), self.transfer.done());
            let (sent, received) = if sent { (FRAME_LEN as u8, done) } else { (done, 0) };
            return self.fail(stack, socket, Failure::AnswerTimeout { sent, received, waited });
        }
        self.state = State::Exchanging { socket, since, sent };
        Progress::Pending { wake_at }
    }

    fn fail(&mut self, stack: &mut S, socket: S::TcpSocket, failure: Failure) -> Progress {
        // A stack that cannot close a socket leaves nothing to try.
        drop(stack.close(socket));
        self.end(failure)
    }

    fn end(&mut self, failure: Failure) -> Progress {
        self.state = State::Ended(failure);
        Progress::Failed(failure)
    }
}

impl<S: TcpClientStack> fmt::Debug for TcpExchange<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Unopened => "unopened",
            State::Connecting { .. } => "connecting",
            State::Connected { .. } => "connected",
            State::Exchanging { sent: false, .. } => "sending",
            State::Exchanging { sent: true, .. } => "receiving",
            State::Ended(_) => "ended",
        };
        f.debug_struct("TcpExchange")
            .field("remote", &self.remote)
            .field("state", &state)
            .field("bytes", &self.transfer.done())
            .finish_non_exhaustive()
    }
}
