//! Who is on the wire, and the passing of time.

use std::net::SocketAddr;

use embedded_nal::{TcpClientStack, TcpFullStack, UdpFullStack};
use headcount::time::Instant;
use headcount::transport::{Exchange, Failure, Progress, TcpServer, UdpServer};
use headcount::wire::Frame;

use crate::stack::Stack;
use crate::wire::Wire;

/// Turns in one millisecond after which something spins.
const TURNS_AT_ONCE: usize = 2_000;

/// A stack and what runs over it.
pub trait Node {
    /// Does what can be done now; when to come back at the latest.
    fn turn(&mut self, now: Instant) -> Instant;

    /// Whether it still has something to finish.
    fn is_busy(&self) -> bool {
        false
    }
}

/// Lets time pass until no node is busy, or until this long after the start; the time then.
pub fn run_until(wire: &Wire, nodes: &mut [&mut dyn Node], end: u64) -> u64 {
    let mut turns_at_once = 0;
    loop {
        let now = wire.now();
        let wake_at = nodes.iter_mut().map(|node| node.turn(Instant::from_millis(now)).as_millis());
        let wake_at = wake_at.min().unwrap_or(end);
        if now >= end || !nodes.iter().any(|node| node.is_busy()) {
            return now;
        }
        let next = wire.next_arrival().unwrap_or(end).min(wake_at).min(end).max(now);
        turns_at_once = if next == now { turns_at_once + 1 } else { 0 };
        assert!(turns_at_once < TURNS_AT_ONCE, "nothing passes but turns, at {now} ms");
        wire.advance(next);
    }
}

/// Lets this much time pass.
pub fn run_for(wire: &Wire, nodes: &mut [&mut dyn Node], span: u64) {
    struct Waiting(Instant);
    impl Node for Waiting {
        fn turn(&mut self, _: Instant) -> Instant {
            self.0
        }
        fn is_busy(&self) -> bool {
            true
        }
    }
    let end = wire.now() + span;
    let mut waiting = Waiting(Instant::from_millis(end));
    let mut all: Vec<&mut dyn Node> = vec![&mut waiting];
    all.extend(nodes.iter_mut().map(|node| &mut **node as &mut dyn Node));
    run_until(wire, &mut all, end);
}

/// A stack on which nothing runs, or what the test does by hand.
pub struct Idle<S>(pub S);

impl<S: Stack> Node for Idle<S> {
    fn turn(&mut self, now: Instant) -> Instant {
        self.0.run(now).unwrap_or(FAR)
    }
}

/// Never, for a test.
const FAR: Instant = Instant::from_millis(u64::MAX);

/// A host that accepts connections and closes them.
pub struct HangsUp<S: TcpFullStack> {
    stack: S,
    listener: S::TcpSocket,
}

impl<S: TcpFullStack> HangsUp<S> {
    pub fn new(mut stack: S) -> Self {
        let mut listener = stack.socket().unwrap();
        stack.bind(&mut listener, PORT).unwrap();
        stack.listen(&mut listener).unwrap();
        Self { stack, listener }
    }
}

impl<S: Stack + TcpFullStack> Node for HangsUp<S> {
    fn turn(&mut self, now: Instant) -> Instant {
        self.stack.run(now);
        while let Ok((connection, _)) = self.stack.accept(&mut self.listener) {
            TcpClientStack::close(&mut self.stack, connection).unwrap();
        }
        self.stack.run(now).unwrap_or(FAR)
    }
}

/// Both servers of a host on one stack. They answer what `answer` says.
pub struct Site<S: TcpFullStack + UdpFullStack, F, const PLACES: usize> {
    pub stack: S,
    pub tcp: TcpServer<S, PLACES>,
    pub udp: UdpServer<S>,
    pub answer: F,
}

/// The port that hosts serve.
pub const PORT: u16 = 1688;

impl<S, F, const PLACES: usize> Site<S, F, PLACES>
where
    S: TcpFullStack + UdpFullStack,
    F: FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
{
    pub fn new(stack: S, answer: F) -> Self {
        Self { stack, tcp: TcpServer::new(PORT), udp: UdpServer::new(PORT), answer }
    }
}

impl<S, F, const PLACES: usize> Node for Site<S, F, PLACES>
where
    S: Stack + TcpFullStack + UdpFullStack,
    F: FnMut(Instant, SocketAddr, &Frame) -> Option<Frame>,
{
    fn turn(&mut self, now: Instant) -> Instant {
        self.stack.run(now);
        let served = self.tcp.poll(&mut self.stack, now, &mut self.answer);
        let served = served.and(self.udp.poll(&mut self.stack, now, &mut self.answer));
        let wake_at = self.stack.run(now).unwrap_or(FAR);
        served.wake_at.min(wake_at)
    }
}

/// A client with one exchange at a time.
pub struct Asker<S, E> {
    pub stack: S,
    exchange: Option<E>,
    /// When it ended, in milliseconds, and how.
    pub end: Option<(u64, Result<Frame, Failure>)>,
}

impl<S: Stack, E: Exchange<S>> Asker<S, E> {
    pub fn new(stack: S) -> Self {
        Self { stack, exchange: None, end: None }
    }

    pub fn asks(stack: S, exchange: E) -> Self {
        Self { stack, exchange: Some(exchange), end: None }
    }

    pub fn ask(&mut self, exchange: E) {
        self.exchange = Some(exchange);
        self.end = None;
    }

    /// How the exchange ended.
    pub fn result(&self) -> Result<Frame, Failure> {
        self.end.expect("an end").1
    }
}

impl<S: Stack, E: Exchange<S>> Node for Asker<S, E> {
    fn turn(&mut self, now: Instant) -> Instant {
        self.stack.run(now);
        let mut wake_at = FAR;
        if let Some(exchange) = &mut self.exchange {
            match exchange.poll(&mut self.stack, now) {
                Progress::Pending { wake_at: at } => wake_at = at,
                Progress::Received(frame) => {
                    exchange.close(&mut self.stack);
                    self.end = Some((now.as_millis(), Ok(frame)));
                }
                Progress::Failed(failure) => self.end = Some((now.as_millis(), Err(failure))),
            }
        }
        if self.end.is_some() {
            self.exchange = None;
        }
        wake_at.min(self.stack.run(now).unwrap_or(FAR))
    }

    fn is_busy(&self) -> bool {
        self.exchange.is_some()
    }
}
