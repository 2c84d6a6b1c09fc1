//! A TCP port and the peers who connect to it, in virtual time.

use std::net::{Ipv4Addr, SocketAddr};

use embedded_nal::{TcpClientStack, TcpFullStack, nb};

use super::{Fault, Rng, Socket, Style};

/// Somebody who connects, and what they do.
#[derive(Clone, Debug)]
pub struct Peer {
    pub connects_at: u64,
    /// What they send, and when, in order.
    pub chunks: Vec<(u64, Vec<u8>)>,
    /// When they are gone; what they sent before can still be read.
    pub leaves_at: u64,
    /// Bytes of answers that they take, then no more.
    pub window: usize,
    pub received: Vec<u8>,
    /// When the last bytes came.
    pub received_at: u64,
    pub accepted_at: Option<u64>,
    pub closed_at: Option<u64>,
    consumed: usize,
}

impl Peer {
    pub fn new(connects_at: u64) -> Self {
        Self {
            connects_at,
            chunks: Vec::new(),
            leaves_at: u64::MAX,
            window: usize::MAX,
            received: Vec::new(),
            received_at: 0,
            accepted_at: None,
            closed_at: None,
            consumed: 0,
        }
    }

    pub fn sends(mut self, at: u64, bytes: &[u8]) -> Self {
        self.chunks.push((at, bytes.to_vec()));
        self
    }

    pub fn sent_by(&self, now: u64) -> Vec<u8> {
        let chunks = self.chunks.iter().filter(|(at, _)| *at <= now && *at < self.leaves_at);
        chunks.flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    fn next_event(&self, now: u64) -> Option<u64> {
        let times = self.chunks.iter().map(|(at, _)| *at);
        times.chain([self.connects_at, self.leaves_at]).filter(|at| *at > now).min()
    }
}

/// The port. Peer `n` has the address 192.0.2.1:`n`.
#[derive(Debug)]
pub struct ScriptedServer {
    pub now: u64,
    pub style: Style,
    pub peers: Vec<Peer>,
    /// With it, calls fall short, block or fail now and then.
    pub rng: Option<Rng>,
    pub bind_faults: usize,
    pub listen_faults: usize,
    pub accept_faults: usize,
    /// Sockets that the stack has besides the port's.
    pub sockets: usize,
    pub opened: usize,
    pub closed: usize,
    pub calls: usize,
}

const LISTENER: usize = usize::MAX;

impl ScriptedServer {
    pub fn new(style: Style, peers: Vec<Peer>) -> Self {
        Self {
            now: 0,
            style,
            peers,
            rng: None,
            bind_faults: 0,
            listen_faults: 0,
            accept_faults: 0,
            sockets: usize::MAX,
            opened: 0,
            closed: 0,
            calls: 0,
        }
    }

    pub fn address(peer: usize) -> SocketAddr {
        (Ipv4Addr::new(192, 0, 2, 1), u16::try_from(peer).unwrap()).into()
    }

    pub fn next_event(&self) -> Option<u64> {
        self.peers.iter().filter_map(|peer| peer.next_event(self.now)).min()
    }

    pub fn assert_all_closed(&self) {
        assert_eq!(self.opened, self.closed, "sockets opened and closed");
    }

    /// How many of these bytes a call moves.
    fn share(&mut self, bytes: usize) -> usize {
        match &mut self.rng {
            Some(rng) => match rng.below(8) {
                0 => 0,
                1..=4 => rng.size(bytes + 1),
                _ => bytes,
            },
            None => bytes,
        }
    }

    fn nothing(&self) -> nb::Result<usize, Fault> {
        match self.style {
            Style::Std => Err(nb::Error::WouldBlock),
            Style::Smoltcp => Ok(0),
        }
    }
}

impl TcpClientStack for ScriptedServer {
    type TcpSocket = Socket;
    type Error = Fault;

    fn socket(&mut self) -> Result<Socket, Fault> {
        self.opened += 1;
        Ok(Socket(LISTENER))
    }

    fn connect(&mut self, _: &mut Socket, _: SocketAddr) -> nb::Result<(), Fault> {
        unreachable!("a server does not connect");
    }

    fn send(&mut self, socket: &mut Socket, buffer: &[u8]) -> nb::Result<usize, Fault> {
        self.calls += 1;
        let now = self.now;
        let room = self.peers[socket.0].window.min(buffer.len());
        let moved = self.share(room);
        let peer = &mut self.peers[socket.0];
        if peer.leaves_at <= now {
            return Err(nb::Error::Other(Fault));
        }
        if moved == 0 {
            return self.nothing();
        }
        peer.window -= moved;
        peer.received.extend_from_slice(&buffer[..moved]);
        peer.received_at = now;
        Ok(moved)
    }

    fn receive(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Fault> {
        self.calls += 1;
        let peer = &self.peers[socket.0];
        let sent = peer.sent_by(self.now);
        let there = &sent[peer.consumed..];
        if there.is_empty() && peer.leaves_at <= self.now {
            return match self.style {
                Style::Std => Ok(0),
                Style::Smoltcp => Err(nb::Error::Other(Fault)),
            };
        }
        let moved = self.share(there.len().min(buffer.len()));
        if moved == 0 {
            return self.nothing();
        }
        buffer[..moved].copy_from_slice(&there[..moved]);
        self.peers[socket.0].consumed += moved;
        Ok(moved)
    }

    fn close(&mut self, socket: Socket) -> Result<(), Fault> {
        self.closed += 1;
        if socket.0 != LISTENER {
            let peer = &mut self.peers[socket.0];
            assert_eq!(peer.closed_at.replace(self.now), None, "closed twice");
            self.sockets = self.sockets.saturating_add(1);
        }
        Ok(())
    }
}

impl TcpFullStack for ScriptedServer {
    fn bind(&mut self, _: &mut Socket, _: u16) -> Result<(), Fault> {
        if self.bind_faults > 0 {
            self.bind_faults -= 1;
            return Err(Fault);
        }
        Ok(())
    }

    fn listen(&mut self, _: &mut Socket) -> Result<(), Fault> {
        if self.listen_faults > 0 {
            self.listen_faults -= 1;
            return Err(Fault);
        }
        Ok(())
    }

    fn accept(&mut self, socket: &mut Socket) -> nb::Result<(Socket, SocketAddr), Fault> {
        self.calls += 1;
        assert_eq!(socket.0, LISTENER);
        if self.accept_faults > 0 {
            self.accept_faults -= 1;
            return Err(nb::Error::Other(Fault));
        }
        if self.rng.as_mut().is_some_and(|rng| rng.one_in(4)) {
            return Err(nb::Error::WouldBlock);
        }
        let now = self.now;
        let waiting = self.peers.iter().enumerate().filter(|(_, peer)| {
            peer.connects_at <= now && peer.accepted_at.is_none() && peer.leaves_at > now
        });
        let Some((index, _)) = waiting.min_by_key(|(_, peer)| peer.connects_at) else {
            return Err(nb::Error::WouldBlock);
        };
        if self.sockets == 0 {
            return Err(nb::Error::Other(Fault));
        }
        self.sockets -= 1;
        self.opened += 1;
        self.peers[index].accepted_at = Some(now);
        Ok((Socket(index), Self::address(index)))
    }
}
