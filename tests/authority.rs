//! An authority off line and the hosts that it enrols: limits, repetitions, refusals, faults.

#[path = "authority/support.rs"]
mod support;

use std::collections::HashMap;
use std::convert::Infallible;

use headcount::authority::{
    Authority, EnrolmentError, EnrolmentOutcome,
    EnrolmentOutcome::{Granted, Refused, Repeated},
    HostKeyRecord,
};
use headcount::policy::CLOCK_TOLERANCE;
use headcount::time::{EpochMinute, Minutes, UnixTime};
use headcount::trust::{
    self, MasterKey, Root, Signer, SigningKey, UntrustedEnrolment, UntrustedGrant,
};
use headcount::wire::{
    Certificate, Coverage, EnrolmentRequest, EnrolmentResponse, Fault, Frame, KeyId, KeyKind,
    Malformed, PublicKey, Refusal, Role, Signature,
};
use proptest::prelude::*;
use support::{COVERAGE, Call, Host, KEY, Ledger, NOW, ROOT_ID, master, root, roots, tag_key};

fn answer_with(
    authority: &Authority<'_, SigningKey>,
    frame: &Frame,
    ledger: &mut Ledger,
) -> Result<(Frame, EnrolmentOutcome), EnrolmentError<Infallible, Call>> {
    authority
        .answer_enrolment(frame, NOW, 0x1122, ledger)
        .map(|answer| (answer.frame, answer.outcome))
}

fn offline<'a>(master: &'a MasterKey, root: &'a SigningKey) -> Authority<'a, SigningKey> {
    let certificate_validity = Minutes::from_days(180);
    Authority { master, root_id: ROOT_ID, root, certificate_validity, max_skew: None }
}

fn answer(frame: &Frame, ledger: &mut Ledger) -> (Frame, EnrolmentOutcome) {
    answer_with(&offline(&master(), &root()), frame, ledger).unwrap()
}

#[test]
fn new_host_gets_a_certificate_that_it_believes() {
    let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
    let mut host = Host::new(1);
    let request = host.ask();
    let (frame, outcome) = answer(&request, &mut ledger);
    assert_eq!(outcome, Granted { activation: 1 });
    let body = host.believe(&frame, &request);
    let claims = body.outcome.unwrap().claims;
    assert_eq!((body.hosts_left, body.activations_left), (5, 9));
    assert_eq!(body.authority_time, NOW);
    assert_eq!((body.root_id, claims.root_id), (ROOT_ID, ROOT_ID));
    assert_eq!(claims.public_key, host.request.public_key);
    assert_eq!(claims.serial, 0x1122);
    assert_eq!((claims.role, claims.coverage), (Role::Host, COVERAGE));
    assert_eq!(claims.not_before, EpochMinute(NOW.minute().0 - 240));
    assert_eq!(claims.not_after, EpochMinute(NOW.minute().0 + 180 * 24 * 60));
    assert_eq!(ledger.names, ["core-switch-07"]);
}

#[test]
fn rank_is_the_lower_of_key_and_platform() {
    for (platform_rank, rank) in [(0, 0), (2, 2), (3, 3), (4, 3), (255, 3)] {
        let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
        let mut host = Host::new(1);
        host.request.platform_rank = platform_rank;
        let request = host.ask();
        let body = host.believe(&answer(&request, &mut ledger).0, &request);
        assert_eq!(body.outcome.unwrap().claims.coverage, Coverage { rank, ..COVERAGE });
    }
}

#[test]
fn key_enrols_6_hosts_and_each_10_times() {
    let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
    let mut hosts: Vec<_> = (1..=7).map(Host::new).collect();
    for (index, host) in (1..).zip(&mut hosts[..6]) {
        for activation in 1..=10 {
            let request = host.ask();
            let (frame, outcome) = answer(&request, &mut ledger);
            assert_eq!(outcome, Granted { activation });
            let body = host.believe(&frame, &request);
            assert_eq!((body.hosts_left, body.activations_left), (6 - index, 10 - activation));
        }
        // The eleventh, while there is still place for other hosts.
        let request = host.ask();
        let (frame, outcome) = answer(&request, &mut ledger);
        assert_eq!(outcome, Refused(Refusal::KeyExhausted));
        let body = host.believe(&frame, &request);
        assert_eq!(body.outcome, Err(Refusal::KeyExhausted));
        assert_eq!((body.hosts_left, body.activations_left), (6 - index, 0));
    }
    let request = hosts[6].ask();
    let (frame, outcome) = answer(&request, &mut ledger);
    assert_eq!(outcome, Refused(Refusal::KeyExhausted));
    let body = hosts[6].believe(&frame, &request);
    assert_eq!((body.hosts_left, body.activations_left), (0, 0));
    assert_eq!(ledger.names.len(), 60);

    // The same request is granted once the vendor allows more: a refusal is not remembered.
    ledger.keys[0].hosts_limit = 7;
    assert_eq!(answer(&request, &mut ledger).1, Granted { activation: 1 });
}

#[test]
fn known_host_is_enrolled_again_when_the_hosts_are_full() {
    let limits = HostKeyRecord { hosts_limit: 1, ..HostKeyRecord::new(KEY, COVERAGE) };
    let mut ledger = Ledger::with(limits);
    let (mut first, mut second) = (Host::new(1), Host::new(2));
    assert_eq!(answer(&first.ask(), &mut ledger).1, Granted { activation: 1 });
    assert_eq!(answer(&second.ask(), &mut ledger).1, Refused(Refusal::KeyExhausted));
    assert_eq!(answer(&first.ask(), &mut ledger).1, Granted { activation: 2 });
    // Limits that were lowered later take nothing back and count below nothing nowhere.
    ledger.keys[0].hosts_limit = 0;
    ledger.keys[0].activations_per_host = 3;
    let request = first.ask();
    let (frame, outcome) = answer(&request, &mut ledger);
    assert_eq!(outcome, Granted { activation: 3 });
    let body = first.believe(&frame, &request);
    assert_eq!((body.hosts_left, body.activations_left), (0, 0));
}

#[test]
fn hosts_are_counted_for_each_key() {
    let other = KeyId(901);
    let limits = HostKeyRecord { hosts_limit: 1, ..HostKeyRecord::new(KEY, COVERAGE) };
    let mut ledger = Ledger::with(limits);
    ledger.keys.push(HostKeyRecord { key_id: other, ..limits });
    let (mut first, mut second) = (Host::new(1), Host::new(2));
    assert_eq!(answer(&first.ask(), &mut ledger).1, Granted { activation: 1 });
    second.request.key_id = other;
    assert_eq!(answer(&second.ask(), &mut ledger).1, Granted { activation: 1 });
    first.request.key_id = other;
    assert_eq!(answer(&first.ask(), &mut ledger).1, Refused(Refusal::KeyExhausted));
}

#[test]
fn repeated_frame_gets_the_same_bytes_and_is_not_counted() {
    let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
    let mut host = Host::new(1);
    let request = host.ask();
    let (frame, _) = answer(&request, &mut ledger);
    for _ in 0..20 {
        assert_eq!(answer(&host.repeat(), &mut ledger), (frame, Repeated));
    }
    // Also years later, with another serial number, and when nothing is left.
    ledger.keys[0].activations_per_host = 1;
    assert_eq!(answer(&host.ask(), &mut ledger).1, Refused(Refusal::KeyExhausted));
    let (master, root) = (master(), root());
    let online = Authority { max_skew: Some(CLOCK_TOLERANCE), ..offline(&master, &root) };
    let later = UnixTime::from_secs(NOW.as_secs() * 2);
    let again = online.answer_enrolment(&request, later, 7, &mut ledger).unwrap();
    assert_eq!((again.frame, again.outcome), (frame, Repeated));
    assert_eq!(ledger.names.len(), 1);
}

#[test]
fn unknown_and_blocked_keys_are_refused_and_tell_nothing() {
    let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
    let mut host = Host::new(1);
    let granted = host.ask();
    assert_eq!(answer(&granted, &mut ledger).1, Granted { activation: 1 });
    let mut check = |key_id, blocked, refusal| {
        ledger.keys[0].blocked = blocked;
        host.request.key_id = key_id;
        // Neither the granted frame nor a new one.
        for request in [host.repeat(), host.ask()] {
            let (frame, outcome) = answer(&request, &mut ledger);
            assert_eq!(outcome, Refused(refusal));
            let body = host.believe(&frame, &request);
            assert_eq!(body.outcome, Err(refusal));
            assert_eq!((body.hosts_left, body.activations_left), (0, 0));
            assert_eq!(frame[56..176], [0; 120], "a certificate in a refusal");
        }
    };
    check(KEY, true, Refusal::KeyBlocked);
    check(KeyId(u32::MAX), false, Refusal::UnknownKey);
    assert_eq!(ledger.names.len(), 1);
    ledger.keys[0].blocked = false;
    assert_eq!(answer(&granted, &mut ledger).1, Repeated);
}

#[test]
fn clocks_matter_only_where_the_authority_says_so() {
    let (master, root) = (master(), root());
    let limit = u64::from(CLOCK_TOLERANCE.0) * 60;
    let now = NOW.as_secs();
    for (host_time, tolerable) in [
        (Some(now - limit), true),
        (Some(now - limit - 1), false),
        (Some(now + limit), true),
        (Some(now + limit + 1), false),
        (Some(1), false),
        (Some(u64::MAX), false),
        (None, true),
    ] {
        for (max_skew, granted) in [(None, true), (Some(CLOCK_TOLERANCE), tolerable)] {
            let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
            let mut host = Host::new(1);
            host.request.host_time = host_time.map(UnixTime::from_secs);
            let request = host.ask();
            let authority = Authority { max_skew, ..offline(&master, &root) };
            let (frame, outcome) = answer_with(&authority, &request, &mut ledger).unwrap();
            let body = host.believe(&frame, &request);
            if granted {
                assert_eq!(outcome, Granted { activation: 1 });
            } else {
                assert_eq!(outcome, Refused(Refusal::ClockSkew));
                assert_eq!(body.outcome, Err(Refusal::ClockSkew));
                assert_eq!((body.hosts_left, body.activations_left), (6, 10));
                assert!(ledger.names.is_empty());
            }
        }
    }
}

#[test]
fn untrusted_requests_are_not_answered() {
    let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
    let mut host = Host::new(1);
    let mut check = |frame: &Frame, fault: UntrustedEnrolment| {
        let error = answer_with(&offline(&master(), &root()), frame, &mut ledger).unwrap_err();
        assert_eq!(error, EnrolmentError::Untrusted(fault));
    };
    let mut other_kind = host.ask();
    other_kind[3] = 4;
    check(
        &other_kind,
        UntrustedEnrolment::Malformed(Malformed { offset: 3, fault: Fault::Kind(4) }),
    );
    let mut flipped = host.ask();
    flipped[249] ^= 1;
    check(&flipped, UntrustedEnrolment::Tag);
    // Tagged with another key than the one that it names.
    let wrong_key = tag_key(KeyId(901));
    check(
        &trust::seal_enrolment_request(&host.request, &host.signing, &wrong_key).unwrap(),
        UntrustedEnrolment::Tag,
    );
    // A MAK of the same number is another key.
    let mak = master().product_key(KeyKind::MultipleActivation, KEY).tag_key();
    check(
        &trust::seal_enrolment_request(&host.request, &host.signing, &mak).unwrap(),
        UntrustedEnrolment::Tag,
    );
    // Signed by somebody who only knows the other's public key.
    let thief = SigningKey::from_seed(&[9; 32]);
    check(
        &trust::seal_enrolment_request(&host.request, &thief, &tag_key(KEY)).unwrap(),
        UntrustedEnrolment::Possession,
    );
    assert!(ledger.names.is_empty());
}

#[test]
fn failing_ledger_gives_no_answer() {
    for call in [Call::HostKey, Call::AnswerTo, Call::Hosts, Call::Activations, Call::Record] {
        let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
        ledger.fails = Some(call);
        let request = Host::new(1).ask();
        let error = answer_with(&offline(&master(), &root()), &request, &mut ledger).unwrap_err();
        assert_eq!(error, EnrolmentError::Ledger(call));
        ledger.fails = None;
        assert_eq!(answer(&request, &mut ledger).1, Granted { activation: 1 });
    }
}

#[test]
fn failing_signer_records_nothing() {
    /// A device that signs this many times.
    struct Device(SigningKey, std::cell::Cell<u32>);

    impl Signer for Device {
        type Error = &'static str;

        fn public_key(&self) -> PublicKey {
            self.0.public_key()
        }

        fn sign(&self, message: &[u8]) -> Result<Signature, Self::Error> {
            let left = self.1.get().checked_sub(1).ok_or("no card in the reader")?;
            self.1.set(left);
            self.0.sign(message).map_err(|never| match never {})
        }
    }

    for times in 0..2 {
        let device = Device(root(), times.into());
        let authority = Authority {
            master: &master(),
            root_id: ROOT_ID,
            root: &device,
            certificate_validity: Minutes(60),
            max_skew: None,
        };
        let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
        let request = Host::new(1).ask();
        let error = authority.answer_enrolment(&request, NOW, 1, &mut ledger).unwrap_err();
        assert_eq!(error, EnrolmentError::Signer("no card in the reader"));
        assert!(ledger.names.is_empty());
    }
}

#[test]
fn dates_stop_at_the_ends_of_their_scale() {
    let (master, root) = (master(), root());
    let key = Host::new(1).request.public_key;
    let dates = |secs, validity| {
        let authority =
            Authority { certificate_validity: Minutes(validity), ..offline(&master, &root) };
        let now = UnixTime::from_secs(secs);
        let Certificate { claims, .. } =
            authority.certify(key, Role::Authority, COVERAGE, 1, now).unwrap();
        assert_eq!(claims.role, Role::Authority);
        assert!(claims.valid_at(now) || secs == u64::MAX);
        (claims.not_before.0, claims.not_after.0)
    };
    assert_eq!(dates(0, 0), (0, 0));
    assert_eq!(dates(239 * 60, 1), (0, 240));
    assert_eq!(dates(241 * 60 + 59, 1), (1, 242));
    assert_eq!(dates(NOW.as_secs(), u32::MAX), (NOW.minute().0 - 240, u32::MAX));
    assert_eq!(dates(u64::MAX, 60), (u32::MAX - 240, u32::MAX));
}

#[test]
fn answer_is_for_one_host_and_one_request() {
    let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
    let (mut host, other) = (Host::new(1), Host::new(2));
    let request = host.ask();
    let (frame, _) = answer(&request, &mut ledger);
    let believe = |frame: &Frame, request: &Frame, key: &PublicKey| {
        trust::verify_enrolment_response(frame, request, key, &roots()).map(|_| ())
    };
    let key = host.request.public_key;
    assert_eq!(believe(&frame, &request, &key), Ok(()));
    assert_eq!(believe(&frame, &host.ask(), &key), Err(UntrustedGrant::OtherRequest));
    let others = other.request.public_key;
    assert_eq!(believe(&frame, &request, &others), Err(UntrustedGrant::Certificate));
}

fn hex<const N: usize>(value: &serde_json::Value) -> [u8; N] {
    let text = value.as_str().unwrap();
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

/// The enrolments that an independent implementation has made: the authority derives the same tag
/// keys, understands the requests, and its answers differ only in what is the vendor's choice.
#[test]
fn vectors_enrolments_are_answered_alike() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("vectors/protocol-v1.json")).unwrap();
    let master = MasterKey::from_bytes(hex(&vectors["authority_master"]));
    let root = SigningKey::from_seed(&hex(&vectors["roots"]["1"]["seed"]));
    let roots = [Root::new(ROOT_ID, &root.public_key()).unwrap()];
    let enrolments = vectors["enrolments"].as_array().unwrap();
    assert_eq!(enrolments.len(), 3);
    for enrolment in enrolments {
        let (request, response): (Frame, Frame) =
            (hex(&enrolment["request"]), hex(&enrolment["response"]));
        let asked = EnrolmentRequest::parse(&request).unwrap();
        let tag_key = master.product_key(KeyKind::Host, asked.key_id).tag_key();
        assert_eq!(*tag_key.expose(), hex(&enrolment["tag_key"]));
        let verify = |frame: &Frame| {
            trust::verify_enrolment_response(frame, &request, &asked.public_key, &roots)
                .unwrap()
                .body
        };
        let expected = verify(&response);
        let certificate = expected.outcome.unwrap();

        let coverage = certificate.claims.coverage;
        let mut ledger = Ledger::with(HostKeyRecord::new(asked.key_id, coverage));
        let authority = Authority { root_id: ROOT_ID, ..offline(&master, &root) };
        let serial = certificate.claims.serial;
        let answer = authority.answer_enrolment(&request, NOW, serial, &mut ledger).unwrap();
        let mut body = verify(&answer.frame);
        let mut issued = body.outcome.unwrap().claims;
        issued.not_before = certificate.claims.not_before;
        issued.not_after = certificate.claims.not_after;
        issued.coverage.rank = coverage.rank;
        assert_eq!(issued, certificate.claims);
        body.outcome = expected.outcome;
        body.authority_time = expected.authority_time;
        assert_eq!(body, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any order of hosts, new requests and repetitions: never more than the limits, and what a
    /// host is told is left is what is left.
    #[test]
    fn limits_hold_in_any_order(
        hosts_limit in 0..4_u32,
        activations_per_host in 0..4_u32,
        asks in proptest::collection::vec((1..6_u8, any::<bool>()), 1..24),
    ) {
        let key = HostKeyRecord::new(KEY, COVERAGE);
        let mut ledger =
            Ledger::with(HostKeyRecord { hosts_limit, activations_per_host, ..key });
        let mut hosts: Vec<_> = (1..6).map(Host::new).collect();
        let mut granted: HashMap<u8, u32> = HashMap::new();
        let mut last: HashMap<Frame, Frame> = HashMap::new();
        for (number, repeat) in asks {
            let host = &mut hosts[usize::from(number) - 1];
            let request = if repeat { host.repeat() } else { host.ask() };
            let (frame, outcome) = answer(&request, &mut ledger);
            if let Some(before) = last.get(&request) {
                prop_assert_eq!((frame, outcome), (*before, Repeated));
                continue;
            }
            let count = granted.get(&number).copied().unwrap_or_default();
            let place = count > 0 || granted.len() < hosts_limit as usize;
            let body = EnrolmentResponse::parse(&frame).unwrap().body;
            if place && count < activations_per_host {
                prop_assert_eq!(outcome, Granted { activation: count + 1 });
                granted.insert(number, count + 1);
                last.insert(request, frame);
                prop_assert_eq!(body.activations_left, activations_per_host - count - 1);
            } else {
                prop_assert_eq!(outcome, Refused(Refusal::KeyExhausted));
                prop_assert_eq!(body.activations_left, 0);
            }
            prop_assert_eq!(body.hosts_left as usize, hosts_limit as usize - granted.len());
        }
    }
}
