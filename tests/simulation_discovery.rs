//! Machines that find three hosts of different weights by DNS, and a rogue among them, for months of
//! virtual time: with outages of DNS for days, hosts that die and come back, and restarts.
//!
//! All of it is real but for the network: clients, hosts, signatures, DNS messages.

#[path = "common/dns.rs"]
mod dns;

mod common;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::{DAY, EPOCH, HOUR, Vendor, machine, sign};
use dns::NameServer;
use headcount::client::{self, Client, Discard, Failure, IMAGE_LEN, Step};
use headcount::discovery::{DomainName, Find, Finder, Settings};
use headcount::host::{self, Pool, Source};
use headcount::time::{Instant, Now, UnixTime};
use headcount::trust::{
    Signer as _, SigningKey, VerifyingKey, host_id, request_digest, sign_response,
};
use headcount::wire::{Certificate, Frame, HostId, ResponseBody, Validity, Verdict};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

type Millis = u64;
const SECOND: Millis = 1_000;

/// What an exchange or a query without an answer takes.
const EXCHANGE_TIME: Millis = 23 * SECOND;
const QUERY_TIME: Millis = 8 * SECOND;

/// Exchanges in one round at most: the remembered host, the rest of the list, and the list that DNS
/// gives anew; each host has one address.
const LONGEST_ROUND: usize = 1 + 4 + 4;

const MACHINES: u16 = 90;
const THRESHOLD: u32 = 5;

/// A host with its own key.
struct Site {
    key: SigningKey,
    host: host::Host<'static, 50, 16>,
    is_up: bool,
    asked: u64,
}

impl Site {
    fn new(vendor: &'static Vendor, n: u8) -> Self {
        let key = SigningKey::from_seed(&[10 + n; 32]);
        let certificate = vendor.certify(|claims| claims.public_key = key.public_key());
        let pools: &'static mut [Pool<'static, 50>] = Box::leak(Box::new([common::pool()]));
        let keys = Box::leak(Box::new(vendor.setup_keys()));
        let settings =
            host::Settings { rate_limit: host::RateLimit::OFF, ..host::Settings::DEFAULT };
        let host = host::Host::new(pools, keys, Some(certificate), settings, [n; 16]);
        Self { key, host, is_up: true, asked: 0 }
    }
}

/// Somebody with a root key of his own, who would activate anybody.
struct Rogue {
    key: SigningKey,
    certificate: Certificate,
}

impl Rogue {
    fn new(vendor: &Vendor) -> Self {
        let key = SigningKey::from_seed(&[66; 32]);
        let claims = vendor.certify(|claims| claims.public_key = key.public_key()).claims;
        Self { certificate: sign(&claims, &SigningKey::from_seed(&[67; 32])), key }
    }

    fn answer(&self, request: &Frame, clock: UnixTime) -> Frame {
        let validity = Validity::For(headcount::policy::VALIDITY);
        let body = ResponseBody {
            verdict: Verdict::Granted { count: 1_000, validity },
            duplicate: false,
            activation_interval: headcount::policy::ACTIVATION_INTERVAL,
            renewal_interval: headcount::policy::RENEWAL_INTERVAL,
            host_time: clock,
            request_digest: request_digest(request),
            certificate: self.certificate,
        };
        let Ok(frame) = sign_response(&body, &self.key);
        frame
    }
}

/// What a machine waits for to fail.
#[derive(Clone, Copy)]
enum Failing {
    Query,
    Exchange,
}

struct Node {
    number: u16,
    client: Client<'static, VerifyingKey, Finder<'static, 4>>,
    rng: StdRng,
    image: Option<[u8; IMAGE_LEN]>,
    /// When it is called next, and what has failed then.
    at: Millis,
    failing: Option<Failing>,
    /// Exchanges of this round.
    exchanges: usize,
    discards: Vec<Discard>,
}

struct World {
    time: Millis,
    product: &'static client::Product<'static>,
    settings: &'static Settings<'static>,
    dns: NameServer,
    dns_is_up: bool,
    hosts: Vec<Site>,
    rogue: Rogue,
    nodes: Vec<Node>,
}

fn now(time: Millis) -> Now {
    Now::new(Instant::from_millis(time), Some(UnixTime::from_secs(EPOCH + time / SECOND)))
}

const fn address(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)), 1688)
}

fn name(n: usize) -> String {
    format!("h{n}.example")
}

impl World {
    /// Hosts 0 to 2, and the rogue as number 3.
    fn new(seed: u64) -> Self {
        let vendor: &'static Vendor = Box::leak(Box::new(Vendor::new()));
        let domains: &'static [DomainName] =
            Box::leak(Box::new(["nowhere.example".parse().unwrap(), "example".parse().unwrap()]));
        let mut dns =
            NameServer { adds_addresses: seed.is_multiple_of(2), ..NameServer::default() };
        for (n, weight) in (0..).zip([60, 30, 10, 20]) {
            dns.service("example", (0, weight, 1688, &name(n)), 3_600);
            dns.address(&name(n), &format!("192.0.2.{n}"));
        }
        let mut world = Self {
            time: 0,
            product: Box::leak(Box::new(vendor.product(THRESHOLD))),
            settings: Box::leak(Box::new(Settings { domains, ..Settings::DEFAULT })),
            dns,
            dns_is_up: true,
            hosts: (0..3).map(|n| Site::new(vendor, n)).collect(),
            rogue: Rogue::new(vendor),
            nodes: Vec::new(),
        };
        let mut rng = StdRng::seed_from_u64(seed);
        for number in 0..MACHINES {
            let mut own = StdRng::from_rng(&mut rng);
            let finder = Finder::new(world.settings);
            let start = now(rng.random_range(0..HOUR * SECOND));
            let client = Client::new_with(world.product, machine(number), finder, start, &mut own);
            let at = start.monotonic.as_millis();
            let (image, failing, exchanges, discards) = (None, None, 0, Vec::new());
            let node = Node { number, client, rng: own, image, at, failing, exchanges, discards };
            world.nodes.push(node);
        }
        world
    }

    /// Lets days pass. At each midnight so many machines must be activated, and by hosts of the vendor.
    fn run(&mut self, until_day: u64, activated: usize) {
        while self.time < until_day * DAY * SECOND {
            let midnight = (self.time / (DAY * SECOND) + 1) * DAY * SECOND;
            while let Some(node) = (0..self.nodes.len()).min_by_key(|node| self.nodes[*node].at)
                && self.nodes[node].at <= midnight
            {
                self.time = self.time.max(self.nodes[node].at);
                self.call(node);
            }
            self.time = midnight;
            let day = midnight / (DAY * SECOND);
            let is_activated = |node: &&Node| node.client.is_activated(now(midnight));
            assert_eq!(self.nodes.iter().filter(is_activated).count(), activated, "on day {day}");
            let ids: HashSet<HostId> =
                self.hosts.iter().map(|host| host_id(&host.key.public_key())).collect();
            for node in self.nodes.iter().filter(|node| node.client.activation().is_some()) {
                assert!(ids.contains(&node.client.activation().unwrap().host_id.unwrap()));
            }
        }
    }

    /// What a machine does now, until it waits.
    fn call(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let at = now(self.time);
        match node.failing.take() {
            Some(Failing::Query) => node.client.give_up_finding(at, &mut node.rng),
            Some(Failing::Exchange) => node.client.give_up(at, &mut node.rng, Failure::NoAnswer),
            None => {}
        }
        loop {
            let node = &mut self.nodes[index];
            match node.client.poll(at, &mut node.rng) {
                Step::Save => node.image = Some(node.client.image(at)),
                Step::Report(_) => {}
                Step::Find(find) => {
                    if !self.dns_is_up {
                        node.failing = Some(Failing::Query);
                        node.at = self.time + QUERY_TIME;
                        return;
                    }
                    find_out(node, &self.dns, find, at);
                }
                Step::Send { .. } => {
                    node.exchanges += 1;
                    assert!(node.exchanges <= LONGEST_ROUND, "machine {}", node.number);
                    if !self.ask(index, at) {
                        let node = &mut self.nodes[index];
                        node.failing = Some(Failing::Exchange);
                        node.at = self.time + EXCHANGE_TIME;
                        return;
                    }
                }
                Step::Wait { until } => {
                    node.exchanges = 0;
                    node.at = until.as_millis();
                    assert!(node.at > self.time, "a wait that does not wait");
                    return;
                }
            }
        }
    }

    /// An exchange with the host that it wants; whether there was an answer to be had.
    fn ask(&mut self, index: usize, at: Now) -> bool {
        let node = &mut self.nodes[index];
        let to = node.client.address().unwrap();
        let frame = *node.client.pending_frame().unwrap();
        let answer = if to == address(3) {
            Some(self.rogue.answer(&frame, at.clock.unwrap()))
        } else {
            let host = (0..).zip(&mut self.hosts).find(|(n, _)| to == address(*n)).unwrap().1;
            let Site { key, host, is_up, asked } = host;
            let [high, low] = node.number.to_be_bytes();
            let source = Source::from(IpAddr::from([10, 0, high, low]));
            *asked += u64::from(*is_up);
            is_up.then(|| host.handle(at, source, &frame, key).expect("an answer"))
        };
        let Some(answer) = answer else { return false };
        if let Err(discard) = node.client.handle_response(at, &mut node.rng, &answer) {
            node.discards.push(discard);
            node.client.give_up(at, &mut node.rng, Failure::Discarded(discard));
        }
        true
    }

    /// Switches a machine off and on. The driver has stored the host that answered last.
    fn restart(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let mut finder = Finder::new(self.settings);
        if let Some(host) = node.client.hosts().remembered() {
            finder.remember(host.clone(), node.client.hosts().remembered_addresses());
        }
        let machine = machine(node.number);
        let image = node.image.as_ref().unwrap();
        let (at, rng) = (now(self.time), &mut node.rng);
        node.client = Client::resume_with(self.product, machine, finder, image, at, rng).unwrap();
        (node.at, node.failing, node.exchanges) = (self.time, None, 0);
    }

    /// How many machines remember each host.
    fn shares(&self) -> [usize; 4] {
        core::array::from_fn(|n| {
            let host = format!("{}:1688", name(n));
            let remembered = |node: &&Node| {
                node.client.hosts().remembered().is_some_and(|at| at.to_string() == host)
            };
            self.nodes.iter().filter(remembered).count()
        })
    }
}

fn find_out(node: &mut Node, dns: &NameServer, find: Find, at: Now) {
    match find {
        Find::Query => {
            let answer = dns.answer(node.client.query().unwrap().as_bytes());
            node.client.handle_dns_answer(at, &mut node.rng, &answer).unwrap();
        }
        Find::LookUp => {
            let addresses = dns.look_up(node.client.name_to_look_up().unwrap());
            node.client.handle_addresses(at, &mut node.rng, &addresses);
        }
    }
}

#[test]
fn a_site_lives_through_outages_deaths_and_a_rogue() {
    let all = usize::from(MACHINES);
    for seed in 1..=4 {
        let mut world = World::new(seed);
        world.run(1, all);
        let shares = world.shares();
        // 6 : 3 : 1 of 90, and the rogue's are shared out in the same way.
        assert!(shares[0] > shares[1] && shares[1] > shares[2] && shares[2] > 0, "{shares:?}");
        assert_eq!((shares[3], shares.iter().sum::<usize>()), (0, all));

        // Ten days without DNS, in which a host dies and a third of the machines restart.
        world.run(10, all);
        world.dns_is_up = false;
        world.run(12, all);
        world.hosts[0].is_up = false;
        for index in (0..all).step_by(3) {
            world.restart(index);
        }
        world.run(20, all);
        world.dns_is_up = true;

        // The dead host's record stays for a while; then it is taken out, and a second host dies.
        world.run(30, all);
        world.dns.records.retain(|record| {
            !matches!(&record.data,
            dns::Data::Service { target, .. } if *target == name(0))
        });
        world.hosts[1].is_up = false;
        world.run(60, all);
        assert_eq!(world.shares(), [0, 0, all, 0], "seed {seed}");

        // It comes back, and the last one dies: all move again.
        world.hosts[1].is_up = true;
        world.hosts[2].is_up = false;
        world.run(90, all);
        assert_eq!(world.shares(), [0, all, 0, 0], "seed {seed}");

        // Nobody ever believed the rogue, although he was asked.
        let discards: Vec<_> = world.nodes.iter().flat_map(|node| &node.discards).collect();
        assert!(!discards.is_empty());
        assert!(discards.iter().all(|discard| matches!(discard, Discard::Untrusted(_))));
    }
}

#[test]
fn a_site_that_only_the_rogue_serves_is_never_activated() {
    let mut world = World::new(9);
    for host in &mut world.hosts {
        host.is_up = false;
    }
    world.run(40, 0);
    assert_eq!(world.shares(), [0; 4]);
    // One of the hosts is repaired: within the interval all are activated.
    world.hosts[2].is_up = true;
    world.run(41, usize::from(MACHINES));
}
