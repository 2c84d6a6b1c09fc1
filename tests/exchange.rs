//! A host and its clients, frame by frame, without any transport.
#![allow(missing_docs, clippy::unwrap_used, clippy::arithmetic_side_effects)]

use core::num::{NonZeroU8, NonZeroU32};
use core::time::Duration;

use headcount::client::{self, Client, Event, Failure, Limits, Machine, Outcome, Step};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{Host, Pool, Product, Settings, SetupKey, Silence, Source};
use headcount::policy::Skew;
use headcount::time::{EpochMinute, Instant, Now, UnixTime};
use headcount::trust::{MasterKey, Root, Signer, SigningKey, TagKey, sign_certificate};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, CountedId, Coverage, Frame, KeyId, KeyKind,
    LicenceStatus, Name, Refusal, Role,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

const EPOCH: u64 = 1_800_000_000;
const COVERAGE: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
const KEY_ID: KeyId = KeyId(77);
const IDS: (ApplicationId, ActivationId, CountedId) =
    (ApplicationId([1; 16]), ActivationId([2; 16]), CountedId([3; 16]));

/// A vendor with one product, and one host of it.
struct Vendor {
    roots: [Root; 1],
    host_key: SigningKey,
    certificate: Certificate,
    tag_key: TagKey,
}

impl Vendor {
    fn new() -> Self {
        let root = SigningKey::from_seed(&[1; 32]);
        let host_key = SigningKey::from_seed(&[2; 32]);
        let claims = Claims {
            public_key: host_key.public_key(),
            serial: 1,
            not_before: EpochMinute(0),
            not_after: EpochMinute(u32::MAX),
            root_id: 1,
            coverage: COVERAGE,
            role: Role::Host,
        };
        Self {
            roots: [Root::new(1, &root.public_key()).unwrap()],
            certificate: sign_certificate(&claims, &root).unwrap(),
            host_key,
            tag_key: MasterKey::from_bytes([3; 32])
                .product_key(KeyKind::ClientSetup, KEY_ID)
                .tag_key(),
        }
    }

    fn product(&self, required_count: u32) -> client::Product<'_> {
        client::Product {
            application_id: IDS.0,
            activation_id: IDS.1,
            counted_id: IDS.2,
            coverage: COVERAGE,
            required_count: NonZeroU32::new(required_count).unwrap(),
            matching: Matching::DEFAULT,
            key_id: KEY_ID,
            tag_key: self.tag_key.clone(),
            roots: &self.roots,
            limits: Limits::DEFAULT,
        }
    }
}

const SERVED: [Product; 1] =
    [Product { application_id: IDS.0, activation_id: IDS.1, coverage: COVERAGE }];

/// The host under test, with room for 50 machines.
struct Bench<'a> {
    vendor: &'a Vendor,
    host: Host<'a, 50, 16>,
}

impl<'a> Bench<'a> {
    fn new(
        vendor: &'a Vendor,
        pools: &'a mut [Pool<'a, 50>],
        keys: &'a [SetupKey],
        certificate: Option<Certificate>,
    ) -> Self {
        Self { vendor, host: Host::new(pools, keys, certificate, Settings::DEFAULT, [9; 16]) }
    }

    fn handle(&mut self, now: Now, frame: &[u8]) -> Result<Frame, Silence> {
        self.host.handle(now, Source::UNKNOWN, frame, &self.vendor.host_key)
    }
}

fn now(secs: u64) -> Now {
    Now::new(Instant::from_millis(secs * 1000), Some(UnixTime::from_secs(EPOCH + secs)))
}

fn machine(n: u16) -> Machine<'static> {
    Machine {
        fingerprint: Fingerprint::new([n + 1; 8]),
        workstation_name: Name::new("bench").unwrap(),
        virtual_machine: false,
    }
}

/// Polls until the client sends or waits; saves and reports on the way.
fn drive(
    client: &mut Client<'_>,
    now: Now,
    rng: &mut StdRng,
    events: &mut Vec<Event>,
) -> Option<Frame> {
    loop {
        match client.poll(now, rng) {
            Step::Save => {}
            Step::Report(event) => events.push(event),
            Step::Send { .. } => return client.pending_frame().copied(),
            Step::Wait { until } => {
                assert!(until > now.monotonic, "a wait that does not wait");
                return None;
            }
        }
    }
}

macro_rules! bench {
    ($vendor:ident, $bench:ident) => {
        let $vendor = Vendor::new();
        let keys = [SetupKey::new(KEY_ID, &$vendor.tag_key)];
        let mut pools = [Pool::new(IDS.2, &SERVED, Matching::DEFAULT)];
        let mut $bench = Bench::new(&$vendor, &mut pools, &keys, Some($vendor.certificate));
    };
}

const ONE_HOST: NonZeroU8 = NonZeroU8::new(1).unwrap();

#[test]
fn twenty_five_machines_become_activated() {
    bench!(vendor, bench);
    let product = vendor.product(25);
    let mut rng = StdRng::seed_from_u64(1);
    let mut clients: Vec<_> =
        (0..25).map(|n| Client::new(&product, machine(n), ONE_HOST, now(0), &mut rng)).collect();
    let mut events = Vec::new();
    for (n, client) in (1..).zip(&mut clients) {
        let frame = drive(client, now(0), &mut rng, &mut events).unwrap();
        let answer = bench.handle(now(0), &frame).unwrap();
        let outcome = client.handle_response(now(0), &mut rng, &answer).unwrap();
        let expected = match n {
            25 => Outcome::Activated { count: 25 },
            count => Outcome::BelowThreshold { count, required: 25 },
        };
        assert_eq!(outcome, expected);
        assert_eq!(client.is_activated(now(0)), n == 25);
    }
    // Nobody asks before the interval, everybody after it.
    for client in &mut clients[..24] {
        assert_eq!(drive(client, now(6_479), &mut rng, &mut events), None);
        let frame = drive(client, now(7_921), &mut rng, &mut events).unwrap();
        let answer = bench.handle(now(7_921), &frame).unwrap();
        let outcome = client.handle_response(now(7_921), &mut rng, &answer).unwrap();
        assert_eq!(outcome, Outcome::Activated { count: 25 });
    }
    assert_eq!(bench.host.counters().granted, 49);
    let status = bench.host.pools(now(7_921)).next().unwrap();
    assert_eq!((status.count, status.limit), (Some(25), 50));
    assert_eq!((status.counters.requests, status.counters.required_count), (49, 25));
}

#[test]
fn an_activation_survives_a_restart_and_ends_with_its_validity() {
    bench!(vendor, bench);
    let product = vendor.product(1);
    let mut rng = StdRng::seed_from_u64(2);
    let mut events = Vec::new();
    let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
    let frame = drive(&mut client, now(0), &mut rng, &mut events).unwrap();
    let answer = bench.handle(now(0), &frame).unwrap();
    assert!(client.handle_response(now(0), &mut rng, &answer).is_ok());
    let image = client.image(now(10));

    let resumed =
        Client::resume(&product, machine(0), ONE_HOST, &image, now(20), &mut rng).unwrap();
    assert!(resumed.is_activated(now(20)));
    let day = 86_400;
    assert!(resumed.is_activated(now(180 * day - 1)));
    assert!(!resumed.is_activated(now(180 * day)));
    assert_eq!(resumed.licence(now(180 * day)).status, LicenceStatus::Notification);

    let elsewhere =
        Client::resume(&product, machine(9), ONE_HOST, &image, now(20), &mut rng).unwrap();
    assert_eq!(elsewhere.licence(now(20)).status, LicenceStatus::OutOfToleranceGrace);
}

#[test]
fn no_bit_of_a_stored_activation_can_be_changed() {
    bench!(vendor, bench);
    let product = vendor.product(1);
    let mut rng = StdRng::seed_from_u64(3);
    let mut events = Vec::new();
    let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
    let frame = drive(&mut client, now(0), &mut rng, &mut events).unwrap();
    let answer = bench.handle(now(0), &frame).unwrap();
    client.handle_response(now(0), &mut rng, &answer).unwrap();
    let image = client.image(now(0));
    let record = image.windows(250).position(|window| window == frame).unwrap();
    for bit in 0..500 * 8 {
        let mut edited = image;
        edited[record + bit / 8] ^= 1 << (bit % 8);
        let resumed =
            Client::resume(&product, machine(0), ONE_HOST, &edited, now(1), &mut rng).unwrap();
        assert!(!resumed.is_activated(now(1)), "bit {bit} of the record");
    }
}

#[test]
fn two_images_with_one_cmid_end_up_as_two_machines() {
    bench!(vendor, bench);
    let product = vendor.product(2);
    let mut rng = StdRng::seed_from_u64(4);
    let mut events = Vec::new();
    let image = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng).image(now(0));
    let clone = |n, rng: &mut StdRng| {
        Client::resume(&product, machine(n), ONE_HOST, &image, now(0), rng).unwrap()
    };
    let (mut a, mut b) = (clone(1, &mut rng), clone(2, &mut rng));
    let frame = drive(&mut a, now(0), &mut rng, &mut events).unwrap();
    let answer = bench.handle(now(0), &frame).unwrap();
    a.handle_response(now(0), &mut rng, &answer).unwrap();

    let frame = drive(&mut b, now(1), &mut rng, &mut events).unwrap();
    let answer = bench.handle(now(1), &frame).unwrap();
    let outcome = b.handle_response(now(1), &mut rng, &answer).unwrap();
    assert_eq!(outcome, Outcome::BelowThreshold { count: 1, required: 2 });
    let frame = drive(&mut b, now(1), &mut rng, &mut events).expect("asks again at once");
    assert!(events.contains(&Event::Rearmed));
    assert_ne!(a.cmid(), b.cmid());
    let answer = bench.handle(now(1), &frame).unwrap();
    b.handle_response(now(1), &mut rng, &answer).unwrap();

    let frame = drive(&mut a, now(7_921), &mut rng, &mut events).unwrap();
    let answer = bench.handle(now(7_921), &frame).unwrap();
    let outcome = a.handle_response(now(7_921), &mut rng, &answer).unwrap();
    assert_eq!(outcome, Outcome::Activated { count: 2 });
}

#[test]
fn a_wrong_clock_is_named_by_how_much_it_is_wrong() {
    bench!(vendor, bench);
    let product = vendor.product(1);
    let mut rng = StdRng::seed_from_u64(5);
    let mut events = Vec::new();
    let late = Now::new(Instant::ZERO, Some(UnixTime::from_secs(EPOCH - 5 * 3600)));
    let mut client = Client::new(&product, machine(0), ONE_HOST, late, &mut rng);
    let frame = drive(&mut client, late, &mut rng, &mut events).unwrap();
    let answer = bench.handle(now(0), &frame).unwrap();
    assert_eq!(bench.host.counters().refused[usize::from(Refusal::ClockSkew.code()) - 1], 1);
    let discard = client.handle_response(late, &mut rng, &answer).unwrap_err();
    assert_eq!(discard, client::Discard::ClockSkew(Skew::Behind(5 * 3600)));
    assert_eq!(discard.to_string(), "your clock is 5 h behind the host's");
    client.give_up(late, &mut rng, Failure::Discarded(discard));
    assert_eq!(drive(&mut client, late, &mut rng, &mut events), None);
}

#[test]
fn a_host_without_a_certificate_is_silent() {
    let vendor = Vendor::new();
    let keys = [SetupKey::new(KEY_ID, &vendor.tag_key)];
    let mut pools = [Pool::new(IDS.2, &SERVED, Matching::DEFAULT)];
    let mut bench = Bench::new(&vendor, &mut pools, &keys, None);
    let product = vendor.product(1);
    let mut rng = StdRng::seed_from_u64(6);
    let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
    let frame = drive(&mut client, now(0), &mut rng, &mut Vec::new()).unwrap();
    assert_eq!(bench.handle(now(0), &frame), Err(Silence::NoCertificate));
    assert_eq!(bench.host.pools(now(0)).next().unwrap().count, None, "shown as -1");
}

#[test]
fn rearming_by_hand_is_limited_and_restarts_the_grace() {
    let vendor = Vendor::new();
    let product = vendor.product(1);
    let mut rng = StdRng::seed_from_u64(7);
    let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
    let month = 31 * 86_400;
    assert_eq!(client.licence(now(month)).status, LicenceStatus::Notification);
    for left in [2, 1, 0] {
        client.rearm(now(month), &mut rng).unwrap();
        assert_eq!(client.rearms_left(), left);
        let licence = client.licence(now(month));
        assert_eq!(licence.status, LicenceStatus::InitialGrace);
        assert_eq!(licence.left, Some(Duration::from_secs(30 * 86_400)));
    }
    let cmid = client.cmid();
    assert!(client.rearm(now(month), &mut rng).is_err());
    assert_eq!(client.cmid(), cmid);
}

#[test]
fn a_snapshot_brings_everything_back() {
    let vendor = Vendor::new();
    let keys = [SetupKey::new(KEY_ID, &vendor.tag_key)];
    let product = vendor.product(5);
    let mut rng = StdRng::seed_from_u64(8);
    let mut buffer = [0; 4_096];
    let (length, before) = {
        let mut pools = [Pool::new(IDS.2, &SERVED, Matching::DEFAULT)];
        let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
        for n in 0..5 {
            let mut client = Client::new(&product, machine(n), ONE_HOST, now(0), &mut rng);
            let frame = drive(&mut client, now(0), &mut rng, &mut Vec::new()).unwrap();
            bench.handle(now(0), &frame).unwrap();
        }
        bench.handle(now(0), b"junk").unwrap_err();
        let length = bench.host.snapshot(now(60), &mut buffer).unwrap();
        (length, (*bench.host.counters(), bench.host.pools(now(60)).next().unwrap()))
    };
    let restore = |at: Now| {
        let mut pools = [Pool::new(IDS.2, &SERVED, Matching::DEFAULT)];
        let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
        let restored = bench.host.restore(at, &buffer[..length]).unwrap();
        assert_eq!(restored.pools, 1);
        (*bench.host.counters(), bench.host.pools(at).next().unwrap())
    };
    assert_eq!(restore(now(120)), before);
    // A calendar that went back, or is not there, keeps the records.
    let restarted = |clock| Now::new(Instant::ZERO, clock);
    assert_eq!(restore(restarted(Some(UnixTime::from_secs(1)))), before);
    assert_eq!(restore(restarted(None)), before);
    // Thirty days of standing still count.
    let (_, pool) = restore(now(60 + 30 * 86_400));
    assert_eq!(pool.count, Some(0));

    for cut in 0..length {
        let mut pools = [Pool::new(IDS.2, &SERVED, Matching::DEFAULT)];
        let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
        assert!(bench.host.restore(now(0), &buffer[..cut]).is_err(), "cut at {cut}");
        assert_eq!(bench.host.pools(now(0)).next().unwrap().count, None);
    }
}
