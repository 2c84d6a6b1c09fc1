//! Drops a newcomer's packet while nobody can take it.
//!
//! smoltcp answers a connection request for which no socket listens with a reset, and the peer
//! gives up. Dropped, the request is sent again about a second later, as it is with a full backlog
//! on a large machine. An Ethernet frame is dropped by handing smoltcp an empty one.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, PacketMeta, RxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

/// A device that does not let in connection requests to ports whose backlog is full.
pub(super) struct Gate<'d, D> {
    device: &'d mut D,
    full_ports: &'d [u16],
}

pub(super) struct GatedToken<'d, T> {
    token: T,
    medium: Medium,
    full_ports: &'d [u16],
}

impl<'d, D> Gate<'d, D> {
    pub(super) fn new(device: &'d mut D, full_ports: &'d [u16]) -> Self {
        Self { device, full_ports }
    }
}

impl<D: Device> Device for Gate<'_, D> {
    type RxToken<'t>
        = GatedToken<'t, D::RxToken<'t>>
    where
        Self: 't;
    type TxToken<'t>
        = D::TxToken<'t>
    where
        Self: 't;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let medium = self.device.capabilities().medium;
        let (token, answer) = self.device.receive(now)?;
        Some((GatedToken { token, medium, full_ports: self.full_ports }, answer))
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.device.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

impl<T: RxToken> RxToken for GatedToken<'_, T> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let Self { token, medium, full_ports } = self;
        token.consume(|frame| {
            let refused = requested_port(medium, frame).is_some_and(|p| full_ports.contains(&p));
            f(if refused { &[] } else { frame })
        })
    }

    fn meta(&self) -> PacketMeta {
        self.token.meta()
    }
}

/// The port that this frame asks to connect to, if that is what it does.
fn requested_port(medium: Medium, frame: &[u8]) -> Option<u16> {
    let packet = match medium {
        Medium::Ethernet => {
            let frame = EthernetFrame::new_checked(frame).ok()?;
            if frame.ethertype() != EthernetProtocol::Ipv4 {
                return None;
            }
            frame.payload()
        }
        #[allow(unreachable_patterns, reason = "smoltcp has the media it is built for")]
        _ => frame,
    };
    let packet = Ipv4Packet::new_checked(packet).ok()?;
    if packet.next_header() != IpProtocol::Tcp {
        return None;
    }
    let segment = TcpPacket::new_checked(packet.payload()).ok()?;
    (segment.syn() && !segment.ack()).then(|| segment.dst_port())
}
