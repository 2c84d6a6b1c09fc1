//! Faults that were found by fuzzing, each as the shortest way to it.
#![allow(missing_docs, clippy::unwrap_used)]

use headcount::client::{self, Client, Limits, Machine, Outcome, Step};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{Host, Pool, Product, RestoreFailure, Settings, SetupKey, Source};
use headcount::table::RestoreError;
use headcount::time::{EpochMinute, Instant, Minutes, Now, UnixTime};
use headcount::trust::{
    Root, Signer, SigningKey, TagKey, request_digest, sign_certificate, sign_response,
};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, CountedId, Coverage, Frame, KeyId,
    LicenceStatus, Name, ResponseBody, Role, Validity, Verdict,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::num::{NonZeroU8, NonZeroU32};

const EPOCH: u64 = 1_800_000_000;
const COVERAGE: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
const KEY_ID: KeyId = KeyId(77);
const APPLICATION: ApplicationId = ApplicationId([1; 16]);
const ACTIVATION: ActivationId = ActivationId([2; 16]);
const COUNTED: CountedId = CountedId([3; 16]);

/// A vendor with one product and one host.
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
            tag_key: TagKey::from_bytes([3; 32]),
        }
    }

    fn product(&self) -> client::Product<'_> {
        client::Product {
            application_id: APPLICATION,
            activation_id: ACTIVATION,
            counted_id: COUNTED,
            coverage: COVERAGE,
            required_count: NonZeroU32::MIN,
            matching: Matching::DEFAULT,
            key_id: KEY_ID,
            tag_key: self.tag_key.clone(),
            roots: &self.roots,
            limits: Limits::DEFAULT,
        }
    }

    /// What this vendor's host answers on a count of 1.
    fn grant(&self, now: Now, request: &Frame, validity: Minutes) -> Frame {
        let body = ResponseBody {
            verdict: Verdict::Granted { count: 1, validity: Validity::For(validity) },
            duplicate: false,
            activation_interval: Minutes(120),
            renewal_interval: Minutes(10_080),
            host_time: now.clock.unwrap(),
            request_digest: request_digest(request),
            certificate: self.certificate,
        };
        sign_response(&body, &self.host_key).unwrap()
    }
}

const ONE_HOST: NonZeroU8 = NonZeroU8::MIN;

fn machine(n: u16) -> Machine<'static> {
    Machine {
        fingerprint: Fingerprint::new([n + 1; 8]),
        workstation_name: Name::new("bench").unwrap(),
        virtual_machine: false,
    }
}

/// Polls until the client sends; `None` when it waits.
fn sent(client: &mut Client<'_>, now: Now, rng: &mut StdRng) -> Option<Frame> {
    loop {
        match client.poll(now, rng) {
            Step::Save | Step::Report(_) => {}
            Step::Send { .. } => return client.pending_frame().copied(),
            Step::Wait { .. } => return None,
        }
    }
}

fn now(secs: u64) -> Now {
    Now::new(Instant::from_millis(secs * 1_000), Some(UnixTime::from_secs(EPOCH + secs)))
}

#[test]
fn a_host_that_grants_nothing_is_not_asked_without_end() {
    let vendor = Vendor::new();
    let product = vendor.product();
    let mut rng = StdRng::seed_from_u64(1);
    let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
    let request = sent(&mut client, now(0), &mut rng).unwrap();
    let answer = vendor.grant(now(0), &request, Minutes(0));
    let outcome = client.handle_response(now(0), &mut rng, &answer);
    assert_eq!(outcome, Ok(Outcome::Activated { count: 1 }));
    assert!(!client.is_activated(now(0)));
    assert_eq!(sent(&mut client, now(0), &mut rng), None);
    assert_eq!(sent(&mut client, now(13 * 60), &mut rng), None);
    assert!(sent(&mut client, now(17 * 60), &mut rng).is_some());
}

/// A client that was activated at the time 0 for a day.
fn activated<'a>(
    vendor: &Vendor,
    product: &'a client::Product<'a>,
    rng: &mut StdRng,
) -> Client<'a> {
    let mut client = Client::new(product, machine(0), ONE_HOST, now(0), rng);
    let request = sent(&mut client, now(0), rng).unwrap();
    let answer = vendor.grant(now(0), &request, Minutes::from_days(1));
    client.handle_response(now(0), rng, &answer).unwrap();
    client
}

#[test]
fn an_edited_start_makes_no_activation_younger() {
    let vendor = Vendor::new();
    let product = vendor.product();
    let mut rng = StdRng::seed_from_u64(2);
    let image = activated(&vendor, &product, &mut rng).image(now(0));
    let start = EPOCH.to_be_bytes();
    let later = (EPOCH + 10 * 86_400).to_be_bytes();
    // Wherever the state names the time of the activation: grace, floor and age, and the frames.
    let places = (0..image.len() - 8).filter(|at| image[*at..at + 8] == start);
    let places: Vec<_> = places.collect();
    assert_eq!(places.len(), 5);
    let restart = Now::new(Instant::ZERO, now(2 * 86_400).clock);
    for at in places {
        let mut edited = image;
        edited[at..at + 8].copy_from_slice(&later);
        let client =
            Client::resume(&product, machine(0), ONE_HOST, &edited, restart, &mut rng).unwrap();
        assert!(!client.is_activated(restart), "edited at {at}");
    }
}

#[test]
fn an_activation_of_hardware_that_changed_meanwhile_is_out_of_tolerance() {
    let vendor = Vendor::new();
    let product = vendor.product();
    let mut rng = StdRng::seed_from_u64(3);
    let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
    let request = sent(&mut client, now(0), &mut rng).unwrap();
    client.set_machine(machine(9), now(1));
    let answer = vendor.grant(now(1), &request, Minutes::from_days(1));
    client.handle_response(now(1), &mut rng, &answer).unwrap();
    // It says at once what it will say after the next start.
    let image = client.image(now(1));
    let resumed = Client::resume(&product, machine(9), ONE_HOST, &image, now(1), &mut rng).unwrap();
    assert_eq!(client.licence(now(1)), resumed.licence(now(1)));
    assert_eq!(client.licence(now(1)).status, LicenceStatus::OutOfToleranceGrace);
    // And asks again, with the hardware that it has.
    let request = sent(&mut client, now(1), &mut rng).unwrap();
    let answer = vendor.grant(now(1), &request, Minutes::from_days(1));
    client.handle_response(now(1), &mut rng, &answer).unwrap();
    assert!(client.is_activated(now(1)));
}

#[test]
fn a_snapshot_with_more_records_than_its_limit_is_refused() {
    const LIMIT: std::ops::Range<usize> = 134..138;
    let vendor = Vendor::new();
    let product = vendor.product();
    let keys = [SetupKey::new(KEY_ID, &vendor.tag_key)];
    let served =
        [Product { application_id: APPLICATION, activation_id: ACTIVATION, coverage: COVERAGE }];
    let certificate = Some(vendor.certificate);
    let mut rng = StdRng::seed_from_u64(4);
    let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
    let request = sent(&mut client, now(0), &mut rng).unwrap();

    let mut snapshot = [0; 178];
    let mut pools = [Pool::<4>::new(COUNTED, &served, Matching::DEFAULT)];
    let mut host =
        Host::<'_, _, 4>::new(&mut pools, &keys, certificate, Settings::DEFAULT, [0; 16]);
    host.decide(now(0), Source::UNKNOWN, &request).unwrap();
    assert_eq!(host.snapshot(now(0), &mut snapshot), Ok(178));
    assert_eq!(snapshot[LIMIT], 2_u32.to_be_bytes());

    snapshot[LIMIT].fill(0);
    let mut pools = [Pool::<4>::new(COUNTED, &served, Matching::DEFAULT)];
    let mut host =
        Host::<'_, _, 4>::new(&mut pools, &keys, certificate, Settings::DEFAULT, [0; 16]);
    let refused = Err(RestoreFailure::Table(RestoreError::TooManyRecords { limit: 0 }));
    assert_eq!(host.restore(now(0), &snapshot), refused);
    assert_eq!(host.pools(now(0)).next().unwrap().count, None);
}
