//! Hosts and clients on a bad network, in virtual time.
//!
//! Hosts and clients are the real ones, with real signatures. Simulated are the driver of each
//! (the loop of the `client` module, retransmission as in PROTOCOL 13), the network, the clocks
//! and the power. Nothing sleeps: the next event of a heap says what time it is.
//!
//! The laws are checked all along, by [`host`] and [`client`], each at the place it is about:
//!
//! - (a) nobody is activated but by a signed answer to its own request whose count met its
//!   threshold;
//! - (b) a host counts no more machines than asked it within the life of a record, but for those
//!   that took a new CMID and could not tell it;
//! - (c) an activation does not end while a host can be reached that would renew it;
//! - (d) nobody asks more often than the intervals allow that it was last told;
//! - (e) no wait that does not wait, and few polls in a second;
//! - (f) a host's counters add up to the frames that it got;
//! - (g) whatever hosts say, an activation lasts until its validity ends, and no longer.

mod client;
mod host;
mod plan;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use headcount::host::{Settings, Source};
use headcount::time::UnixTime;
use headcount::wire::Frame;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::common::{EPOCH, Vendor};
pub(crate) use client::{ClientNode, Identity};
pub(crate) use host::{HostNode, Restart};
pub(crate) use plan::Plan;

/// Virtual milliseconds since the start of the simulation.
pub(crate) type Millis = u64;
pub(crate) const SECOND: Millis = 1_000;
pub(crate) const HOUR: Millis = 3_600 * SECOND;
pub(crate) const DAY: Millis = 24 * HOUR;

/// A calendar clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Clock {
    /// There is none.
    None,
    /// It is wrong by so many seconds.
    Off(i64),
}

impl Clock {
    pub(crate) const RIGHT: Self = Self::Off(0);

    pub(crate) fn read(self, time: Millis) -> Option<UnixTime> {
        match self {
            Self::None => None,
            Self::Off(by) => {
                Some(UnixTime::from_secs((EPOCH + time / SECOND).saturating_add_signed(by)))
            }
        }
    }

    /// Right enough that two such clocks are never 240 minutes apart.
    pub(crate) const fn is_sane(self) -> bool {
        matches!(self, Self::Off(by) if by.unsigned_abs() < 100 * 60)
    }
}

/// What the network does to each datagram, in each direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// One bit is changed on the way.
    pub(crate) corruption: f64,
    /// The longest latency: what is sent within it may overtake.
    pub(crate) latency: Millis,
}

impl Net {
    pub(crate) const GOOD: Self =
        Self { loss: 0.0, duplication: 0.0, corruption: 0.0, latency: 20 };
    /// Slower than the retransmission, so that old answers meet new requests.
    pub(crate) const BAD: Self =
        Self { loss: 0.3, duplication: 0.2, corruption: 0.02, latency: 3 * SECOND };
    pub(crate) const CUT: Self = Self { loss: 1.0, ..Self::GOOD };
}

/// Something that is done to the world.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Net(Net),
    HostDown(usize),
    HostUp(usize, Restart),
    HostClock(usize, Clock),
    /// Power off: what was not saved is lost.
    ClientOff(usize),
    ClientOn(usize),
    ClientClock(usize, Clock),
    /// Rearm by hand, where the product still allows it.
    Rearm(usize),
    /// Other hardware, noticed at the next start.
    Hardware(usize, u16),
}

enum Event {
    Act(Action),
    /// A client wanted to be called; void when another ticket was drawn since.
    Wake {
        client: usize,
        ticket: u64,
    },
    /// An exchange's time to send again.
    Retransmit {
        client: usize,
        exchange: u64,
        sent: usize,
    },
    ToHost {
        host: usize,
        client: usize,
        frame: Box<Frame>,
    },
    ToClient {
        client: usize,
        frame: Box<Frame>,
    },
    /// Once a day: hosts save, laws are checked.
    Midnight,
}

/// An event and when it happens; of two at one time, the one planned first comes first.
struct Due {
    at: Reverse<(Millis, u64)>,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// The world.
pub(crate) struct Sim {
    pub(crate) time: Millis,
    pub(crate) hosts: Vec<HostNode>,
    pub(crate) clients: Vec<ClientNode>,
    net: Net,
    rng: StdRng,
    queue: BinaryHeap<Due>,
    planned: u64,
    rearms: Vec<Rearm>,
    /// Whether a datagram can ever have been lost, repeated or late.
    net_was_bad: bool,
}

/// A machine took a new CMID.
struct Rearm {
    at: Millis,
    client: usize,
    /// And not because a host said so.
    by_hand: bool,
}

impl Sim {
    pub(crate) fn new(seed: u64, settings: &[Settings]) -> Self {
        let vendor: &'static Vendor = Box::leak(Box::new(Vendor::new()));
        let hosts = settings.iter().map(|settings| HostNode::new(vendor, *settings)).collect();
        let mut sim = Self {
            time: 0,
            hosts,
            clients: Vec::new(),
            net: Net::GOOD,
            rng: StdRng::seed_from_u64(seed),
            queue: BinaryHeap::new(),
            planned: 0,
            rearms: Vec::new(),
            net_was_bad: false,
        };
        sim.plan(DAY, Event::Midnight);
        sim
    }

    /// Adds a machine, switched off, with nothing stored or with an image of another one's.
    pub(crate) fn add(&mut self, identity: Identity) -> usize {
        let rng = StdRng::from_rng(&mut self.rng);
        let node = ClientNode::new(identity, self.hosts.len(), rng, &self.clients);
        self.clients.push(node);
        self.clients.len() - 1
    }

    /// Adds machines of one threshold and switches them on within `spread`.
    pub(crate) fn add_site(&mut self, machines: usize, threshold: u32, spread: Millis) {
        for _ in 0..machines {
            let client = self.add(Identity { threshold, ..Identity::default() });
            let at = self.time + self.rng.random_range(0..=spread);
            self.at(at, Action::ClientOn(client));
        }
    }

    /// Plans an action.
    pub(crate) fn at(&mut self, at: Millis, action: Action) {
        self.plan(at, Event::Act(action));
    }

    /// Lets virtual time pass.
    pub(crate) fn run_until(&mut self, end: Millis) {
        while self.queue.peek().is_some_and(|due| due.at.0.0 <= end) {
            let Some(due) = self.queue.pop() else { break };
            self.time = due.at.0.0;
            self.happen(due.event);
        }
        self.time = end;
    }

    /// Machines that are activated now.
    pub(crate) fn activated(&self) -> usize {
        self.clients.iter().filter(|node| node.is_activated(self.time)).count()
    }

    /// What a host counts now; `None` when nobody has asked it, or when it is down.
    pub(crate) fn count(&mut self, host: usize) -> Option<u32> {
        self.hosts[host].count(self.time)
    }

    /// Exchanges that hosts have granted or refused, over all their lives.
    pub(crate) fn answers(&self) -> u64 {
        self.hosts.iter().map(|host| host.answers).sum()
    }

    fn plan(&mut self, at: Millis, event: Event) {
        self.planned += 1;
        self.queue.push(Due { at: Reverse((at, self.planned)), event });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act(action) => {
                let affected = self.act(action);
                self.see_chances();
                if let Some(client) = affected {
                    self.run_client(client);
                }
            }
            Event::Wake { client, ticket } => {
                if self.clients[client].ticket == ticket {
                    self.run_client(client);
                }
            }
            Event::Retransmit { client, exchange, sent } => {
                self.retransmit(client, exchange, sent);
            }
            Event::ToHost { host, client, frame } => {
                if let Some(answer) = self.deliver_to_host(host, client, &frame) {
                    self.transmit(answer, |frame| Event::ToClient { client, frame });
                }
            }
            Event::ToClient { client, frame } => self.deliver_to_client(client, &frame),
            Event::Midnight => {
                for host in 0..self.hosts.len() {
                    self.check_count(host);
                    self.hosts[host].save(self.time);
                }
                self.see_chances();
                self.plan(self.time + DAY, Event::Midnight);
            }
        }
    }

    /// Does it, and returns the client that has to be called for it.
    fn act(&mut self, action: Action) -> Option<usize> {
        let time = self.time;
        match action {
            Action::Net(net) => {
                self.net = net;
                self.net_was_bad |= net.loss > 0.0 || net.duplication > 0.0;
            }
            Action::HostDown(host) => self.hosts[host].stop(time),
            Action::HostUp(host, restart) => self.hosts[host].start(time, restart),
            Action::HostClock(host, clock) => self.hosts[host].clock = clock,
            Action::ClientOff(client) => self.clients[client].power_off(),
            Action::Hardware(client, number) => self.clients[client].change_hardware(number),
            Action::ClientOn(client) => {
                self.clients[client].power_on(time);
                return Some(client);
            }
            Action::ClientClock(client, clock) => {
                self.clients[client].clock = clock;
                return Some(client);
            }
            Action::Rearm(client) => {
                if self.clients[client].rearm(time) {
                    self.rearms.push(Rearm { at: time, client, by_hand: true });
                }
                return Some(client);
            }
        }
        None
    }

    /// Sends a datagram, or loses it, or sends it twice.
    fn transmit(&mut self, frame: Frame, event: impl Fn(Box<Frame>) -> Event) {
        let copies = 1 + u32::from(self.rng.random_bool(self.net.duplication));
        for _ in 0..copies {
            if self.rng.random_bool(self.net.loss) {
                continue;
            }
            let mut frame = frame;
            if self.rng.random_bool(self.net.corruption) {
                let bit = self.rng.random_range(0..frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            let at = self.time + self.rng.random_range(1..=self.net.latency);
            self.plan(at, event(Box::new(frame)));
        }
    }

    fn source(client: usize) -> Source {
        let [.., a, b] = client.to_be_bytes();
        Source::from(std::net::IpAddr::from([10, 0, a, b]))
    }
}
