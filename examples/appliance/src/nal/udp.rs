//! UDP: the pool of sockets, and the traits.

use core::net::SocketAddr;

use embedded_nal::{UdpClientStack, UdpFullStack, nb};
use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::udp::{RecvError, SendError, Socket};
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

use super::{Error, STALL, Stack, address};

/// A UDP socket. It must be closed, or it is lost.
#[derive(Debug)]
pub struct UdpSocket(usize);

/// One smoltcp socket, and whose it is.
pub(super) struct Slot {
    handle: SocketHandle,
    role: Role,
    /// Bytes that waited to be sent at the last `poll`.
    queued: usize,
    /// Since when there are some, and none could be sent.
    stalled_since: Option<Instant>,
}

enum Role {
    Free,
    /// The caller's, who is connected with this peer or with none.
    Taken(Option<IpEndpoint>),
    /// The caller has closed it; what was written is still on its way.
    Closing,
}

impl Slot {
    pub(super) const fn new(handle: SocketHandle) -> Self {
        Self { handle, role: Role::Free, queued: 0, stalled_since: None }
    }
}

impl<D, const SOCKETS: usize, const BACKLOG: usize> Stack<'_, D, SOCKETS, BACKLOG> {
    /// Empties sockets that cannot send, and frees those that are done.
    pub(super) fn tend_udp(&mut self) {
        for slot in &mut self.udp {
            let socket = self.sockets.get_mut::<Socket<'_>>(slot.handle);
            if slot.stalled_since.is_some_and(|since| self.now >= since + STALL) {
                // smoltcp has no other way to take back a datagram than to close the socket.
                let endpoint = socket.endpoint();
                socket.close();
                // Cannot fail: it was bound to this before.
                let _ = socket.bind(endpoint);
                slot.stalled_since = None;
            }
            slot.queued = socket.send_queue();
            if matches!(slot.role, Role::Closing) && slot.queued == 0 {
                socket.close();
                slot.role = Role::Free;
            }
        }
    }

    /// After sending: which sockets sent nothing of what they had?
    pub(super) fn watch_udp(&mut self) {
        for slot in &mut self.udp {
            let queued = self.sockets.get::<Socket<'_>>(slot.handle).send_queue();
            slot.stalled_since = if queued == 0 || queued < slot.queued {
                None
            } else {
                slot.stalled_since.or(Some(self.now))
            };
        }
    }

    fn is_udp_port_used(&self, port: u16) -> bool {
        self.udp.iter().any(|s| self.sockets.get::<Socket<'_>>(s.handle).endpoint().port == port)
    }

    fn ephemeral_udp_port(&mut self) -> Result<u16, Error> {
        // Moved out and back: it is asked about the sockets beside it.
        let mut ports = core::mem::take(&mut self.ports);
        let chosen = ports.choose(|port| self.is_udp_port_used(port));
        self.ports = ports;
        chosen
    }
}

impl<'a, D, const SOCKETS: usize, const BACKLOG: usize> Stack<'a, D, SOCKETS, BACKLOG> {
    fn udp_at(&mut self, slot: usize) -> &mut Socket<'a> {
        self.sockets.get_mut(self.udp[slot].handle)
    }

    fn send_datagram(
        &mut self,
        slot: usize,
        remote: IpEndpoint,
        buffer: &[u8],
    ) -> nb::Result<(), Error> {
        let socket = self.udp_at(slot);
        if buffer.len() > socket.payload_send_capacity() {
            return Err(Error::TooLong.into());
        }
        socket.send_slice(buffer, remote).map_err(|error| match error {
            SendError::BufferFull => nb::Error::WouldBlock,
            SendError::Unaddressable => Error::Unaddressable.into(),
        })
    }
}

impl<D: Device, const SOCKETS: usize, const BACKLOG: usize> UdpClientStack
    for Stack<'_, D, SOCKETS, BACKLOG>
{
    type UdpSocket = UdpSocket;
    type Error = Error;

    fn socket(&mut self) -> Result<UdpSocket, Error> {
        let is_free = |slot: &Slot| matches!(slot.role, Role::Free);
        let slot = self.udp.iter().position(is_free).ok_or(Error::NoSocket)?;
        self.udp[slot].role = Role::Taken(None);
        Ok(UdpSocket(slot))
    }

    fn connect(&mut self, socket: &mut UdpSocket, remote: SocketAddr) -> Result<(), Error> {
        let remote = address::endpoint(remote)?;
        if !self.udp_at(socket.0).is_open() {
            let port = self.ephemeral_udp_port()?;
            self.udp_at(socket.0).bind(port).map_err(|_| Error::WrongState)?;
        }
        self.udp[socket.0].role = Role::Taken(Some(remote));
        Ok(())
    }

    fn send(&mut self, socket: &mut UdpSocket, buffer: &[u8]) -> nb::Result<(), Error> {
        let Role::Taken(Some(remote)) = self.udp[socket.0].role else {
            return Err(Error::NotConnected.into());
        };
        self.send_datagram(socket.0, remote, buffer)
    }

    /// A connected socket hears its peer alone. A datagram longer than `buffer` is dropped, with
    /// [`Error::TooLong`].
    fn receive(
        &mut self,
        socket: &mut UdpSocket,
        buffer: &mut [u8],
    ) -> nb::Result<(usize, SocketAddr), Error> {
        let Role::Taken(peer) = self.udp[socket.0].role else {
            return Err(Error::WrongState.into());
        };
        let socket = self.udp_at(socket.0);
        loop {
            let sender = socket.peek().map_err(|_| nb::Error::WouldBlock)?.1.endpoint;
            let received = socket.recv_slice(buffer);
            if peer.is_some_and(|peer| peer != sender) {
                continue;
            }
            return match received {
                Ok((length, _)) => Ok((length, sender.into())),
                Err(RecvError::Truncated) => Err(Error::TooLong.into()),
                Err(RecvError::Exhausted) => Err(nb::Error::WouldBlock),
            };
        }
    }

    /// What was written is still sent.
    fn close(&mut self, socket: UdpSocket) -> Result<(), Error> {
        self.udp[socket.0].role = Role::Closing;
        Ok(())
    }
}

impl<D: Device, const SOCKETS: usize, const BACKLOG: usize> UdpFullStack
    for Stack<'_, D, SOCKETS, BACKLOG>
{
    /// The port of a socket that was closed can be bound again at once; what that one has not sent
    /// yet is dropped.
    fn bind(&mut self, socket: &mut UdpSocket, local_port: u16) -> Result<(), Error> {
        for slot in &mut self.udp {
            let other = self.sockets.get_mut::<Socket<'_>>(slot.handle);
            if matches!(slot.role, Role::Closing) && other.endpoint().port == local_port {
                other.close();
                slot.role = Role::Free;
            }
        }
        if local_port == 0 {
            return Err(Error::Unaddressable);
        }
        if self.is_udp_port_used(local_port) {
            return Err(Error::PortTaken);
        }
        self.udp_at(socket.0).bind(local_port).map_err(|_| Error::WrongState)
    }

    fn send_to(
        &mut self,
        socket: &mut UdpSocket,
        remote: SocketAddr,
        buffer: &[u8],
    ) -> nb::Result<(), Error> {
        let remote = address::endpoint(remote)?;
        self.send_datagram(socket.0, remote, buffer)
    }
}
