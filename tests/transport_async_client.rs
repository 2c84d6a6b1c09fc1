//! A client's life in one task: the documented driver loop over scripted sockets, in virtual time.
#![cfg(feature = "nal-async")]

mod common;
#[path = "common/virtual_time/mod.rs"]
mod virtual_time;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{DAY, EPOCH, ONE_HOST, TWO_HOSTS, Vendor, machine, pool};
use headcount::client::{self, Client, Discard, Event, IMAGE_LEN, Outcome, Step};
use headcount::host::{Host, Settings, Source};
use headcount::transport::Failure;
use headcount::transport::asynchronous::{Clock, UdpExchange, ask};
use headcount::trust::{SigningKey, Untrusted};
use headcount::wire::LicenceStatus;
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_time::World;
use virtual_time::udp::ScriptedUdp;

fn world() -> World {
    let world = World::default();
    world.epoch.set(Some(EPOCH));
    world
}

/// A network with a host at its other end, whose answers are signed by `signer`.
fn served<'a>(world: &'a World, vendor: &'a Vendor, signer: &'a SigningKey) -> ScriptedUdp<'a> {
    let pools = Box::leak(Box::new([pool()]));
    let keys = Box::leak(Box::new(vendor.setup_keys()));
    let mut host: Host<'_, 50, 16> =
        Host::new(pools, keys, Some(vendor.certificate), Settings::DEFAULT, [9; 16]);
    let stack = ScriptedUdp::new(world);
    stack.script.borrow_mut().host = Some(Box::new(move |_, frame| {
        let answer = host.handle(world.both(), Source::UNKNOWN, frame, signer);
        answer.ok().map(|frame| frame.to_vec())
    }));
    stack
}

fn address() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 1688).into()
}

/// What the loop left behind.
#[derive(Default)]
struct Diary {
    image: Option<[u8; IMAGE_LEN]>,
    events: Vec<Event>,
    /// Milliseconds and host.
    asked: Vec<(u64, u8)>,
    failures: Vec<Failure>,
}

/// The loop of the module's documentation, one network a host.
async fn live(
    client: &mut Client<'_>,
    networks: &[&ScriptedUdp<'_>],
    world: &World,
    rng: &mut StdRng,
    diary: &mut Diary,
) {
    loop {
        match client.poll(world.both(), rng) {
            Step::Save => diary.image = Some(client.image(world.both())),
            Step::Report(event) => diary.events.push(event),
            Step::Wait { until } => world.sleep_until(until).await,
            Step::Send { host } => {
                assert!(diary.image.is_some(), "stored before it asks");
                diary.asked.push((world.millis(), host));
                let exchange = UdpExchange::new(&networks[usize::from(host)], address());
                if let Err(failure) = ask(client, exchange, world, rng).await {
                    diary.failures.push(failure);
                }
            }
        }
    }
}

#[test]
fn a_client_is_activated_renews_and_starts_again_activated() {
    let (world, vendor) = (world(), Vendor::new());
    let product = vendor.product(1);
    let network = served(&world, &vendor, &vendor.host_key);
    let mut rng = StdRng::seed_from_u64(1);
    let mut client = Client::new(&product, machine(0), ONE_HOST, world.both(), &mut rng);
    let mut diary = Diary::default();
    let month = 30 * DAY * 1_000;
    world.run_until(month, live(&mut client, &[&network], &world, &mut rng, &mut diary));

    // At once, then every seven days, give or take a tenth.
    let times: Vec<u64> = diary.asked.iter().map(|(at, _)| *at).collect();
    assert_eq!(times[0], 0);
    assert!((4..=5).contains(&times.len()), "{times:?}");
    let week = 7 * DAY * 1_000;
    let spread = week * 9 / 10..=week * 11 / 10 + 10;
    assert!(times.windows(2).all(|pair| spread.contains(&(pair[1] - pair[0]))), "{times:?}");
    assert_eq!(diary.failures, []);
    let to = LicenceStatus::Licensed;
    assert_eq!(diary.events, [Event::StatusChanged { from: LicenceStatus::InitialGrace, to }],);
    assert_eq!(client.last_attempt(), Some(Ok(Outcome::Activated { count: 1 })));

    let image = diary.image.unwrap();
    let resumed =
        Client::resume(&product, machine(0), ONE_HOST, &image, world.both(), &mut rng).unwrap();
    assert!(resumed.is_activated(world.both()));
}

#[test]
fn a_forger_and_silence_cost_time_and_the_second_host_activates() {
    let (world, vendor) = (world(), Vendor::new());
    let product = vendor.product(1);
    let forger = SigningKey::from_seed(&[66; 32]);
    let forged = served(&world, &vendor, &forger);
    let genuine = served(&world, &vendor, &vendor.host_key);
    let mut rng = StdRng::seed_from_u64(2);
    let mut client = Client::new(&product, machine(0), TWO_HOSTS, world.both(), &mut rng);
    let mut diary = Diary::default();
    let networks = [&forged, &genuine];
    world.run_until(60_000, live(&mut client, &networks, &world, &mut rng, &mut diary));

    assert_eq!(diary.asked, [(0, 0), (23_000, 1)]);
    let waited = Duration::from_secs(23);
    let failure = Failure::NoAnswer { sent: 5, rejected: 5, ignored: 0, waited };
    assert_eq!(diary.failures, [failure]);
    assert!(client.is_activated(world.both()));
    assert_eq!(world.open.get(), 0);
}

#[test]
fn ask_tells_the_client_why_an_answer_was_turned_down() {
    let (world, vendor) = (world(), Vendor::new());
    let product = vendor.product(1);
    let forger = SigningKey::from_seed(&[66; 32]);
    let forged = &served(&world, &vendor, &forger);
    let mut rng = StdRng::seed_from_u64(3);
    let mut client = Client::new(&product, machine(0), ONE_HOST, world.both(), &mut rng);

    let exchange = UdpExchange::new(&forged, address());
    let end = world.run(ask(&mut client, exchange, &world, &mut rng));
    assert_eq!((end, world.opened.get()), (Err(Failure::NoRequest), 0), "nothing to ask yet");

    while !matches!(client.poll(world.both(), &mut rng), Step::Send { .. }) {}
    let exchange = UdpExchange::new(&forged, address());
    let end = world.run(ask(&mut client, exchange, &world, &mut rng));
    assert!(matches!(end, Err(Failure::NoAnswer { rejected: 5, .. })), "{end:?}");
    let discard = Discard::Untrusted(Untrusted::ResponseSignature);
    assert_eq!(client.last_attempt(), Some(Err(client::Failure::Discarded(discard))));
    assert!(client.pending_frame().is_none());
}

#[test]
fn a_client_whose_driver_was_dropped_goes_on_two_minutes_later() {
    let (world, vendor) = (world(), Vendor::new());
    let product = vendor.product(1);
    let silent = ScriptedUdp::new(&world);
    let genuine = served(&world, &vendor, &vendor.host_key);
    let mut rng = StdRng::seed_from_u64(4);
    let mut client = Client::new(&product, machine(0), TWO_HOSTS, world.both(), &mut rng);
    let mut diary = Diary::default();
    let networks = [&silent, &genuine];
    world.run_until(5_000, live(&mut client, &networks, &world, &mut rng, &mut diary));
    assert_eq!((world.open.get(), diary.asked.as_slice()), (0, [(0, 0)].as_slice()));

    world.run_until(200_000, live(&mut client, &networks, &world, &mut rng, &mut diary));
    assert_eq!(diary.asked, [(0, 0), (120_000, 1)]);
    assert!(client.is_activated(world.both()));
}
