//! A client that finds its hosts (PROTOCOL 12): every name server and every host in these tests
//! answers as a test wants.

#[path = "common/dns.rs"]
mod dns;

mod common;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use common::{HOUR, Vendor, machine, now};
use dns::NameServer;
use headcount::client::{Client, Discard, Failure, Outcome, Rejection, Step};
use headcount::discovery::message::AnswerError;
use headcount::discovery::{DomainName, Find, Finder, Host, HostName, Redirect, Settings, Trusted};
use headcount::policy;
use headcount::time::{Now, UnixTime};
use headcount::trust::{Signer as _, SigningKey, host_id, request_digest, sign_response};
use headcount::wire::{Frame, LicenceStatus, PublicKey, Refusal, ResponseBody, Validity, Verdict};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// What happens at an address.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Counts so many machines; the product needs five.
    Counts(u32),
    Refuses,
    /// Counts too few, and says that two machines have this one's id.
    Duplicates,
    /// Answers with a key of its own.
    Lies,
}

/// A site's network.
#[derive(Default)]
struct Network {
    dns: NameServer,
    /// Whether the name server is silent.
    dns_is_down: bool,
    /// A domain about which it is silent.
    silent: Option<String>,
    hosts: HashMap<SocketAddr, Behaviour>,
}

impl Network {
    /// Three hosts in one domain, at 192.0.2.1 to 3.
    fn of_three(ranks: [(u16, u16); 3]) -> Self {
        let mut network = Self::default();
        for ((priority, weight), n) in ranks.into_iter().zip(1..) {
            let name = format!("h{n}.example");
            network.dns.service("example", (priority, weight, 1688, &name), 3_600);
            network.dns.address(&name, &format!("192.0.2.{n}"));
            network.set(n, Behaviour::Counts(5));
        }
        network.dns.adds_addresses = true;
        network
    }

    fn set(&mut self, n: u8, behaviour: Behaviour) {
        self.hosts.insert(host(n), behaviour);
    }

    fn stop(&mut self, n: u8) {
        self.hosts.remove(&host(n));
    }
}

const fn host(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, n)), 1688)
}

/// What a driver did for its client, in this order.
#[derive(Clone, Debug, PartialEq)]
enum Did {
    Query(String),
    LookUp(String),
    Ask(SocketAddr),
}

fn asked(n: u8) -> Did {
    Did::Ask(host(n))
}

fn queried(domain: &str) -> Did {
    Did::Query(format!("_headcount._tcp.{domain}"))
}

fn looked_up(name: &str) -> Did {
    Did::LookUp(name.into())
}

/// A driver of one client.
struct Driver<'a, const N: usize = 4> {
    vendor: &'a Vendor,
    client: Client<'a, headcount::trust::VerifyingKey, Finder<'a, N>>,
    rng: StdRng,
    host_key: PublicKey,
    discards: Vec<Discard>,
}

macro_rules! driver {
    ($driver:ident, $settings:expr) => {
        driver!($driver, $settings, 4, 1);
    };
    ($driver:ident, $settings:expr, $capacity:literal, $seed:expr) => {
        let vendor = Vendor::new();
        let product = vendor.product(5);
        let settings = $settings;
        let mut rng = StdRng::seed_from_u64($seed);
        let finder = Finder::<$capacity>::new(&settings);
        let client = Client::new_with(&product, machine(0), finder, now(0), &mut rng);
        let host_key = vendor.host_key.public_key();
        let mut $driver = Driver { vendor: &vendor, client, rng, host_key, discards: Vec::new() };
    };
}

impl<const N: usize> Driver<'_, N> {
    /// All that happens now, until the client waits.
    fn round(&mut self, now: Now, network: &Network) -> Vec<Did> {
        let mut did = Vec::new();
        loop {
            assert!(did.len() < 50, "a round without an end: {did:?}");
            match self.client.poll(now, &mut self.rng) {
                Step::Save | Step::Report(_) => {}
                Step::Find(Find::Query) => did.push(self.query(now, network)),
                Step::Find(Find::LookUp) => did.push(self.look_up(now, network)),
                Step::Send { .. } => did.push(self.ask(now, network)),
                Step::Wait { until } => {
                    assert!(until > now.monotonic);
                    return did;
                }
            }
        }
    }

    /// A round that begins now, whatever the interval.
    fn round_at_once(&mut self, now: Now, network: &Network) -> Vec<Did> {
        self.client.ask_now(now);
        self.round(now, network)
    }

    fn query(&mut self, now: Now, network: &Network) -> Did {
        let query = self.client.query().unwrap().as_bytes().to_vec();
        let (name, _) = dns::question(&query);
        let silent = network.silent.as_ref().is_some_and(|domain| name.ends_with(domain));
        if network.dns_is_down || silent {
            self.client.give_up_finding(now, &mut self.rng);
        } else {
            let answer = network.dns.answer(&query);
            self.client.handle_dns_answer(now, &mut self.rng, &answer).unwrap();
        }
        Did::Query(name)
    }

    fn look_up(&mut self, now: Now, network: &Network) -> Did {
        let name = self.client.name_to_look_up().unwrap().clone();
        let addresses = network.dns.look_up(&name);
        if network.dns_is_down {
            self.client.give_up_finding(now, &mut self.rng);
        } else {
            self.client.handle_addresses(now, &mut self.rng, &addresses);
        }
        Did::LookUp(name.to_string())
    }

    fn ask(&mut self, now: Now, network: &Network) -> Did {
        let address = self.client.address().unwrap();
        let frame = *self.client.pending_frame().unwrap();
        match network.hosts.get(&address) {
            None => self.client.give_up(now, &mut self.rng, Failure::NoAnswer),
            Some(behaviour) => {
                let answer = self.answer(*behaviour, &frame, now);
                let taken = self.client.handle_response(now, &mut self.rng, &answer);
                if let Err(discard) = taken {
                    self.discards.push(discard);
                    self.client.give_up(now, &mut self.rng, Failure::Discarded(discard));
                }
            }
        }
        Did::Ask(address)
    }

    fn answer(&self, behaviour: Behaviour, request: &Frame, now: Now) -> Frame {
        let validity = Validity::For(policy::VALIDITY);
        let liar = SigningKey::from_seed(&[66; 32]);
        let (verdict, key) = match behaviour {
            Behaviour::Counts(count) => {
                (Verdict::Granted { count, validity }, &self.vendor.host_key)
            }
            Behaviour::Refuses => {
                (Verdict::Refused(Refusal::UnknownProduct), &self.vendor.host_key)
            }
            Behaviour::Duplicates => {
                (Verdict::Granted { count: 1, validity }, &self.vendor.host_key)
            }
            Behaviour::Lies => (Verdict::Granted { count: 99, validity }, &liar),
        };
        let body = ResponseBody {
            verdict,
            duplicate: matches!(behaviour, Behaviour::Duplicates),
            activation_interval: policy::ACTIVATION_INTERVAL,
            renewal_interval: policy::RENEWAL_INTERVAL,
            host_time: now.clock.unwrap_or(UnixTime::from_secs(common::EPOCH)),
            request_digest: request_digest(request),
            certificate: self.vendor.certificate,
        };
        let Ok(frame) = sign_response(&body, key);
        frame
    }
}

fn domains<const D: usize>(names: [&str; D]) -> [DomainName; D] {
    names.map(|name| name.parse().unwrap())
}

fn hosts<const D: usize>(names: [&str; D]) -> [Host; D] {
    names.map(|name| name.parse().unwrap())
}

#[test]
fn a_host_is_found_by_its_record_and_remembered() {
    let network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), [queried("example"), asked(1)]);
    assert!(driver.client.is_activated(now(0)));
    assert_eq!(driver.client.hosts().remembered(), Some(&"h1.example".parse().unwrap()));
    assert_eq!(driver.round(now(1), &network), []);
    // The list has its address, as long as the record may be kept; then only the name is known.
    assert_eq!(driver.round_at_once(now(60), &network), [asked(1)]);
    let later = driver.round_at_once(now(2 * HOUR), &network);
    assert_eq!(later, [looked_up("h1.example"), asked(1)]);
}

#[test]
fn a_host_that_fails_is_taken_off_until_dns_is_asked_anew() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    network.stop(1);
    assert_eq!(driver.round(now(0), &network), [queried("example"), asked(1), asked(2)]);
    // The remembered one fails: the list goes on, without the first, whose time comes with DNS.
    network.stop(2);
    network.set(1, Behaviour::Counts(5));
    assert_eq!(driver.round_at_once(now(60), &network), [asked(2), asked(3)]);
    network.stop(3);
    let both = [asked(3), queried("example"), asked(1)];
    assert_eq!(driver.round_at_once(now(120), &network), both);
}

#[test]
fn records_are_kept_as_long_as_they_say() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    for n in 1..=3 {
        network.set(n, Behaviour::Refuses);
    }
    let all = [asked(1), asked(2), asked(3)];
    let with_query = [&[queried("example")][..], &all].concat();
    assert_eq!(driver.round(now(0), &network), with_query);
    // Nobody granted anything, so nobody is remembered, and none has failed. The addresses hold for
    // 300 s, less than the records.
    assert_eq!(driver.round_at_once(now(299), &network), [all.as_slice(), &with_query].concat());
    assert_eq!(driver.round_at_once(now(599), &network), with_query);
    assert_eq!(driver.client.last_attempt(), Some(Ok(Outcome::Refused(Refusal::UnknownProduct))));
}

#[test]
fn without_caching_every_round_asks_dns() {
    let network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, caching: false, ..Settings::DEFAULT });
    for at in [0, 10, 20] {
        let did = driver.round_at_once(now(at), &network);
        assert_eq!(did, [queried("example"), asked(1)]);
    }
    assert_eq!(driver.client.hosts().remembered(), None);
}

#[test]
fn hosts_set_by_hand_switch_the_rest_off() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    let by_hand = hosts(["192.0.2.9", "h3.example"]);
    driver!(driver, Settings { hosts: &by_hand, domains: &domains, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), [asked(9), looked_up("h3.example"), asked(3)]);
    // The one that answered last goes first.
    network.stop(3);
    let did = driver.round_at_once(now(9), &network);
    assert_eq!(did, [looked_up("h3.example"), asked(3), asked(9)]);
    assert_eq!(driver.client.last_attempt(), Some(Err(Failure::NoAnswer)));
}

#[test]
fn the_search_list_is_gone_through_until_a_host_answers() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    network.dns.service("second", (0, 0, 1700, "h4.second"), 3_600);
    network.dns.address("h4.second", "2001:db8::4");
    network.hosts.insert("[2001:db8::4]:1700".parse().unwrap(), Behaviour::Counts(7));
    let domains = domains(["nowhere", "example", "second"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), [queried("nowhere"), queried("example"), asked(1)]);
    for n in 1..=3 {
        network.stop(n);
    }
    assert_eq!(
        driver.round_at_once(now(1), &network),
        [
            asked(1),
            asked(2),
            asked(3),
            queried("nowhere"),
            queried("example"),
            asked(2),
            asked(3),
            queried("second"),
            Did::Ask("[2001:db8::4]:1700".parse().unwrap())
        ]
    );
}

#[test]
fn an_outage_of_dns_does_not_hide_the_hosts_that_are_known() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    driver.round(now(0), &network);
    network.dns_is_down = true;
    // The remembered host's name cannot be looked up, but where it was is known.
    let did = driver.round_at_once(now(5 * HOUR), &network);
    assert_eq!(did, [looked_up("h1.example"), asked(1)]);
    // It dies as well: the others are asked although their records are old.
    network.stop(1);
    let did = driver.round_at_once(now(9 * HOUR), &network);
    let others = did.strip_prefix(&[looked_up("h1.example"), asked(1), queried("example")][..]);
    assert_eq!(others, Some(&[asked(2)][..]));
    assert_eq!(driver.client.hosts().remembered(), Some(&"h2.example".parse().unwrap()));
    // When all are gone, each is asked once more and the round ends.
    network.stop(2);
    network.stop(3);
    let did = driver.round_at_once(now(19 * HOUR), &network);
    assert_eq!(did.len(), 2 + 1 + 2, "{did:?}");
}

#[test]
fn nobody_to_ask_is_said_and_waited_for() {
    let mut network = Network::default();
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), [queried("example")]);
    assert_eq!(driver.client.last_attempt(), Some(Err(Failure::NoHost)));
    // "The service is not here", and a port that is none.
    network.dns.service("example", (0, 0, 1688, "."), 60);
    network.dns.service("example", (0, 0, 0, "h1.example"), 60);
    assert_eq!(driver.round(now(3 * HOUR), &network), [queried("example")]);
    // A name without an address.
    network.dns.service("example", (0, 0, 1688, "ghost.example"), 60);
    let did = driver.round(now(6 * HOUR), &network);
    assert_eq!(did, [queried("example"), looked_up("ghost.example")]);
    assert_eq!(driver.client.last_attempt(), Some(Err(Failure::NoHost)));
}

#[test]
fn all_addresses_of_a_host_are_tried() {
    let mut network = Network::default();
    network.dns.service("example", (0, 0, 1688, "many.example"), 60);
    for n in 1..=5 {
        network.dns.address("many.example", &format!("192.0.2.{n}"));
    }
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    network.set(3, Behaviour::Counts(5));
    let found = [queried("example"), looked_up("many.example")];
    let did = driver.round(now(0), &network);
    assert_eq!(did, [&found[..], &[asked(1), asked(2), asked(3)]].concat());
    network.set(3, Behaviour::Refuses);
    let did = driver.round_at_once(now(60), &network);
    let refused = [looked_up("many.example"), asked(1), asked(2), asked(3)];
    assert_eq!(did, [&refused[..], &found[..1]].concat(), "and not the rest of one that refuses");
    network.stop(3);
    driver.client.ask_now(now(90));
    let did = driver.round(now(90), &network);
    assert_eq!(did.iter().filter(|did| matches!(did, Did::Ask(_))).count(), 4, "and no fifth");
}

#[test]
fn redirections_are_followed_before_connecting() {
    let network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let redirect =
        |from: &str, to: &str| Redirect { from: from.parse().unwrap(), to: to.parse().unwrap() };
    let redirects = [
        redirect("h1.example", "old.example"),
        redirect("old.example", "h2.example"),
        redirect("h2.example", "192.0.2.2"),
        redirect("h3.example", "loop.example"),
        redirect("loop.example", "h3.example"),
    ];
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, redirects: &redirects, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), [queried("example"), asked(2)]);
    assert_eq!(driver.client.hosts().remembered(), Some(&"h1.example".parse().unwrap()));

    // A loop is an error: that host is not asked.
    let by_hand = hosts(["h3.example"]);
    driver!(driver, Settings { hosts: &by_hand, redirects: &redirects, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), []);
    assert_eq!(driver.client.last_attempt(), Some(Err(Failure::NoHost)));
}

#[test]
fn only_trusted_names_are_asked() {
    let network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    let names: [HostName; 1] = ["h3.example".parse().unwrap()];
    let trusted = Trusted { names: &names, ids: &[] };
    driver!(driver, Settings { domains: &domains, trusted, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), [queried("example"), asked(3)]);
}

#[test]
fn only_trusted_host_ids_are_believed() {
    let network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    let other = [host_id(&SigningKey::from_seed(&[5; 32]).public_key())];
    let settings = Settings { domains: &domains, ..Settings::DEFAULT };
    driver!(driver, settings);
    let right = [host_id(&driver.host_key), other[0]];
    assert_eq!(driver.round(now(0), &network).len(), 2);
    let image = driver.client.image(now(0));

    let trusted = Trusted { names: &[], ids: &other };
    let distrusting = Settings { trusted, ..settings };
    driver!(driver, distrusting);
    let did = driver.round(now(0), &network);
    assert_eq!(did, [queried("example"), asked(1), asked(2), asked(3)]);
    assert_eq!(driver.discards, [Discard::HostNotTrusted; 3]);
    assert!(!driver.client.is_activated(now(0)));

    // An activation of before does not count either, and says so.
    let vendor = Vendor::new();
    let product = vendor.product(5);
    for (ids, status, rejection) in [
        (&right[..], LicenceStatus::Licensed, None),
        (&other[..], LicenceStatus::InitialGrace, Some(Rejection::HostNotTrusted)),
    ] {
        let settings = Settings { trusted: Trusted { names: &[], ids }, ..settings };
        let (finder, mut rng) = (Finder::<4>::new(&settings), StdRng::seed_from_u64(1));
        let mut client =
            Client::resume_with(&product, machine(0), finder, &image, now(1), &mut rng).unwrap();
        assert_eq!(client.licence(now(1)).status, status);
        let reported = match client.poll(now(1), &mut rng) {
            Step::Report(headcount::client::Event::StoredActivationRejected(why)) => Some(why),
            _ => None,
        };
        assert_eq!(reported, rejection);
    }
}

#[test]
fn a_rogue_host_is_not_believed_and_stops_nobody() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    network.set(1, Behaviour::Lies);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), [queried("example"), asked(1), asked(2)]);
    assert!(matches!(driver.discards[..], [Discard::Untrusted(_)]));
    assert!(driver.client.is_activated(now(0)));
}

#[test]
fn a_list_keeps_the_first_ones_of_the_order() {
    let mut firsts = [0; 3];
    for seed in 0..300 {
        let mut network = Network::of_three([(1, 10), (1, 30), (2, 0)]);
        (1..=3).for_each(|n| network.stop(n));
        let domains = domains(["example"]);
        driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT }, 1, seed);
        let did = driver.round(now(0), &network);
        let [_, Did::Ask(first)] = did[..] else { panic!("{did:?}") };
        firsts[(1..=3).position(|n| first == host(n)).unwrap()] += 1;
    }
    // A quarter of 300, give or take five standard deviations.
    assert!((37..=113).contains(&firsts[0]), "{firsts:?}");
    assert_eq!(firsts[2], 0);
}

#[test]
fn bad_answers_leave_the_query_waiting() {
    let network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    while driver.client.query().is_none() {
        let _ = driver.client.poll(now(0), &mut driver.rng);
    }
    let good = network.dns.answer(driver.client.query().unwrap().as_bytes());
    let mut other = good.clone();
    other[1] ^= 1;
    let mut cut = good.clone();
    cut[2] |= 2;
    let mut failing = good.clone();
    failing[3] |= 2;
    let rng = &mut driver.rng;
    let mut take = |bytes: &[u8]| driver.client.handle_dns_answer(now(0), rng, bytes);
    assert_eq!(take(&other), Err(AnswerError::NotOurs));
    assert_eq!(take(&cut), Err(AnswerError::Truncated));
    assert!(matches!(take(&failing), Err(AnswerError::Failed(_))));
    assert!(matches!(take(&good[..good.len() - 1]), Err(AnswerError::Malformed(_))));
    assert_eq!(take(&good), Ok(()));
    assert_eq!(take(&good), Err(AnswerError::NotOurs), "nothing is asked any more");
    assert_eq!(driver.round(now(0), &network), [asked(1)]);
}

#[test]
fn what_the_driver_forgets_to_answer_ends_by_itself() {
    let network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    let mut said = 0;
    let until = loop {
        match driver.client.poll(now(0), &mut driver.rng) {
            Step::Find(Find::Query) => said += 1,
            Step::Wait { until } => break until,
            _ => {}
        }
    };
    assert_eq!(said, 1);
    assert_eq!(until, now(120).monotonic);
    assert_eq!(driver.round(now(120), &network), []);
    assert_eq!(driver.client.last_attempt(), Some(Err(Failure::NoHost)));
    // What comes too late or unasked is not heeded.
    driver.client.handle_addresses(now(121), &mut driver.rng, &[host(1).ip()]);
    driver.client.give_up_finding(now(121), &mut driver.rng);
    assert_eq!(driver.client.address(), None);
}

#[test]
fn the_driver_may_remember_a_host_over_a_restart() {
    let network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    driver.client.remember_host("h3.example".parse().unwrap(), &[host(3).ip()]);
    assert_eq!(driver.round(now(0), &network), [looked_up("h3.example"), asked(3)]);
    assert_eq!(driver.client.hosts().remembered_addresses(), [host(3).ip()]);

    // Also when nobody can tell its address.
    let network = Network { dns_is_down: true, ..network };
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    driver.client.remember_host("h3.example".parse().unwrap(), &[host(3).ip()]);
    assert_eq!(driver.round(now(0), &network), [looked_up("h3.example"), asked(3)]);
}

#[test]
fn hosts_that_are_not_trusted_take_nobodys_place_on_the_list() {
    let network = Network::of_three([(0, 0), (0, 0), (2, 0)]);
    let domains = domains(["example"]);
    let names: [HostName; 1] = ["h3.example".parse().unwrap()];
    let trusted = Trusted { names: &names, ids: &[] };
    driver!(driver, Settings { domains: &domains, trusted, ..Settings::DEFAULT }, 2, 1);
    assert_eq!(driver.round(now(0), &network), [queried("example"), asked(3)]);
}

#[test]
fn another_domains_answer_does_not_hide_the_hosts_of_a_silent_one() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    network.dns.service("second", (0, 0, 1688, "dead.second"), 3_600);
    network.dns.address("dead.second", "192.0.2.9");
    let domains = domains(["example", "second"]);
    driver!(driver, Settings { domains: &domains, ..Settings::DEFAULT });
    assert_eq!(driver.round(now(0), &network), [queried("example"), asked(1)]);
    network.stop(1);
    network.silent = Some("example".into());
    let did = driver.round_at_once(now(2 * HOUR), &network);
    let first =
        [looked_up("h1.example"), asked(1), queried("example"), queried("second"), asked(9)];
    assert_eq!(did, [&first[..], &[asked(2)]].concat());
}

#[test]
fn without_caching_an_outage_of_dns_leaves_nobody_to_ask() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    let domains = domains(["example"]);
    driver!(driver, Settings { domains: &domains, caching: false, ..Settings::DEFAULT });
    driver.round(now(0), &network);
    network.dns_is_down = true;
    assert_eq!(driver.round_at_once(now(9), &network), [queried("example")]);
}

/// A machine whose twin has its id takes another one, and asks the same host again; that is no reason
/// to pass over a host of the round.
#[test]
fn an_automatic_rearm_does_not_change_the_order_of_hosts() {
    let mut network = Network::of_three([(0, 0), (1, 0), (2, 0)]);
    network.stop(1);
    network.set(2, Behaviour::Duplicates);
    let by_hand = hosts(["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    driver!(driver, Settings { hosts: &by_hand, ..Settings::DEFAULT });
    // The first answer of the second host is its last.
    let mut did = Vec::new();
    while did.len() < 4 {
        match driver.client.poll(now(0), &mut driver.rng) {
            Step::Send { .. } => did.push(driver.ask(now(0), &network)),
            Step::Wait { .. } => break,
            _ => {}
        }
        if did.len() == 2 {
            network.stop(2);
        }
    }
    assert_eq!(did, [asked(1), asked(2), asked(2), asked(3)]);
}
