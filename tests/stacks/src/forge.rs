//! Frames of peers who do not exist.

use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet,
    Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};

use crate::wire::{address, hardware_address};

/// A request to connect.
pub fn connection_request(from: (Ipv4Addr, u16), card: usize, port: u16) -> Vec<u8> {
    let segment = TcpRepr {
        src_port: from.1,
        dst_port: port,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(1),
        ack_number: None,
        window_len: 1_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    packet(from.0, card, IpProtocol::Tcp, segment.buffer_len(), |buffer| {
        let mut packet = TcpPacket::new_unchecked(buffer);
        let (from, to) = (from.0.into(), address(card).into());
        segment.emit(&mut packet, &from, &to, &ChecksumCapabilities::default());
    })
}

/// A datagram.
pub fn datagram(from: (Ipv4Addr, u16), card: usize, port: u16, payload: &[u8]) -> Vec<u8> {
    let datagram = UdpRepr { src_port: from.1, dst_port: port };
    let length = datagram.header_len() + payload.len();
    packet(from.0, card, IpProtocol::Udp, length, |buffer| {
        let mut packet = UdpPacket::new_unchecked(buffer);
        let (from, to) = (from.0.into(), address(card).into());
        let fill = |buffer: &mut [u8]| buffer.copy_from_slice(payload);
        let checksums = ChecksumCapabilities::default();
        datagram.emit(&mut packet, &from, &to, payload.len(), fill, &checksums);
    })
}

fn packet(
    from: Ipv4Addr,
    card: usize,
    next_header: IpProtocol,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress([2, 0, 0, 0, 1, 1]),
        dst_addr: EthernetAddress(hardware_address(card)),
        ethertype: EthernetProtocol::Ipv4,
    };
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: address(card),
        next_header,
        payload_len,
        hop_limit: 64,
    };
    let mut frame = vec![0; ethernet.buffer_len() + ip.buffer_len() + payload_len];
    let mut ethernet_frame = EthernetFrame::new_unchecked(frame.as_mut_slice());
    ethernet.emit(&mut ethernet_frame);
    let mut ip_packet = Ipv4Packet::new_unchecked(ethernet_frame.payload_mut());
    ip.emit(&mut ip_packet, &ChecksumCapabilities::default());
    fill(ip_packet.payload_mut());
    frame
}
