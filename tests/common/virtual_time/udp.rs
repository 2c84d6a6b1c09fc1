//! A UDP socket in virtual time: what arrives when is written beforehand, or made by a host.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use embedded_nal_async::{ConnectedUdp, UdpStack, UnconnectedUdp};

use super::tcp::{Act, Then, moves};
use super::{Fault, Socket, World};

/// What a call of `send` does; without a script it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    Goes,
    Fails,
    Hangs,
}

/// What is at the other end: the time and a datagram in, another out.
pub type Host<'a> = Box<dyn FnMut(u64, &[u8]) -> Option<Vec<u8>> + 'a>;

#[derive(Debug)]
pub struct ScriptedUdp<'a> {
    pub world: &'a World,
    pub connect: Act,
    pub script: RefCell<Script<'a>>,
}

#[derive(Default)]
pub struct Script<'a> {
    pub sending: VecDeque<Sending>,
    /// What arrives when, in this order; nothing stands for an error instead.
    pub inbox: VecDeque<(u64, Option<Vec<u8>>)>,
    /// Whether the inbox begins again once it is empty.
    pub endless: bool,
    pub host: Option<Host<'a>>,
    /// What was sent, and when.
    pub outbox: Vec<(u64, Vec<u8>)>,
    pub received: usize,
}

impl fmt::Debug for Script<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("inbox", &self.inbox.len()).finish_non_exhaustive()
    }
}

impl<'a> ScriptedUdp<'a> {
    pub fn new(world: &'a World) -> Self {
        Self { world, connect: moves(0, 0), script: RefCell::default() }
    }

    pub fn arrives(&self, at: u64, bytes: &[u8]) {
        self.script.borrow_mut().inbox.push_back((at, Some(bytes.to_vec())));
    }

    pub fn fails(&self, at: u64) {
        self.script.borrow_mut().inbox.push_back((at, None));
    }

    /// When something was sent.
    pub fn sent_at(&self) -> Vec<u64> {
        self.script.borrow().outbox.iter().map(|(at, _)| *at).collect()
    }

    pub fn socket(&self) -> Udp<'_, 'a> {
        Udp { stack: self, _socket: Socket::open(self.world) }
    }
}

#[derive(Debug)]
pub struct Udp<'a, 'w> {
    stack: &'a ScriptedUdp<'w>,
    _socket: Socket<'a>,
}

impl<'a, 'w> UdpStack for &'a ScriptedUdp<'w> {
    type Error = Fault;
    type Connected = Udp<'a, 'w>;
    type UniquelyBound = Unused;
    type MultiplyBound = Unused;

    async fn connect_from(
        &self,
        local: SocketAddr,
        _: SocketAddr,
    ) -> Result<(SocketAddr, Udp<'a, 'w>), Fault> {
        let socket = self.socket();
        self.world.after(self.connect.after).await;
        match self.connect.then {
            Then::Move(_) => Ok((local, socket)),
            Then::Fail => Err(Fault),
        }
    }

    async fn bind_single(&self, _: SocketAddr) -> Result<(SocketAddr, Unused), Fault> {
        unreachable!("a client connects");
    }

    async fn bind_multiple(&self, _: SocketAddr) -> Result<Unused, Fault> {
        unreachable!("a client connects");
    }
}

impl ConnectedUdp for Udp<'_, '_> {
    type Error = Fault;

    async fn send(&mut self, data: &[u8]) -> Result<(), Fault> {
        let next = self.stack.script.borrow_mut().sending.pop_front();
        match next.unwrap_or(Sending::Goes) {
            Sending::Fails => return Err(Fault),
            Sending::Hangs => self.stack.world.at(None).await,
            Sending::Goes => {}
        }
        let now = self.stack.world.millis();
        let mut script = self.stack.script.borrow_mut();
        script.outbox.push((now, data.to_vec()));
        if let Some(answer) = script.host.as_mut().and_then(|host| host(now, data)) {
            script.inbox.push_back((now + 5, Some(answer)));
        }
        Ok(())
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let next = self.stack.script.borrow().inbox.front().map(|(at, _)| *at);
        self.stack.world.at(next).await;
        let mut script = self.stack.script.borrow_mut();
        script.received += 1;
        let (at, datagram) = script.inbox.pop_front().expect("it was there");
        if script.endless {
            script.inbox.push_back((at, datagram.clone()));
        }
        let datagram = datagram.ok_or(Fault)?;
        let moved = datagram.len().min(buffer.len());
        buffer[..moved].copy_from_slice(&datagram[..moved]);
        Ok(datagram.len())
    }
}

/// What a client has no use for.
#[derive(Debug)]
pub enum Unused {}

impl UnconnectedUdp for Unused {
    type Error = Fault;

    async fn send(&mut self, _: SocketAddr, _: SocketAddr, _: &[u8]) -> Result<(), Fault> {
        match *self {}
    }

    async fn receive_into(
        &mut self,
        _: &mut [u8],
    ) -> Result<(usize, SocketAddr, SocketAddr), Fault> {
        match *self {}
    }
}
