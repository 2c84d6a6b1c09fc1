//! A host and its clients, frame by frame, without any transport.

mod common;

use core::time::Duration;

use common::{Bench, EPOCH, IDS, KEY_ID, ONE_HOST, SERVED, Vendor, bench, drive, machine, now};
use headcount::client::{self, Client, Event, Failure, Outcome};
use headcount::fingerprint::Matching;
use headcount::host::{Pool, SetupKey, Silence};
use headcount::policy::Skew;
use headcount::time::{Instant, Now, UnixTime};
use headcount::wire::{LicenceStatus, Refusal};
use rand::SeedableRng;
use rand::rngs::StdRng;

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
