//! embassy-net's UDP socket as embedded-nal-async's `ConnectedUdp`: embassy-net has the traits for
//! TCP and DNS only.

use core::fmt;
use core::net::SocketAddrV4;

use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use embedded_io_async::ErrorKind;
use embedded_nal_async::ConnectedUdp;

/// Bytes of the buffer each way: four frames.
const BUFFER: usize = 1024;
const DATAGRAMS: usize = 4;

/// The buffers of a socket, used again for the next one.
pub struct SocketMemory {
    received: ([PacketMetadata; DATAGRAMS], [u8; BUFFER]),
    sent: ([PacketMetadata; DATAGRAMS], [u8; BUFFER]),
}

impl SocketMemory {
    pub const fn new() -> Self {
        Self {
            received: ([PacketMetadata::EMPTY; DATAGRAMS], [0; BUFFER]),
            sent: ([PacketMetadata::EMPTY; DATAGRAMS], [0; BUFFER]),
        }
    }
}

/// A socket that knows one peer, closed when it is dropped.
pub struct ConnectedSocket<'a> {
    socket: UdpSocket<'a>,
    peer: IpEndpoint,
}

impl<'a> ConnectedSocket<'a> {
    pub fn open(stack: Stack<'a>, memory: &'a mut SocketMemory, peer: SocketAddrV4) -> Self {
        let SocketMemory { received, sent } = memory;
        let mut socket =
            UdpSocket::new(stack, &mut received.0, &mut received.1, &mut sent.0, &mut sent.1);
        // Any free port. That can only fail for a socket that is open already.
        let bound = socket.bind(0);
        debug_assert!(bound.is_ok());
        Self { socket, peer: peer.into() }
    }
}

/// No route to the peer yet, or a datagram that was too long. The exchange goes on in any case.
#[derive(Debug)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not sent, or not received")
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ConnectedUdp for ConnectedSocket<'_> {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.socket.send_to(data, self.peer).await.map_err(|_| Error)
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            let (length, sender) = self.socket.recv_from(buffer).await.map_err(|_| Error)?;
            if sender.endpoint == self.peer {
                return Ok(length);
            }
        }
    }
}
