//! The network stack of a firmware: memory for its sockets, address and route.

use core::net::{IpAddr, SocketAddr};

use headcount::time::Instant;
use heapless::Vec;
use smoltcp::iface::{Config, Interface, SocketSet, SocketStorage};
use smoltcp::phy::Device;
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant as StackInstant;
use smoltcp::wire::{EthernetAddress, Ipv4Address, Ipv4Cidr};

use crate::nal::Stack;

/// This unit's address: the one that QEMU's network gives out first. A product asks DHCP.
const ADDRESS: Ipv4Cidr = Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24);
/// The way out of this network. QEMU's also stands for the machine that QEMU runs on.
const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
/// The name server of QEMU's network. A product asks DHCP for this as well.
pub const NAME_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Address::new(10, 0, 2, 3)), 53);

/// Room for what comes in on a connection: two frames, so that a peer need not wait for us.
const TCP_RECEIVE: usize = 512;
/// Room for an answer that is on its way.
const TCP_SEND: usize = 256;
/// Datagrams that may wait in each direction.
const DATAGRAMS: usize = 8;
/// Room for each: a frame and a little, so that a longer datagram is seen as one. All of them together
/// have room for one of DNS, which has 1,232 bytes at most.
const DATAGRAM_LEN: usize = 256;

/// Memory of a stack with `TCP` and `UDP` sockets, which together are `SOCKETS`.
///
/// A socket that was closed may still have something to send: have one more than you use at once.
///
/// As a `static` that begins empty it takes no flash, and no stack to be made on: keep it so.
pub struct Memory<const TCP: usize, const UDP: usize, const SOCKETS: usize> {
    sockets: Vec<SocketStorage<'static>, SOCKETS>,
    tcp: [([u8; TCP_RECEIVE], [u8; TCP_SEND]); TCP],
    udp: [(DatagramMemory, DatagramMemory); UDP],
}

struct DatagramMemory {
    metadata: Vec<udp::PacketMetadata, DATAGRAMS>,
    payload: [u8; DATAGRAMS * DATAGRAM_LEN],
}

impl DatagramMemory {
    const EMPTY: Self = Self { metadata: Vec::new(), payload: [0; DATAGRAMS * DATAGRAM_LEN] };

    fn buffer(&'static mut self) -> udp::PacketBuffer<'static> {
        while self.metadata.push(udp::PacketMetadata::EMPTY).is_ok() {}
        udp::PacketBuffer::new(&mut self.metadata[..], &mut self.payload[..])
    }
}

impl<const TCP: usize, const UDP: usize, const SOCKETS: usize> Memory<TCP, UDP, SOCKETS> {
    /// Unused memory.
    pub const fn new() -> Self {
        const { assert!(SOCKETS == TCP + UDP) };
        Self {
            sockets: Vec::new(),
            tcp: [([0; TCP_RECEIVE], [0; TCP_SEND]); TCP],
            udp: [const { (DatagramMemory::EMPTY, DatagramMemory::EMPTY) }; UDP],
        }
    }

    /// Makes the stack. `seed` is a random number.
    pub fn into_stack<D: Device, const BACKLOG: usize>(
        &'static mut self,
        mut device: D,
        mac_address: [u8; 6],
        now: Instant,
        seed: u64,
    ) -> Stack<'static, D, TCP, BACKLOG> {
        let mut config = Config::new(EthernetAddress(mac_address).into());
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, stack_time(now));
        // Both lists are empty and have room for one.
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(ADDRESS.into());
        });
        let _ = interface.routes_mut().add_default_ipv4_route(GATEWAY);

        while self.sockets.push(SocketStorage::EMPTY).is_ok() {}
        let mut sockets = SocketSet::new(&mut self.sockets[..]);
        for (receive, send) in &mut self.tcp {
            let receive = tcp::SocketBuffer::new(&mut receive[..]);
            sockets.add(tcp::Socket::new(receive, tcp::SocketBuffer::new(&mut send[..])));
        }
        for (receive, send) in &mut self.udp {
            sockets.add(udp::Socket::new(receive.buffer(), send.buffer()));
        }
        Stack::new(interface, device, sockets, seed)
    }
}

impl<const TCP: usize, const UDP: usize, const SOCKETS: usize> Default
    for Memory<TCP, UDP, SOCKETS>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The monotonic clock as smoltcp counts it.
pub const fn stack_time(now: Instant) -> StackInstant {
    StackInstant::from_millis_const(now.as_millis().cast_signed())
}
