//! The authority at the phone: machines and hosts by installation id.

#[path = "authority/support.rs"]
mod support;

use headcount::authority::{
    ActivationOutcome, Authority, EnrolmentOutcome, HostKeyRecord, PhoneActivation, PhoneEnrolment,
    PhoneError,
};
use headcount::fingerprint::Fingerprint;
use headcount::phone::{HostInstallationId, InstallationId, Machine as MachineParts};
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{MasterKey, SigningKey};
use headcount::wire::{Coverage, KeyId, KeyKind, Refusal};
use support::{
    COVERAGE, Call, Host, KEY, Ledger, MAK, Machine, NOW, PRODUCT, ROOT_ID, Service, mak, master,
    root, roots, tag_key,
};

const DAY: u64 = 86_400;

fn authority<'a>(master: &'a MasterKey, root: &'a SigningKey) -> Authority<'a, SigningKey> {
    let certificate_validity = Minutes::from_days(365);
    Authority { master, root_id: ROOT_ID, root, certificate_validity, max_skew: None }
}

fn id(machine: &Machine) -> InstallationId {
    let key_id = machine.request.key_id;
    let mak = master().product_key(KeyKind::MultipleActivation, key_id);
    InstallationId::for_machine(&MachineParts::of(&machine.request), &mak.tag_key())
}

type Failure = PhoneError<std::convert::Infallible, Call>;

fn call(id: &InstallationId, ledger: &mut Ledger) -> Result<PhoneActivation, Failure> {
    authority(&master(), &root()).answer_installation(id, &[PRODUCT], NOW, ledger)
}

fn told(activation: Result<PhoneActivation, Failure>) -> Result<(bool, u32), Failure> {
    activation.map(|PhoneActivation { counted, left, .. }| (counted, left))
}

#[test]
fn a_machine_is_confirmed_and_counted_once() {
    let mut ledger = Ledger::with_mak(mak(2));
    let machine = Machine::new(1);
    let first = call(&id(&machine), &mut ledger).unwrap();
    assert_eq!((first.counted, first.left), (true, 1));
    assert_eq!(first.confirmation.verify(&id(&machine), &roots()), Ok(ROOT_ID));
    let again = call(&id(&machine), &mut ledger).unwrap();
    assert_eq!((again.counted, again.left), (false, 1));
    assert_eq!(again.confirmation, first.confirmation);
    assert_eq!(told(call(&id(&Machine::new(2)), &mut ledger)), Ok((true, 0)));
    let refused = PhoneError::Refused(Refusal::KeyExhausted);
    assert_eq!(told(call(&id(&Machine::new(3)), &mut ledger)), Err(refused));
    assert_eq!(told(call(&id(&machine), &mut ledger)), Ok((false, 0)));
}

/// By phone and by frame it is one machine.
#[test]
fn phone_and_frames_count_together() {
    let mut ledger = Ledger::with_mak(mak(1));
    let service = Service::new();
    let mut machine = Machine::new(1);
    assert_eq!(told(call(&id(&machine), &mut ledger)), Ok((true, 0)));
    let outcome =
        |frame: &_, ledger: &mut Ledger| service.rules().answer_activation(frame, NOW, ledger);
    let known = ActivationOutcome::Granted { counted: false, left: 0 };
    assert_eq!(outcome(&machine.ask(), &mut ledger).unwrap().outcome, known);
    // The frame told what the phone did not: now a changed machine is known by frame, too.
    let before = machine.clone();
    machine.request.fingerprint = Fingerprint::new([1, 1, 1, 1, 1, 1, 1, 9]);
    assert_eq!(outcome(&machine.ask(), &mut ledger).unwrap().outcome, known);
    assert_eq!(told(call(&id(&before), &mut ledger)), Ok((false, 0)));
    // By phone it is another one: the digest tells no likeness.
    let refused = PhoneError::Refused(Refusal::KeyExhausted);
    assert_eq!(told(call(&id(&machine), &mut ledger)), Err(refused));
}

#[test]
fn machines_are_refused_by_the_rules_for_frames() {
    let mut ledger = Ledger::with_mak(mak(5));
    let mut machine = Machine::new(1);
    let parts = MachineParts::of(&machine.request);
    for kind in [KeyKind::Host, KeyKind::ClientSetup] {
        let other = master().product_key(kind, MAK).tag_key();
        let id = InstallationId::for_machine(&parts, &other);
        assert_eq!(told(call(&id, &mut ledger)), Err(PhoneError::Tag));
    }
    let refused = |refusal| Err(PhoneError::Refused(refusal));
    let good = id(&machine);
    ledger.maks[0].blocked = true;
    assert_eq!(told(call(&good, &mut ledger)), refused(Refusal::KeyBlocked));
    ledger.maks[0].blocked = false;
    machine.request.key_id = KeyId(78);
    assert_eq!(told(call(&id(&machine), &mut ledger)), refused(Refusal::UnknownKey));
    machine.request.key_id = MAK;
    machine.request.activation_id.0[0] ^= 1;
    assert_eq!(told(call(&id(&machine), &mut ledger)), refused(Refusal::NotCovered));
    ledger.maks[0].coverage = Coverage { rank: 1, ..COVERAGE };
    assert_eq!(told(call(&good, &mut ledger)), refused(Refusal::NotCovered));
    ledger.maks[0].coverage = COVERAGE;
    for fails in [Call::MultipleActivationKey, Call::Machines, Call::Knows, Call::RecordActivation]
    {
        ledger.fails = Some(fails);
        assert_eq!(told(call(&good, &mut ledger)), Err(PhoneError::Ledger(fails)));
    }
    ledger.fails = None;
    assert_eq!(told(call(&good, &mut ledger)), Ok((true, 4)));
}

fn host_id(host: &Host) -> HostInstallationId {
    let request = &host.request;
    let (key_id, rank) = (request.key_id, request.platform_rank);
    HostInstallationId::for_host(key_id, rank, &request.public_key, &tag_key(key_id))
}

fn enrol(
    host: &Host,
    now: UnixTime,
    serial: u64,
    ledger: &mut Ledger,
) -> Result<PhoneEnrolment, Failure> {
    let (master, root) = (master(), root());
    authority(&master, &root).answer_host_installation(&host_id(host), now, serial, ledger)
}

#[test]
fn a_host_gets_a_certificate_of_whole_days() {
    let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
    let mut host = Host::new(1);
    host.request.platform_rank = 2;
    let enrolment = enrol(&host, NOW, 41, &mut ledger).unwrap();
    assert_eq!(enrolment.outcome, EnrolmentOutcome::Granted { activation: 1 });
    assert_eq!((enrolment.hosts_left, enrolment.activations_left), (5, 9));
    let key = host.request.public_key;
    let certificate = enrolment.confirmation.verify(&key, &roots()).unwrap();
    assert_eq!(*certificate, enrolment.certificate);
    let claims = certificate.claims;
    assert_eq!((claims.public_key, claims.serial), (key, 41));
    assert_eq!(claims.coverage, Coverage { rank: 2, ..COVERAGE });
    assert!(claims.valid_at(NOW));
    assert_eq!(claims.not_before.0 % 1_440, 0);
    assert_eq!(claims.not_after.0 % 1_440, 1_439);
    let days = (claims.not_after.0 + 1 - claims.not_before.0) / 1_440;
    assert!((366..=367).contains(&days), "{days}");
    // It is the certificate of no other host.
    let other = Host::new(2).request.public_key;
    assert!(enrolment.confirmation.verify(&other, &roots()).is_err());
}

#[test]
fn a_host_that_calls_again_is_told_the_same_until_it_has_to_renew() {
    let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
    ledger.at_any_time = true;
    let host = Host::new(1);
    let first = enrol(&host, NOW, 1, &mut ledger).unwrap();
    let after = |days| UnixTime::from_secs(NOW.as_secs() + days * DAY);
    let end = first.certificate.claims.not_after.start();
    let renewal = UnixTime::from_secs(end.as_secs() - 30 * DAY);
    for now in [NOW, after(100), UnixTime::from_secs(renewal.as_secs() - 1)] {
        let again = enrol(&host, now, 2, &mut ledger).unwrap();
        assert_eq!(again.outcome, EnrolmentOutcome::Repeated);
        assert_eq!(again.confirmation, first.confirmation);
        assert_eq!((again.hosts_left, again.activations_left), (5, 9));
    }
    let renewed = enrol(&host, renewal, 2, &mut ledger).unwrap();
    assert_eq!(renewed.outcome, EnrolmentOutcome::Granted { activation: 2 });
    assert_eq!((renewed.hosts_left, renewed.activations_left), (5, 8));
    assert_eq!(renewed.certificate.claims.serial, 2);
    let again = enrol(&host, renewal, 3, &mut ledger).unwrap();
    assert_eq!(again.outcome, EnrolmentOutcome::Repeated);
    // What the key covers has changed: the host is told so when it calls.
    ledger.keys[0].coverage.generation = 9;
    let better = enrol(&host, renewal, 3, &mut ledger).unwrap();
    assert_eq!(better.outcome, EnrolmentOutcome::Granted { activation: 3 });
    assert_eq!(better.certificate.claims.coverage.generation, 9);
}

#[test]
fn hosts_are_refused_by_the_rules_for_frames() {
    let limits = HostKeyRecord { hosts_limit: 1, ..HostKeyRecord::new(KEY, COVERAGE) };
    let mut ledger = Ledger::with(limits);
    let (mut first, second) = (Host::new(1), Host::new(2));
    let failure = |host: &Host, ledger: &mut Ledger| enrol(host, NOW, 1, ledger).unwrap_err();
    let stolen = HostInstallationId::for_host(KEY, 3, &first.request.public_key, &tag_key(MAK));
    let (master, root) = (master(), root());
    let told = authority(&master, &root).answer_host_installation(&stolen, NOW, 1, &mut ledger);
    assert_eq!(told, Err(PhoneError::Tag));
    ledger.keys[0].blocked = true;
    assert_eq!(failure(&first, &mut ledger), PhoneError::Refused(Refusal::KeyBlocked));
    ledger.keys[0].blocked = false;
    first.request.key_id = KeyId(901);
    assert_eq!(failure(&first, &mut ledger), PhoneError::Refused(Refusal::UnknownKey));
    first.request.key_id = KEY;
    let too_high = enrol(&first, NOW, 1 << 32, &mut ledger);
    assert_eq!(too_high, Err(PhoneError::Untellable));
    // After the last day that 16 bits tell a certificate would have ended before it began.
    let end_of_days = (1 << 16) * DAY;
    let too_late = enrol(&first, UnixTime::from_secs(end_of_days), 1, &mut ledger);
    assert_eq!(too_late, Err(PhoneError::Untellable));
    for fails in [Call::HostKey, Call::AnswerTo, Call::Hosts, Call::Activations, Call::Record] {
        ledger.fails = Some(fails);
        assert_eq!(failure(&first, &mut ledger), PhoneError::Ledger(fails));
    }
    ledger.fails = None;
    assert!(ledger.names.is_empty());
    assert!(enrol(&first, NOW, 1, &mut ledger).is_ok());
    assert_eq!(failure(&second, &mut ledger), PhoneError::Refused(Refusal::KeyExhausted));
    // A frame of the same host is one more activation of the same host.
    let answer = authority(&master, &root).answer_enrolment(&first.ask(), NOW, 2, &mut ledger);
    assert_eq!(answer.unwrap().outcome, EnrolmentOutcome::Granted { activation: 2 });
}
