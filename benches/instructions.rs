//! What each step of an exchange costs in instructions, each beside the bare work that it cannot do
//! without. Run by `scripts/instructions` under callgrind, which counts exactly, whatever else the
//! machine is doing; run by hand it only shows that everything works.
//!
//! `instructions NAME` does one step `REPEATS` times within [`measured`], the only function that
//! callgrind is told to count; without a name it lists the names.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::num::NonZeroU32;

use common::{COVERAGE, IDS, KEY_ID, ONE_HOST, SERVED, Vendor, drive, machine, now};
use ed25519_dalek::{Signer as _, VerifyingKey};
use headcount::client::Client;
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{Host, Pool, RateLimit, Settings, Source};
use headcount::table::{CmidTable, Sighting};
use headcount::time::EpochMinute;
use headcount::trust::{Expected, ParsedRequest, Signer, TagSchedule, verify_response};
use headcount::wire::{Cmid, Frame, Method, Response};
use hmac::{Hmac, KeyInit, Mac};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::Sha256;

/// The script divides by this.
const REPEATS: u64 = 20;

/// One step's name and what does it.
type Operation = (&'static str, fn(&Fixture));

const OPERATIONS: [Operation; 14] = [
    ("copy_250", |_| {
        let frame: Frame = [7; 250];
        measured(|| black_box(*black_box(&frame)));
    }),
    ("parse_request", |fixture| {
        measured(|| ParsedRequest::parse(black_box(&fixture.request)).unwrap());
    }),
    ("parse_response", |fixture| {
        measured(|| Response::parse(black_box(&fixture.response)).unwrap());
    }),
    ("bare_hmac", |fixture| {
        let key = *fixture.vendor.tag_key.expose();
        measured(|| {
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(black_box(&key)).unwrap();
            mac.update(black_box(&fixture.request[..218]));
            mac.finalize().into_bytes()
        });
    }),
    ("tag", |fixture| {
        let schedule = TagSchedule::new(&fixture.vendor.tag_key);
        let parsed = ParsedRequest::parse(&fixture.request).unwrap();
        measured(|| black_box(parsed).verify(&schedule).is_ok());
    }),
    ("bare_sign", |_| {
        let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
        measured(|| key.sign(black_box(&[7; 186])));
    }),
    ("host_exchange", |fixture| {
        let keys = fixture.vendor.setup_keys();
        let mut pools = [Pool::<'_, 50>::new(IDS.2, &SERVED, Matching::DEFAULT)];
        let limit = RateLimit { burst: u32::MAX, ..RateLimit::DEFAULT };
        let settings = Settings { rate_limit: limit, ..Settings::DEFAULT };
        let certificate = Some(fixture.vendor.certificate);
        let mut host: Host<'_, 50, 16> =
            Host::new(&mut pools, &keys, certificate, settings, [9; 16]);
        let source = Source::UNKNOWN;
        measured(|| {
            let frame = black_box(&fixture.request);
            host.handle(now(0), source, frame, &fixture.vendor.host_key).unwrap()
        });
    }),
    ("bare_verify", |fixture| {
        let (key, message, signature) = fixture.signed(21 + 186);
        measured(|| {
            let key = VerifyingKey::from_bytes(black_box(&key)).unwrap();
            key.verify_strict(&message, &signature).unwrap();
        });
    }),
    ("bare_verify_twice", |fixture| {
        // The root key is decoded once in a product's life, the host's key comes with each answer.
        let (key, certificate, signature_of_root) = fixture.signed(24 + 56);
        let (_, message, signature) = fixture.signed(21 + 186);
        let root = VerifyingKey::from_bytes(&key).unwrap();
        measured(|| {
            root.verify_strict(black_box(&certificate), &signature_of_root).unwrap();
            let key = VerifyingKey::from_bytes(black_box(&key)).unwrap();
            key.verify_strict(&message, &signature).unwrap();
        });
    }),
    ("accept", |fixture| {
        let expected = fixture.expected();
        measured(|| verify_response(black_box(&fixture.response), &expected).unwrap());
    }),
    ("accept_known", |fixture| {
        let known = verify_response(&fixture.response, &fixture.expected()).unwrap().certificate();
        let expected = Expected { known_certificate: Some(&known), ..fixture.expected() };
        measured(|| verify_response(black_box(&fixture.response), &expected).unwrap());
    }),
    ("table_64", |_| renew::<64>()),
    ("table_8192", |_| renew::<8_192>()),
    ("table_65536", |_| renew::<65_536>()),
];

fn main() {
    // `cargo bench` and `cargo test` add options of their own.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let Some(wanted) = wanted else {
        for (name, _) in OPERATIONS {
            println!("{name} {REPEATS}");
        }
        return;
    };
    let fixture = Fixture::new();
    let (_, run) = OPERATIONS.iter().find(|(name, _)| *name == wanted).expect("no such step");
    run(&fixture);
}

/// Does `step` again and again. Callgrind counts here and nowhere else.
#[inline(never)]
fn measured<T>(mut step: impl FnMut() -> T) {
    for _ in 0..REPEATS {
        black_box(step());
    }
}

/// Renews machines of a full table in an order that no cache foresees.
fn renew<const N: usize>() {
    // A large table may be made on the stack first.
    let builder = std::thread::Builder::new().stack_size(8 * size_of::<CmidTable<N>>() + (1 << 20));
    builder.spawn(renew_in_thread::<N>).unwrap().join().unwrap();
}

fn renew_in_thread<const N: usize>() {
    let sighting = |n: u64| Sighting {
        required_count: NonZeroU32::new(u32::try_from(N).unwrap()).unwrap(),
        cmid: Cmid::from_random((n % N as u64).to_be_bytes().repeat(2).try_into().unwrap()),
        previous_cmid: None,
        fingerprint: Fingerprint::new([1; 8]),
    };
    let mut table = Box::new(CmidTable::<N>::new([9; 16]));
    for n in 0..N as u64 {
        let _ = table.observe(EpochMinute(1), &sighting(n), &Matching::DEFAULT);
    }
    let mut n = 0_u64;
    measured(|| {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        table.observe(EpochMinute(2), &sighting(n >> 33), &Matching::DEFAULT)
    });
}

/// One exchange, ready to be taken apart.
struct Fixture {
    vendor: Vendor,
    request: Frame,
    response: Frame,
}

impl Fixture {
    fn new() -> Self {
        let vendor = Vendor::new();
        let product = vendor.product(1);
        let mut rng = StdRng::seed_from_u64(1);
        let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
        let request = drive(&mut client, now(0), &mut rng, &mut Vec::new()).unwrap();
        let keys = vendor.setup_keys();
        let mut pools = [Pool::<'_, 50>::new(IDS.2, &SERVED, Matching::DEFAULT)];
        let mut host: Host<'_, 50, 16> =
            Host::new(&mut pools, &keys, Some(vendor.certificate), Settings::DEFAULT, [9; 16]);
        let response = host.handle(now(0), Source::UNKNOWN, &request, &vendor.host_key).unwrap();
        assert_eq!(ParsedRequest::parse(&request).unwrap().key_id(), KEY_ID);
        Self { vendor, request, response }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            request: &self.request,
            method: Method::Count,
            product: COVERAGE,
            roots: &self.vendor.roots,
            known_certificate: None,
        }
    }

    /// A public key and what it signed: as long as a label and what follows it.
    fn signed(&self, length: usize) -> ([u8; 32], Vec<u8>, ed25519_dalek::Signature) {
        let message = vec![7; length];
        let Ok(signature) = self.vendor.host_key.sign(&message);
        let key = self.vendor.host_key.public_key().0;
        (key, message, ed25519_dalek::Signature::from_bytes(&signature.0))
    }
}
