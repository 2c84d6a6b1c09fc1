//! One TCP connection whose every call is scripted.

use std::collections::VecDeque;
use std::net::SocketAddr;

use embedded_nal::{TcpClientStack, nb};

use super::{Fault, Socket};

/// What one call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Block,
    /// Moves up to this many bytes; connects, where there are none to move.
    Move(usize),
    Fail,
}

/// Acts in order, then the last thing for ever.
#[derive(Clone, Debug)]
pub struct Acts {
    pub first: VecDeque<Act>,
    pub then: Act,
}

impl Acts {
    pub fn always(then: Act) -> Self {
        Self { first: VecDeque::new(), then }
    }

    pub fn list(first: impl IntoIterator<Item = Act>, then: Act) -> Self {
        Self { first: first.into_iter().collect(), then }
    }

    fn next(&mut self) -> Act {
        self.first.pop_front().unwrap_or(self.then)
    }
}

#[derive(Debug)]
pub struct ScriptedTcp {
    pub has_socket: bool,
    pub connect: Acts,
    pub send: Acts,
    pub receive: Acts,
    /// What the peer sends once it has the request.
    pub answer: Vec<u8>,
    /// How many bytes that has; a frame's 250 by default.
    pub request_len: usize,
    /// What the peer got.
    pub sent: Vec<u8>,
    pub delivered: usize,
    pub opened: usize,
    pub closed: usize,
    pub calls: usize,
}

impl ScriptedTcp {
    /// A stack that does everything at once.
    pub fn willing(answer: &[u8]) -> Self {
        Self {
            has_socket: true,
            connect: Acts::always(Act::Move(0)),
            send: Acts::always(Act::Move(usize::MAX)),
            receive: Acts::always(Act::Move(usize::MAX)),
            answer: answer.to_vec(),
            request_len: 250,
            sent: Vec::new(),
            delivered: 0,
            opened: 0,
            closed: 0,
            calls: 0,
        }
    }

    pub fn assert_all_closed(&self) {
        assert_eq!(self.opened, self.closed, "sockets opened and closed");
    }
}

impl TcpClientStack for ScriptedTcp {
    type TcpSocket = Socket;
    type Error = Fault;

    fn socket(&mut self) -> Result<Socket, Fault> {
        if !self.has_socket {
            return Err(Fault);
        }
        self.opened += 1;
        Ok(Socket(self.opened))
    }

    fn connect(&mut self, _: &mut Socket, _: SocketAddr) -> nb::Result<(), Fault> {
        self.calls += 1;
        match self.connect.next() {
            Act::Block => Err(nb::Error::WouldBlock),
            Act::Move(_) => Ok(()),
            Act::Fail => Err(nb::Error::Other(Fault)),
        }
    }

    fn send(&mut self, _: &mut Socket, buffer: &[u8]) -> nb::Result<usize, Fault> {
        self.calls += 1;
        match self.send.next() {
            Act::Block => Err(nb::Error::WouldBlock),
            Act::Move(most) => {
                let moved = most.min(buffer.len());
                self.sent.extend_from_slice(&buffer[..moved]);
                Ok(moved)
            }
            Act::Fail => Err(nb::Error::Other(Fault)),
        }
    }

    fn receive(&mut self, _: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Fault> {
        self.calls += 1;
        match self.receive.next() {
            Act::Block => Err(nb::Error::WouldBlock),
            Act::Move(most) => {
                let there = if self.sent.len() < self.request_len { 0 } else { self.answer.len() };
                let there = &self.answer[self.delivered.min(there)..there];
                let moved = most.min(buffer.len()).min(there.len());
                buffer[..moved].copy_from_slice(&there[..moved]);
                self.delivered += moved;
                Ok(moved)
            }
            Act::Fail => Err(nb::Error::Other(Fault)),
        }
    }

    fn close(&mut self, _: Socket) -> Result<(), Fault> {
        self.closed += 1;
        // Nothing can be made of an error here.
        if self.closed.is_multiple_of(2) { Err(Fault) } else { Ok(()) }
    }
}
