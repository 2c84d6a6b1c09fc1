//! TCP: the pool of sockets, the backlogs, and the traits.

use core::net::SocketAddr;

use embedded_nal::{TcpClientStack, TcpFullStack, nb};
use heapless::Vec;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::tcp::{RecvError, Socket, State};
use smoltcp::time::Instant;

use super::{Error, LINGER, PATIENCE, Stack, address};

/// A TCP connection, or a port that is listened on. It must be closed, or its sockets are lost.
#[derive(Debug)]
pub struct TcpSocket(Kind);

#[derive(Debug)]
enum Kind {
    /// A connection, perhaps yet to be made, in this slot; from this port if there is one.
    Stream {
        slot: usize,
        port: Option<u16>,
    },
    Listener {
        port: u16,
    },
}

/// One smoltcp socket, and whose it is.
pub(super) struct Slot {
    handle: SocketHandle,
    role: Role,
}

#[derive(Clone, Copy)]
enum Role {
    Free,
    /// The caller's. `begun`: it has been connected, so a closed socket is a broken connection.
    Taken {
        begun: bool,
    },
    /// Listens on this port, or, since then, holds a newcomer who is not accepted yet.
    Backlog {
        port: u16,
        since: Option<Instant>,
    },
    /// The caller has closed it; what was written is still on its way.
    Closing {
        since: Instant,
    },
}

impl Slot {
    pub(super) const fn new(handle: SocketHandle) -> Self {
        Self { handle, role: Role::Free }
    }

    fn is_backlog_of(&self, wanted: u16) -> bool {
        matches!(self.role, Role::Backlog { port, .. } if port == wanted)
    }
}

/// Back to the start, without a word to the peer. smoltcp resets a socket fully when it is opened.
fn forget(socket: &mut Socket<'_>) {
    socket.abort();
    // Neither can fail: the socket is closed, and the port is not zero.
    let _ = socket.listen(1);
    socket.close();
}

fn listen(socket: &mut Socket<'_>, port: u16) {
    forget(socket);
    let _ = socket.listen(port);
}

/// Nothing is left to send, a reset included.
fn is_done(socket: &Socket<'_>) -> bool {
    socket.state() == State::Closed && socket.remote_endpoint().is_none()
}

impl<D, const SOCKETS: usize, const BACKLOG: usize> Stack<'_, D, SOCKETS, BACKLOG> {
    /// Frees what has come to its end, and sees to it that newcomers can be taken.
    pub(super) fn tend_tcp(&mut self) {
        let now = self.now;
        for slot in &mut self.tcp {
            let Role::Closing { since } = slot.role else { continue };
            let socket = self.sockets.get_mut::<Socket<'_>>(slot.handle);
            let overdue = now >= since + LINGER;
            if is_done(socket) || (overdue && socket.state() == State::Closed) {
                forget(socket);
                slot.role = Role::Free;
            } else if overdue {
                socket.abort();
            }
        }
        for index in 0..self.listeners.len() {
            self.tend_backlog(self.listeners[index]);
        }
    }

    fn tend_backlog(&mut self, port: u16) {
        let now = self.now;
        let mut held = 0;
        let mut listening = 0;
        let mut oldest_half_open = None;
        for (index, slot) in self.tcp.iter_mut().enumerate() {
            let Role::Backlog { port: of, since } = &mut slot.role else { continue };
            if *of != port {
                continue;
            }
            held += 1;
            let socket = self.sockets.get_mut::<Socket<'_>>(slot.handle);
            match socket.state() {
                State::Listen => *since = None,
                State::SynReceived => {
                    let this = (*since.get_or_insert(now), index);
                    oldest_half_open = Some(oldest_half_open.map_or(this, |old| this.min(old)));
                }
                State::Established | State::CloseWait => *since = Some(since.unwrap_or(now)),
                // Came and was reset.
                _ => {
                    listen(socket, port);
                    *since = None;
                }
            }
            listening += usize::from(socket.is_listening());
        }
        while held < BACKLOG {
            let Some(index) = self.take() else { break };
            self.tcp[index].role = Role::Backlog { port, since: None };
            listen(self.tcp_at(index), port);
            held += 1;
            listening += 1;
        }
        if let Some((since, index)) = oldest_half_open
            && now >= since + if listening == 0 { PATIENCE } else { LINGER }
        {
            self.tcp[index].role = Role::Backlog { port, since: None };
            listen(self.tcp_at(index), port);
        }
    }

    /// When `tend_tcp` has something to do at the latest.
    pub(super) fn tcp_wake_at(&self) -> Option<Instant> {
        let due = |slot: &Slot| match slot.role {
            Role::Free | Role::Taken { .. } => None,
            Role::Closing { since } => Some(since + LINGER),
            Role::Backlog { since, .. } => {
                let half_open = self.state(slot) == State::SynReceived;
                since.filter(|_| half_open).map(|since| {
                    let pressed = since + PATIENCE;
                    if pressed > self.now { pressed } else { since + LINGER }
                })
            }
        };
        self.tcp.iter().filter_map(due).min()
    }

    /// The ports that are listened on, but by no socket at the moment.
    pub(super) fn full_ports(&self) -> Vec<u16, SOCKETS> {
        let is_full = |port: &u16| {
            !self.tcp.iter().any(|s| s.is_backlog_of(*port) && self.state(s) == State::Listen)
        };
        self.listeners.iter().copied().filter(is_full).collect()
    }

    /// Takes a closed socket out of the pool: a free one, or else the one that is being closed and
    /// needs it least.
    fn take(&mut self) -> Option<usize> {
        let (_, index) = (0..)
            .zip(&self.tcp)
            .filter_map(|(index, slot)| Some((self.worth(slot)?, index)))
            .min()?;
        forget(self.tcp_at(index));
        Some(index)
    }

    /// What would be lost if somebody else got this socket; nobody else may have it when `None`.
    fn worth(&self, slot: &Slot) -> Option<(u8, Instant)> {
        match slot.role {
            Role::Free => Some((0, Instant::ZERO)),
            Role::Closing { since } => {
                let socket = self.sockets.get::<Socket<'_>>(slot.handle);
                // The peer has every byte, and perhaps does not know yet that this was all.
                let is_sent = !socket.is_open() || socket.send_queue() == 0;
                if is_sent {
                    Some((1, since))
                } else {
                    (self.now >= since + PATIENCE).then_some((2, since))
                }
            }
            Role::Taken { .. } | Role::Backlog { .. } => None,
        }
    }

    fn state(&self, slot: &Slot) -> State {
        self.sockets.get::<Socket<'_>>(slot.handle).state()
    }

    fn is_tcp_port_used(&self, port: u16) -> bool {
        self.listeners.contains(&port)
            || self.tcp.iter().any(|slot| {
                let socket = self.sockets.get::<Socket<'_>>(slot.handle);
                socket.local_endpoint().is_some_and(|local| local.port == port)
            })
    }
}

impl<'a, D, const SOCKETS: usize, const BACKLOG: usize> Stack<'a, D, SOCKETS, BACKLOG> {
    fn tcp_at(&mut self, slot: usize) -> &mut Socket<'a> {
        self.sockets.get_mut(self.tcp[slot].handle)
    }

    fn stream(&mut self, socket: &TcpSocket) -> Result<&mut Socket<'a>, Error> {
        match socket.0 {
            Kind::Stream { slot, .. } => Ok(self.tcp_at(slot)),
            Kind::Listener { .. } => Err(Error::WrongState),
        }
    }
}

impl<D: Device, const SOCKETS: usize, const BACKLOG: usize> TcpClientStack
    for Stack<'_, D, SOCKETS, BACKLOG>
{
    type TcpSocket = TcpSocket;
    type Error = Error;

    fn socket(&mut self) -> Result<TcpSocket, Error> {
        let slot = self.take().ok_or(Error::NoSocket)?;
        self.tcp[slot].role = Role::Taken { begun: false };
        Ok(TcpSocket(Kind::Stream { slot, port: None }))
    }

    /// A host that does not exist is never reported: it is the caller's to give up.
    fn connect(&mut self, socket: &mut TcpSocket, remote: SocketAddr) -> nb::Result<(), Error> {
        let Kind::Stream { slot, port } = socket.0 else {
            return Err(Error::WrongState.into());
        };
        if matches!(self.tcp[slot].role, Role::Taken { begun: true }) {
            return match self.tcp_at(slot).state() {
                State::SynSent | State::SynReceived => Err(nb::Error::WouldBlock),
                State::Established | State::CloseWait => Ok(()),
                _ => Err(Error::NotConnected.into()),
            };
        }
        let remote = address::endpoint(remote)?;
        let local = match port {
            Some(port) => port,
            None => self.ephemeral_tcp_port()?,
        };
        let Self { tcp, sockets, interface, .. } = self;
        sockets
            .get_mut::<Socket<'_>>(tcp[slot].handle)
            .connect(interface.context(), remote, local)
            .map_err(|_| Error::Unaddressable)?;
        tcp[slot].role = Role::Taken { begun: true };
        Err(nb::Error::WouldBlock)
    }

    fn send(&mut self, socket: &mut TcpSocket, buffer: &[u8]) -> nb::Result<usize, Error> {
        match self.stream(socket)?.send_slice(buffer) {
            Ok(0) if !buffer.is_empty() => Err(nb::Error::WouldBlock),
            Ok(sent) => Ok(sent),
            Err(_) => Err(Error::NotConnected.into()),
        }
    }

    /// [`Error::Closed`] when all that the peer has sent is received, and it sends no more.
    fn receive(&mut self, socket: &mut TcpSocket, buffer: &mut [u8]) -> nb::Result<usize, Error> {
        match self.stream(socket)?.recv_slice(buffer) {
            Ok(0) if !buffer.is_empty() => Err(nb::Error::WouldBlock),
            Ok(received) => Ok(received),
            Err(RecvError::Finished) => Err(Error::Closed.into()),
            Err(RecvError::InvalidState) => Err(Error::NotConnected.into()),
        }
    }

    /// What was written is still sent. Connections that wait to be accepted are reset.
    fn close(&mut self, socket: TcpSocket) -> Result<(), Error> {
        let role = Role::Closing { since: self.now };
        match socket.0 {
            Kind::Stream { slot, .. } => {
                let socket = self.tcp_at(slot);
                if socket.state() == State::SynSent {
                    // The peer has not answered, so there is nothing to end. smoltcp would send it
                    // a reset; and when the peer is a neighbour who is not there, ask for its
                    // address again and again, which keeps all other neighbours from being asked.
                    forget(socket);
                    self.tcp[slot].role = Role::Free;
                } else {
                    socket.close();
                    self.tcp[slot].role = role;
                }
            }
            Kind::Listener { port } => {
                self.listeners.retain(|listener| *listener != port);
                for slot in self.tcp.iter_mut().filter(|slot| slot.is_backlog_of(port)) {
                    self.sockets.get_mut::<Socket<'_>>(slot.handle).abort();
                    slot.role = role;
                }
            }
        }
        Ok(())
    }
}

impl<D: Device, const SOCKETS: usize, const BACKLOG: usize> TcpFullStack
    for Stack<'_, D, SOCKETS, BACKLOG>
{
    /// Connections of a server that was closed do not hold its port.
    fn bind(&mut self, socket: &mut TcpSocket, local_port: u16) -> Result<(), Error> {
        let Kind::Stream { slot, port: None } = socket.0 else {
            return Err(Error::WrongState);
        };
        if local_port == 0 {
            return Err(Error::Unaddressable);
        }
        if self.listeners.contains(&local_port) {
            return Err(Error::PortTaken);
        }
        socket.0 = Kind::Stream { slot, port: Some(local_port) };
        Ok(())
    }

    fn listen(&mut self, socket: &mut TcpSocket) -> Result<(), Error> {
        let Kind::Stream { slot, port: Some(port) } = socket.0 else {
            return Err(Error::WrongState);
        };
        if !matches!(self.tcp[slot].role, Role::Taken { begun: false }) {
            return Err(Error::WrongState);
        }
        if self.listeners.contains(&port) || self.listeners.push(port).is_err() {
            return Err(Error::PortTaken);
        }
        self.tcp[slot].role = Role::Backlog { port, since: None };
        listen(self.tcp_at(slot), port);
        self.tend_backlog(port);
        socket.0 = Kind::Listener { port };
        Ok(())
    }

    /// The newcomer who has waited longest. It may have left already: then its bytes, if any, can
    /// still be received.
    fn accept(&mut self, socket: &mut TcpSocket) -> nb::Result<(TcpSocket, SocketAddr), Error> {
        let Kind::Listener { port } = socket.0 else {
            return Err(Error::WrongState.into());
        };
        let is_connected =
            |slot: &Slot| matches!(self.state(slot), State::Established | State::CloseWait);
        let waiting = |(index, slot): (usize, &Slot)| match slot.role {
            Role::Backlog { port: of, since } if of == port && is_connected(slot) => {
                Some((since, index))
            }
            _ => None,
        };
        let (_, slot) =
            self.tcp.iter().enumerate().filter_map(waiting).min().ok_or(nb::Error::WouldBlock)?;
        let peer = self.tcp_at(slot).remote_endpoint().ok_or(nb::Error::WouldBlock)?;
        self.tcp[slot].role = Role::Taken { begun: true };
        self.tend_backlog(port);
        Ok((TcpSocket(Kind::Stream { slot, port: Some(port) }), peer.into()))
    }
}

impl<D, const SOCKETS: usize, const BACKLOG: usize> Stack<'_, D, SOCKETS, BACKLOG> {
    fn ephemeral_tcp_port(&mut self) -> Result<u16, Error> {
        // Moved out and back: it is asked about the sockets beside it.
        let mut ports = core::mem::take(&mut self.ports);
        let chosen = ports.choose(|port| self.is_tcp_port_used(port));
        self.ports = ports;
        chosen
    }
}
