//! Packet captures of QEMU: which payloads went over the wire.

use std::path::Path;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

/// What one packet carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub udp: bool,
    pub from_port: u16,
    pub to_port: u16,
    pub bytes: Vec<u8>,
}

/// All payloads of TCP and UDP in a capture, in order; empty ones are left out.
pub fn payloads(path: &Path) -> Vec<Payload> {
    let file = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    packets(&file).filter_map(payload).collect()
}

/// The frames of a file in libpcap's format, of this machine's byte order, as QEMU writes it.
fn packets(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    const FILE_HEADER: usize = 24;
    const PACKET_HEADER: usize = 16;
    const MAGIC: u32 = 0xA1B2_C3D4;
    const ETHERNET: u32 = 1;
    let number = |at: usize| u32::from_ne_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!((number(0), number(20)), (MAGIC, ETHERNET), "a capture of Ethernet");
    let mut at = FILE_HEADER;
    std::iter::from_fn(move || {
        // The last packet may be cut with the power.
        let header = file.get(at..at + PACKET_HEADER)?;
        let number = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        assert_eq!(number(8), number(12), "a packet is captured whole");
        let start = at + PACKET_HEADER;
        at = start + number(8) as usize;
        file.get(start..at)
    })
}

fn payload(packet: &[u8]) -> Option<Payload> {
    let packet = SlicedPacket::from_ethernet(packet).expect("a well-formed packet");
    let Some(NetSlice::Ipv4(_)) = packet.net else { return None };
    let (udp, from_port, to_port, bytes) = match packet.transport? {
        TransportSlice::Tcp(tcp) => {
            (false, tcp.source_port(), tcp.destination_port(), tcp.payload().to_vec())
        }
        TransportSlice::Udp(udp) => {
            (true, udp.source_port(), udp.destination_port(), udp.payload().to_vec())
        }
        _ => return None,
    };
    (!bytes.is_empty()).then_some(Payload { udp, from_port, to_port, bytes })
}
