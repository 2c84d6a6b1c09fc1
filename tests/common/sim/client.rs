//! A client with its driver, its power and its clock, and the laws of the client: (a), (c), (d),
//! (e), (g).

use core::num::NonZeroU8;

use headcount::client::{self, Client, Discard, Event as Report, Failure, Limits, Outcome, Step};
use headcount::fingerprint::Matching;
use headcount::policy::{RETRANSMISSION_WAITS, SHORTEST_INTERVAL, bounded_interval};
use headcount::time::{Instant, Minutes, Now};
use headcount::wire::{Frame, LicenceStatus, Response, Validity, Verdict};
use rand::RngExt;
use rand::rngs::StdRng;

use super::{Clock, DAY, Event, Millis, Rearm, SECOND, Sim};
use crate::common::{Vendor, machine};

/// What a new machine is.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) threshold: u32,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    /// The machine whose stored image it starts from.
    pub(crate) imaged_from: Option<usize>,
}

impl Default for Identity {
    fn default() -> Self {
        Self { threshold: 25, clock: Clock::RIGHT, limits: Limits::DEFAULT, imaged_from: None }
    }
}

/// An activation as the simulation saw it happen.
#[derive(Clone, Copy)]
struct Lease {
    /// Seconds of the epoch.
    host_time: u64,
    validity: Millis,
    hardware: u16,
    /// Running time up to `counted_to`, and how much of it the stored image knows.
    ran: Millis,
    counted_to: Millis,
    saved: Millis,
}

impl Lease {
    fn ran(&self, time: Millis) -> Millis {
        self.ran + (time - self.counted_to)
    }
}

struct Exchange {
    host: u8,
    discard: Option<Discard>,
}

pub(crate) struct ClientNode {
    product: &'static client::Product<'static>,
    hosts: NonZeroU8,
    rng: StdRng,
    pub(crate) clock: Clock,
    hardware: u16,
    client: Option<Client<'static>>,
    /// What it stored last; `None` before the first start.
    image: Option<[u8; client::IMAGE_LEN]>,
    pub(crate) first_boot: Millis,
    booted_at: Millis,
    /// What the monotonic clock shows at the start.
    first_instant: Millis,
    /// The host that answered last, as a driver remembers it.
    preferred: u8,
    pub(super) ticket: u64,
    exchanges: u64,
    exchange: Option<Exchange>,
    pub(crate) reports: Vec<(Millis, Report)>,

    // What the laws need to know.
    /// The count that a host signed for the pending request.
    granted: Option<u32>,
    lease: Option<Lease>,
    /// May ask although the interval is not over: a start, a rearm, a person.
    free: bool,
    /// The wait that the last round demands, and the one that suffices without an activation; both
    /// without the spread.
    least_rest: Minutes,
    activation_interval: Minutes,
    /// When the last exchange ended, and whether that makes it the next host's turn.
    rested_at: Millis,
    next_in_round: bool,
    round: u8,
    /// Second of the last poll, and polls in it.
    polls: (Millis, u32),
    /// Since when a host can be reached that it would believe.
    chance_since: Option<Millis>,
    /// When a host last counted too few machines.
    starved_at: Option<Millis>,
    /// Whether a host may hold a record that this machine could not know of, or that is not of this
    /// hardware.
    pub(super) obscure: bool,
}

impl ClientNode {
    pub(super) fn new(
        identity: Identity,
        hosts: usize,
        mut rng: StdRng,
        others: &[ClientNode],
    ) -> Self {
        // Products live as long as the program does, here as on a device.
        let vendor: &'static Vendor = Box::leak(Box::new(Vendor::new()));
        let product =
            client::Product { limits: identity.limits, ..vendor.product(identity.threshold) };
        let image = identity.imaged_from.and_then(|from| others[from].image);
        Self {
            product: Box::leak(Box::new(product)),
            hosts: NonZeroU8::new(hosts as u8).unwrap(),
            clock: identity.clock,
            hardware: others.len() as u16,
            client: None,
            image,
            first_boot: 0,
            booted_at: 0,
            first_instant: rng.random_range(0..100 * SECOND),
            rng,
            preferred: 0,
            ticket: 0,
            exchanges: 0,
            exchange: None,
            reports: Vec::new(),
            granted: None,
            lease: None,
            free: false,
            least_rest: Minutes(0),
            activation_interval: Minutes(0),
            rested_at: 0,
            next_in_round: false,
            round: 0,
            polls: (0, 0),
            chance_since: None,
            starved_at: None,
            obscure: false,
        }
    }

    pub(crate) fn is_activated(&self, time: Millis) -> bool {
        self.client.as_ref().is_some_and(|client| client.is_activated(self.now(time)))
    }

    pub(crate) fn status(&self, time: Millis) -> Option<LicenceStatus> {
        self.client.as_ref().map(|client| client.licence(self.now(time)).status)
    }

    pub(crate) fn client(&self) -> &Client<'static> {
        self.client.as_ref().unwrap()
    }

    /// Whether an answer by a right clock is above its floor.
    pub(crate) fn can_believe(&self, time: Millis) -> bool {
        let right = Clock::RIGHT.read(time).unwrap().as_secs();
        let floor = self.client.as_ref().and_then(Client::floor);
        floor.is_none_or(|floor| floor.as_secs() < right + 100 * 60)
    }

    fn now(&self, time: Millis) -> Now {
        let ran = time - self.booted_at + self.first_instant;
        Now::new(Instant::from_millis(ran), self.clock.read(time))
    }

    pub(super) fn power_off(&mut self) {
        self.obscure |= self.exchange.is_some();
        self.client = None;
        self.exchange = None;
        self.ticket += 1;
    }

    pub(super) fn power_on(&mut self, time: Millis) {
        self.power_off();
        self.booted_at = time;
        if self.image.is_none() {
            self.first_boot = time;
        }
        let now = self.now(time);
        let machine = machine(self.hardware);
        let rng = &mut self.rng;
        let mut client = match &self.image {
            None => Client::new(self.product, machine, self.hosts, now, rng),
            Some(image) => {
                Client::resume(self.product, machine, self.hosts, image, now, rng).unwrap()
            }
        };
        client.prefer_host(self.preferred);
        self.client = Some(client);
        if self.lease.is_none() {
            // What a host said is forgotten, except for what an activation keeps.
            self.activation_interval = bounded_interval(self.product.limits.activation_interval);
        }
        self.least_rest = self.activation_interval;
        if let Some(lease) = &mut self.lease {
            (lease.ran, lease.counted_to) = (lease.saved, time);
        }
        self.free = true;
        self.next_in_round = false;
    }

    pub(super) fn rearm(&mut self, time: Millis) -> bool {
        let now = self.now(time);
        let Some(client) = &mut self.client else { return false };
        if client.rearm(now, &mut self.rng).is_err() {
            return false;
        }
        self.obscure |= self.exchange.is_some();
        (self.exchange, self.lease, self.free) = (None, None, true);
        true
    }

    pub(super) fn change_hardware(&mut self, number: u16) {
        self.hardware = number;
        self.obscure = true;
    }

    pub(super) fn remember_grant(&mut self, frame: &Frame, count: u32) {
        if self.client.as_ref().and_then(Client::pending_frame) == Some(frame) {
            self.granted = self.granted.max(Some(count));
        }
    }

    /// Law (e): polls in one second.
    fn count_poll(&mut self, time: Millis) {
        if self.polls.0 != time / SECOND {
            self.polls = (time / SECOND, 0);
        }
        self.polls.1 += 1;
        assert!(self.polls.1 <= 40, "law (e): 40 polls in one second");
    }

    /// Law (d), when a request goes out. An activation that ended early allows the activation
    /// interval at once.
    fn check_frequency(&mut self, time: Millis) {
        if self.next_in_round && self.rested_at == time {
            self.round += 1;
        } else {
            let waited = time - self.rested_at;
            let least = if self.is_activated(time) {
                self.least_rest
            } else {
                self.least_rest.min(self.activation_interval)
            };
            assert!(
                self.free || waited * 10 >= least.as_duration().as_millis() as Millis * 9,
                "law (d): asked {waited} ms after the last round, and {least:?} are the interval"
            );
            self.round = 1;
        }
        assert!(self.round <= self.hosts.get(), "law (d): a round asks each host once");
        (self.free, self.next_in_round) = (false, false);
    }

    /// Laws (a) and (g): whether it is activated follows from what the simulation saw.
    fn check_licence(&self, time: Millis) {
        let Some(client) = &self.client else { return };
        let activated = client.is_activated(self.now(time));
        let Some(lease) = self.lease else {
            assert!(!activated, "law (a): activated without an answer");
            return;
        };
        let same = Matching::DEFAULT.same_machine(
            &machine(self.hardware).fingerprint,
            &machine(lease.hardware).fingerprint,
        );
        let calendar = self
            .clock
            .read(time)
            .map_or(0, |clock| clock.as_secs().saturating_sub(lease.host_time) * SECOND);
        if !same || calendar.max(lease.ran(time)) >= lease.validity {
            assert!(!activated, "law (g): activated for too long");
        } else {
            assert!(activated, "law (g): the activation ended before its validity");
        }
    }

    /// Law (c), when an activation ends by time.
    fn check_chances(&self, time: Millis) {
        let long = |since: Millis| time - since > 10 * DAY;
        let missed = self.chance_since.is_some_and(long) && self.starved_at.is_none_or(long);
        assert!(!missed, "law (c): the activation ended, but a host could be asked");
    }

    fn report(&mut self, time: Millis, report: Report) -> bool {
        self.reports.push((time, report));
        match report {
            Report::StatusChanged {
                from: LicenceStatus::Licensed,
                to: LicenceStatus::Notification,
            } => self.check_chances(time),
            Report::Rearmed => {
                self.free = true;
                return true;
            }
            Report::StoredActivationRejected(why) => panic!("a stored activation rejected: {why}"),
            _ => {}
        }
        false
    }

    /// Notes for law (d) how long an accepted answer makes it wait.
    fn rest_as_told(&mut self, outcome: Outcome, answer: &Frame) {
        let body = Response::parse(answer).unwrap().body;
        self.activation_interval = bounded_interval(body.activation_interval);
        self.least_rest = match (outcome, body.verdict) {
            (Outcome::Activated { .. }, Verdict::Granted { validity, .. }) => {
                let Validity::For(validity) = validity else { panic!("a host grants for ever") };
                let half = Minutes(validity.0 / 2).max(SHORTEST_INTERVAL);
                bounded_interval(body.renewal_interval).min(half)
            }
            _ => self.activation_interval,
        };
    }

    fn accept(&mut self, time: Millis, outcome: Outcome) {
        let Some(client) = &self.client else { return };
        match outcome {
            Outcome::Activated { count } => {
                assert!(count >= self.product.required_count.get(), "law (a): {count} is too few");
                assert_eq!(self.granted, Some(count), "law (a): the count that was signed");
                let held = client.activation().unwrap();
                self.lease = Some(Lease {
                    host_time: held.host_time.as_secs(),
                    validity: held.validity.unwrap().as_millis() as Millis,
                    hardware: self.hardware,
                    ran: 0,
                    counted_to: time,
                    saved: 0,
                });
            }
            Outcome::BelowThreshold { count, required } => {
                assert!(count < required);
                self.starved_at = Some(time);
            }
            Outcome::Refused(_) => self.next_in_round = true,
        }
    }
}

impl Sim {
    /// The driver's loop, until the client waits.
    pub(super) fn run_client(&mut self, index: usize) {
        let time = self.time;
        loop {
            let node = &mut self.clients[index];
            let now = node.now(time);
            let Some(client) = &mut node.client else { return };
            let step = client.poll(now, &mut node.rng);
            match step {
                Step::Save => {
                    node.image = Some(client.image(now));
                    if let Some(lease) = &mut node.lease {
                        lease.saved = lease.ran(time) / SECOND * SECOND;
                    }
                }
                Step::Report(report) => {
                    if node.report(time, report) {
                        self.rearms.push(Rearm { at: time, client: index, by_hand: false });
                    }
                }
                Step::Send { host } => {
                    node.check_frequency(time);
                    node.granted = None;
                    node.exchanges += 1;
                    node.exchange = Some(Exchange { host, discard: None });
                    let exchange = node.exchanges;
                    self.retransmit(index, exchange, 0);
                }
                Step::Wait { until } => {
                    assert!(until > now.monotonic, "law (e): a wait that does not wait");
                    node.count_poll(time);
                    node.check_licence(time);
                    node.ticket += 1;
                    let ticket = node.ticket;
                    let at = node.booted_at + (until.as_millis() - node.first_instant);
                    self.plan(at, Event::Wake { client: index, ticket });
                    return;
                }
            }
            self.clients[index].count_poll(time);
        }
    }

    /// Sends the pending frame once more, or gives up when all waits are over.
    pub(super) fn retransmit(&mut self, index: usize, exchange: u64, sent: usize) {
        let node = &mut self.clients[index];
        let now = node.now(self.time);
        let Some(Exchange { host, discard }) = node.exchange else { return };
        let Some(client) = node.client.as_mut().filter(|_| node.exchanges == exchange) else {
            return;
        };
        if let Some(wait) = RETRANSMISSION_WAITS.get(sent) {
            let frame = *client.pending_frame().unwrap();
            let at = self.time + wait.as_millis() as Millis;
            self.plan(at, Event::Retransmit { client: index, exchange, sent: sent + 1 });
            let host = usize::from(host);
            self.transmit(frame, |frame| Event::ToHost { host, client: index, frame });
        } else {
            let failure = discard.map_or(Failure::NoAnswer, Failure::Discarded);
            client.give_up(now, &mut node.rng, failure);
            assert_eq!(client.last_attempt(), Some(Err(failure)));
            node.exchange = None;
            node.least_rest = node.activation_interval;
            (node.rested_at, node.next_in_round) = (self.time, true);
            self.run_client(index);
        }
    }

    /// A frame arrives at a client.
    pub(super) fn deliver_to_client(&mut self, index: usize, frame: &Frame) {
        let time = self.time;
        let node = &mut self.clients[index];
        let now = node.now(time);
        let Some(client) = &mut node.client else { return };
        let before = client.licence(now).status;
        match client.handle_response(now, &mut node.rng, frame) {
            Ok(outcome) => {
                let Some(exchange) = node.exchange.take() else { panic!("nobody had asked") };
                node.preferred = exchange.host;
                (node.rested_at, node.next_in_round) = (time, false);
                node.accept(time, outcome);
                node.rest_as_told(outcome, frame);
                if before == LicenceStatus::Licensed {
                    assert!(node.is_activated(time), "law (g): an answer ended an activation");
                }
                self.run_client(index);
            }
            Err(discard) => {
                assert_eq!(
                    client.licence(now).status,
                    before,
                    "a discarded answer changes nothing"
                );
                assert_eq!(discard == Discard::NotAsked, node.exchange.is_none());
                node.obscure |= discard != Discard::NotAsked;
                if let Some(exchange) = &mut node.exchange {
                    exchange.discard = Some(discard);
                }
            }
        }
    }

    /// Notes who could be renewed from now on, and who no longer.
    pub(super) fn see_chances(&mut self) {
        let host = self.hosts.iter().any(super::HostNode::is_sane) && self.net.loss < 0.5;
        for node in &mut self.clients {
            let client = node.client.is_some()
                && (node.clock.is_sane() || node.clock == Clock::None)
                && node.can_believe(self.time);
            node.chance_since =
                if host && client { node.chance_since.or(Some(self.time)) } else { None };
        }
    }
}
