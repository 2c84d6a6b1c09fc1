//! A UDP port in virtual time: what arrives when is written beforehand.

use std::collections::VecDeque;
use std::net::SocketAddr;

use embedded_nal::{UdpClientStack, UdpFullStack, nb};

use super::{Fault, Socket, Style};

#[derive(Clone, Debug)]
pub struct Datagram {
    /// Milliseconds.
    pub at: u64,
    pub peer: SocketAddr,
    pub bytes: Vec<u8>,
}

/// What a call of `send` does; without a script it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    Goes,
    Blocks,
    Fails,
}

#[derive(Debug)]
pub struct ScriptedUdp {
    pub now: u64,
    pub style: Style,
    pub has_socket: bool,
    pub connects: bool,
    /// Fails of `bind` before it works.
    pub bind_faults: usize,
    pub sending: VecDeque<Sending>,
    /// In the order of arrival.
    pub inbox: VecDeque<Datagram>,
    /// What was sent, in this order.
    pub outbox: Vec<Datagram>,
    remote: Option<SocketAddr>,
    pub opened: usize,
    pub closed: usize,
    pub receive_calls: usize,
}

impl ScriptedUdp {
    pub fn new(style: Style) -> Self {
        Self {
            now: 0,
            style,
            has_socket: true,
            connects: true,
            bind_faults: 0,
            sending: VecDeque::new(),
            inbox: VecDeque::new(),
            outbox: Vec::new(),
            remote: None,
            opened: 0,
            closed: 0,
            receive_calls: 0,
        }
    }

    pub fn arrives(&mut self, at: u64, peer: SocketAddr, bytes: &[u8]) {
        let index = self.inbox.partition_point(|datagram| datagram.at <= at);
        self.inbox.insert(index, Datagram { at, peer, bytes: bytes.to_vec() });
    }

    pub fn next_arrival(&self) -> Option<u64> {
        self.inbox.front().map(|datagram| datagram.at)
    }

    pub fn assert_all_closed(&self) {
        assert_eq!(self.opened, self.closed, "sockets opened and closed");
    }

    fn send_now(&mut self, peer: SocketAddr, bytes: &[u8]) -> nb::Result<(), Fault> {
        match self.sending.pop_front().unwrap_or(Sending::Goes) {
            Sending::Goes => {
                self.outbox.push(Datagram { at: self.now, peer, bytes: bytes.to_vec() });
                Ok(())
            }
            Sending::Blocks => Err(nb::Error::WouldBlock),
            Sending::Fails => Err(nb::Error::Other(Fault)),
        }
    }
}

impl UdpClientStack for ScriptedUdp {
    type UdpSocket = Socket;
    type Error = Fault;

    fn socket(&mut self) -> Result<Socket, Fault> {
        if !self.has_socket {
            return Err(Fault);
        }
        self.opened += 1;
        Ok(Socket(self.opened))
    }

    fn connect(&mut self, _: &mut Socket, remote: SocketAddr) -> Result<(), Fault> {
        self.remote = Some(remote);
        if self.connects { Ok(()) } else { Err(Fault) }
    }

    fn send(&mut self, _: &mut Socket, buffer: &[u8]) -> nb::Result<(), Fault> {
        let remote = self.remote.expect("connected");
        self.send_now(remote, buffer)
    }

    fn receive(
        &mut self,
        _: &mut Socket,
        buffer: &mut [u8],
    ) -> nb::Result<(usize, SocketAddr), Fault> {
        self.receive_calls += 1;
        if self.next_arrival().is_none_or(|at| at > self.now) {
            return Err(match self.style {
                Style::Std => nb::Error::WouldBlock,
                Style::Smoltcp => nb::Error::Other(Fault),
            });
        }
        let Datagram { peer, bytes, .. } = self.inbox.pop_front().unwrap();
        let moved = bytes.len().min(buffer.len());
        if moved < bytes.len() && self.style == Style::Smoltcp {
            return Err(nb::Error::Other(Fault));
        }
        buffer[..moved].copy_from_slice(&bytes[..moved]);
        Ok((moved, peer))
    }

    fn close(&mut self, _: Socket) -> Result<(), Fault> {
        self.closed += 1;
        Ok(())
    }
}

impl UdpFullStack for ScriptedUdp {
    fn bind(&mut self, _: &mut Socket, _: u16) -> Result<(), Fault> {
        if self.bind_faults > 0 {
            self.bind_faults -= 1;
            return Err(Fault);
        }
        Ok(())
    }

    fn send_to(
        &mut self,
        _: &mut Socket,
        remote: SocketAddr,
        buffer: &[u8],
    ) -> nb::Result<(), Fault> {
        self.send_now(remote, buffer)
    }
}
