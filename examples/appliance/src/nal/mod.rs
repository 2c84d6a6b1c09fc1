//! embedded-nal's four socket traits over smoltcp, for a main loop that polls.
//!
//! [`Stack`] owns a network interface, its device and a set of smoltcp sockets. All memory is
//! handed in: whoever makes the set decides how many sockets of which kind there are and how large
//! their buffers are. The clock is handed to [`Stack::poll`], randomness to [`Stack::new`]. Nothing
//! here knows a board.
//!
//! What smoltcp leaves to its user is done here:
//!
//! - **A backlog.** A smoltcp socket that listens becomes the connection, and a newcomer whom no
//!   socket awaits is reset. Here a listening socket is `BACKLOG` smoltcp sockets, and while none
//!   of them is left a newcomer's packet is dropped, so that the peer sends it again instead of
//!   giving up (see `gate`).
//! - **Closing without loss.** `close` returns at once; the socket goes back to the pool when the
//!   peer has acknowledged everything, and after [`LINGER`] at the latest.
//! - **Half-open connections** do not hold the backlog for longer than [`PATIENCE`] when somebody
//!   else could need it.
//! - **A datagram to a neighbour who does not exist** does not hold up the others behind it for
//!   longer than [`STALL`].
//!
//! One thing is smoltcp's and settled when it is built: how many neighbours' addresses it remembers,
//! eight if nothing is said. A host whose machines ask together needs as many as ask at once, such as
//! with smoltcp's feature `iface-neighbor-cache-count-64`. With fewer they push each other out, it may
//! ask for one address a second, and answers come late or never. A router counts as one neighbour.
//!
//! IPv4 only.

use core::fmt;

use embedded_nal::{TcpError, TcpErrorKind};
use heapless::Vec;
use smoltcp::iface::{Interface, PollIngressSingleResult, PollResult, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::Socket;
use smoltcp::time::{Duration, Instant};

mod address;
mod gate;
mod tcp;
mod udp;

use address::Ports;
use gate::Gate;
pub use tcp::TcpSocket;
pub use udp::UdpSocket;

/// How long a closed connection may take to bring its last bytes to the peer. Then it is reset.
pub const LINGER: Duration = Duration::from_secs(30);

/// How long a half-open or closing connection keeps its socket while somebody else needs one: time
/// enough to send a lost segment twice more.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// How long a UDP socket may fail to send its oldest datagram. Then all that it has queued is
/// dropped, in both directions. This is smoltcp's own wait between two questions for a neighbour's
/// address, after which it wants to be polled.
pub const STALL: Duration = Duration::from_secs(1);

/// Frames that one call of [`Stack::poll`] takes from the device at most.
const FRAMES_PER_POLL: usize = 32;

/// Rounds over all sockets in which one call of [`Stack::poll`] sends at most.
const SENDING_ROUNDS: usize = 8;

/// A network stack with at most `SOCKETS` TCP and `SOCKETS` UDP sockets.
///
/// A TCP port takes up to `BACKLOG` of them to listen, so that many peers can connect at the same
/// moment; others have to ask again, which takes them a second or more. A server of eight places
/// needs `8 + BACKLOG` sockets, and a few more for connections that are being closed.
pub struct Stack<'a, D, const SOCKETS: usize, const BACKLOG: usize> {
    interface: Interface,
    device: D,
    sockets: SocketSet<'a>,
    tcp: Vec<tcp::Slot, SOCKETS>,
    udp: Vec<udp::Slot, SOCKETS>,
    /// The ports that are listened on.
    listeners: Vec<u16, SOCKETS>,
    ports: Ports,
    /// The time of the last `poll`.
    now: Instant,
}

/// Why a socket operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// All sockets are in use.
    NoSocket,
    /// The port is in use.
    PortTaken,
    /// Not an IPv4 address and port that a packet could be sent to.
    Unaddressable,
    /// The connection was refused or reset, or there never was one.
    NotConnected,
    /// The peer sends no more.
    Closed,
    /// The datagram fits no buffer: this socket's, or, when received, the caller's.
    TooLong,
    /// The socket is not in the state that this call needs.
    WrongState,
}

impl<'a, D: Device, const SOCKETS: usize, const BACKLOG: usize> Stack<'a, D, SOCKETS, BACKLOG> {
    /// A stack over all TCP and UDP sockets of this set, up to `SOCKETS` of each kind. They must
    /// not be in use. Sockets of other kinds, and those beyond, stay the caller's: see
    /// [`sockets_mut`](Self::sockets_mut).
    ///
    /// `seed` chooses the ephemeral ports: from a source of randomness, and another one after every
    /// restart.
    pub fn new(interface: Interface, device: D, sockets: SocketSet<'a>, seed: u64) -> Self {
        const { assert!(BACKLOG > 0, "a port needs a socket that listens") };
        let mut tcp = Vec::new();
        let mut udp = Vec::new();
        for (handle, socket) in sockets.iter() {
            // A full list is no error: the socket is not ours then.
            if let Socket::Tcp(_) = socket {
                let _ = tcp.push(tcp::Slot::new(handle));
            } else if let Socket::Udp(_) = socket {
                let _ = udp.push(udp::Slot::new(handle));
            }
        }
        let ports = Ports::new(seed);
        let (listeners, now) = (Vec::new(), Instant::ZERO);
        Self { interface, device, sockets, tcp, udp, listeners, ports, now }
    }

    /// Receives and sends what can be received and sent now, and tidies up. Bounded work.
    ///
    /// Returns when to call again: at that time at the latest, and whenever the device has a frame
    /// or a socket was used. `None` is "when something happens". Earlier calls are harmless.
    /// `now` never goes back.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        self.now = now;
        self.interface.poll_maintenance(now);
        let mut more = self.receive_frames();
        self.tend_tcp();
        self.tend_udp();
        more |= self.send_frames();
        self.watch_udp();
        if more {
            return Some(now);
        }
        let wake_at = [self.interface.poll_at(now, &self.sockets), self.tcp_wake_at()];
        wake_at.into_iter().flatten().min().map(|at| at.max(now))
    }

    /// The interface: addresses, routes.
    pub fn interface_mut(&mut self) -> &mut Interface {
        &mut self.interface
    }

    /// The device, such as for the state of its link.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// The sockets, for those that are of other kinds, such as DHCP. TCP and UDP sockets are this
    /// stack's and must be left alone.
    pub fn sockets_mut(&mut self) -> &mut SocketSet<'a> {
        &mut self.sockets
    }

    /// Whether there may be more.
    fn receive_frames(&mut self) -> bool {
        for _ in 0..FRAMES_PER_POLL {
            // One frame may take the last socket that listens, so this is asked before each.
            let full = self.full_ports();
            let mut gate = Gate::new(&mut self.device, &full);
            match self.interface.poll_ingress_single(self.now, &mut gate, &mut self.sockets) {
                PollIngressSingleResult::None => return false,
                PollIngressSingleResult::PacketProcessed
                | PollIngressSingleResult::SocketStateChanged => {}
            }
        }
        true
    }

    /// Whether there may be more.
    fn send_frames(&mut self) -> bool {
        for _ in 0..SENDING_ROUNDS {
            let sent = self.interface.poll_egress(self.now, &mut self.device, &mut self.sockets);
            if sent == PollResult::None {
                return false;
            }
        }
        true
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSocket => "all sockets are in use",
            Self::PortTaken => "the port is in use",
            Self::Unaddressable => "not an IPv4 address and port to send to",
            Self::NotConnected => "refused, reset or never connected",
            Self::Closed => "closed by the peer",
            Self::TooLong => "the datagram is longer than the buffer",
            Self::WrongState => "the socket is not ready for this",
        })
    }
}

impl core::error::Error for Error {}

impl TcpError for Error {
    fn kind(&self) -> TcpErrorKind {
        match self {
            Self::Closed => TcpErrorKind::PipeClosed,
            _ => TcpErrorKind::Other,
        }
    }
}
