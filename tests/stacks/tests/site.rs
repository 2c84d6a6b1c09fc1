//! A real host and real machines, signatures and all, over the stacks and a bad wire.

#[path = "../../common/mod.rs"]
mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{EPOCH, ONE_HOST, Vendor, machine, pool};
use embedded_nal::TcpClientStack;
use headcount::client::{Client, Failure, Outcome, Product, Step};
use headcount::host::{Host, Settings, Source};
use headcount::time::{Instant, Now, UnixTime};
use headcount::transport::{Exchange, Progress, TcpExchange, Timeouts, UdpExchange};
use headcount::wire::Frame;
use headcount_stacks::node::{Node, PORT, Site, run_until};
use headcount_stacks::stack::{Adapter, SmoltcpNal, Stack, adapter, smoltcp_nal};
use headcount_stacks::wire::{Conditions, Wire, address};
use rand::SeedableRng;
use rand::rngs::StdRng;

const MACHINES: u16 = 12;

/// Longer than any machine needs, in milliseconds.
const A_DAY: u64 = 86_400_000;

/// Both clocks; the calendar starts where the common tests have it.
fn clock(now: Instant) -> Now {
    Now::new(now, Some(UnixTime::from_secs(EPOCH + now.as_millis() / 1_000)))
}

/// A machine that wants to become activated.
struct Activating<'a, S, E> {
    stack: S,
    client: Client<'a>,
    rng: StdRng,
    exchange: Option<E>,
    make: fn(Frame) -> E,
    /// Whether it has what it waits for.
    goal: fn(&Client<'_>, Now) -> bool,
    now: Now,
    /// Until when the stack is run on its own account: closing takes a moment.
    runs_until: Instant,
}

impl<'a, S: Stack, E: Exchange<S>> Activating<'a, S, E> {
    fn new(stack: S, product: &'a Product<'a>, n: u16, make: fn(Frame) -> E) -> Self {
        let mut rng = StdRng::seed_from_u64(n.into());
        let now = clock(Instant::ZERO);
        let client = Client::new(product, machine(n), ONE_HOST, now, &mut rng);
        let goal = |client: &Client<'_>, _| matches!(client.last_attempt(), Some(Ok(_)));
        let runs_until = Instant::ZERO;
        Self { stack, client, rng, exchange: None, make, goal, now, runs_until }
    }

    /// Does what the client says, and the exchange does; when to come back.
    fn step(&mut self, now: Instant) -> Instant {
        self.now = clock(now);
        loop {
            let Some(exchange) = &mut self.exchange else {
                match self.client.poll(self.now, &mut self.rng) {
                    Step::Save | Step::Report(_) => {}
                    Step::Wait { until } => return until,
                    Step::Send { .. } => {
                        self.exchange = Some((self.make)(*self.client.pending_frame().unwrap()));
                    }
                }
                continue;
            };
            match exchange.poll(&mut self.stack, now) {
                Progress::Pending { wake_at } => return wake_at,
                Progress::Received(frame) => {
                    if self.client.handle_response(self.now, &mut self.rng, &frame).is_ok() {
                        exchange.close(&mut self.stack);
                        self.exchange = None;
                    }
                }
                Progress::Failed(_) => {
                    self.client.give_up(self.now, &mut self.rng, Failure::NoAnswer);
                    self.exchange = None;
                }
            }
        }
    }
}

impl<S: Stack, E: Exchange<S>> Node for Activating<'_, S, E> {
    fn turn(&mut self, now: Instant) -> Instant {
        self.stack.run(now);
        let wake_at = self.step(now);
        let stack_wake_at = self.stack.run(now);
        if self.exchange.is_some() {
            self.runs_until = now.after(Duration::from_secs(5));
        }
        stack_wake_at.filter(|_| now < self.runs_until).map_or(wake_at, |at| at.min(wake_at))
    }

    fn is_busy(&self) -> bool {
        !(self.goal)(&self.client, self.now)
    }
}

/// A host and machines of both kinds of stack. All ask; two hours later all are activated.
fn activate<A, B>(conditions: Conditions, seed: u64, a: fn(Frame) -> A, b: fn(Frame) -> B)
where
    A: Exchange<Adapter>,
    B: Exchange<SmoltcpNal>,
{
    let vendor = Vendor::new();
    let product = vendor.product(MACHINES.into());
    let keys = vendor.setup_keys();
    let mut pools = [pool()];
    let mut host: Host<'_, 50, 16> =
        Host::new(&mut pools, &keys, Some(vendor.certificate), Settings::DEFAULT, [9; 16]);
    let wire = Wire::new(conditions, seed);
    let mut site: Site<_, _, 4> =
        Site::new(adapter::<4>(&wire, 12, 1), |now, peer: SocketAddr, frame: &Frame| {
            host.handle(clock(now), Source::from(peer.ip()), frame, &vendor.host_key).ok()
        });
    let mut theirs: Vec<_> = (0..MACHINES / 2)
        .map(|n| Activating::new(smoltcp_nal(&wire, 2, 2), &product, n, b))
        .collect();
    let mut ours: Vec<_> = (MACHINES / 2..MACHINES)
        .map(|n| Activating::new(adapter(&wire, 2, 2), &product, n, a))
        .collect();
    for round in 0..2 {
        if round == 1 {
            let is_activated = |client: &Client<'_>, now| client.is_activated(now);
            for machine in &mut theirs {
                machine.goal = is_activated;
            }
            for machine in &mut ours {
                machine.goal = is_activated;
            }
            wire.advance(wire.now() + 7_921_000);
        }
        let mut nodes: Vec<&mut dyn Node> = vec![&mut site];
        nodes.extend(theirs.iter_mut().map(|machine| machine as &mut dyn Node));
        nodes.extend(ours.iter_mut().map(|machine| machine as &mut dyn Node));
        run_until(&wire, &mut nodes, A_DAY);
    }
    let clients = theirs.iter().map(|m| &m.client).chain(ours.iter().map(|m| &m.client));
    for (n, client) in clients.enumerate() {
        let activated = Outcome::Activated { count: MACHINES.into() };
        assert_eq!(client.last_attempt(), Some(Ok(activated)), "seed {seed}, machine {n}");
    }
    let now = clock(Instant::from_millis(wire.now()));
    assert_eq!(host.pools(now).next().unwrap().count, Some(MACHINES.into()), "seed {seed}");
}

fn by_tcp<S: TcpClientStack>(frame: Frame) -> TcpExchange<S> {
    TcpExchange::new((address(0), PORT).into(), frame, Timeouts::default())
}

fn by_udp<S: Stack>(frame: Frame) -> UdpExchange<S> {
    UdpExchange::new((address(0), PORT).into(), frame)
}

#[test]
fn machines_are_activated_over_tcp() {
    activate(Conditions::GOOD, 0, by_tcp, by_tcp);
}

#[test]
fn machines_are_activated_over_udp() {
    activate(Conditions::GOOD, 0, by_udp, by_udp);
}

#[test]
fn machines_are_activated_over_a_bad_wire() {
    for seed in 1..=8 {
        activate(Conditions::BAD, seed, by_tcp, by_tcp);
        activate(Conditions::BAD, seed, by_udp, by_udp);
    }
}
