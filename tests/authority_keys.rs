//! Activation by multiple activation key: counting, repetitions, refusals, faults.

#[path = "authority/support.rs"]
mod support;

use headcount::authority::{
    ActivationError,
    ActivationOutcome::{self, Granted, Refused, Repeated},
    KeyService, MultipleActivationKeyRecord, UntrustedActivation,
};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::policy::CLOCK_TOLERANCE;
use headcount::time::{EpochMinute, UnixTime};
use headcount::trust::{Signer, SigningKey, TagSchedule, Untrusted};
use headcount::wire::{
    ActivationId, Claims, Cmid, Coverage, Fault, Frame, KeyId, KeyKind, Malformed, Method,
    PublicKey, Refusal, Role, Signature, Validity, Verdict,
};
use proptest::prelude::*;
use support::{COVERAGE, Call, Ledger, MAK, Machine, NOW, PRODUCT, Service, certify, mak, master};

fn answer(frame: &Frame, ledger: &mut Ledger) -> (Frame, ActivationOutcome) {
    let service = Service::new();
    let answer = service.rules().answer_activation(frame, NOW, ledger).unwrap();
    (answer.frame, answer.outcome)
}

/// What a new request of the machine's is answered, and that the machine believes it.
fn ask(machine: &mut Machine, ledger: &mut Ledger) -> ActivationOutcome {
    let request = machine.ask();
    let (frame, outcome) = answer(&request, ledger);
    let verdict = machine.judge(&frame, &request).unwrap().body.verdict;
    match outcome {
        Granted { left, .. } => {
            assert_eq!(verdict, Verdict::Granted { count: left, validity: Validity::Perpetual });
        }
        Repeated => panic!("a new request was answered before"),
        Refused(refusal) => assert_eq!(verdict, Verdict::Refused(refusal)),
    }
    outcome
}

fn new(left: u32) -> ActivationOutcome {
    Granted { counted: true, left }
}

fn known(left: u32) -> ActivationOutcome {
    Granted { counted: false, left }
}

#[test]
fn a_machine_gets_a_perpetual_activation_that_it_believes() {
    let mut ledger = Ledger::with_mak(mak(50));
    let mut machine = Machine::new(1);
    let request = machine.ask();
    let (frame, outcome) = answer(&request, &mut ledger);
    assert_eq!(outcome, new(49));
    let body = machine.judge(&frame, &request).unwrap().body;
    assert_eq!(body.verdict, Verdict::Granted { count: 49, validity: Validity::Perpetual });
    assert_eq!(body.host_time, NOW);
    assert_eq!(body.certificate.claims.role, Role::Authority);
    assert!(!body.duplicate);
    assert_eq!(ledger.names, ["ward-3"]);
}

#[test]
fn a_key_activates_as_many_machines_as_it_may() {
    for limit in [0, 1, 50] {
        let mut ledger = Ledger::with_mak(mak(limit));
        let mut machines: Vec<_> = (1..=51).map(Machine::new).collect();
        for (index, machine) in (1..).zip(&mut machines) {
            let expected =
                if index <= limit { new(limit - index) } else { Refused(Refusal::KeyExhausted) };
            assert_eq!(ask(machine, &mut ledger), expected);
        }
        // The ones that have it have it for good.
        for machine in machines.iter_mut().take(limit as usize) {
            assert_eq!(ask(machine, &mut ledger), known(0));
        }
        // A limit that is raised helps the ones that were refused.
        ledger.maks[0].activations_limit = 51;
        let left = 51 - limit - 1;
        assert_eq!(ask(&mut machines[50], &mut ledger), new(left));
        // One that is lowered takes nothing back.
        ledger.maks[0].activations_limit = 0;
        assert_eq!(ask(&mut machines[50], &mut ledger), known(0));
    }
}

#[test]
fn a_machine_that_changes_within_the_tolerance_is_the_same() {
    let mut ledger = Ledger::with_mak(mak(3));
    let mut machine = Machine::new(1);
    assert_eq!(ask(&mut machine, &mut ledger), new(2));
    let with = |changed: &[usize]| {
        let mut components = [1; 8];
        for index in changed {
            components[*index] = 0xbeef;
        }
        Fingerprint::new(components)
    };
    machine.request.fingerprint = with(&[0, 1]);
    assert_eq!(ask(&mut machine, &mut ledger), known(2));
    machine.request.fingerprint = with(&[6, 7]);
    assert_eq!(ask(&mut machine, &mut ledger), known(2));
    machine.request.fingerprint = with(&[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(ask(&mut machine, &mut ledger), new(1));
    // Another machine of the same hardware is another machine.
    machine.request.cmid = Cmid::new([9; 16]).unwrap();
    assert_eq!(ask(&mut machine, &mut ledger), new(0));
    machine.request.fingerprint = with(&[7]);
    assert_eq!(ask(&mut machine, &mut ledger), Refused(Refusal::KeyExhausted));
}

/// Who goes from one machine to another in steps that are each within the tolerance.
#[test]
fn a_walk_away_from_a_machine_is_counted_where_it_leaves_the_tolerance() {
    let mut ledger = Ledger::with_mak(mak(3));
    let mut machine = Machine::new(1);
    let walk = |changed: usize| {
        Fingerprint::new(core::array::from_fn(|index| if index < changed { 0xbeef } else { 1 }))
    };
    let steps =
        [new(2), known(2), known(2), new(1), known(1), known(1), new(0), known(0), known(0)];
    for (changed, expected) in steps.into_iter().enumerate() {
        machine.request.fingerprint = walk(changed);
        assert_eq!(ask(&mut machine, &mut ledger), expected, "step {changed}");
    }
    // All the way back nothing is new.
    for changed in (0..=8).rev() {
        machine.request.fingerprint = walk(changed);
        assert_eq!(ask(&mut machine, &mut ledger), known(0));
    }
}

#[test]
fn the_products_own_rule_says_what_the_same_machine_is() {
    let mut service = Service::new();
    service.products[0].matching = Matching { weights: [1; 8], tolerance: 0 };
    let mut ledger = Ledger::with_mak(mak(9));
    let mut machine = Machine::new(1);
    let mut ask = |machine: &mut Machine| {
        service.rules().answer_activation(&machine.ask(), NOW, &mut ledger).unwrap().outcome
    };
    assert_eq!(ask(&mut machine), new(8));
    assert_eq!(ask(&mut machine), known(8));
    machine.request.fingerprint = Fingerprint::new([1, 1, 1, 1, 1, 1, 1, 2]);
    assert_eq!(ask(&mut machine), new(7));
}

#[test]
fn machines_are_counted_for_each_key() {
    let mut ledger = Ledger::with_mak(mak(1));
    let other = MultipleActivationKeyRecord { key_id: KeyId(78), ..mak(1) };
    ledger.maks.push(other);
    let mut machine = Machine::new(1);
    assert_eq!(ask(&mut machine, &mut ledger), new(0));
    machine.request.key_id = other.key_id;
    assert_eq!(ask(&mut machine, &mut ledger), new(0));
    assert_eq!(ask(&mut machine, &mut ledger), known(0));
    assert_eq!(ask(&mut Machine::new(2), &mut ledger), Refused(Refusal::KeyExhausted));
}

#[test]
fn a_repeated_frame_gets_the_same_bytes_and_is_not_counted() {
    let mut ledger = Ledger::with_mak(mak(1));
    let mut machine = Machine::new(1);
    let request = machine.ask();
    let (frame, _) = answer(&request, &mut ledger);
    assert_eq!(ask(&mut machine, &mut ledger), known(0));
    // Also years later, with another certificate, when nothing is left and the clock is far off.
    let mut service = Service::new();
    let claims = Claims { serial: 2, ..Service::claims(service.signer.public_key()) };
    service.certificates = vec![certify(claims)];
    let rules = KeyService { max_skew: Some(CLOCK_TOLERANCE), ..service.rules() };
    let later = UnixTime::from_secs(NOW.as_secs() + 300 * 86_400);
    for _ in 0..3 {
        let again = rules.answer_activation(&request, later, &mut ledger).unwrap();
        assert_eq!((again.frame, again.outcome), (frame, Repeated));
    }
    assert_eq!(ledger.names.len(), 2);
    // An answer that the ledger keeps no longer is made anew.
    ledger.forget_answers();
    let (anew, outcome) = answer(&request, &mut ledger);
    assert_eq!(outcome, known(0));
    assert!(machine.judge(&anew, &request).is_ok());
    assert_eq!(answer(&request, &mut ledger), (anew, Repeated));
}

/// An answer must be signed by the key that its certificate names.
#[test]
fn an_answer_of_a_replaced_key_is_given_anew() {
    let mut ledger = Ledger::with_mak(mak(1));
    let mut machine = Machine::new(1);
    let request = machine.ask();
    let (before, _) = answer(&request, &mut ledger);
    let mut service = Service::new();
    service.signer = SigningKey::from_seed(&[0x44; 32]);
    service.certificates.push(certify(Service::claims(service.signer.public_key())));
    let mut ask = || service.rules().answer_activation(&request, NOW, &mut ledger).unwrap();
    let anew = ask();
    assert_eq!(anew.outcome, known(0));
    assert_ne!(anew.frame, before);
    assert!(machine.judge(&anew.frame, &request).is_ok());
    let again = ask();
    assert_eq!((again.frame, again.outcome), (anew.frame, Repeated));
}

#[test]
fn unknown_and_blocked_keys_are_refused_to_everybody() {
    let mut ledger = Ledger::with_mak(mak(5));
    let mut machine = Machine::new(1);
    let granted = machine.ask();
    assert_eq!(answer(&granted, &mut ledger).1, new(4));
    ledger.maks[0].blocked = true;
    let (frame, outcome) = answer(&granted, &mut ledger);
    assert_eq!(outcome, Refused(Refusal::KeyBlocked));
    assert!(machine.judge(&frame, &granted).is_ok());
    assert_eq!(ask(&mut machine, &mut ledger), Refused(Refusal::KeyBlocked));
    assert_eq!(ask(&mut Machine::new(2), &mut ledger), Refused(Refusal::KeyBlocked));
    ledger.maks[0].blocked = false;
    assert_eq!(answer(&granted, &mut ledger).1, Repeated);

    machine.request.key_id = KeyId(u32::MAX);
    assert_eq!(ask(&mut machine, &mut ledger), Refused(Refusal::UnknownKey));
    assert_eq!(ledger.names.len(), 1);
}

#[test]
fn other_methods_and_products_are_not_covered() {
    let refused = Refused(Refusal::NotCovered);
    let mut ledger = Ledger::with_mak(mak(5));
    // By count, with the setup key: an answer, but not one that a client of a host's would take.
    let mut machine = Machine::new(1);
    machine.request.method = Method::Count;
    let request = machine.ask();
    let (frame, outcome) = answer(&request, &mut ledger);
    assert_eq!(outcome, refused);
    assert_eq!(machine.judge(&frame, &request), Err(Untrusted::WrongRole(Role::Authority)));
    // A product that is not in the catalogue.
    let mut machine = Machine::new(1);
    machine.request.activation_id = ActivationId([0; 16]);
    assert_eq!(ask(&mut machine, &mut ledger), refused);
    // One that the key does not cover, one that no certificate covers.
    let mut service = Service::new();
    let mut ask = |coverage, key: Coverage, certificate: Coverage| {
        ledger.maks[0].coverage = key;
        service.products[0].coverage = coverage;
        let claims = Service::claims(service.signer.public_key());
        service.certificates = vec![certify(Claims { coverage: certificate, ..claims })];
        let mut machine = Machine::new(1);
        machine.coverage = coverage;
        let request = machine.ask();
        let answer = service.rules().answer_activation(&request, NOW, &mut ledger).unwrap();
        (answer.outcome, machine.judge(&answer.frame, &request).is_ok())
    };
    let all = COVERAGE;
    let lower = Coverage { rank: 2, ..all };
    let older = Coverage { generation: 1, ..all };
    let other = Coverage { family: 8, ..all };
    for (key, believed) in [(lower, true), (older, true), (other, true)] {
        assert_eq!(ask(all, key, all), (refused, believed), "{key:?}");
    }
    for certificate in [lower, older, other] {
        assert_eq!(ask(all, all, certificate), (refused, false), "{certificate:?}");
    }
    assert_eq!(ask(all, all, all), (new(4), true));
    assert_eq!(ledger.names.len(), 1);
}

#[test]
fn the_best_certificate_answers() {
    let mut service = Service::new();
    let own = Service::claims(service.signer.public_key());
    let minute = NOW.minute().0;
    let [past, soon, late] = [minute - 1, minute, minute + 1].map(EpochMinute);
    let mut ledger = Ledger::with_mak(mak(9));
    let mut serial = |offered: &[Claims]| {
        service.certificates = offered.iter().copied().map(certify).collect();
        let request = Machine::new(1).ask();
        ledger.forget_answers();
        let answer = service.rules().answer_activation(&request, NOW, &mut ledger);
        answer.map(|answer| {
            let response = headcount::wire::Response::parse(&answer.frame).unwrap();
            (response.body.certificate.claims.serial, answer.outcome)
        })
    };
    let older = Claims { serial: 10, not_after: soon, ..own };
    let newer = Claims { serial: 11, not_after: late, ..own };
    assert_eq!(serial(&[older, newer]), Ok((11, new(8))));
    assert_eq!(serial(&[newer, older]), Ok((11, known(8))));
    let future = Claims { serial: 12, not_before: late, ..own };
    assert_eq!(serial(&[future, older]), Ok((10, known(8))));
    // One that covers the product but has ended: the vendor has something to do.
    let ended = Claims { serial: 13, not_after: past, ..own };
    let elsewhere = Claims { serial: 14, coverage: Coverage { family: 9, ..COVERAGE }, ..own };
    assert_eq!(serial(&[elsewhere, ended]), Ok((13, Refused(Refusal::NotEnrolled))));
    assert_eq!(serial(&[elsewhere]), Ok((14, Refused(Refusal::NotCovered))));
    // A host's, or somebody else's, is none.
    let host = Claims { role: Role::Host, ..own };
    let others = Service::claims(SigningKey::from_seed(&[5; 32]).public_key());
    assert_eq!(serial(&[host, others]), Err(ActivationError::NoCertificate));
    assert_eq!(serial(&[]), Err(ActivationError::NoCertificate));
}

#[test]
fn clocks_matter_only_where_the_authority_says_so() {
    let service = Service::new();
    let limit = u64::from(CLOCK_TOLERANCE.0) * 60;
    let now = NOW.as_secs();
    for (client_time, tolerable) in [
        (Some(now - limit), true),
        (Some(now - limit - 1), false),
        (Some(now + limit), true),
        (Some(now + limit + 1), false),
        (None, true),
    ] {
        for (max_skew, granted) in [(None, true), (Some(CLOCK_TOLERANCE), tolerable)] {
            let mut ledger = Ledger::with_mak(mak(1));
            let mut machine = Machine::new(1);
            machine.request.client_time = client_time.map(UnixTime::from_secs);
            let rules = KeyService { max_skew, ..service.rules() };
            let outcome =
                rules.answer_activation(&machine.ask(), NOW, &mut ledger).unwrap().outcome;
            let refused = Refused(Refusal::ClockSkew);
            assert_eq!(outcome, if granted { new(0) } else { refused });
        }
    }
}

#[test]
fn untrusted_requests_are_not_answered() {
    let service = Service::new();
    let mut ledger = Ledger::with_mak(mak(1));
    let mut check = |frame: &Frame, fault: UntrustedActivation| {
        let error = service.rules().answer_activation(frame, NOW, &mut ledger).unwrap_err();
        assert_eq!(error, ActivationError::Untrusted(fault));
    };
    let machine = Machine::new(1);
    let mut other_kind = machine.repeat();
    other_kind[3] = 2;
    let fault = Malformed { offset: 3, fault: Fault::Kind(2) };
    check(&other_kind, UntrustedActivation::Malformed(fault));
    let mut flipped = machine.repeat();
    flipped[249] ^= 1;
    check(&flipped, UntrustedActivation::Tag);
    // The setup key or a host key of the same number, another MAK, or by the MAK for method 0.
    let seal = |kind, key_id, machine: &Machine| {
        TagSchedule::new(&master().product_key(kind, key_id).tag_key()).seal(&machine.request)
    };
    check(&seal(KeyKind::ClientSetup, MAK, &machine), UntrustedActivation::Tag);
    check(&seal(KeyKind::Host, MAK, &machine), UntrustedActivation::Tag);
    check(&seal(KeyKind::MultipleActivation, KeyId(78), &machine), UntrustedActivation::Tag);
    let mut by_count = machine.clone();
    by_count.request.method = Method::Count;
    check(&seal(KeyKind::MultipleActivation, MAK, &by_count), UntrustedActivation::Tag);
    assert!(ledger.names.is_empty());
    let examined = service.rules().examine(&machine.repeat()).unwrap();
    assert_eq!(examined.request(), machine.request);
    assert!(!format!("{examined:?}").contains("01010101"), "the CMID is shown whole");
}

#[test]
fn a_service_that_has_too_much_to_do_says_so() {
    let service = Service::new();
    let machine = Machine::new(1);
    let request = machine.repeat();
    let examined = service.rules().examine(&request).unwrap();
    let answer = service.rules().busy(&examined, NOW).unwrap();
    assert_eq!(answer.outcome, Refused(Refusal::Busy));
    let believed = machine.judge(&answer.frame, &request).unwrap();
    assert_eq!(believed.body.verdict, Verdict::Refused(Refusal::Busy));
}

#[test]
fn a_failing_ledger_gives_no_answer() {
    for call in [
        Call::MultipleActivationKey,
        Call::AnswerTo,
        Call::Machines,
        Call::Knows,
        Call::Fingerprints,
        Call::RecordActivation,
    ] {
        let mut ledger = Ledger::with_mak(mak(1));
        ledger.fails = Some(call);
        let request = Machine::new(1).ask();
        let service = Service::new();
        let error = service.rules().answer_activation(&request, NOW, &mut ledger).unwrap_err();
        assert_eq!(error, ActivationError::Ledger(call));
        ledger.fails = None;
        assert_eq!(answer(&request, &mut ledger).1, new(0));
    }
}

#[test]
fn what_a_failing_signer_was_to_sign_is_not_lost() {
    struct Device(SigningKey, bool);

    impl Signer for Device {
        type Error = &'static str;

        fn public_key(&self) -> PublicKey {
            self.0.public_key()
        }

        fn sign(&self, message: &[u8]) -> Result<Signature, Self::Error> {
            if !self.1 {
                return Err("no card in the reader");
            }
            self.0.sign(message).map_err(|never| match never {})
        }
    }

    let service = Service::new();
    let mut ledger = Ledger::with_mak(mak(1));
    let request = Machine::new(1).ask();
    let mut ask = |works| {
        let device = Device(SigningKey::from_seed(&[0x33; 32]), works);
        let rules = service.rules();
        let rules = KeyService {
            signer: &device,
            master: rules.master,
            certificates: rules.certificates,
            products: rules.products,
            max_skew: rules.max_skew,
            activation_interval: rules.activation_interval,
            renewal_interval: rules.renewal_interval,
        };
        rules.answer_activation(&request, NOW, &mut ledger).map(|answer| answer.outcome)
    };
    assert_eq!(ask(false), Err(ActivationError::Signer("no card in the reader")));
    assert_eq!(ask(true), Ok(Repeated));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any order of machines, new requests and repetitions, and a limit that changes.
    #[test]
    fn limits_hold_in_any_order(
        limits in proptest::collection::vec(0..4_u32, 1..4),
        asks in proptest::collection::vec((1..6_u8, any::<bool>()), 1..24),
    ) {
        let mut ledger = Ledger::with_mak(mak(0));
        let mut machines: Vec<_> = (1..6).map(Machine::new).collect();
        let mut granted = Vec::new();
        for (at, (number, repeat)) in asks.into_iter().enumerate() {
            let limit = limits[at * limits.len() / 24];
            ledger.maks[0].activations_limit = limit;
            let machine = &mut machines[usize::from(number) - 1];
            let request = if repeat { machine.repeat() } else { machine.ask() };
            let (_, outcome) = answer(&request, &mut ledger);
            let left = |granted: &Vec<u8>| limit.saturating_sub(granted.len() as u32);
            if granted.contains(&number) {
                prop_assert!(outcome == known(left(&granted)) || outcome == Repeated);
            } else if left(&granted) > 0 {
                granted.push(number);
                prop_assert_eq!(outcome, new(left(&granted)));
            } else {
                prop_assert_eq!(outcome, Refused(Refusal::KeyExhausted));
            }
        }
    }
}

#[test]
fn the_key_covers_the_product_that_it_is_tested_with() {
    assert!(COVERAGE.covers(&PRODUCT.coverage));
}
