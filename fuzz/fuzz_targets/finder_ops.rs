//! Operations in any order against a client that finds its hosts, with a witness beside it who has seen
//! every record, every address and every answer, and holds the client to these laws:
//!
//! - It asks and looks up no host but those set by hand, or, without any, those that a record or the
//!   memory of the last start named; under the name to which the redirections lead, and only where that
//!   name is trusted.
//! - It asks no address that was not its name's in an answer or a look-up.
//! - It believes no host whose id is not trusted, and remembers the host that granted last, no other.
//! - It searches the domains in their order, and ends a round in time.
//! - A wait is one.
#![no_main]

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use headcount::client::{Client, Discard, Failure, Limits, Machine, Product, Step};
use headcount::discovery::{
    ADDRESSES, DomainName, Find, Finder, Host, HostName, LONGEST_CHAIN, Redirect, Settings, Trusted,
};
use headcount::fingerprint::Matching;
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{Signer, VerifyingKey, host_id, request_digest};
use headcount::wire::{
    ActivationId, ApplicationId, CountedId, HostId, KeyId, Name, Refusal, ResponseBody, Validity,
    Verdict,
};
use headcount_fuzz::ops::{COVERAGE, Calendar, Dice, Luck, Time, Vendor, Voucher, fingerprint};
use libfuzzer_sys::fuzz_target;

const LONGEST_SCRIPT: usize = 40;
/// Hosts of a list.
const N: usize = 3;
/// Save, some reports, and what comes then.
const MOST_POLLS: usize = 6;

/// Whatever a site may have names for.
static NAMES: LazyLock<Vec<HostName>> = LazyLock::new(|| {
    let long = format!("{}.example", ["x"; 60].concat());
    [
        "a.example",
        "b.example",
        "c.example",
        "d.example",
        &long,
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8::1",
    ]
    .map(|name| name.parse().expect("a host's name"))
    .to_vec()
});
static DOMAINS: LazyLock<[DomainName; 3]> = LazyLock::new(|| {
    ["example", "second.example", "third"].map(|name| name.parse().expect("a domain"))
});

fuzz_target!(|script: Script| {
    let name = |index: u8| NAMES[usize::from(index) % NAMES.len()].clone();
    let hosts: Vec<_> = script.hosts.iter().take(3).map(|host| host.host()).collect();
    let redirects = script.redirects.iter().take(12);
    let redirects: Vec<_> =
        redirects.map(|(from, to)| Redirect { from: name(*from), to: name(*to) }).collect();
    let names: Vec<_> = script.trusted_names.iter().take(3).map(|index| name(*index)).collect();
    let vendor = Vendor::get();
    let ids = vendor.hosts.each_ref().map(|key| host_id(&key.public_key()));
    let ids: &[HostId] = if script.trusts_first_host_only { &ids[..1] } else { &[] };
    let settings = Settings {
        hosts: &hosts,
        domains: &DOMAINS[..usize::from(script.domains % 4)],
        redirects: &redirects,
        trusted: Trusted { names: &names, ids },
        caching: script.caching,
        ..Settings::DEFAULT
    };
    World::new(&product(vendor), &settings, &script).run(&script.operations);
});

#[derive(Arbitrary, Debug)]
struct Script {
    hosts: Vec<Place>,
    domains: u8,
    redirects: Vec<(u8, u8)>,
    trusted_names: Vec<u8>,
    trusts_first_host_only: bool,
    caching: bool,
    calendar: bool,
    seed: u8,
    luck: Luck,
    operations: Vec<Operation>,
}

/// One of a few names and ports.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Place {
    name: u8,
    port: u8,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Poll,
    /// Polls until there is something to do, and does it in the best way.
    Serve(Served),
    /// Records, as an answer to the query that waits.
    Records(Vec<Record>),
    /// Bytes that follow the header and question of such an answer, with these flags and counts.
    Forged {
        flags: u16,
        counts: [u8; 3],
        rest: Vec<u8>,
    },
    /// Any bytes.
    Raw(Vec<u8>),
    Addresses(Vec<u8>),
    GiveUpFinding,
    Answer(Answer),
    GiveUp,
    Seconds(u16),
    Minutes(u16),
    AskNow,
    Remember(Place),
    /// With the host that was remembered, or without it.
    Restart {
        knows: bool,
        off_minutes: u16,
    },
}

#[derive(Arbitrary, Debug)]
struct Served {
    records: Vec<Record>,
    addresses: Vec<u8>,
    answer: Option<Answer>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Record {
    place: Place,
    priority: u8,
    weight: u8,
    ttl: u32,
    address: Option<u8>,
    nowhere: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Answer {
    by: By,
    count: Option<u8>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum By {
    First,
    Second,
    Any(Voucher),
}

impl Place {
    fn host(self) -> Host {
        let name = NAMES[usize::from(self.name) % NAMES.len()].clone();
        Host { name, port: NonZeroU16::MIN.saturating_add(u16::from(self.port % 3)) }
    }
}

fn address(number: u8) -> IpAddr {
    let last = number % 16;
    if number.is_multiple_of(3) {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, last.into()).into()
    } else {
        Ipv4Addr::new(198, 51, 100, last).into()
    }
}

fn product(vendor: &'static Vendor) -> Product<'static> {
    Product {
        application_id: ApplicationId([1; 16]),
        activation_id: ActivationId([2; 16]),
        counted_id: CountedId([3; 16]),
        coverage: COVERAGE,
        required_count: NonZeroU32::MIN.saturating_add(2),
        matching: Matching::DEFAULT,
        key_id: KeyId(77),
        tag_key: vendor.tag_key.clone(),
        roots: &vendor.roots,
        limits: Limits::DEFAULT,
    }
}

fn machine() -> Machine<'static> {
    Machine {
        fingerprint: fingerprint(1),
        workstation_name: Name::new("fuzzed").expect("short"),
        virtual_machine: false,
    }
}

/// What an answer of a name server has: a name in a message.
fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let bytes = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    bytes.chain([0]).collect()
}

impl Record {
    /// The SRV record, and that of the target's address if it comes along.
    fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let host = self.place.host();
        let target = match &host.name {
            HostName::Name(name) if !self.nowhere => wire_name(name.as_str()),
            _ => vec![0],
        };
        let numbers = [self.priority.into(), u16::from(self.weight), host.port.get()];
        let data = [numbers.map(u16::to_be_bytes).concat(), target.clone()].concat();
        let record = |owner: &[u8], kind: u8, data: &[u8]| {
            let length = (data.len() as u16).to_be_bytes();
            [owner, &[0, kind, 0, 1], &self.ttl.to_be_bytes(), &length, data].concat()
        };
        let address = self.address.map(address);
        let additional = address.map_or(Vec::new(), |ip| match ip {
            IpAddr::V4(ip) => record(&target, 1, &ip.octets()),
            IpAddr::V6(ip) => record(&target, 28, &ip.octets()),
        });
        // The question's name, which begins after the header.
        (record(&[0xC0, 12], 33, &data), additional)
    }
}

type Finding<'p> = Client<'p, VerifyingKey, Finder<'p, N>>;

struct World<'p> {
    product: &'p Product<'p>,
    settings: &'p Settings<'p>,
    client: Finding<'p>,
    time: Time,
    dice: Dice,

    /// The host that granted something last.
    remembered: Option<Host>,
    /// What records named since the start, and what was given to be remembered.
    named: HashSet<Host>,
    /// Addresses that a name had since the start.
    addresses: HashMap<DomainName, HashSet<IpAddr>>,

    /// Requests, look-ups and the domains searched in this round.
    in_round: bool,
    requests: usize,
    look_ups: usize,
    next_domain: usize,
}

impl<'p> World<'p> {
    fn new(product: &'p Product<'p>, settings: &'p Settings<'p>, script: &Script) -> Self {
        let time = Time::new(if script.calendar { Calendar::Right } else { Calendar::Absent });
        let mut dice = Dice::new(script.seed, script.luck);
        let finder = Finder::new(settings);
        let client = Client::new_with(product, machine(), finder, time.now(), &mut dice);
        Self {
            product,
            settings,
            client,
            time,
            dice,
            remembered: None,
            named: HashSet::new(),
            addresses: HashMap::new(),
            in_round: false,
            requests: 0,
            look_ups: 0,
            next_domain: 0,
        }
    }

    fn run(&mut self, operations: &[Operation]) {
        for operation in operations.iter().take(LONGEST_SCRIPT) {
            self.apply(operation);
            assert_eq!(self.client.hosts().remembered(), self.remembered.as_ref());
            self.in_round &= self.is_busy();
        }
    }

    fn is_busy(&self) -> bool {
        let Self { client, .. } = self;
        client.pending_frame().is_some()
            || client.query().is_some()
            || client.name_to_look_up().is_some()
    }

    fn apply(&mut self, operation: &Operation) {
        let now = self.time.now();
        match operation {
            Operation::Poll => drop(self.poll()),
            Operation::Serve(served) => self.serve(served),
            Operation::Records(records) => self.bring_records(records),
            Operation::Forged { flags, counts, rest } => self.bring_forged(*flags, *counts, rest),
            Operation::Raw(bytes) => self.bring(bytes),
            Operation::Addresses(numbers) => self.bring_addresses(numbers),
            Operation::GiveUpFinding => self.client.give_up_finding(now, &mut self.dice),
            Operation::Answer(answer) => self.bring_answer(*answer),
            Operation::GiveUp => self.client.give_up(now, &mut self.dice, Failure::NoAnswer),
            Operation::Seconds(seconds) => self.time.pass_millis(u64::from(*seconds) * 1_000),
            Operation::Minutes(minutes) => self.time.pass_minutes((*minutes).into()),
            Operation::AskNow => self.client.ask_now(now),
            Operation::Remember(place) => self.remember(place.host()),
            Operation::Restart { knows, off_minutes } => self.restart(*knows, *off_minutes),
        }
    }

    /// Until there is something to find out or to ask, or until the client waits.
    fn poll(&mut self) -> Step<Find> {
        let now = self.time.now();
        for _ in 0..MOST_POLLS {
            let step = self.client.poll(now, &mut self.dice);
            match step {
                Step::Save | Step::Report(_) => continue,
                Step::Wait { until } => assert!(until > now.monotonic, "no wait: {until:?}"),
                Step::Find(_) | Step::Send { .. } => {
                    if !self.in_round {
                        (self.requests, self.look_ups, self.next_domain) = (0, 0, 0);
                        self.in_round = true;
                    }
                    self.judge(step);
                }
            }
            self.in_round &= self.is_busy();
            return step;
        }
        panic!("it says nothing that one could do");
    }

    /// What the client wants is within the laws.
    fn judge(&mut self, step: Step<Find>) {
        let Settings { hosts, domains, .. } = *self.settings;
        // In a round, each domain may bring N hosts; before, there are the one remembered and the list.
        let most =
            if hosts.is_empty() { 1 + N * (1 + self.settings.domains.len()) } else { hosts.len() };
        match step {
            Step::Find(Find::Query) => {
                let name = self.client.query().expect("a query").name();
                let rest = &domains[self.next_domain..];
                let found = rest.iter().position(|domain| {
                    name.as_str() == format!("_headcount._tcp.{}", domain.as_str())
                });
                self.next_domain += found.expect("a domain that was not searched yet") + 1;
                assert!(hosts.is_empty());
            }
            Step::Find(Find::LookUp) => {
                let wanted = self.client.name_to_look_up().expect("a name").clone();
                assert_eq!(*self.check_host(), HostName::Name(wanted));
                self.look_ups += 1;
                assert!(self.look_ups <= most, "{} of {most} look-ups", self.look_ups);
            }
            Step::Send { host } => {
                assert_eq!(host, 0);
                let address = self.client.address().expect("an address");
                let is_known = match self.check_host() {
                    HostName::Address(ip) => *ip == address.ip(),
                    HostName::Name(name) => self.addresses[name].contains(&address.ip()),
                };
                assert!(is_known, "{address} is not its own");
                let port = self.client.hosts().host().expect("a host").port;
                assert_eq!(address.port(), port.get());
                self.requests += 1;
                assert!(self.requests <= ADDRESSES * most, "{} requests", self.requests);
            }
            Step::Save | Step::Report(_) | Step::Wait { .. } => unreachable!(),
        }
    }

    /// The name of the host whose turn it is, which may be asked.
    fn check_host(&self) -> &HostName {
        let Settings { hosts, redirects, trusted, .. } = self.settings;
        let host = self.client.hosts().host().expect("a host");
        if hosts.is_empty() {
            assert!(self.named.contains(host), "nobody named {host}");
        } else {
            assert!(hosts.contains(host), "{host} is not set by hand");
        }
        let mut end = &host.name;
        for length in 0.. {
            let next = redirects.iter().find(|redirect| redirect.from == *end);
            let Some(next) = next else { break };
            end = &next.to;
            assert!(length < LONGEST_CHAIN, "{host} is redirected without end");
        }
        assert_eq!(self.client.hosts().name(), Some(end));
        assert!(trusted.names.is_empty() || trusted.names.contains(end), "{end} is not trusted");
        end
    }

    fn serve(&mut self, served: &Served) {
        match self.poll() {
            Step::Find(Find::Query) => self.bring_records(&served.records),
            Step::Find(Find::LookUp) => self.bring_addresses(&served.addresses),
            Step::Send { .. } => match served.answer {
                Some(answer) => self.bring_answer(answer),
                None => self.client.give_up(self.time.now(), &mut self.dice, Failure::NoAnswer),
            },
            Step::Save | Step::Report(_) | Step::Wait { .. } => {}
        }
    }

    /// The header and question of an answer to the query that waits, or to none.
    fn beginning(&self, flags: u16, counts: [u8; 3]) -> Vec<u8> {
        let Some(query) = self.client.query() else { return Vec::new() };
        let mut message = query.as_bytes()[..query.as_bytes().len() - 11].to_vec();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        for (index, count) in counts.into_iter().enumerate() {
            message[6 + 2 * index..8 + 2 * index].copy_from_slice(&[0, count]);
        }
        message
    }

    fn bring_records(&mut self, records: &[Record]) {
        let records = records.iter().take(8).map(Record::bytes);
        let (answers, additional): (Vec<_>, Vec<_>) = records.unzip();
        let additional: Vec<_> =
            additional.into_iter().filter(|record| !record.is_empty()).collect();
        let counts = [answers.len() as u8, 0, additional.len() as u8];
        let message = [self.beginning(0x8180, counts), answers.concat(), additional.concat()];
        self.bring(&message.concat());
    }

    fn bring_forged(&mut self, flags: u16, counts: [u8; 3], rest: &[u8]) {
        let message = [&self.beginning(flags, counts), rest].concat();
        self.bring(&message);
    }

    /// What is accepted is what the query accepts; the witness notes what it says.
    fn bring(&mut self, message: &[u8]) {
        let query = self.client.query().cloned();
        let judged = query.as_ref().map(|query| query.answer(message));
        if let Some(Ok(answer)) = &judged {
            for service in answer.services() {
                let Some(port) = NonZeroU16::new(service.port) else { continue };
                if !service.target.is_root() {
                    let known = self.addresses.entry(service.target.clone()).or_default();
                    known.extend(answer.addresses(&service.target).map(|address| address.ip));
                    self.named.insert(Host { name: HostName::Name(service.target), port });
                }
            }
        }
        let now = self.time.now();
        let taken = self.client.handle_dns_answer(now, &mut self.dice, message);
        assert_eq!(taken.is_ok(), matches!(judged, Some(Ok(_))));
        let is_same = self.client.query() == query.as_ref();
        assert!(taken.is_ok() || is_same, "the query changed without an answer");
    }

    fn bring_addresses(&mut self, numbers: &[u8]) {
        let addresses: Vec<_> = numbers.iter().map(|number| address(*number)).collect();
        if let Some(name) = self.client.name_to_look_up() {
            // Those beyond the first are never to be asked.
            let known = self.addresses.entry(name.clone()).or_default();
            known.extend(addresses.iter().take(ADDRESSES));
        }
        self.client.handle_addresses(self.time.now(), &mut self.dice, &addresses);
    }

    fn bring_answer(&mut self, Answer { by, count }: Answer) {
        let vendor = Vendor::get();
        let voucher = match by {
            By::First => Voucher::First,
            By::Second => Voucher::Second,
            By::Any(voucher) => voucher,
        };
        let Some(request) = self.client.pending_frame().copied() else { return };
        let host = self.client.hosts().host().expect("a host").clone();
        let verdict = count.map_or(Verdict::Refused(Refusal::ALL[0]), |count| {
            let validity = Validity::For(Minutes::from_days(180));
            Verdict::Granted { count: u32::from(count % 8), validity }
        });
        let body = ResponseBody {
            verdict,
            duplicate: false,
            activation_interval: Minutes(120),
            renewal_interval: Minutes(10_080),
            host_time: UnixTime::from_secs(self.time.right_secs()),
            request_digest: request_digest(&request),
            certificate: vendor.certificate(voucher),
        };
        let answer = vendor.answer(voucher, body);
        let taken = self.client.handle_response(self.time.now(), &mut self.dice, &answer);
        let is_second = voucher == Voucher::Second;
        if is_second && !self.settings.trusted.ids.is_empty() {
            assert_eq!(taken, Err(Discard::HostNotTrusted));
        }
        if taken.is_err() {
            assert_eq!(self.client.pending_frame(), Some(&request));
        } else if count.is_some() && self.settings.caching {
            self.named.insert(host.clone());
            self.remembered = Some(host);
        }
    }

    fn remember(&mut self, host: Host) {
        if self.is_busy() {
            // At a start only: whoever is being asked is not to be replaced.
            return;
        }
        self.client.remember_host(host.clone(), &[]);
        if self.settings.caching {
            self.named.insert(host.clone());
            self.remembered = Some(host);
        }
    }

    fn restart(&mut self, knows: bool, off_minutes: u16) {
        let image = self.client.image(self.time.now());
        self.time.restart(off_minutes.into(), 0);
        let mut finder = Finder::new(self.settings);
        let last = self.remembered.take().filter(|_| knows);
        if let Some(host) = &last {
            finder.remember(host.clone(), self.client.hosts().remembered_addresses());
        } else {
            finder.remember(Place { name: 0, port: 0 }.host(), &[address(0)]);
            finder.forget();
        }
        let (now, dice) = (self.time.now(), &mut self.dice);
        let resumed = Client::resume_with(self.product, machine(), finder, &image, now, dice);
        self.client = resumed.expect("its own image");
        self.named = last.iter().cloned().collect();
        self.remembered = last;
        self.in_round = false;
    }
}
