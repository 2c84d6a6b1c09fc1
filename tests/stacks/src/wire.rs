//! An Ethernet switch with bad cables.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket,
};

/// What happens to a frame on its way.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Frames of 100 that get lost.
    pub loss: u32,
    /// Frames of 100 that come twice.
    pub repetition: u32,
    /// Milliseconds; each frame has its own, so they overtake each other.
    pub latency: RangeInclusive<u64>,
}

impl Conditions {
    pub const GOOD: Self = Self { loss: 0, repetition: 0, latency: 1..=1 };
    pub const BAD: Self = Self { loss: 15, repetition: 5, latency: 1..=60 };
}

/// The switch; clones are the same one.
#[derive(Clone)]
pub struct Wire(Rc<RefCell<Inner>>);

struct Inner {
    now: u64,
    conditions: Conditions,
    rng: StdRng,
    /// By time of arrival, then by order of sending: the card, and the frame.
    under_way: BTreeMap<(u64, usize), (usize, Vec<u8>)>,
    carried: usize,
    inboxes: Vec<VecDeque<Vec<u8>>>,
    sent: Vec<Sent>,
    filter: Box<dyn FnMut(&Sent) -> bool>,
}

/// A network card of number `n`, with the address 10.0.0.`n + 1`.
pub struct Card {
    wire: Wire,
    number: usize,
    room: usize,
}

/// A TCP segment or UDP datagram that somebody sent, whether it arrived or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: u64,
    /// The number of the card.
    pub card: usize,
    pub ports: (u16, u16),
    pub payload: Vec<u8>,
    /// `None` for UDP.
    pub tcp: Option<Flags>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    pub syn: bool,
    pub ack: bool,
    pub rst: bool,
}

impl Sent {
    /// Asks for a connection.
    pub fn is_request(&self) -> bool {
        self.tcp.is_some_and(|flags| flags.syn && !flags.ack)
    }

    /// Answers such a request with a reset. Other resets are for connections that are over.
    pub fn is_refusal(&self) -> bool {
        self.tcp.is_some_and(|flags| flags.rst && flags.ack)
    }

    fn parse(at: u64, card: usize, frame: &[u8]) -> Option<Self> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        match packet.next_header() {
            IpProtocol::Tcp => {
                let segment = TcpPacket::new_checked(packet.payload()).ok()?;
                let flags = Flags { syn: segment.syn(), ack: segment.ack(), rst: segment.rst() };
                let ports = (segment.src_port(), segment.dst_port());
                let payload = segment.payload().to_vec();
                Some(Self { at, card, ports, payload, tcp: Some(flags) })
            }
            IpProtocol::Udp => {
                let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
                let ports = (datagram.src_port(), datagram.dst_port());
                Some(Self { at, card, ports, payload: datagram.payload().to_vec(), tcp: None })
            }
            _ => None,
        }
    }
}

/// The address of a card.
pub fn address(card: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, card as u8 + 1)
}

/// The Ethernet address of a card.
pub fn hardware_address(card: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, card as u8 + 1]
}

impl Wire {
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            now: 0,
            conditions,
            rng: StdRng::seed_from_u64(seed),
            under_way: BTreeMap::new(),
            carried: 0,
            inboxes: Vec::new(),
            sent: Vec::new(),
            filter: Box::new(|_| true),
        })))
    }

    /// Plugs in another card.
    pub fn card(&self) -> Card {
        let mut inner = self.0.borrow_mut();
        inner.inboxes.push(VecDeque::new());
        Card { wire: self.clone(), number: inner.inboxes.len() - 1, room: usize::MAX }
    }

    /// From now on, only those segments and datagrams are carried for which this says yes.
    pub fn filter(&self, filter: impl FnMut(&Sent) -> bool + 'static) {
        self.0.borrow_mut().filter = Box::new(filter);
    }

    pub fn set_conditions(&self, conditions: Conditions) {
        self.0.borrow_mut().conditions = conditions;
    }

    /// Everything that was sent so far.
    pub fn sent(&self) -> Ref<'_, [Sent]> {
        Ref::map(self.0.borrow(), |inner| inner.sent.as_slice())
    }

    pub fn now(&self) -> u64 {
        self.0.borrow().now
    }

    /// When the next frame arrives.
    pub fn next_arrival(&self) -> Option<u64> {
        self.0.borrow().under_way.keys().next().map(|(at, _)| *at)
    }

    /// Lets time pass, and frames arrive.
    pub fn advance(&self, now: u64) {
        let mut inner = self.0.borrow_mut();
        inner.now = now;
        while let Some(entry) = inner.under_way.first_entry()
            && entry.key().0 <= now
        {
            let (card, frame) = entry.remove();
            inner.inboxes[card].push_back(frame);
        }
    }

    fn carry(&self, from: usize, frame: &[u8]) {
        let inner = &mut *self.0.borrow_mut();
        if let Some(sent) = Sent::parse(inner.now, from, frame) {
            let passes = (inner.filter)(&sent);
            inner.sent.push(sent);
            if !passes {
                return;
            }
        }
        for card in 0..inner.inboxes.len() {
            let is_addressed = frame.starts_with(&hardware_address(card)) || frame[0] & 1 == 1;
            if card == from || !is_addressed {
                continue;
            }
            let copies = 1 + u32::from(inner.rng.random_ratio(inner.conditions.repetition, 100));
            for _ in 0..copies {
                if inner.rng.random_ratio(inner.conditions.loss, 100) {
                    continue;
                }
                let at = inner.now + inner.rng.random_range(inner.conditions.latency.clone());
                inner.carried += 1;
                inner.under_way.insert((at, inner.carried), (card, frame.to_vec()));
            }
        }
    }
}

impl Card {
    pub fn number(&self) -> usize {
        self.number
    }

    /// How many frames it takes before it is full. What answers a received frame always has room.
    pub fn set_room(&mut self, frames: usize) {
        self.room = frames;
    }

    /// Puts a frame of any content on the wire.
    pub fn send_raw(&self, frame: &[u8]) {
        self.wire.carry(self.number, frame);
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        self.wire.0.borrow_mut().inboxes[self.number].pop_front()
    }
}

/// A received frame.
pub struct Received(Vec<u8>);

/// Room for a frame to send.
pub struct Room<'a>(&'a Wire, usize);

impl Room<'_> {
    fn fill<R>(self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        self.0.carry(self.1, &frame);
        result
    }
}

/// The card as a device of one version of smoltcp: the traits have the same text in both.
macro_rules! device {
    ($smoltcp:path) => {
        const _: () = {
            use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
            use smoltcp::time::Instant;
            use $smoltcp as smoltcp;

            impl Device for Card {
                type RxToken<'a> = Received;
                type TxToken<'a> = Room<'a>;

                fn receive(&mut self, _: Instant) -> Option<(Received, Room<'_>)> {
                    let frame = self.take()?;
                    Some((Received(frame), Room(&self.wire, self.number)))
                }

                fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
                    self.room = self.room.checked_sub(1)?;
                    Some(Room(&self.wire, self.number))
                }

                fn capabilities(&self) -> DeviceCapabilities {
                    let mut capabilities = DeviceCapabilities::default();
                    capabilities.medium = Medium::Ethernet;
                    capabilities.max_transmission_unit = 1514;
                    capabilities
                }
            }

            impl RxToken for Received {
                fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
                    f(&self.0)
                }
            }

            impl TxToken for Room<'_> {
                fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
                    self.fill(len, f)
                }
            }
        };
    };
}

device!(::smoltcp);
device!(::smoltcp_nal::smoltcp);
