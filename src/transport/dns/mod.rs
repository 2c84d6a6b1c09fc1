//! One question to a network's resolvers, over UDP and, where the answer is too long for that, TCP.

use core::fmt;
use core::mem;
use core::net::SocketAddr;
use core::time::Duration;

use embedded_nal::{TcpClientStack, UdpClientStack, nb};

use self::stream::{Broken, Stream};
use super::{DATAGRAMS_PER_POLL, Platform, SEND_RETRY, canonical};
use crate::discovery::message::{AnswerError, Query};
use crate::time::Instant;

mod outcome;
mod stream;

pub use outcome::{DnsFailure, DnsProgress, DnsTrouble};

/// Resolvers that are asked at most; more are left out.
pub const MAX_RESOLVERS: usize = 4;

/// How often each of them is asked.
const TURNS: usize = 2;

/// How long an answer by UDP is waited for: 2 s.
pub const RESOLVER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection by TCP is waited for, and from then on the whole answer: 5 s each.
pub const RESOLVER_TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// One question and its answer (PROTOCOL 12).
///
/// The resolvers are asked one after the other, in their order and in two turns, each time from a
/// new socket. The next one is asked when there was no answer for [`RESOLVER_TIMEOUT`], or one that
/// is malformed or a failure. When the answer is truncated, the same resolver is asked by TCP. "No
/// such name" and "no such records" are answers.
///
/// Anybody can send a datagram: those from others than the resolver, and those that are not the
/// answer to this question, are passed over. Whatever the stack and the resolvers do, the exchange
/// ends within 2 s for each time that one is asked, and 10 s more where it comes to TCP; with two
/// resolvers within 48 s.
///
/// # Memory
///
/// The exchange has about 400 bytes, the question included. The buffer is the caller's, so that one may serve several
/// purposes: [`UDP_PAYLOAD_LEN`](crate::discovery::message::UDP_PAYLOAD_LEN) bytes take every
/// answer by UDP. An answer by TCP that does not fit is as good as none, which matters to sites with
/// some twenty hosts; one of 4,096 bytes takes sixty.
#[must_use = "an exchange does nothing until it is polled"]
pub struct DnsExchange<'a, S: UdpClientStack + TcpClientStack> {
    resolvers: &'a [SocketAddr],
    query: Query,
    buffer: &'a mut [u8],
    state: State<S::UdpSocket, S::TcpSocket>,
    /// How many times a resolver was asked, or it was tried.
    asked: usize,
    /// The first `poll`.
    since: Option<Instant>,
    tally: Tally,
}

enum State<U, T> {
    /// The next resolver is to be asked.
    Next,
    /// By UDP. `sent`: the stack has taken the question.
    Asking {
        socket: U,
        since: Instant,
        sent: bool,
    },
    Connecting {
        socket: T,
        since: Instant,
    },
    /// `connect` may have blocked: the wait for the answer starts at the next call.
    Connected {
        socket: T,
    },
    Streaming {
        socket: T,
        since: Instant,
        stream: Stream,
    },
    Answered {
        length: usize,
    },
    Ended(DnsFailure),
}

#[derive(Clone, Copy, Default)]
struct Tally {
    sent: u8,
    ignored: u16,
    trouble: Option<DnsTrouble>,
}

impl<'a, S: UdpClientStack + TcpClientStack> DnsExchange<'a, S> {
    /// To ask these resolvers, of which the first [`MAX_RESOLVERS`] count; their port is 53 as a
    /// rule. Nothing happens, and no time counts, before the first `poll`.
    pub const fn new(resolvers: &'a [SocketAddr], query: Query, buffer: &'a mut [u8]) -> Self {
        Self {
            resolvers,
            query,
            buffer,
            state: State::Next,
            asked: 0,
            since: None,
            tally: Tally { sent: 0, ignored: 0, trouble: None },
        }
    }

    /// Does what can be done now.
    pub fn poll(&mut self, stack: &mut S, now: Instant) -> DnsProgress {
        match mem::replace(&mut self.state, State::Ended(DnsFailure::Abandoned)) {
            State::Next => self.next(stack, now),
            State::Asking { socket, since, sent } => self.ask(stack, socket, since, sent, now),
            State::Connecting { socket, since } => self.connect(stack, socket, since, now),
            State::Connected { socket } => self.stream(stack, socket, now, Stream::default(), now),
            State::Streaming { socket, since, stream } => {
                self.stream(stack, socket, since, stream, now)
            }
            State::Answered { length } => self.answered(length),
            State::Ended(failure) => self.end(failure),
        }
    }

    /// The question.
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// The whole answer, after [`DnsProgress::Answered`]: [`Query::answer`] accepts it. Before, and
    /// after a failure, `None`.
    pub fn message(&self) -> Option<&[u8]> {
        match self.state {
            State::Answered { length } => self.buffer.get(..length),
            _ => None,
        }
    }

    /// Gives up: closes the socket, if one is open. Harmless at any time.
    pub fn close(&mut self, stack: &mut S) {
        match mem::replace(&mut self.state, State::Ended(DnsFailure::Abandoned)) {
            State::Next => {}
            state @ (State::Answered { .. } | State::Ended(_)) => self.state = state,
            State::Asking { socket, .. } => drop(UdpClientStack::close(stack, socket)),
            State::Connecting { socket, .. }
            | State::Connected { socket }
            | State::Streaming { socket, .. } => drop(TcpClientStack::close(stack, socket)),
        }
    }

    /// The resolver whose turn it is; nothing when all have had theirs.
    fn resolver(&self) -> Option<SocketAddr> {
        let resolvers = self.resolvers.iter().take(MAX_RESOLVERS);
        let mut turns = (0..TURNS).flat_map(|_| resolvers.clone());
        turns.nth(self.asked).copied()
    }

    fn next(&mut self, stack: &mut S, now: Instant) -> DnsProgress {
        let since = *self.since.get_or_insert(now);
        let Some(resolver) = self.resolver() else {
            if self.resolvers.is_empty() {
                return self.end(DnsFailure::NoResolver);
            }
            let Tally { sent, ignored, trouble } = self.tally;
            let waited = now.since(since);
            return self.end(DnsFailure::NoAnswer { sent, ignored, waited, trouble });
        };
        let Ok(mut socket) = UdpClientStack::socket(stack) else {
            return self.end(DnsFailure::NoSocket);
        };
        if UdpClientStack::connect(stack, &mut socket, resolver).is_err() {
            drop(UdpClientStack::close(stack, socket));
            return self.give_up(Some(DnsTrouble::NotConnected), now);
        }
        self.ask(stack, socket, now, false, now)
    }

    fn ask(
        &mut self,
        stack: &mut S,
        mut socket: S::UdpSocket,
        since: Instant,
        mut sent: bool,
        now: Instant,
    ) -> DnsProgress {
        let (heard, more) = self.listen(stack, &mut socket);
        let end = since.after(RESOLVER_TIMEOUT);
        match heard {
            Some(Ok(length)) => {
                drop(UdpClientStack::close(stack, socket));
                return self.answered(length);
            }
            Some(Err(AnswerError::Truncated)) => {
                drop(UdpClientStack::close(stack, socket));
                return match TcpClientStack::socket(stack) {
                    Ok(socket) => self.connect(stack, socket, now, now),
                    Err(_) => self.give_up(Some(DnsTrouble::Stream { received: 0 }), now),
                };
            }
            Some(Err(error)) => {
                drop(UdpClientStack::close(stack, socket));
                return self.give_up(Some(DnsTrouble::Answer(error)), now);
            }
            None if now >= end => {
                drop(UdpClientStack::close(stack, socket));
                return self.give_up(None, now);
            }
            None => {}
        }
        if !sent && UdpClientStack::send(stack, &mut socket, self.query.as_bytes()).is_ok() {
            sent = true;
            self.tally.sent = self.tally.sent.saturating_add(1);
        }
        let wake_at = match (more, sent) {
            (true, _) => now,
            (false, true) => end,
            (false, false) => end.min(now.after(SEND_RETRY)),
        };
        self.state = State::Asking { socket, since, sent };
        DnsProgress::Pending { wake_at }
    }

    /// What the resolver has to say, an answer's length or what is wrong with it, and otherwise
    /// whether more datagrams may be waiting.
    fn listen(
        &mut self,
        stack: &mut S,
        socket: &mut S::UdpSocket,
    ) -> (Option<Result<usize, AnswerError>>, bool) {
        let resolver = self.resolver().map(canonical);
        let mut more = false;
        for _ in 0..DATAGRAMS_PER_POLL {
            match UdpClientStack::receive(stack, socket, self.buffer) {
                Err(nb::Error::WouldBlock) => return (None, false),
                // Nothing there, or a datagram that the stack dropped: another may be behind it.
                Err(nb::Error::Other(_)) | Ok((0, _)) => more = false,
                Ok((length, sender)) => {
                    let message = self.buffer.get(..length).unwrap_or_default();
                    let from_resolver = resolver == Some(canonical(sender));
                    match self.query.answer(message) {
                        Err(AnswerError::NotOurs) => {}
                        heard if from_resolver => return (Some(heard.map(|_| length)), true),
                        _ => {}
                    }
                    self.tally.ignored = self.tally.ignored.saturating_add(1);
                    more = true;
                }
            }
        }
        (None, more)
    }

    fn connect(
        &mut self,
        stack: &mut S,
        mut socket: S::TcpSocket,
        since: Instant,
        now: Instant,
    ) -> DnsProgress {
        let Some(resolver) = self.resolver() else {
            return self.break_off(stack, socket, 0, now);
        };
        match TcpClientStack::connect(stack, &mut socket, resolver) {
            Ok(()) => {
                self.state = State::Connected { socket };
                DnsProgress::Pending { wake_at: now }
            }
            Err(nb::Error::Other(_)) => self.break_off(stack, socket, 0, now),
            Err(nb::Error::WouldBlock) => {
                let wake_at = since.after(RESOLVER_TCP_TIMEOUT);
                if now >= wake_at {
                    return self.break_off(stack, socket, 0, now);
                }
                self.state = State::Connecting { socket, since };
                DnsProgress::Pending { wake_at }
            }
        }
    }

    fn stream(
        &mut self,
        stack: &mut S,
        mut socket: S::TcpSocket,
        since: Instant,
        mut stream: Stream,
        now: Instant,
    ) -> DnsProgress {
        let moved = stream.advance(stack, &mut socket, self.query.as_bytes(), self.buffer);
        let wake_at = since.after(RESOLVER_TCP_TIMEOUT);
        match moved {
            Ok(true) => {
                let length = usize::from(stream.length());
                drop(TcpClientStack::close(stack, socket));
                match self.query.answer(self.buffer.get(..length).unwrap_or_default()) {
                    Ok(_) => self.answered(length),
                    Err(error) => self.give_up(Some(DnsTrouble::Answer(error)), now),
                }
            }
            Ok(false) if usize::from(stream.length()) > self.buffer.len() => {
                drop(TcpClientStack::close(stack, socket));
                self.give_up(Some(DnsTrouble::TooLong { length: stream.length() }), now)
            }
            Ok(false) if now < wake_at => {
                self.state = State::Streaming { socket, since, stream };
                DnsProgress::Pending { wake_at }
            }
            Ok(false) | Err(Broken) => self.break_off(stack, socket, stream.received(), now),
        }
    }

    fn break_off(
        &mut self,
        stack: &mut S,
        socket: S::TcpSocket,
        received: u16,
        now: Instant,
    ) -> DnsProgress {
        // A stack that cannot close a socket leaves nothing to try.
        drop(TcpClientStack::close(stack, socket));
        self.give_up(Some(DnsTrouble::Stream { received }), now)
    }

    /// On to the next resolver.
    fn give_up(&mut self, trouble: Option<DnsTrouble>, now: Instant) -> DnsProgress {
        self.tally.trouble = trouble.or(self.tally.trouble);
        self.asked = self.asked.saturating_add(1);
        self.state = State::Next;
        DnsProgress::Pending { wake_at: now }
    }

    fn answered(&mut self, length: usize) -> DnsProgress {
        self.state = State::Answered { length };
        DnsProgress::Answered
    }

    fn end(&mut self, failure: DnsFailure) -> DnsProgress {
        self.state = State::Ended(failure);
        DnsProgress::Failed(failure)
    }
}

/// Runs one question to its end and shows the answer. The socket is closed on every path.
///
/// # Errors
///
/// Why there is none; [`DnsFailure::Abandoned`] when the platform said stop.
pub fn look_up<'e, S, P>(
    exchange: &'e mut DnsExchange<'_, S>,
    stack: &mut S,
    platform: &mut P,
) -> Result<&'e [u8], DnsFailure>
where
    S: UdpClientStack + TcpClientStack,
    P: Platform<S>,
{
    while !platform.is_stopped() {
        match exchange.poll(stack, platform.now()) {
            DnsProgress::Pending { wake_at } => platform.idle(stack, wake_at),
            DnsProgress::Answered => return exchange.message().ok_or(DnsFailure::Abandoned),
            DnsProgress::Failed(failure) => return Err(failure),
        }
    }
    exchange.close(stack);
    Err(DnsFailure::Abandoned)
}

impl<S: UdpClientStack + TcpClientStack> fmt::Debug for DnsExchange<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Next => "between two resolvers",
            State::Asking { .. } => "asking",
            State::Connecting { .. } => "connecting",
            State::Connected { .. } => "connected",
            State::Streaming { .. } => "streaming",
            State::Answered { .. } => "answered",
            State::Ended(_) => "ended",
        };
        f.debug_struct("DnsExchange")
            .field("query", &self.query)
            .field("state", &state)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}
