//! A whole exchange at the host beside one bare signature, which it cannot do without, and an
//! acceptance at the client beside two bare verifications.
//!
//! *Bare* is the library's plain call on as many bytes as a response signs. Of the two keys, the
//! root's is decoded once, as in a product; the host's comes with each answer.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::hint::black_box;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::{Duration, Instant as Stopwatch};

use common::{ratio, timed};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use headcount::client::{self, Client, Limits, Machine, Outcome, Step};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{Host, Pool, Product, RateLimit, Settings, SetupKey, Source};
use headcount::time::{EpochMinute, Instant, Now, UnixTime};
use headcount::trust::{MasterKey, Root, Signer, SigningKey, TagKey, sign_certificate};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, CountedId, Coverage, Frame, KeyId, KeyKind,
    Name, Role, SIGNATURE_LEN,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

const COVERAGE: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
const KEY_ID: KeyId = KeyId(77);
const IDS: (ApplicationId, ActivationId, CountedId) =
    (ApplicationId([1; 16]), ActivationId([2; 16]), CountedId([3; 16]));
const SERVED: [Product; 1] =
    [Product { application_id: IDS.0, activation_id: IDS.1, coverage: COVERAGE }];
const NOW: Now = Now::new(Instant::from_millis(1_000), Some(UnixTime::from_secs(1_800_000_000)));

/// Machines, and room for them.
const MACHINES: usize = 1_024;

/// Works as it is by default, but never refuses: an interval below the clock's resolution.
const SETTINGS: Settings = Settings {
    rate_limit: RateLimit { burst: 1_000, interval: Duration::from_nanos(1) },
    ..Settings::DEFAULT
};

const ROOT_SEED: [u8; 32] = [1; 32];
const HOST_SEED: [u8; 32] = [2; 32];

/// A vendor with one product and one host.
struct Vendor {
    roots: [Root; 1],
    host_key: SigningKey,
    certificate: Certificate,
    tag_key: TagKey,
}

impl Vendor {
    fn new() -> Self {
        let root = SigningKey::from_seed(&ROOT_SEED);
        let host_key = SigningKey::from_seed(&HOST_SEED);
        let claims = Claims {
            public_key: host_key.public_key(),
            serial: 1,
            not_before: EpochMinute(0),
            not_after: EpochMinute(u32::MAX),
            root_id: 1,
            coverage: COVERAGE,
            role: Role::Host,
        };
        let master = MasterKey::from_bytes([3; 32]);
        Self {
            roots: [Root::new(1, &root.public_key()).unwrap()],
            certificate: sign_certificate(&claims, &root).unwrap(),
            host_key,
            tag_key: master.product_key(KeyKind::ClientSetup, KEY_ID).tag_key(),
        }
    }

    fn product(&self) -> client::Product<'_> {
        client::Product {
            application_id: IDS.0,
            activation_id: IDS.1,
            counted_id: IDS.2,
            coverage: COVERAGE,
            required_count: NonZeroU32::MIN,
            matching: Matching::DEFAULT,
            key_id: KEY_ID,
            tag_key: self.tag_key.clone(),
            roots: &self.roots,
            limits: Limits::DEFAULT,
        }
    }

    /// Runs `measure` with a host.
    fn with_host(&self, measure: impl FnOnce(&mut Host<'_, MACHINES, 64>)) {
        let keys = [SetupKey::new(KEY_ID, &self.tag_key)];
        let mut pools = [Pool::new(IDS.2, &SERVED, Matching::DEFAULT)];
        measure(&mut Host::new(&mut pools, &keys, Some(self.certificate), SETTINGS, [9; 16]));
    }
}

fn new_client<'a>(product: &'a client::Product<'a>, rng: &mut StdRng) -> Client<'a> {
    let machine = Machine {
        fingerprint: Fingerprint::new([5; 8]),
        workstation_name: Name::new("workstation-17").unwrap(),
        virtual_machine: false,
    };
    Client::new(product, machine, NonZeroU8::MIN, NOW, rng)
}

/// The next request of a client.
fn request(client: &mut Client<'_>, rng: &mut StdRng) -> Frame {
    client.ask_now(NOW);
    loop {
        match client.poll(NOW, rng) {
            Step::Save | Step::Report(_) => {}
            Step::Send { .. } => return *client.pending_frame().unwrap(),
            Step::Wait { .. } => unreachable!("asked to ask"),
        }
    }
}

/// The library's own signing key, and a message as long as what a response signs.
fn bare_signer() -> (ed25519_dalek::SigningKey, Vec<u8>) {
    let message = vec![7; size_of::<Frame>() - SIGNATURE_LEN];
    (ed25519_dalek::SigningKey::from_bytes(&HOST_SEED), message)
}

fn host(criterion: &mut Criterion) {
    const OPERATIONS: u32 = 100;
    let vendor = Vendor::new();
    let product = vendor.product();
    let mut rng = StdRng::seed_from_u64(1);
    let mut frames = Vec::new();
    for _ in 0..MACHINES {
        frames.push(request(&mut new_client(&product, &mut rng), &mut rng));
    }
    let (bare, message) = bare_signer();
    vendor.with_host(|host| {
        let mut next = frames.iter().cycle();
        let mut exchange = || {
            let frame = next.next().unwrap();
            host.handle(NOW, Source::UNKNOWN, black_box(frame), &vendor.host_key).unwrap()
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
/// that is not.
struct Bare {
    root: VerifyingKey,
    host: [u8; 32],
    claims: Vec<u8>,
    certificate: Signature,
    body: Vec<u8>,
    answer: Signature,
}

impl Bare {
    fn new() -> Self {
        let root = ed25519_dalek::SigningKey::from_bytes(&ROOT_SEED);
        let (host, body) = bare_signer();
        let claims = vec![6; 56];
        Self {
            root: root.verifying_key(),
            host: host.verifying_key().to_bytes(),
            certificate: root.sign(&claims),
            answer: host.sign(&body),
            claims,
            body,
        }
    }

    fn verify_certificate(&self) {
        self.root.verify_strict(black_box(&self.claims), &self.certificate).unwrap();
    }

    fn verify_answer(&self) {
        let host = VerifyingKey::from_bytes(black_box(&self.host)).unwrap();
        host.verify_strict(black_box(&self.body), &self.answer).unwrap();
    }

    fn verify_both(&self) {
        self.verify_certificate();
        self.verify_answer();
    }
}

/// Clients that wait for an answer, and the answers.
type Waiting<'a> = Vec<(Client<'a>, Frame)>;

fn accept(waiting: &mut Waiting<'_>, rng: &mut StdRng) {
    for (client, answer) in waiting {
        let outcome = client.handle_response(NOW, rng, black_box(answer)).unwrap();
        assert!(matches!(outcome, Outcome::Activated { .. }));
    }
}

fn client(criterion: &mut Criterion) {
    const CLIENTS: u32 = 32;
    let vendor = Vendor::new();
    let product = vendor.product();
    let bare = Bare::new();
    vendor.with_host(|host| {
        let mut rng = StdRng::seed_from_u64(2);
        let mut answer = |client: &mut Client<'_>, rng: &mut StdRng| {
            let frame = request(client, rng);
            host.handle(NOW, Source::UNKNOWN, &frame, &vendor.host_key).unwrap()
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
