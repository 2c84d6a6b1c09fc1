//! The stacks under test, set up on a card.

use std::time::Duration;

use embedded_nal::{TcpClientStack, UdpClientStack};
use embedded_time::clock;
use embedded_time::rate::Fraction;
use headcount::time::Instant;
use smoltcp_nal::NetworkStack;

use crate::nal;
use crate::wire::{Card, Wire, address, hardware_address};

/// Bytes of each buffer: two frames and a little, as firmware would have it.
const BUFFER: usize = 512;

/// Datagrams that a UDP socket holds each way.
const DATAGRAMS: usize = 8;

/// A network stack that runs in virtual time.
pub trait Stack: TcpClientStack + UdpClientStack {
    /// Receives and sends; when to run it again at the latest, if it knows.
    fn run(&mut self, now: Instant) -> Option<Instant>;
}

/// An interface and sockets of one version of smoltcp: the same text for both. Their memory is never
/// freed, because neither version can be built with an allocator: the feature reaches the other one
/// through a common dependency, and that does not compile.
macro_rules! interface_and_sockets {
    ($smoltcp:path, $card:expr, $tcp:expr, $udp:expr) => {{
        use smoltcp::iface::{Config, Interface, SocketSet, SocketStorage};
        use smoltcp::socket::{tcp, udp};
        use smoltcp::time::Instant;
        use smoltcp::wire::{EthernetAddress, IpCidr};
        use $smoltcp as smoltcp;

        let number = $card.number();
        let mut config = Config::new(EthernetAddress(hardware_address(number)).into());
        config.random_seed = number as u64 + 1;
        let mut interface = Interface::new(config, &mut $card, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address(number).into(), 24)).unwrap();
        });
        let mut sockets = SocketSet::new(leak(|| SocketStorage::EMPTY, $tcp + $udp));
        for _ in 0..$tcp {
            let buffer = || tcp::SocketBuffer::new(leak(|| 0, BUFFER));
            sockets.add(tcp::Socket::new(buffer(), buffer()));
        }
        for _ in 0..$udp {
            let metadata = || leak(|| udp::PacketMetadata::EMPTY, DATAGRAMS);
            let buffer = || udp::PacketBuffer::new(metadata(), leak(|| 0, DATAGRAMS * 256));
            sockets.add(udp::Socket::new(buffer(), buffer()));
        }
        (interface, sockets)
    }};
}

fn leak<T>(item: impl FnMut() -> T, count: usize) -> &'static mut [T] {
    Box::leak(std::iter::repeat_with(item).take(count).collect())
}

/// The appliance's adapter over smoltcp 0.14.
pub type Adapter<const BACKLOG: usize = 4> = nal::Stack<'static, Card, 32, BACKLOG>;

/// An adapter with so many sockets of each kind, on a card of its own.
pub fn adapter<const BACKLOG: usize>(wire: &Wire, tcp: usize, udp: usize) -> Adapter<BACKLOG> {
    let mut card = wire.card();
    let seed = card.number() as u64 + 1;
    let (interface, sockets) = interface_and_sockets!(::smoltcp, card, tcp, udp);
    nal::Stack::new(interface, card, sockets, seed)
}

impl<const BACKLOG: usize> Stack for Adapter<BACKLOG> {
    fn run(&mut self, now: Instant) -> Option<Instant> {
        let now = smoltcp::time::Instant::from_millis(now.as_millis().cast_signed());
        let wake_at = self.poll(now)?;
        Some(Instant::from_millis(wake_at.total_micros().cast_unsigned().div_ceil(1_000)))
    }
}

/// `smoltcp-nal` over smoltcp 0.12.
pub type SmoltcpNal = NetworkStack<'static, Card, Clock>;

/// The wire's time, in milliseconds.
pub struct Clock(Wire);

impl embedded_time::Clock for Clock {
    type T = u32;

    const SCALING_FACTOR: Fraction = Fraction::new(1, 1_000);

    fn try_now(&self) -> Result<embedded_time::Instant<Self>, clock::Error> {
        Ok(embedded_time::Instant::new(self.0.now() as u32))
    }
}

/// A stack of `smoltcp-nal` with so many sockets of each kind, on a card of its own.
pub fn smoltcp_nal(wire: &Wire, tcp: usize, udp: usize) -> SmoltcpNal {
    let mut card = wire.card();
    let seed = [card.number() as u8];
    let (interface, sockets) = interface_and_sockets!(::smoltcp_nal::smoltcp, card, tcp, udp);
    let mut stack = NetworkStack::new(interface, card, sockets, Clock(wire.clone()));
    stack.seed_random_port(&seed);
    stack
}

impl Stack for SmoltcpNal {
    /// It does not say when, so often.
    fn run(&mut self, now: Instant) -> Option<Instant> {
        self.poll().unwrap();
        Some(now.after(Duration::from_millis(10)))
    }
}
