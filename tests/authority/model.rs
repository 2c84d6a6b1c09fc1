//! An authority under any order of requests, repetitions, calls by phone, crashes, blocks, limits
//! and new keys of its own, beside a model that says what each is answered (PROTOCOL 5, 6, 9, 14).
//!
//! A script is bytes: an operation and what it needs, one after the other. The model knows nothing
//! of frames and records: it reckons with the numbers of machines, hosts and keys in the script.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::LazyLock;

use headcount::authority::{
    ANSWERS_PER_MACHINE, ActivationError, ActivationOutcome, Authority, CatalogueProduct,
    EnrolmentError, EnrolmentOutcome, HostKeyRecord, KeyService, MultipleActivationKeyRecord,
    PhoneError,
};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::phone::{HostInstallationId, InstallationId, Machine as MachineParts};
use headcount::policy::CLOCK_TOLERANCE;
use headcount::time::{EpochMinute, Minutes, UnixTime};
use headcount::trust::{
    Expected, MasterKey, Root, Signer, SigningKey, TagSchedule, seal_enrolment_request,
    sign_certificate, verify_enrolment_response, verify_response,
};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, CountedId, Coverage, EnrolmentRequest,
    Frame, KeyId, KeyKind, LicenceStatus, Method, Name, Nonce, Refusal, Request, Role, Validity,
    Verdict,
};

use self::store::{Failed, Store};

#[path = "store.rs"]
mod store;

/// The right time when a script begins.
const START: u64 = 1_800_000_000;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const ROOT_ID: u16 = 1;
const LONGEST_SCRIPT: usize = 96;
/// The authority's own certificates end so long after the start.
const CERTIFIED_DAYS: u64 = 60;
const HOST_CERTIFICATE_DAYS: u32 = 40;

/// MAKs 1 and 2 and host keys 1 and 2 are issued, of different worth; number 3 never was.
const KEYS: u8 = 3;
const CMIDS: u8 = 2;
const HOSTS: u8 = 3;

const HIGHEST: Coverage = Coverage { family: 7, rank: 3, generation: 3 };
const LOWER: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
const OTHER: Coverage = Coverage { family: 8, rank: 0, generation: 0 };

struct ProductRule {
    coverage: Coverage,
    tolerance: u8,
    in_catalogue: bool,
}

/// The first is covered by both MAKs, the second by MAK 1, the third by no certificate, and the
/// fourth is another vendor's.
const PRODUCTS: [ProductRule; 4] = [
    ProductRule { coverage: LOWER, tolerance: 2, in_catalogue: true },
    ProductRule { coverage: HIGHEST, tolerance: 0, in_catalogue: true },
    ProductRule { coverage: OTHER, tolerance: 2, in_catalogue: true },
    ProductRule { coverage: LOWER, tolerance: 2, in_catalogue: false },
];

static MASTER: LazyLock<MasterKey> = LazyLock::new(|| MasterKey::from_bytes([1; 32]));
static ROOT: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[2; 32]));
static ROOTS: LazyLock<[Root; 1]> =
    LazyLock::new(|| [Root::new(ROOT_ID, &ROOT.public_key()).expect("a usable key")]);
/// The authority's own key, and the one that replaces it.
static SIGNERS: LazyLock<[SigningKey; 2]> =
    LazyLock::new(|| [[3; 32], [4; 32]].map(|seed| SigningKey::from_seed(&seed)));
static CERTIFICATES: LazyLock<[Certificate; 2]> = LazyLock::new(|| {
    [0, 1].map(|index: usize| {
        let claims = Claims {
            public_key: SIGNERS[index].public_key(),
            serial: index as u64,
            not_before: EpochMinute(0),
            not_after: UnixTime::from_secs(START + CERTIFIED_DAYS * DAY).minute(),
            root_id: ROOT_ID,
            coverage: HIGHEST,
            role: Role::Authority,
        };
        let Ok(certificate) = sign_certificate(&claims, &*ROOT);
        certificate
    })
});
static HOST_SIGNERS: LazyLock<[SigningKey; HOSTS as usize]> =
    LazyLock::new(|| [[5; 32], [6; 32], [7; 32]].map(|seed| SigningKey::from_seed(&seed)));
static CATALOGUE: LazyLock<Vec<CatalogueProduct>> = LazyLock::new(|| {
    let products = (0..).zip(&PRODUCTS).filter(|(_, rule)| rule.in_catalogue);
    products
        .map(|(number, rule)| CatalogueProduct {
            application_id: application(number),
            activation_id: edition(number),
            coverage: rule.coverage,
            matching: Matching { weights: [1; 8], tolerance: rule.tolerance.into() },
        })
        .collect()
});

/// The first two are editions of one application.
const fn application(product: u8) -> ApplicationId {
    ApplicationId([1 + product / 2; 16])
}

const fn edition(product: u8) -> ActivationId {
    ActivationId([1 + product; 16])
}

/// Neighbours differ in one component.
fn hardware(number: u8) -> Fingerprint {
    Fingerprint::new(core::array::from_fn(|index| if index < number.into() { 7 } else { 8 }))
}

/// Who asks for activation by key, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Machine {
    key: u8,
    product: u8,
    cmid: u8,
    hardware: u8,
}

impl Machine {
    fn key_id(self) -> KeyId {
        KeyId(self.key.into())
    }

    fn cmid(self) -> Cmid {
        Cmid::new([1 + self.cmid; 16]).expect("not zero")
    }

    /// In how many components the hardware differs.
    fn distance(self, other: Self) -> u8 {
        self.hardware.abs_diff(other.hardware)
    }

    fn phone_id(self) -> InstallationId {
        let parts = MachineParts {
            key_id: self.key_id(),
            application_id: application(self.product),
            activation_id: edition(self.product),
            cmid: self.cmid(),
            fingerprint: hardware(self.hardware),
        };
        let mak = MASTER.product_key(KeyKind::MultipleActivation, self.key_id());
        InstallationId::for_machine(&parts, &mak.tag_key())
    }
}

/// What a model says of a machine's place on its key.
struct Place {
    machine: Machine,
    counted: bool,
    left: u32,
}

/// What a machine's frame says besides.
#[derive(Clone, Copy, Debug)]
struct Asked {
    machine: Machine,
    method: Method,
    client_time: Option<UnixTime>,
    frame: Frame,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HostAsks {
    key: u8,
    host: u8,
    rank: u8,
}

/// What must be true, in one transaction or after it.
#[derive(Clone, Default)]
struct Model {
    /// By MAK: its limit, and whether it is blocked.
    maks: BTreeMap<u8, (u32, bool)>,
    /// Every machine that has used up an activation, by frame or phone.
    counted: BTreeSet<Machine>,
    /// Those of them whose CMID and hardware a frame has told.
    told: BTreeSet<Machine>,
    /// Answers by frame, oldest first, each with the authority's key of the time.
    answers: Vec<(Machine, Frame, Frame, usize)>,
    /// By host key: hosts, activations for each, whether it is blocked.
    host_keys: BTreeMap<u8, (u32, u32, bool)>,
    enrolled: BTreeMap<(u8, u8), u32>,
    enrolments: Vec<(Frame, Frame)>,
    /// What a host was last told by phone: the certificate's end and the text.
    phoned: BTreeMap<HostAsks, (u64, String)>,
    next_serial: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            maks: BTreeMap::from([(1, (3, false)), (2, (2, false))]),
            host_keys: BTreeMap::from([(1, (2, 3, false)), (2, (1, 2, false))]),
            next_serial: 1,
            ..Self::default()
        }
    }

    /// PROTOCOL 5, "By key", from rule 3 on.
    fn activation(&self, asked: &Asked, world: &World) -> ActivationOutcome {
        let machine = asked.machine;
        let refused = ActivationOutcome::Refused;
        let Some((_, blocked)) =
            self.maks.get(&machine.key).filter(|_| asked.method == Method::Key)
        else {
            let by_count = asked.method == Method::Count;
            return refused(if by_count { Refusal::NotCovered } else { Refusal::UnknownKey });
        };
        if *blocked {
            return refused(Refusal::KeyBlocked);
        }
        if self.answer(&asked.frame, world.signer).is_some() {
            return ActivationOutcome::Repeated;
        }
        let rule = &PRODUCTS[usize::from(machine.product)];
        if !rule.in_catalogue || !covers(machine.key, rule) || rule.coverage.family != 7 {
            return refused(Refusal::NotCovered);
        }
        if world.now > START + CERTIFIED_DAYS * DAY + 59 {
            return refused(Refusal::NotEnrolled);
        }
        let skew = asked.client_time.map(|time| time.as_secs().abs_diff(world.now));
        if world.on_line && skew.is_some_and(|skew| skew > 240 * 60) {
            return refused(Refusal::ClockSkew);
        }
        match self.place(machine, true) {
            Some(Place { counted, left, .. }) => ActivationOutcome::Granted { counted, left },
            None => refused(Refusal::KeyExhausted),
        }
    }

    /// Which counted machine it is, whether it is a new one, and how many are left after it.
    fn place(&self, machine: Machine, by_frame: bool) -> Option<Place> {
        let (limit, _) = self.maks[&machine.key];
        let counted = self.counted.iter().filter(|other| other.key == machine.key).count() as u32;
        let tolerance = PRODUCTS[usize::from(machine.product)].tolerance;
        let known = if self.counted.contains(&machine) {
            Some(machine)
        } else {
            let told = self.told.iter().filter(|_| by_frame);
            let similar = told.filter(|other| {
                (other.key, other.cmid) == (machine.key, machine.cmid)
                    && other.distance(machine) <= tolerance
            });
            similar
                .copied()
                .min_by_key(|other| (other.distance(machine), other.phone_id().machine()))
        };
        if let Some(machine) = known {
            return Some(Place { machine, counted: false, left: limit.saturating_sub(counted) });
        }
        (counted < limit).then(|| Place { machine, counted: true, left: limit - counted - 1 })
    }

    fn answer(&self, frame: &Frame, signer: usize) -> Option<Frame> {
        let (_, _, answer, by) = self.answers.iter().rev().find(|(_, asked, ..)| asked == frame)?;
        (*by == signer).then_some(*answer)
    }

    /// Remembers a grant and its answer; which counted machine it is of is returned.
    fn remember(&mut self, asked: &Asked, answer: Frame, signer: usize) -> Machine {
        let Asked { machine: asking, frame, .. } = *asked;
        let Some(Place { machine, .. }) = self.place(asking, true) else {
            panic!("it was granted")
        };
        self.counted.insert(machine);
        if machine == asking {
            self.told.insert(machine);
        }
        self.answers.push((machine, frame, answer, signer));
        let of_machine = self.answers.iter().filter(|(other, ..)| *other == machine).count();
        if of_machine > ANSWERS_PER_MACHINE {
            let oldest = self.answers.iter().position(|(other, ..)| *other == machine);
            self.answers.remove(oldest.expect("there are more than ten"));
        }
        machine
    }

    /// Which activation it would be, or why not; PROTOCOL 6.
    fn enrolment(&self, asks: HostAsks) -> Result<u32, Refusal> {
        let (hosts, activations, _) = self.usable(asks.key)?;
        let others = self.enrolled.keys().filter(|(key, _)| *key == asks.key).count();
        match self.enrolled.get(&(asks.key, asks.host)) {
            None if others < hosts as usize && activations > 0 => Ok(1),
            Some(used) if *used < activations => Ok(used + 1),
            _ => Err(Refusal::KeyExhausted),
        }
    }

    fn usable(&self, key: u8) -> Result<(u32, u32, bool), Refusal> {
        match self.host_keys.get(&key) {
            None => Err(Refusal::UnknownKey),
            Some((_, _, true)) => Err(Refusal::KeyBlocked),
            Some(key) => Ok(*key),
        }
    }

    fn enrol(&mut self, asks: HostAsks, activation: u32) {
        self.enrolled.insert((asks.key, asks.host), activation);
        self.next_serial += 1;
    }
}

/// Whether a MAK covers a product.
fn covers(mak: u8, rule: &ProductRule) -> bool {
    mak_coverage(mak).covers(&rule.coverage)
}

const fn mak_coverage(mak: u8) -> Coverage {
    if mak == 1 { HIGHEST } else { LOWER }
}

/// What outlives a crash, and what does not.
struct World {
    now: u64,
    on_line: bool,
    signer: usize,
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
            now: START,
            on_line: true,
            signer: 0,
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
            15 => self.now += u64::from(script.below(u8::MAX)) * HOUR * 6,
            16 => {
                self.commit();
                self.signer = script.below(2).into();
                self.on_line = script.below(2) == 0;
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
        let now = UnixTime::from_secs(self.now);
        let edge = u64::from(CLOCK_TOLERANCE.0) * 60;
        let client_time = match how % 8 {
            0 => None,
            1 => Some(UnixTime::from_secs(self.now + edge)),
            2 => Some(UnixTime::from_secs(self.now - edge - 1)),
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
            signer: &SIGNERS[self.signer],
            certificates: &*CERTIFICATES,
            products: &CATALOGUE,
            max_skew: self.on_line.then_some(CLOCK_TOLERANCE),
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
        let expected = self.open.1.activation(asked, self);
        let before = self.open.0.activations.len();
        let now = UnixTime::from_secs(self.now);
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
                let counted = model.remember(asked, answer.frame, self.signer);
                let record = self.open.0.activations.last().expect("the one just recorded");
                assert_eq!(record.machine, counted.phone_id().machine());
            }
            ActivationOutcome::Repeated => {
                assert_eq!(recorded, 0);
                assert_eq!(model.answer(&asked.frame, self.signer), Some(answer.frame));
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
                let ended = self.now > START + CERTIFIED_DAYS * DAY + 59;
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
        let now = UnixTime::from_secs(self.now);
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
        let now = UnixTime::from_secs(self.now);
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
        let now = UnixTime::from_secs(self.now);
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
        let told_before = model.phoned.get(&asks).filter(|(end, _)| *end > self.now + renewal);
        let expected = match (model.usable(asks.key), told_before) {
            (Err(refusal), _) => Err(refusal),
            (Ok(_), Some((_, text))) => Ok(Err(text.clone())),
            (Ok(_), None) => model.enrolment(asks).map(Ok),
        };
        let now = UnixTime::from_secs(self.now);
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
                let end = self.now + u64::from(HOST_CERTIFICATE_DAYS) * DAY;
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
        self.now = START;
        self.on_line = false;
        let counted = store.activations.iter().filter(|record| record.counted).count();
        for (asked, answer) in core::mem::take(&mut self.handed_out) {
            let repeated = self.open.1.answer(&asked.frame, self.signer);
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
                self.open.1.remember(&asked, again.frame, self.signer);
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
