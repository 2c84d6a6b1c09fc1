//! Frames and what makes them believable, each beside the least that it could cost: a copy of the
//! bytes for the codecs, the library's plain call for tag and signatures.
//!
//! *Bare* is that plain call on messages of the same length. Of the two keys that a client verifies
//! with, the root's is decoded once, as in a product; the host's comes with each answer.
#![allow(missing_docs, reason = "criterion's macros write functions without any")]

mod ratio;

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use headcount::fingerprint::Fingerprint;
use headcount::policy;
use headcount::time::{EpochMinute, Minutes, UnixTime};
use headcount::trust::{
    Expected, ParsedRequest, Root, Signer, SigningKey, TagKey, TagSchedule, request_digest,
    sign_certificate, sign_response, verify_response,
};
use headcount::wire::{
    ActivationId, ApplicationId, Claims, Cmid, CountedId, Coverage, Frame, KeyId, LicenceStatus,
    Method, Name, Nonce, Request, Response, ResponseBody, Role, Validity, Verdict,
};
use hmac::{Hmac, KeyInit, Mac};
use ratio::{ratio, timed};
use sha2::Sha256;

const ROOT_SEED: [u8; 32] = [1; 32];
const HOST_SEED: [u8; 32] = [2; 32];
const TAG_KEY: [u8; 32] = [3; 32];
const COVERAGE: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// What is signed, labels included: 207 bytes of a response, 80 of a certificate.
const SIGNED: usize = "headcount/1/response\0".len() + 186;
const CERTIFIED: usize = "headcount/1/certificate\0".len() + 56;

/// One valid exchange and those who make it.
struct Exchange {
    schedule: TagSchedule,
    roots: [Root; 1],
    host_key: SigningKey,
    body: ResponseBody,
    request: Frame,
    response: Frame,
}

impl Exchange {
    fn new() -> Self {
        let root = SigningKey::from_seed(&ROOT_SEED);
        let host_key = SigningKey::from_seed(&HOST_SEED);
        let schedule = TagSchedule::new(&TagKey::from_bytes(TAG_KEY));
        let request = schedule.seal(&Request {
            virtual_machine: true,
            renewal: false,
            licence_status: LicenceStatus::InitialGrace,
            method: Method::Count,
            required_count: NonZeroU32::MIN,
            time_left: Minutes::from_days(30),
            application_id: ApplicationId([1; 16]),
            activation_id: ActivationId([2; 16]),
            counted_id: CountedId([3; 16]),
            cmid: Cmid::from_random([4; 16]),
            previous_cmid: None,
            client_time: Some(NOW),
            nonce: Nonce([5; 16]),
            fingerprint: Fingerprint::new([6; 8]),
            workstation_name: Name::truncated("workstation-17.example.net"),
            key_id: KeyId(77),
        });
        let claims = Claims {
            public_key: host_key.public_key(),
            serial: 1,
            not_before: EpochMinute(0),
            not_after: EpochMinute(u32::MAX),
            root_id: 1,
            coverage: COVERAGE,
            role: Role::Host,
        };
        let Ok(certificate) = sign_certificate(&claims, &root);
        let body = ResponseBody {
            verdict: Verdict::Granted { count: 25, validity: Validity::For(policy::VALIDITY) },
            duplicate: false,
            activation_interval: policy::ACTIVATION_INTERVAL,
            renewal_interval: policy::RENEWAL_INTERVAL,
            host_time: NOW,
            request_digest: request_digest(&request),
            certificate,
        };
        let Ok(response) = sign_response(&body, &host_key);
        let roots = [Root::new(1, &root.public_key()).expect("a usable key")];
        Self { schedule, roots, host_key, body, request, response }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            request: &self.request,
            method: Method::Count,
            product: COVERAGE,
            roots: &self.roots,
            known_certificate: None,
        }
    }
}

/// Two things under the same roof: each by criterion, then in turns for their ratio.
struct Pair<'a> {
    criterion: &'a mut Criterion,
    group: &'static str,
    goal: f64,
    operations: u32,
}

impl Pair<'_> {
    fn measure<A, B>(
        &mut self,
        (a_name, mut a): (&str, impl FnMut() -> A),
        (b_name, mut b): (&str, impl FnMut() -> B),
    ) {
        let mut group = self.criterion.benchmark_group(self.group);
        group.bench_function(a_name, |bencher| bencher.iter(&mut a));
        group.bench_function(b_name, |bencher| bencher.iter(&mut b));
        group.finish();
        let operations = self.operations;
        ratio(
            &format!("{}: {a_name} : {b_name}", self.group),
            self.goal,
            operations,
            || timed(operations, &mut a),
            || timed(operations, &mut b),
        );
    }
}

fn codec(criterion: &mut Criterion) {
    let Exchange { schedule, request, response, .. } = Exchange::new();
    let mut pair = Pair { criterion, group: "codec", goal: 20.0, operations: 10_000 };
    let copy = |frame: &Frame| *black_box(frame);
    pair.measure(
        ("parse request", || Request::parse(black_box(&request)).is_ok()),
        ("copy 250 bytes", || copy(&request)),
    );
    pair.measure(
        ("parse response", || Response::parse(black_box(&response)).is_ok()),
        ("copy 250 bytes again", || copy(&response)),
    );

    let tagged = &request[..218];
    let bare = || -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(black_box(&TAG_KEY)).expect("any length fits");
        mac.update(black_box(tagged));
        mac.finalize().into_bytes().into()
    };
    let parsed = ParsedRequest::parse(&request).expect("it is well formed");
    let verify = || black_box(parsed).verify(&schedule).is_ok();
    assert!(verify());
    let mut pair = Pair { criterion, group: "tag", goal: 1.1, operations: 200 };
    pair.measure(("verify", verify), ("bare HMAC of 218 bytes", bare));
}

fn sign(criterion: &mut Criterion) {
    let exchange = Exchange::new();
    let bare = ed25519_dalek::SigningKey::from_bytes(&HOST_SEED);
    let message = [7; SIGNED];
    let mut pair = Pair { criterion, group: "sign", goal: 1.05, operations: 20 };
    pair.measure(
        ("response", || sign_response(black_box(&exchange.body), &exchange.host_key)),
        ("bare signature", || bare.sign(black_box(&message))),
    );
}

/// What two bare verifications need.
struct Bare {
    root: VerifyingKey,
    host: [u8; 32],
    certified: [u8; CERTIFIED],
    certificate: Signature,
    signed: [u8; SIGNED],
    answer: Signature,
}

impl Bare {
    fn new() -> Self {
        let root = ed25519_dalek::SigningKey::from_bytes(&ROOT_SEED);
        let host = ed25519_dalek::SigningKey::from_bytes(&HOST_SEED);
        let (certified, signed) = ([6; CERTIFIED], [7; SIGNED]);
        Self {
            root: root.verifying_key(),
            host: host.verifying_key().to_bytes(),
            certificate: root.sign(&certified),
            answer: host.sign(&signed),
            certified,
            signed,
        }
    }

    fn certificate(&self) -> bool {
        self.root.verify_strict(black_box(&self.certified), &self.certificate).is_ok()
    }

    fn answer(&self) -> bool {
        let host = VerifyingKey::from_bytes(black_box(&self.host)).expect("a usable key");
        host.verify_strict(black_box(&self.signed), &self.answer).is_ok()
    }
}

fn verify(criterion: &mut Criterion) {
    let exchange = Exchange::new();
    let expected = exchange.expected();
    let verified = verify_response(&exchange.response, &expected).expect("it is genuine");
    let certificate = verified.certificate();
    let known = Expected { known_certificate: Some(&certificate), ..expected };
    let bare = Bare::new();
    assert!(bare.certificate() && bare.answer());

    let believes = |expected| verify_response(black_box(&exchange.response), expected).is_ok();
    let mut pair = Pair { criterion, group: "verify", goal: 1.05, operations: 20 };
    pair.measure(
        ("response", || believes(&expected)),
        ("two bare verifications", || bare.certificate() && bare.answer()),
    );
    pair.measure(
        ("response with a known certificate", || believes(&known)),
        ("one bare verification", || bare.answer()),
    );
}

/// Short: the ratios are what counts, and they are measured in turns.
fn briefly() -> Criterion {
    let criterion = Criterion::default().sample_size(20);
    criterion.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600))
}

criterion_group! { name = benches; config = briefly(); targets = codec, sign, verify }
criterion_main!(benches);
