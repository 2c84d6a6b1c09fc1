//! An authority under any order of requests, repetitions, calls by phone, crashes, blocks, limits
//! and new keys of its own, beside a model that says what each is answered.
//!
//! A script is bytes: an operation and what it needs, one after the other.

use std::convert::Infallible;
use std::num::NonZeroU32;

use headcount::authority::{
    ActivationError, ActivationOutcome, Authority, EnrolmentError, EnrolmentOutcome, HostKeyRecord,
    KeyService, MultipleActivationKeyRecord, PhoneError,
};
use headcount::fingerprint::Fingerprint;
use headcount::phone::HostInstallationId;
use headcount::policy::CLOCK_TOLERANCE;
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{
    Expected, Signer, SigningKey, TagSchedule, seal_enrolment_request, verify_enrolment_response,
    verify_response,
};
use headcount::wire::{
    CountedId, Coverage, EnrolmentRequest, Frame, KeyId, KeyKind, LicenceStatus, Method, Name,
    Nonce, Refusal, Request, Validity, Verdict,
};

use self::model::*;
use self::store::{Failed, Store};

#[path = "model.rs"]
mod model;
#[path = "store.rs"]
mod store;

const LONGEST_SCRIPT: usize = 96;

/// What outlives a crash, and what does not.
struct World {
    now: Circumstances,
    nonce: u32,
    committed: (Store, Model),
    /// The transaction that is under way.
    open: (Store, Model),
    /// Everything that was ever sent, and its answers that were handed out after a commit.
    asked: Vec<Asked>,
    enrolments: Vec<(HostAsks, Frame)>,
    handed_out: Vec<(Asked, Frame)>,
    to_hand_out: Vec<(Asked, Frame)>,
}

/// Runs a script to its end, and then asks for everything again that was ever handed out.
pub(crate) fn run(script: &[u8]) {
    let mut world = World::new();
    let mut script = Script(script);
    for _ in 0..LONGEST_SCRIPT {
        let Some(operation) = script.next() else { break };
        world.perform(operation, &mut script);
    }
    world.commit();
    world.ask_for_all_again();
}

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte below a bound; 0 after the end.
    fn below(&mut self, bound: u8) -> u8 {
        self.next().unwrap_or_default() % bound
    }
}

impl World {
    fn new() -> Self {
        let model = Model::new();
        let mut store = Store::default();
        store.maks.extend(model.maks.iter().map(|(key, (activations_limit, blocked))| {
            MultipleActivationKeyRecord {
                key_id: KeyId((*key).into()),
                coverage: mak_coverage(*key),
                activations_limit: *activations_limit,
                blocked: *blocked,
            }
        }));
        store.host_keys.extend(model.host_keys.iter().map(
            |(key, (hosts, activations, blocked))| HostKeyRecord {
                key_id: KeyId((*key).into()),
                coverage: HIGHEST,
                hosts_limit: *hosts,
                activations_per_host: *activations,
                blocked: *blocked,
            },
        ));
        Self {
            now: Circumstances { time: START, on_line: true, signer: 0 },
            nonce: 0,
            committed: (store.clone(), model.clone()),
            open: (store, model),
            asked: Vec::new(),
            enrolments: Vec::new(),
            handed_out: Vec::new(),
            to_hand_out: Vec::new(),
        }
    }

    fn perform(&mut self, operation: u8, script: &mut Script<'_>) {
        match operation % 20 {
            0..=3 => {
                let asked = self.new_request(script);
                self.ask(&asked);
            }
            4 | 5 => {
                let index = usize::from(script.below(u8::MAX));
                if let Some(asked) = self.asked.iter().rev().nth(index).copied() {
                    self.ask(&asked);
                }
            }
            6 => {
                let asked = self.new_request(script);
                let (at, bit) = (script.below(250), script.below(8));
                self.ask_forged(&asked, at, bit);
            }
            7 | 8 => self.phone(machine(script)),
            9 | 10 => {
                let asks = host(script);
                let frame = self.enrolment_frame(asks);
                self.enrolments.push((asks, frame));
                self.enrol(asks, &frame);
            }
            11 => {
                let index = usize::from(script.below(u8::MAX));
                if let Some((asks, frame)) = self.enrolments.iter().rev().nth(index).copied() {
                    self.enrol(asks, &frame);
                }
            }
            12 => self.phone_host(host(script)),
            13 => self.change_mak(script),
            14 => self.change_host_key(script),
            15 => self.now.time += u64::from(script.below(u8::MAX)) * HOUR * 6,
            16 => {
                self.commit();
                self.now.signer = script.below(2).into();
                self.now.on_line = script.below(2) == 0;
            }
            17 => self.commit(),
            18 => self.crash(script.below(2) == 0),
            // The ledger fails in the middle of the next request.
            _ => {
                self.open.0.fails_at = Some(script.below(8));
                let asked = self.new_request(script);
                self.ask(&asked);
                self.open.0.fails_at = None;
            }
        }
    }

    /// What was decided becomes safe, and then the answers are handed out.
    fn commit(&mut self) {
        self.committed = self.open.clone();
        self.handed_out.append(&mut self.to_hand_out);
    }

    /// The power goes before the commit, or after it and before an answer is handed out.
    fn crash(&mut self, before: bool) {
        if before {
            self.open = self.committed.clone();
        } else {
            self.committed = self.open.clone();
        }
        self.to_hand_out.clear();
    }

    fn new_request(&mut self, script: &mut Script<'_>) -> Asked {
        let machine = machine(script);
        let how = script.below(32);
        let method = if how == 31 { Method::Count } else { Method::Key };
        let now = self.now.unix_time();
        let edge = u64::from(CLOCK_TOLERANCE.0) * 60;
        let client_time = match how % 8 {
            0 => None,
            1 => Some(UnixTime::from_secs(self.now.time + edge)),
            2 => Some(UnixTime::from_secs(self.now.time - edge - 1)),
            _ => Some(now),
        };
        self.nonce += 1;
        let request = Request {
            virtual_machine: how.is_multiple_of(2),
            renewal: false,
            licence_status: LicenceStatus::Notification,
            method,
            required_count: NonZeroU32::MIN,
            time_left: Minutes(0),
            application_id: application(machine.product),
            activation_id: edition(machine.product),
            counted_id: CountedId([9; 16]),
            cmid: machine.cmid(),
            previous_cmid: None,
            client_time,
            nonce: Nonce(u128::from(self.nonce).to_be_bytes()),
            fingerprint: hardware(machine.hardware),
            workstation_name: Name::EMPTY,
            key_id: machine.key_id(),
        };
        let kind =
            if method == Method::Key { KeyKind::MultipleActivation } else { KeyKind::ClientSetup };
        let tag_key = MASTER.product_key(kind, machine.key_id()).tag_key();
        let frame = TagSchedule::new(&tag_key).seal(&request);
        let asked = Asked { machine, method, client_time, frame };
        self.asked.push(asked);
        asked
    }

    fn service(&self) -> KeyService<'static, SigningKey> {
        KeyService {
            master: &MASTER,
            signer: &SIGNERS[self.now.signer],
            certificates: &*CERTIFICATES,
            products: &CATALOGUE,
            max_skew: self.now.on_line.then_some(CLOCK_TOLERANCE),
            activation_interval: Minutes(120),
            renewal_interval: Minutes(10_080),
        }
    }

    fn authority() -> Authority<'static, SigningKey> {
        Authority {
            master: &MASTER,
            root_id: ROOT_ID,
            root: &ROOT,
            certificate_validity: Minutes::from_days(HOST_CERTIFICATE_DAYS),
            max_skew: None,
        }
    }

    fn ask(&mut self, asked: &Asked) {
        let expected = self.open.1.activation(asked, &self.now);
        let before = self.open.0.activations.len();
        let now = self.now.unix_time();
        let answer = self.service().answer_activation(&asked.frame, now, &mut self.open.0);
        let answer = match answer {
            Ok(answer) => answer,
            Err(ActivationError::Ledger(Failed)) => {
                assert!(self.open.0.fails_at.is_some());
                assert_eq!(self.open.0.activations.len(), before, "half a record");
                return;
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(answer.outcome, expected, "{asked:?}");
        self.check_believed(asked, &answer.frame, expected);
        let recorded = self.open.0.activations.len() - before;
        let (_, model) = &mut self.open;
        match expected {
            ActivationOutcome::Granted { .. } => {
                assert_eq!(recorded, 1);
                let counted = model.remember(asked, answer.frame, self.now.signer);
                let record = self.open.0.activations.last().expect("the one just recorded");
                assert_eq!(record.machine, counted.phone_id().machine());
            }
            ActivationOutcome::Repeated => {
                assert_eq!(recorded, 0);
                assert_eq!(model.answer(&asked.frame, self.now.signer), Some(answer.frame));
            }
            ActivationOutcome::Refused(_) => {
                assert_eq!(recorded, 0);
                return;
            }
        }
        self.to_hand_out.push((*asked, answer.frame));
    }

    /// A client of the product believes the answer, wherever it can.
    fn check_believed(&self, asked: &Asked, answer: &Frame, outcome: ActivationOutcome) {
        let expected = Expected {
            request: &asked.frame,
            method: asked.method,
            product: PRODUCTS[usize::from(asked.machine.product)].coverage,
            roots: &*ROOTS,
            known_certificate: None,
        };
        let verdict = verify_response(answer, &expected).map(|response| response.body.verdict);
        match outcome {
            ActivationOutcome::Granted { left, .. } => {
                let granted = Verdict::Granted { count: left, validity: Validity::Perpetual };
                assert_eq!(verdict, Ok(granted));
            }
            ActivationOutcome::Repeated => {
                assert!(matches!(verdict, Ok(Verdict::Granted { .. })), "{verdict:?}");
            }
            ActivationOutcome::Refused(refusal) => {
                let covered = HIGHEST.covers(&expected.product);
                let ended = self.now.is_uncertified();
                if asked.method == Method::Key && covered && !ended {
                    assert_eq!(verdict, Ok(Verdict::Refused(refusal)));
                } else {
                    assert!(verdict.is_err());
                }
            }
        }
    }

    fn ask_forged(&mut self, asked: &Asked, at: u8, bit: u8) {
        let mut frame = asked.frame;
        frame[usize::from(at)] ^= 1 << bit;
        let now = self.now.unix_time();
        let answer = self.service().answer_activation(&frame, now, &mut self.open.0);
        assert!(matches!(answer, Err(ActivationError::Untrusted(_))), "{answer:?}");
    }

    fn phone(&mut self, machine: Machine) {
        let (store, model) = &mut self.open;
        let expected = match model.maks.get(&machine.key) {
            None => Err(Refusal::UnknownKey),
            Some((_, true)) => Err(Refusal::KeyBlocked),
            Some(_) => {
                let rule = &PRODUCTS[usize::from(machine.product)];
                let covered = rule.in_catalogue && covers(machine.key, rule);
                match model.place(machine, false) {
                    _ if !covered => Err(Refusal::NotCovered),
                    Some(place) => Ok(place),
                    None => Err(Refusal::KeyExhausted),
                }
            }
        };
        let id = machine.phone_id();
        let now = self.now.unix_time();
        match Self::authority().answer_installation(&id, &CATALOGUE, now, store) {
            Ok(told) => {
                let expected = expected.expect("it is refused");
                assert_eq!((told.counted, told.left), (expected.counted, expected.left));
                assert_eq!(told.confirmation.verify(&id, &*ROOTS), Ok(ROOT_ID));
                model.counted.insert(machine);
            }
            Err(PhoneError::Refused(refusal)) => assert_eq!(expected.err(), Some(refusal)),
            Err(other) => panic!("{other}"),
        }
    }

    fn enrolment_frame(&mut self, asks: HostAsks) -> Frame {
        self.nonce += 1;
        let signer = &HOST_SIGNERS[usize::from(asks.host)];
        let key_id = KeyId(asks.key.into());
        let request = EnrolmentRequest {
            platform_rank: asks.rank,
            key_id,
            public_key: signer.public_key(),
            host_time: None,
            nonce: Nonce(u128::from(self.nonce).to_be_bytes()),
            fingerprint: Fingerprint::EMPTY,
            host_name: Name::EMPTY,
        };
        let tag_key = MASTER.product_key(KeyKind::Host, key_id).tag_key();
        let Ok(frame) = seal_enrolment_request(&request, signer, &tag_key);
        frame
    }

    fn enrol(&mut self, asks: HostAsks, frame: &Frame) {
        let (store, model) = &mut self.open;
        let before = model.enrolments.iter().find(|(asked, _)| asked == frame);
        let repeated = before.filter(|_| model.usable(asks.key).is_ok()).map(|(_, answer)| *answer);
        let expected = model.enrolment(asks);
        let now = self.now.unix_time();
        let serial = model.next_serial;
        let answer = Self::authority().answer_enrolment(frame, now, serial, store);
        let answer = match answer {
            Ok(answer) => answer,
            Err(EnrolmentError::<Infallible, Failed>::Ledger(Failed)) => panic!("nothing fails"),
            Err(other) => panic!("{other}"),
        };
        let host = HOST_SIGNERS[usize::from(asks.host)].public_key();
        let body = verify_enrolment_response(&answer.frame, frame, &host, &*ROOTS)
            .expect("the host believes it")
            .body;
        if let Some(repeated) = repeated {
            assert_eq!((answer.outcome, answer.frame), (EnrolmentOutcome::Repeated, repeated));
            return;
        }
        match expected {
            Ok(activation) => {
                assert_eq!(answer.outcome, EnrolmentOutcome::Granted { activation });
                let claims = body.outcome.expect("a certificate").claims;
                assert_eq!(claims.serial, serial);
                assert_eq!(claims.coverage, Coverage { rank: asks.rank.min(3), ..HIGHEST });
                model.enrol(asks, activation);
                model.enrolments.push((*frame, answer.frame));
            }
            Err(refusal) => assert_eq!(answer.outcome, EnrolmentOutcome::Refused(refusal)),
        }
    }

    fn phone_host(&mut self, asks: HostAsks) {
        let (store, model) = &mut self.open;
        let key_id = KeyId(asks.key.into());
        let host = HOST_SIGNERS[usize::from(asks.host)].public_key();
        let tag_key = MASTER.product_key(KeyKind::Host, key_id).tag_key();
        let id = HostInstallationId::for_host(key_id, asks.rank, &host, &tag_key);
        // A certificate lasts for more than 30 days here, but renewal is due at half of them.
        let renewal = u64::from(HOST_CERTIFICATE_DAYS) * DAY / 2;
        let told_before = model.phoned.get(&asks).filter(|(end, _)| *end > self.now.time + renewal);
        let expected = match (model.usable(asks.key), told_before) {
            (Err(refusal), _) => Err(refusal),
            (Ok(_), Some((_, text))) => Ok(Err(text.clone())),
            (Ok(_), None) => model.enrolment(asks).map(Ok),
        };
        let now = self.now.unix_time();
        let serial = model.next_serial;
        let told = Self::authority().answer_host_installation(&id, now, serial, store);
        let told = match told {
            Ok(told) => told,
            Err(PhoneError::Refused(refusal)) => return assert_eq!(expected, Err(refusal)),
            Err(other) => panic!("{other}"),
        };
        let certificate = told.confirmation.verify(&host, &*ROOTS).expect("the host believes it");
        assert_eq!(*certificate, told.certificate);
        let text = told.confirmation.to_string();
        match expected.expect("it is refused") {
            Err(before) => assert_eq!((told.outcome, text), (EnrolmentOutcome::Repeated, before)),
            Ok(activation) => {
                assert_eq!(told.outcome, EnrolmentOutcome::Granted { activation });
                assert_eq!(certificate.claims.serial, serial);
                // The beginning of the last minute of the day.
                let end = self.now.time + u64::from(HOST_CERTIFICATE_DAYS) * DAY;
                let end = (end / DAY + 1) * DAY - 60;
                assert_eq!(certificate.claims.not_after.start().as_secs(), end);
                model.enrol(asks, activation);
                model.phoned.insert(asks, (end, text));
            }
        }
    }

    fn change_mak(&mut self, script: &mut Script<'_>) {
        let (key, limit, blocked) = (1 + script.below(2), script.below(5), script.below(3) == 0);
        let (store, model) = &mut self.open;
        model.maks.insert(key, (limit.into(), blocked));
        let record = store.maks.iter_mut().find(|record| record.key_id == KeyId(key.into()));
        let record = record.expect("an issued key");
        record.activations_limit = limit.into();
        record.blocked = blocked;
    }

    fn change_host_key(&mut self, script: &mut Script<'_>) {
        let key = 1 + script.below(2);
        let (hosts, activations, blocked) =
            (script.below(4), script.below(4), script.below(3) == 0);
        let (store, model) = &mut self.open;
        model.host_keys.insert(key, (hosts.into(), activations.into(), blocked));
        let record = store.host_keys.iter_mut().find(|record| record.key_id == KeyId(key.into()));
        let record = record.expect("an issued key");
        record.hosts_limit = hosts.into();
        record.activations_per_host = activations.into();
        record.blocked = blocked;
    }

    /// Nothing that was handed out is ever lost: whatever has happened since, the machine gets its
    /// activation again, and the key has no less for it.
    fn ask_for_all_again(&mut self) {
        let (store, model) = &mut self.open;
        for record in &mut store.maks {
            record.activations_limit = 0;
            record.blocked = false;
        }
        for key in model.maks.values_mut() {
            *key = (0, false);
        }
        self.now.time = START;
        self.now.on_line = false;
        let counted = store.activations.iter().filter(|record| record.counted).count();
        for (asked, answer) in core::mem::take(&mut self.handed_out) {
            let repeated = self.open.1.answer(&asked.frame, self.now.signer);
            let again = self.service().answer_activation(
                &asked.frame,
                UnixTime::from_secs(START),
                &mut self.open.0,
            );
            let again = again.expect("an answer");
            if let Some(kept) = repeated {
                assert_eq!((again.outcome, again.frame), (ActivationOutcome::Repeated, kept));
                // The latest answer, where a new key has made the first one old.
                if self.answered_once(&asked.frame) {
                    assert_eq!(again.frame, answer);
                }
            } else {
                let known = ActivationOutcome::Granted { counted: false, left: 0 };
                assert_eq!(again.outcome, known, "an activation is lost");
                self.open.1.remember(&asked, again.frame, self.now.signer);
            }
        }
        let now = self.open.0.activations.iter().filter(|record| record.counted).count();
        assert_eq!(now, counted, "a machine counts twice");
        let mut serials: Vec<_> =
            self.open.0.enrolments.iter().map(|record| record.serial).collect();
        serials.sort_unstable();
        assert!(serials.windows(2).all(|pair| pair[0] < pair[1]), "a serial number is used twice");
    }

    fn answered_once(&self, frame: &Frame) -> bool {
        self.open.1.answers.iter().filter(|(_, asked, ..)| asked == frame).count() == 1
    }
}

/// Mostly of few machines, so that they meet.
fn machine(script: &mut Script<'_>) -> Machine {
    let (who, what) = (script.next().unwrap_or_default(), script.next().unwrap_or_default());
    let [key, product] = [usize::from(who % 8), usize::from(what % 8)];
    Machine {
        key: [1, 1, 1, 1, 2, 2, 2, 3][key],
        cmid: who / 8 % CMIDS,
        product: [0, 0, 0, 0, 0, 1, 2, 3][product],
        hardware: what / 8 % 8,
    }
}

fn host(script: &mut Script<'_>) -> HostAsks {
    let who = script.next().unwrap_or_default();
    HostAsks { key: 1 + who % KEYS, host: who / KEYS % HOSTS, rank: 1 + who / (KEYS * HOSTS) % 3 }
}
