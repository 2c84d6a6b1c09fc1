//! One exchange over UDP, with its retransmissions.

use core::fmt;
use core::mem;
use core::net::SocketAddr;

use embedded_nal::{UdpClientStack, nb};

use super::schedule::Schedule;
use super::{
    DATAGRAM_LEN, DATAGRAMS_PER_POLL, Failure, Progress, SEND_RETRY, canonical, whole_frame,
};
use crate::time::Instant;
use crate::wire::Frame;

/// One request and its answer over UDP (PROTOCOL 13).
///
/// The frame is sent at once and again 1, 3, 7 and 15 s later; the exchange ends at the first
/// `poll` 23 s or more after its first. The times count from the first `poll`: a late call sends
/// one datagram, not those it missed.
///
/// Anybody can send a datagram, so an answer ends nothing: when the caller does not believe it and
/// calls `poll` again, the exchange goes on as if it had not come. Only past its end is one last
/// frame handed over and the socket closed.
#[must_use = "an exchange does nothing until it is polled"]
pub struct UdpExchange<S: UdpClientStack> {
    remote: SocketAddr,
    request: Frame,
    state: State<S::UdpSocket>,
    tally: Tally,
}

enum State<T> {
    Unopened,
    /// `begun`: how many of the sending times have had their datagram.
    Open {
        socket: T,
        since: Instant,
        begun: usize,
    },
    Ended(Failure),
}

#[derive(Clone, Copy)]
struct Tally {
    sent: u8,
    rejected: u16,
    ignored: u16,
}

impl<S: UdpClientStack> UdpExchange<S> {
    /// To send `request` to `remote`. Nothing happens, and no time counts, before the first `poll`.
    pub const fn new(remote: SocketAddr, request: Frame) -> Self {
        let tally = Tally { sent: 0, rejected: 0, ignored: 0 };
        Self { remote, request, state: State::Unopened, tally }
    }

    /// Does what can be done now: looks for an answer, then sends if it is time. After
    /// [`Progress::Received`], call [`close`](Self::close), or `poll` to go on listening.
    pub fn poll(&mut self, stack: &mut S, now: Instant) -> Progress {
        match mem::replace(&mut self.state, State::Ended(Failure::Abandoned)) {
            State::Unopened => self.open(stack, now),
            State::Open { socket, since, begun } => self.step(stack, socket, since, begun, now),
            State::Ended(failure) => self.end(failure),
        }
    }

    /// Closes the socket, if one is open: the answer is believed, or the caller gives up. Harmless
    /// at any time.
    pub fn close(&mut self, stack: &mut S) {
        match mem::replace(&mut self.state, State::Ended(Failure::Abandoned)) {
            State::Unopened => {}
            State::Ended(failure) => self.state = State::Ended(failure),
            State::Open { socket, .. } => drop(stack.close(socket)),
        }
    }

    fn open(&mut self, stack: &mut S, now: Instant) -> Progress {
        let Ok(mut socket) = stack.socket() else {
            return self.end(Failure::NoSocket);
        };
        if stack.connect(&mut socket, self.remote).is_err() {
            drop(stack.close(socket));
            return self.end(Failure::NotConnected);
        }
        self.step(stack, socket, now, 0, now)
    }

    fn step(
        &mut self,
        stack: &mut S,
        mut socket: S::UdpSocket,
        since: Instant,
        mut begun: usize,
        now: Instant,
    ) -> Progress {
        let schedule = Schedule::at(now.since(since));
        let (answer, more) = self.listen(stack, &mut socket);
        if schedule.over {
            drop(stack.close(socket));
            let Tally { sent, rejected, ignored } = self.tally;
            let waited = now.since(since);
            let failed = self.end(Failure::NoAnswer { sent, rejected, ignored, waited });
            return answer.map_or(failed, Progress::Received);
        }
        // The first frame may well be the answer. After one that was not believed, nobody's flood of
        // them holds up a retransmission.
        let waits = answer.is_some() && self.tally.rejected <= 1;
        if begun < schedule.begun && !waits && stack.send(&mut socket, &self.request).is_ok() {
            begun = schedule.begun;
            self.tally.sent = self.tally.sent.saturating_add(1);
        }
        if let Some(frame) = answer {
            self.state = State::Open { socket, since, begun };
            return Progress::Received(frame);
        }
        let next = since.after(schedule.next);
        let wake_at = match (more, begun < schedule.begun) {
            (true, _) => now,
            (false, true) => next.min(now.after(SEND_RETRY)),
            (false, false) => next,
        };
        self.state = State::Open { socket, since, begun };
        Progress::Pending { wake_at }
    }

    /// A frame from the host, if there is one, and otherwise whether more datagrams may be waiting.
    fn listen(&mut self, stack: &mut S, socket: &mut S::UdpSocket) -> (Option<Frame>, bool) {
        let mut buffer = [0; DATAGRAM_LEN];
        let mut more = false;
        for _ in 0..DATAGRAMS_PER_POLL {
            match stack.receive(socket, &mut buffer) {
                Err(nb::Error::WouldBlock) => return (None, false),
                // Nothing there, or a datagram that the stack dropped: another may be behind it.
                Err(nb::Error::Other(_)) | Ok((0, _)) => more = false,
                Ok((length, sender)) => {
                    if canonical(sender) == canonical(self.remote)
                        && let Some(frame) = whole_frame(&buffer, length)
                    {
                        self.tally.rejected = self.tally.rejected.saturating_add(1);
                        return (Some(*frame), true);
                    }
                    self.tally.ignored = self.tally.ignored.saturating_add(1);
                    more = true;
                }
            }
        }
        (None, more)
    }

    fn end(&mut self, failure: Failure) -> Progress {
        self.state = State::Ended(failure);
        Progress::Failed(failure)
    }
}

impl<S: UdpClientStack> fmt::Debug for UdpExchange<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Unopened => "unopened",
            State::Open { .. } => "open",
            State::Ended(_) => "ended",
        };
        f.debug_struct("UdpExchange")
            .field("remote", &self.remote)
            .field("state", &state)
            .field("sent", &self.tally.sent)
            .finish_non_exhaustive()
    }
}
