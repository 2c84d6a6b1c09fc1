//! A whole exchange at the host beside one bare signature, which it cannot do without, and an
//! acceptance at the client beside two bare verifications.
//!
//! *Bare* is the library's plain call on as many bytes as a response signs. Of the two keys, the
//! root's is decoded once, as in a product; the host's comes with each answer.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;
mod ratio;

use std::hint::black_box;
use std::time::{Duration, Instant as Stopwatch};

use common::{IDS, ONE_HOST, SERVED, Vendor, drive, machine, now};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use headcount::client::{Client, Outcome, Product};
use headcount::fingerprint::Matching;
use headcount::host::{Host, Pool, RateLimit, Settings, Source};
use headcount::wire::{Frame, SIGNATURE_LEN};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use ratio::{ratio, timed};

/// Machines, and room for them.
const MACHINES: usize = 1_024;

/// Works as it does by default, but never refuses: an interval below the clock's resolution.
const SETTINGS: Settings = Settings {
    rate_limit: RateLimit { burst: 1_000, interval: Duration::from_nanos(1) },
    ..Settings::DEFAULT
};

/// Runs `measure` with a host.
fn with_host(vendor: &Vendor, measure: impl FnOnce(&mut Host<'_, MACHINES, 64>)) {
    let keys = vendor.setup_keys();
    let mut pools = vec![Pool::new(IDS.2, &SERVED, Matching::DEFAULT)];
    measure(&mut Host::new(&mut pools, &keys, Some(vendor.certificate), SETTINGS, [9; 16]));
}

fn new_client<'a>(product: &'a Product<'a>, rng: &mut StdRng) -> Client<'a> {
    Client::new(product, machine(5), ONE_HOST, now(0), rng)
}

/// The next request of a client.
fn request(client: &mut Client<'_>, rng: &mut StdRng) -> Frame {
    client.ask_now(now(0));
    drive(client, now(0), rng, &mut Vec::new()).expect("asked to ask")
}

/// The library's own signing key, and a message as long as what a response signs.
fn bare_signer() -> (ed25519_dalek::SigningKey, Vec<u8>) {
    let message = vec![7; size_of::<Frame>() - SIGNATURE_LEN];
    (ed25519_dalek::SigningKey::from_bytes(&[2; 32]), message)
}

fn host(criterion: &mut Criterion) {
    const OPERATIONS: u32 = 100;
    let vendor = Vendor::new();
    let product = vendor.product(1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut frames = Vec::new();
    for _ in 0..MACHINES {
        frames.push(request(&mut new_client(&product, &mut rng), &mut rng));
    }
    let (bare, message) = bare_signer();
    with_host(&vendor, |host| {
        let mut next = frames.iter().cycle();
        let mut exchange = || {
            let frame = next.next().unwrap();
            host.handle(now(0), Source::UNKNOWN, black_box(frame), &vendor.host_key).unwrap()
        };
        let mut group = criterion.benchmark_group("host");
        group.bench_function("exchange", |bencher| bencher.iter(&mut exchange));
        group.bench_function("bare_signature", |bencher| {
            bencher.iter(|| bare.sign(black_box(&message)));
        });
        group.finish();
        ratio(
            "exchange at the host : bare signature",
            1.2,
            OPERATIONS,
            || timed(OPERATIONS, &mut exchange),
            || timed(OPERATIONS, || bare.sign(black_box(&message))),
        );
    });
}

/// What two bare verifications need: the certificate's by a key that is ready, the answer's by one
/// that is not. Verification takes no constant time, so there are as many answers as clients.
struct Bare {
    root: VerifyingKey,
    host: [u8; 32],
    claims: Vec<u8>,
    certificate: Signature,
    answers: Vec<(Vec<u8>, Signature)>,
    turn: usize,
}

impl Bare {
    fn new() -> Self {
        let root = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let (host, mut body) = bare_signer();
        let claims = vec![6; 56];
        let mut rng = StdRng::seed_from_u64(5);
        let answers = (0..CLIENTS).map(|_| {
            body.fill_with(|| rng.random());
            (body.clone(), host.sign(&body))
        });
        Self {
            root: root.verifying_key(),
            host: host.verifying_key().to_bytes(),
            certificate: root.sign(&claims),
            answers: answers.collect(),
            claims,
            turn: 0,
        }
    }

    fn verify_certificate(&self) {
        self.root.verify_strict(black_box(&self.claims), &self.certificate).unwrap();
    }

    fn verify_answer(&mut self) {
        self.turn = (self.turn + 1) % self.answers.len();
        let (body, signature) = black_box(&self.answers[self.turn]);
        let host = VerifyingKey::from_bytes(black_box(&self.host)).unwrap();
        host.verify_strict(body, signature).unwrap();
    }

    fn verify_both(&mut self) {
        self.verify_certificate();
        self.verify_answer();
    }
}

/// Clients that accept at a time.
const CLIENTS: u32 = 32;

/// Clients that wait for an answer, and the answers.
type Waiting<'a> = Vec<(Client<'a>, Frame)>;

fn accept(waiting: &mut Waiting<'_>, rng: &mut StdRng) {
    for (client, answer) in waiting {
        let outcome = client.handle_response(now(0), rng, black_box(answer)).unwrap();
        assert!(matches!(outcome, Outcome::Activated { .. }));
    }
}

fn client(criterion: &mut Criterion) {
    let vendor = Vendor::new();
    let product = vendor.product(1);
    let mut bare = Bare::new();
    with_host(&vendor, |host| {
        let mut rng = StdRng::seed_from_u64(2);
        let mut answer = |client: &mut Client<'_>, rng: &mut StdRng| {
            let frame = request(client, rng);
            host.handle(now(0), Source::UNKNOWN, &frame, &vendor.host_key).unwrap()
        };
        let mut fresh = |clients: u32, rng: &mut StdRng| -> Waiting<'_> {
            let waiting = (0..clients).map(|_| {
                let mut client = new_client(&product, rng);
                let answer = answer(&mut client, rng);
                (client, answer)
            });
            waiting.collect()
        };

        let mut group = criterion.benchmark_group("client");
        let mut setup_rng = StdRng::seed_from_u64(3);
        group.bench_function("acceptance", |bencher| {
            let setup = || fresh(1, &mut setup_rng);
            bencher.iter_batched_ref(
                setup,
                |waiting| accept(waiting, &mut rng),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("bare_verifications", |bencher| bencher.iter(|| bare.verify_both()));
        group.finish();

        let stopwatch = |waiting: &mut Waiting<'_>, rng: &mut StdRng| {
            let begun = Stopwatch::now();
            accept(waiting, rng);
            begun.elapsed()
        };
        let mut rng = StdRng::seed_from_u64(4);
        ratio(
            "acceptance at the client : two bare verifications",
            1.05,
            CLIENTS,
            || stopwatch(&mut fresh(CLIENTS, &mut rng), &mut rng),
            || timed(CLIENTS, || bare.verify_both()),
        );
        let mut renewing = fresh(CLIENTS, &mut rng);
        accept(&mut renewing, &mut rng);
        ratio(
            "renewal with a known certificate : one bare verification",
            1.05,
            CLIENTS,
            || {
                for (client, slot) in &mut renewing {
                    *slot = answer(client, &mut rng);
                }
                stopwatch(&mut renewing, &mut rng)
            },
            || timed(CLIENTS, || bare.verify_answer()),
        );
    });
}

criterion_group!(benches, host, client);
criterion_main!(benches);
