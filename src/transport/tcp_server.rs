//! A host's TCP port: a fixed number of connections, served in turns.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use embedded_nal::{TcpFullStack, nb};

use super::stream::{Broken, Step, Transfer};
use super::{OPEN_RETRY, OpenError, Served, canonical};
use crate::policy::IDLE_LIMIT;
use crate::time::Instant;
use crate::wire::Frame;

/// How long a connection keeps its place while all are taken and somebody else waits: 3 s since it
/// was accepted, began its frame or was due its answer. Time enough for a lost segment to be sent
/// again.
pub const EVICTION_AGE: Duration = Duration::from_secs(3);

/// The same for a connection that has its answer and has not begun another frame: 100 ms, for the
/// stack to bring the answer on its way. Many peers have gone by then, but not every stack tells.
pub const ANSWERED_EVICTION_AGE: Duration = Duration::from_millis(100);

/// A TCP server (PROTOCOL 13) of `CONNECTIONS` places, about 300 bytes each.
///
/// - A connection is used for one exchange after the other. Bytes beyond a frame stay in the stack
///   until that frame is answered.
/// - It is closed at the first `poll` 30 s or more after it was accepted or its last answer was
///   sent, when no byte came; after the first byte of a frame, when the frame is not whole; after
///   an answer was made, when the peer has not taken it. The limit is for the whole frame, so a
///   byte now and then buys nothing.
/// - While all places are taken, newcomers wait in the stack's backlog, where it has one. A
///   connection that has its answer makes room after [`ANSWERED_EVICTION_AGE`], one that is at any
///   other stage after [`EVICTION_AGE`], the one longest past that first: whoever takes all places
///   and does nothing locks others out for 3 s, not 30.
/// - One call does bounded work: it accepts `CONNECTIONS` newcomers and serves one frame of each
///   connection at most, in at most 250 stack calls each way. No peer's silence holds up another.
///
/// The stack needs a socket for each place, one for the port, and one for the newcomer that is
/// accepted before another is evicted.
pub struct TcpServer<S: TcpFullStack, const CONNECTIONS: usize> {
    port: u16,
    listener: Option<S::TcpSocket>,
    /// Not before this is the port opened again.
    open_at: Instant,
    /// Since when every `accept` has been an error.
    failing_since: Option<Instant>,
    connections: [Option<Connection<S::TcpSocket>>; CONNECTIONS],
    counters: TcpCounters,
}

struct Connection<T> {
    socket: T,
    peer: SocketAddr,
    stage: Stage,
    /// When this stage began.
    since: Instant,
    transfer: Transfer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not a byte has come yet.
    Accepted,
    Receiving,
    Sending,
    /// Between frames: not a byte of the next one has come.
    Answered,
}

/// What a [`TcpServer`] has done since it was made. Each counter stops at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct TcpCounters {
    /// Connections accepted.
    pub accepted: u32,
    /// `accept` reported an error.
    pub accept_errors: u32,
    /// The port could not be opened.
    pub open_errors: u32,
    /// Connections closed to make room.
    pub evicted: u32,
    /// Connections closed by the limit of 30 s.
    pub expired: u32,
    /// Connections that the stack reported as closed or broken.
    pub lost: u32,
    /// Whole frames received.
    pub frames: u32,
    /// Answers that the stack took whole.
    pub answers: u32,
    /// Frames without an answer, for which the connection was closed (PROTOCOL 9).
    pub silences: u32,
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

impl<S: TcpFullStack, const CONNECTIONS: usize> TcpServer<S, CONNECTIONS> {
    /// A server of this port that is not open yet.
    #[must_use]
    pub const fn new(port: u16) -> Self {
        const { assert!(CONNECTIONS > 0, "a server needs a place for a connection") };
        Self {
            port,
            listener: None,
            open_at: Instant::ZERO,
            failing_since: None,
            connections: [const { None }; CONNECTIONS],
            counters: TcpCounters {
                accepted: 0,
                accept_errors: 0,
                open_errors: 0,
                evicted: 0,
                expired: 0,
                lost: 0,
                frames: 0,
                answers: 0,
                silences: 0,
            },
        }
    }

    /// Opens the port now, for a caller that wants to know; `poll` does it too, and tries again
    /// every [`OPEN_RETRY`]. Does nothing when it is open. May be repeated after an error.
    pub fn open(&mut self, stack: &mut S) -> Result<(), OpenError> {
        if self.listener.is_some() {
            return Ok(());
        }
        let opened = listen(stack, self.port);
        if opened.is_err() {
            count(&mut self.counters.open_errors);
        }
        self.listener = Some(opened?);
        self.failing_since = None;
        Ok(())
    }

    /// Whether the port is open, as far as the stack has said.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.listener.is_some()
    }

    /// Connections that hold a place now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.iter().flatten().count()
    }

    /// What it has done so far.
    #[must_use]
    pub const fn counters(&self) -> TcpCounters {
        self.counters
    }

    /// Does what can be done now. `serve` is told the time, the peer and the frame, and answers
    /// with a frame or, to close the connection, with `None`.
    pub fn poll(
        &mut self,
        stack: &mut S,
        now: Instant,
        mut serve: impl FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
    ) -> Served {
        if self.listener.is_none() && now >= self.open_at && self.open(stack).is_err() {
            self.open_at = now.after(OPEN_RETRY);
        }
        let mut more = false;
        let mut frames = 0_u16;
        let mut serve = |now, peer, frame: &Frame| {
            frames = frames.saturating_add(1);
            serve(now, peer, frame)
        };
        for place in &mut self.connections {
            let Some(connection) = place else { continue };
            match connection.step(stack, now, &mut self.counters, &mut serve) {
                Ok(served) => more |= served,
                Err(Broken) => close(stack, place),
            }
        }
        // After the others, so that nobody is evicted whose frame was there, however late the call.
        more |= self.accept(stack, now);
        Served { frames, wake_at: if more { now } else { self.wake_at(now) } }
    }

    /// Closes the port and all connections. A later `open` or `poll` starts again.
    pub fn close(&mut self, stack: &mut S) {
        for place in &mut self.connections {
            close(stack, place);
        }
        self.close_port(stack);
    }

    fn close_port(&mut self, stack: &mut S) {
        if let Some(listener) = self.listener.take() {
            drop(stack.close(listener));
        }
    }

    /// Accepts newcomers while there is room or room can be made; whether there were any, who may
    /// have sent a frame. None of them can be evicted at once, so after `CONNECTIONS` of them there
    /// is no more room.
    fn accept(&mut self, stack: &mut S, now: Instant) -> bool {
        let mut any = false;
        for _ in 0..CONNECTIONS {
            let Some(listener) = &mut self.listener else { break };
            let Some(place) = best_place(&mut self.connections, now) else { break };
            match stack.accept(listener) {
                Ok((socket, peer)) => {
                    if place.is_some() {
                        count(&mut self.counters.evicted);
                        close(stack, place);
                    }
                    *place = Some(Connection::new(socket, canonical(peer), now));
                    count(&mut self.counters.accepted);
                    self.failing_since = None;
                    any = true;
                }
                Err(nb::Error::WouldBlock) => {
                    self.failing_since = None;
                    break;
                }
                Err(nb::Error::Other(_)) => {
                    count(&mut self.counters.accept_errors);
                    self.after_accept_error(stack, now);
                    break;
                }
            }
        }
        any
    }

    /// One error may be a newcomer's, who is gone again. Nothing else for 30 s is the port's.
    fn after_accept_error(&mut self, stack: &mut S, now: Instant) {
        let since = *self.failing_since.get_or_insert(now);
        if now >= since.after(IDLE_LIMIT) {
            self.close_port(stack);
            self.open_at = now;
        }
    }

    fn is_full(&self) -> bool {
        self.connections.iter().all(Option::is_some)
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let mut wake_at = now.after(IDLE_LIMIT);
        if self.listener.is_none() {
            wake_at = wake_at.min(self.open_at);
        }
        let full = self.is_full();
        for connection in self.connections.iter().flatten() {
            wake_at = wake_at.min(connection.deadline());
            let evictable_at = connection.evictable_at();
            if full && evictable_at > now {
                wake_at = wake_at.min(evictable_at);
            }
        }
        wake_at
    }
}

fn listen<S: TcpFullStack>(stack: &mut S, port: u16) -> Result<S::TcpSocket, OpenError> {
    let mut socket = stack.socket().map_err(|_| OpenError::NoSocket)?;
    let error = if stack.bind(&mut socket, port).is_err() {
        OpenError::Bind(port)
    } else if stack.listen(&mut socket).is_err() {
        OpenError::Listen(port)
    } else {
        return Ok(socket);
    };
    drop(stack.close(socket));
    Err(error)
}

fn close<S: TcpFullStack>(stack: &mut S, place: &mut Option<Connection<S::TcpSocket>>) {
    if let Some(connection) = place.take() {
        drop(stack.close(connection.socket));
    }
}

/// A free place, or that of the connection which may be evicted since longest. One pass.
fn best_place<T>(
    places: &mut [Option<Connection<T>>],
    now: Instant,
) -> Option<&mut Option<Connection<T>>> {
    let evictable_at = |place: &Option<Connection<T>>| place.as_ref().map(Connection::evictable_at);
    places
        .iter_mut()
        .filter(|place| evictable_at(place).is_none_or(|at| now >= at))
        .min_by_key(|place| evictable_at(place))
}

impl<T> Connection<T> {
    const fn new(socket: T, peer: SocketAddr, now: Instant) -> Self {
        Self { socket, peer, stage: Stage::Accepted, since: now, transfer: Transfer::empty() }
    }

    fn deadline(&self) -> Instant {
        self.since.after(IDLE_LIMIT)
    }

    fn evictable_at(&self) -> Instant {
        self.since.after(match self.stage {
            Stage::Accepted | Stage::Receiving | Stage::Sending => EVICTION_AGE,
            Stage::Answered => ANSWERED_EVICTION_AGE,
        })
    }

    fn enter(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.since = now;
    }

    /// Sends what is unsent, then receives, then serves one frame. Whether it served one, so that
    /// another may be waiting; an error means that the connection is to be closed.
    fn step<S: TcpFullStack<TcpSocket = T>>(
        &mut self,
        stack: &mut S,
        now: Instant,
        counters: &mut TcpCounters,
        serve: &mut impl FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
    ) -> Result<bool, Broken> {
        if self.stage == Stage::Sending {
            self.send(stack, now, counters)?;
        }
        let mut served = false;
        if self.stage != Stage::Sending && self.receive(stack, now, counters)? {
            served = true;
            count(&mut counters.frames);
            let Some(answer) = serve(now, self.peer, self.transfer.frame()) else {
                count(&mut counters.silences);
                return Err(Broken);
            };
            self.transfer = Transfer::of(answer);
            self.enter(Stage::Sending, now);
            self.send(stack, now, counters)?;
        }
        if now >= self.deadline() {
            count(&mut counters.expired);
            return Err(Broken);
        }
        Ok(served)
    }

    fn send<S: TcpFullStack<TcpSocket = T>>(
        &mut self,
        stack: &mut S,
        now: Instant,
        counters: &mut TcpCounters,
    ) -> Result<(), Broken> {
        let step = self.transfer.send(stack, &mut self.socket);
        if step.or_lost(counters)? == Step::Whole {
            count(&mut counters.answers);
            self.transfer = Transfer::empty();
            self.enter(Stage::Answered, now);
        }
        Ok(())
    }

    /// Whether a frame is whole.
    fn receive<S: TcpFullStack<TcpSocket = T>>(
        &mut self,
        stack: &mut S,
        now: Instant,
        counters: &mut TcpCounters,
    ) -> Result<bool, Broken> {
        let step = self.transfer.receive(stack, &mut self.socket).or_lost(counters)?;
        if self.stage != Stage::Receiving && self.transfer.done() > 0 {
            self.enter(Stage::Receiving, now);
        }
        Ok(step == Step::Whole)
    }
}

trait OrLost {
    fn or_lost(self, counters: &mut TcpCounters) -> Self;
}

impl OrLost for Result<Step, Broken> {
    fn or_lost(self, counters: &mut TcpCounters) -> Self {
        self.inspect_err(|_| count(&mut counters.lost))
    }
}

impl<S: TcpFullStack, const CONNECTIONS: usize> fmt::Debug for TcpServer<S, CONNECTIONS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpServer")
            .field("port", &self.port)
            .field("open", &self.is_open())
            .field("connections", &self.connections())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
