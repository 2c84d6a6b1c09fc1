//! One TCP connection whose every call is scripted.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;

use embedded_io_async::{ErrorType, Read, Write};
use embedded_nal_async::TcpConnect;

use super::{Fault, Socket, World};

/// What one call does, and after how many milliseconds; never, when there are none.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    pub after: Option<u64>,
    pub then: Then,
}

#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Moves up to this many bytes; connects, where there are none to move.
    Move(usize),
    Fail,
}

pub const fn moves(after: u64, bytes: usize) -> Act {
    Act { after: Some(after), then: Then::Move(bytes) }
}

pub const fn fails(after: u64) -> Act {
    Act { after: Some(after), then: Then::Fail }
}

pub const NEVER: Act = Act { after: None, then: Then::Fail };

/// Acts in order, then the last thing for ever.
#[derive(Clone, Debug)]
pub struct Acts {
    pub first: VecDeque<Act>,
    pub then: Act,
}

impl Acts {
    pub fn always(then: Act) -> Self {
        Self::list([], then)
    }

    pub fn list(first: impl IntoIterator<Item = Act>, then: Act) -> Self {
        Self { first: first.into_iter().collect(), then }
    }
}

#[derive(Debug)]
pub struct ScriptedTcp<'a> {
    pub world: &'a World,
    pub script: RefCell<Script>,
}

#[derive(Debug)]
pub struct Script {
    pub connect: Acts,
    pub write: Acts,
    pub flush: Acts,
    pub read: Acts,
    /// What the peer sends; after that the stream has ended.
    pub answer: Vec<u8>,
    /// What the peer got.
    pub sent: Vec<u8>,
    /// How much of it the stack was told to send.
    pub flushed: usize,
    pub delivered: usize,
}

impl<'a> ScriptedTcp<'a> {
    /// A stack that does everything at once.
    pub fn willing(world: &'a World, answer: &[u8]) -> Self {
        let script = Script {
            connect: Acts::always(moves(0, 0)),
            write: Acts::always(moves(0, usize::MAX)),
            flush: Acts::always(moves(0, 0)),
            read: Acts::always(moves(0, usize::MAX)),
            answer: answer.to_vec(),
            sent: Vec::new(),
            flushed: 0,
            delivered: 0,
        };
        Self { world, script: RefCell::new(script) }
    }

    /// The same with another script.
    pub fn with(self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script.borrow_mut());
        self
    }

    async fn next(&self, of: impl Fn(&mut Script) -> &mut Acts) -> Result<usize, Fault> {
        let act = {
            let mut script = self.script.borrow_mut();
            let acts = of(&mut script);
            acts.first.pop_front().unwrap_or(acts.then)
        };
        self.world.after(act.after).await;
        match act.then {
            Then::Move(bytes) => Ok(bytes),
            Then::Fail => Err(Fault),
        }
    }
}

#[derive(Debug)]
pub struct Connection<'a> {
    stack: &'a ScriptedTcp<'a>,
    _socket: Socket<'a>,
}

impl TcpConnect for ScriptedTcp<'_> {
    type Error = Fault;
    type Connection<'a>
        = Connection<'a>
    where
        Self: 'a;

    async fn connect(&self, _: SocketAddr) -> Result<Connection<'_>, Fault> {
        let connection = Connection { stack: self, _socket: Socket::open(self.world) };
        self.next(|script| &mut script.connect).await.map(|_| connection)
    }
}

impl ErrorType for Connection<'_> {
    type Error = Fault;
}

impl Write for Connection<'_> {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Fault> {
        let most = self.stack.next(|script| &mut script.write).await?;
        let moved = most.min(buffer.len());
        self.stack.script.borrow_mut().sent.extend_from_slice(&buffer[..moved]);
        Ok(moved)
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        self.stack.next(|script| &mut script.flush).await?;
        let mut script = self.stack.script.borrow_mut();
        script.flushed = script.sent.len();
        Ok(())
    }
}

impl Read for Connection<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let most = self.stack.next(|script| &mut script.read).await?;
        let mut script = self.stack.script.borrow_mut();
        let there = &script.answer[script.delivered..];
        let moved = most.min(buffer.len()).min(there.len());
        buffer[..moved].copy_from_slice(&there[..moved]);
        script.delivered += moved;
        Ok(moved)
    }
}
