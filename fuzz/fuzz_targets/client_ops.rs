//! Operations in any order against a client, with a model beside it that says what its licence is,
//! what each answer leads to, what it asks next and when, and what a restart keeps.
#![no_main]

use std::collections::HashSet;
use std::num::{NonZeroU8, NonZeroU32};
use std::sync::OnceLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use headcount::client::{
    ActivatedBy, Client, Discard, Event, Failure, IMAGE_LEN, Licence, Limits, Machine, Outcome,
    Product, Rejection, Step,
};
use headcount::discovery::{InstalledKey, Keyed, Numbered};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::phone::{self, InstallationId, UntrustedRecord};
use headcount::policy::Skew;
use headcount::storage::Corrupt;
use headcount::time::{Minutes, Now, UnixTime};
use headcount::trust::{self, ParsedRequest, TagKey, TagSchedule, Untrusted, VerifyingKey};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Cmid, CountedId, Digest, FRAME_LEN, Frame, KeyId,
    LicenceStatus, Method, Name, Nonce, Refusal, Request, ResponseBody, Role, Validity, Verdict,
};
use headcount_fuzz::ops::{
    COVERAGE, Calendar, Dice, Luck, Time, UNKNOWN_ROOT, Vendor, Voucher, fingerprint,
};
use libfuzzer_sys::fuzz_target;

const LONGEST_SCRIPT: usize = 24;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;
/// Save, four reports, and what ends a round of polls.
const MOST_POLLS: usize = 6;
/// How long the client waits for its driver's answer.
const EXCHANGE_LIMIT: u64 = 120 * SECOND;
/// The beginning of 2026.
const EARLIEST_CLOCK: u64 = 1_767_225_600;

fuzz_target!(|script: Script| {
    let product = script.terms.product();
    World::new(&product, &script).run(&script.operations);
});

#[derive(Arbitrary, Debug)]
struct Script {
    terms: Terms,
    hosts: u8,
    key: Option<bool>,
    machine: u8,
    calendar: Calendar,
    seed: u8,
    luck: Luck,
    operations: Vec<Operation>,
}

/// What the product is told at build time.
#[derive(Arbitrary, Debug)]
struct Terms {
    threshold: u8,
    strict: bool,
    maximum_validity: Lasting,
    initial_grace: Span,
    tolerance_grace: Span,
    rearms: u8,
    activation_interval: Span,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Span {
    Usual,
    Minutes(u16),
    Zero,
    Longest,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Lasting {
    HalfAYear,
    Minutes(u16),
    Days(u8),
    Nothing,
    ForEver,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    /// Polls until the client sends or waits, and answers if it sends.
    Exchange(Answer),
    Poll,
    PollOnce,
    Answer(Answer),
    /// The last frame that was delivered, once more.
    AnswerAgain,
    AnswerRaw(Vec<u8>),
    GiveUp,
    Seconds(u16),
    Minutes(u16),
    /// To what the last wait said, or a little before or after.
    UntilDue(i8),
    Calendar(Calendar),
    Reboot(Reboot),
    Rearm,
    AskNow,
    PreferHost(u8),
    SetMachine(u8),
    /// One of the keys, or none.
    Install(Option<bool>),
    TakeStored(Carried),
}

/// A pair of frames that somebody brings.
#[derive(Arbitrary, Debug)]
struct Carried {
    /// The machine's own CMID, or that of one that was imaged.
    cmid: Option<u8>,
    machine: u8,
    key: bool,
    answer: Answer,
    wrong: Wrong,
    /// In place of the answer a confirmation by phone.
    phone: Option<Spoken>,
}

/// A confirmation, by a root key or not, and for this request or not.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Spoken {
    First,
    Second,
    Impostor,
    Host,
    OtherMachine,
    OtherRequest,
    Bit(u16),
}

/// What is wrong with its request.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Nothing,
    NothingAtAll,
    ByCount,
    Product,
}

#[derive(Arbitrary, Debug)]
struct Reboot {
    machine: Option<u8>,
    off_minutes: u16,
    monotonic: u16,
    /// The image is the one saved last, not one of this moment.
    power_cut: bool,
    /// A bit of the image that somebody turned over, to see what it is good for.
    edit: Option<(u16, u8)>,
}

#[derive(Arbitrary, Debug)]
struct Answer {
    voucher: Trusted,
    verdict: Said,
    duplicate: bool,
    activation_interval: Span,
    renewal_interval: Span,
    time: HostTime,
    to: To,
    damage: Damage,
}

/// Mostly somebody who can be believed.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Trusted {
    First,
    Second,
    Dated,
    Any(Voucher),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Said {
    Enough(Lasting),
    Count(u8, Lasting),
    Refused(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum HostTime {
    Right,
    AsTheClient,
    OffByMinutes(i16),
    /// 240 minutes from the client's clock, or a second more.
    AtTheEdge {
        behind: bool,
        beyond: bool,
    },
    /// 240 minutes before the latest ever accepted, or a second more.
    AtTheFloor {
        beyond: bool,
    },
    Any(u64),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum To {
    This,
    ThisOne,
    ThisOneToo,
    TheOneBefore,
    Nobody,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Damage {
    None,
    Nothing,
    NoneAtAll,
    Bit(u16),
    Cut(u8),
    Longer,
}

impl Span {
    fn minutes(self, usual: u32) -> Minutes {
        Minutes(match self {
            Self::Usual => usual,
            Self::Minutes(minutes) => minutes.into(),
            Self::Zero => 0,
            Self::Longest => u32::MAX,
        })
    }
}

impl Lasting {
    fn validity(self) -> Validity {
        match self {
            Self::HalfAYear => Validity::For(Minutes::from_days(180)),
            Self::Minutes(minutes) => Validity::For(Minutes(minutes.into())),
            Self::Days(days) => Validity::For(Minutes::from_days(days.into())),
            Self::Nothing => Validity::For(Minutes(0)),
            Self::ForEver => Validity::Perpetual,
        }
    }
}

const APPLICATION: ApplicationId = ApplicationId([1; 16]);
const ACTIVATION: ActivationId = ActivationId([2; 16]);
const COUNTED: CountedId = CountedId([3; 16]);
const KEY_ID: KeyId = KeyId(77);

/// The two MAKs that there are.
fn installed_key(second: bool) -> &'static InstalledKey {
    static KEYS: OnceLock<[InstalledKey; 2]> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        [501, 502].map(|number| InstalledKey {
            key_id: KeyId(number),
            tag_key: TagKey::from_bytes([number as u8; 32]),
        })
    });
    &keys[usize::from(second)]
}

impl Terms {
    fn product(&self) -> Product<'static> {
        let vendor = Vendor::get();
        Product {
            application_id: APPLICATION,
            activation_id: ACTIVATION,
            counted_id: COUNTED,
            coverage: COVERAGE,
            required_count: NonZeroU32::MIN.saturating_add((self.threshold % 4).into()),
            matching: if self.strict {
                Matching { weights: [1; 8], tolerance: 0 }
            } else {
                Matching::DEFAULT
            },
            key_id: KEY_ID,
            tag_key: vendor.tag_key.clone(),
            roots: &vendor.roots,
            limits: Limits {
                maximum_validity: self.maximum_validity.validity(),
                initial_grace: self.initial_grace.minutes(43_200),
                tolerance_grace: self.tolerance_grace.minutes(43_200),
                rearms: self.rearms % 4,
                activation_interval: self.activation_interval.minutes(120),
            },
        }
    }
}

fn machine(number: u8) -> Machine<'static> {
    Machine {
        fingerprint: fingerprint(number),
        workstation_name: Name::new("fuzzed").expect("short"),
        virtual_machine: number % 2 == 1,
    }
}

fn bounded(minutes: Minutes) -> u64 {
    u64::from(minutes.0).clamp(15, 43_200) * MINUTE
}

/// Time since something, in milliseconds: the most that any clock can tell.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// 0 without a calendar.
    calendar_secs: u64,
    ran_before: u64,
    counted_from: u64,
}

impl Mark {
    fn at(calendar_secs: u64, now: Now) -> Self {
        Self { calendar_secs, ran_before: 0, counted_from: now.monotonic.as_millis() }
    }

    /// A clock that shows a time before this library, or long before what a host has said, was
    /// never set.
    fn now(now: Now, floor: u64) -> Self {
        let earliest = EARLIEST_CLOCK.max(floor.saturating_sub(240 * 60));
        let set = now.clock.map(UnixTime::as_secs).filter(|clock| *clock >= earliest);
        Self::at(set.unwrap_or(0), now)
    }

    fn ran(&self, now: Now) -> u64 {
        self.ran_before + (now.monotonic.as_millis() - self.counted_from)
    }

    fn elapsed(&self, now: Now) -> u128 {
        let calendar = match now.clock {
            Some(clock) if self.calendar_secs > 0 => {
                u128::from(clock.as_secs().saturating_sub(self.calendar_secs)) * 1_000
            }
            _ => 0,
        };
        calendar.max(self.ran(now).into())
    }

    /// Stored as whole seconds; the next start goes on counting from there.
    fn store(&mut self, now: Now) {
        self.ran_before = self.ran(now) / SECOND * SECOND;
    }
}

/// What survives a restart.
#[derive(Clone, Debug)]
struct Remembered {
    cmid: Cmid,
    previous: Option<Cmid>,
    rearms_used: u8,
    /// Whether a host has granted anything to this CMID.
    counted: bool,
    grace: Mark,
    out_of_tolerance: Option<Mark>,
    floor: u64,
    grant: Option<Grant>,
}

/// A believed answer that activates.
#[derive(Clone, Debug)]
struct Grant {
    cmid: Cmid,
    hardware: Fingerprint,
    by: ActivatedBy,
    /// In milliseconds, as are the intervals.
    validity: Option<u64>,
    activation_interval: Option<u64>,
    renewal_interval: u64,
    count: u32,
    host_time: u64,
    digest: Digest,
    age: Mark,
}

impl Remembered {
    fn marks(&mut self) -> impl Iterator<Item = &mut Mark> {
        let grant = self.grant.as_mut().map(|grant| &mut grant.age);
        std::iter::once(&mut self.grace).chain(&mut self.out_of_tolerance).chain(grant)
    }

    fn stored(&self, now: Now) -> Self {
        let mut stored = self.clone();
        stored.marks().for_each(|mark| mark.store(now));
        stored
    }

    /// All that must be the same in a saved image before a request goes out.
    fn essence(&self) -> impl PartialEq + std::fmt::Debug {
        let grant = self.grant.as_ref().map(|grant| grant.digest);
        let spoilt = self.out_of_tolerance.is_some();
        (self.cmid, self.previous, self.rearms_used, self.counted, spoilt, self.floor, grant)
    }
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
struct Pending {
    host: u8,
    tried: u8,
    rearmed: bool,
    sent_until: Option<u64>,
    /// Predicted; only its nonce is the client's own.
    request: Request<'static>,
}

type KeyedClient<'p> = Client<'p, VerifyingKey, Keyed<'static, Numbered>>;

struct World<'p> {
    product: &'p Product<'p>,
    client: KeyedClient<'p>,
    hosts: NonZeroU8,
    key: Option<&'static InstalledKey>,
    machine: Machine<'static>,
    time: Time,
    dice: Dice,

    state: Remembered,
    saved: (Vec<u8>, Remembered),
    pending: Option<Pending>,
    preferred: u8,
    activation_interval: u64,
    reported: LicenceStatus,
    rearm_to_report: bool,
    warned_at: Option<u64>,

    /// When the last round of requests ended, or the client started.
    rested_at: u64,
    /// How long it must rest after it, unless somebody asks it not to.
    least_rest: u64,
    kicked: bool,
    sent_in_round: u8,
    /// What the last wait said, as long as nothing but time came between.
    promised: Option<u64>,
    due: u64,

    frames: Vec<Frame>,
    nonces: HashSet<[u8; 16]>,
    cmids: HashSet<Cmid>,
    delivered: Option<Delivery>,
}

/// Bytes that came to the client as an answer, and where from.
#[derive(Clone)]
struct Delivery {
    bytes: Vec<u8>,
    damaged: bool,
    voucher: Voucher,
    body: ResponseBody,
}

impl<'p> World<'p> {
    fn new(product: &'p Product<'p>, script: &Script) -> Self {
        let hosts = NonZeroU8::MIN.saturating_add(script.hosts % 3);
        let machine = machine(script.machine);
        let time = Time::new(script.calendar);
        let mut dice = Dice::new(script.seed, script.luck);
        let now = time.now();
        let key = script.key.map(installed_key);
        let from = Keyed::new(Numbered::new(hosts), key);
        let client = Client::new_with(product, machine, from, now, &mut dice);
        let state = Remembered {
            cmid: client.cmid(),
            previous: None,
            rearms_used: 0,
            counted: false,
            grace: Mark::now(now, 0),
            out_of_tolerance: None,
            floor: 0,
            grant: None,
        };
        Self {
            product,
            hosts,
            key,
            machine,
            time,
            dice,
            saved: (client.image(now).to_vec(), state.stored(now)),
            cmids: HashSet::from([client.cmid()]),
            client,
            state,
            pending: None,
            preferred: 0,
            activation_interval: bounded(product.limits.activation_interval),
            reported: LicenceStatus::InitialGrace,
            rearm_to_report: false,
            warned_at: None,
            rested_at: 0,
            least_rest: 0,
            kicked: true,
            sent_in_round: 0,
            promised: None,
            due: 0,
            frames: Vec::new(),
            nonces: HashSet::new(),
            delivered: None,
        }
    }

    fn run(&mut self, operations: &[Operation]) {
        self.check();
        for operation in operations.iter().take(LONGEST_SCRIPT) {
            let only_time_passes = matches!(
                operation,
                Operation::Poll
                    | Operation::PollOnce
                    | Operation::Exchange(_)
                    | Operation::Seconds(_)
                    | Operation::Minutes(_)
                    | Operation::UntilDue(_)
            );
            if !only_time_passes {
                self.promised = None;
            }
            self.apply(operation);
            self.check();
        }
        self.poll();
        self.check();
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Exchange(answer) => {
                if self.poll() {
                    self.check();
                    self.answer(answer);
                }
            }
            Operation::Poll => {
                self.poll();
            }
            Operation::PollOnce => drop(self.poll_once()),
            Operation::Answer(answer) => self.answer(answer),
            Operation::AnswerAgain => {
                if let Some(again) = self.delivered.clone() {
                    self.deliver(&again);
                }
            }
            Operation::AnswerRaw(bytes) => {
                self.discarded(bytes);
            }
            Operation::GiveUp => self.give_up(Failure::NoAnswer),
            Operation::Seconds(seconds) => self.time.pass_millis(u64::from(*seconds) * SECOND),
            Operation::Minutes(minutes) => self.time.pass_minutes((*minutes).into()),
            Operation::UntilDue(off_by) => {
                let target = self.due.saturating_add_signed((*off_by).into());
                let now = self.time.now().monotonic.as_millis();
                self.time.pass_millis(target.saturating_sub(now));
            }
            Operation::Calendar(calendar) => self.time.set_calendar(*calendar),
            Operation::Reboot(reboot) => self.reboot(reboot),
            Operation::Rearm => self.rearm(),
            Operation::AskNow => {
                self.client.ask_now(self.time.now());
                self.kicked |= self.pending.is_none();
            }
            Operation::PreferHost(host) => {
                self.client.prefer_host(host % 4);
                if host % 4 < self.hosts.get() {
                    self.preferred = host % 4;
                }
            }
            Operation::SetMachine(number) => {
                self.machine = machine(*number);
                self.client.set_machine(self.machine, self.time.now());
                self.check_hardware();
            }
            Operation::Install(key) => self.install(key.map(installed_key)),
            Operation::TakeStored(carried) => self.take_stored(carried),
        }
    }

    /// All that can be seen of the client is as predicted.
    fn check(&self) {
        let now = self.time.now();
        assert_eq!(self.client.licence(now), self.licence());
        assert_eq!(self.client.is_activated(now), self.licence().status == LicenceStatus::Licensed);
        assert_eq!(self.client.cmid(), self.state.cmid);
        let allowed = self.product.limits.rearms;
        assert!(self.state.rearms_used <= allowed);
        assert_eq!(self.client.rearms_left(), allowed - self.state.rearms_used);
        let floor = (self.state.floor > 0).then_some(UnixTime::from_secs(self.state.floor));
        assert_eq!(self.client.floor(), floor);
        assert_eq!(self.client.pending_frame().is_some(), self.pending.is_some());
        let info = self.client.activation();
        assert_eq!(info.is_some(), self.state.grant.is_some());
        if let (Some(info), Some(grant)) = (info, &self.state.grant) {
            assert_eq!(info.count, grant.count);
            assert_eq!(info.host_time.as_secs(), grant.host_time);
            assert_eq!(info.validity, grant.validity.map(Duration::from_millis));
            assert_eq!(
                info.renewal_interval.as_duration().as_millis(),
                grant.renewal_interval.into()
            );
            assert_eq!(info.by, grant.by);
            let by_count = grant.by == ActivatedBy::Count;
            assert!(!by_count || info.count >= self.product.required_count.get());
        }
    }

    fn licence(&self) -> Licence {
        let now = self.time.now();
        let limits = &self.product.limits;
        let left = |mark: &Mark, limit: u64| u128::from(limit).saturating_sub(mark.elapsed(now));
        let millis = |minutes: Minutes| u64::from(minutes.0) * MINUTE;
        let held =
            self.state.grant.as_ref().map(|grant| {
                grant.validity.map_or(u128::MAX, |validity| left(&grant.age, validity))
            });
        let (status, left) = match (&self.state.out_of_tolerance, held) {
            (Some(mark), held) => {
                let grace = left(mark, millis(limits.tolerance_grace));
                let held = held.expect("other hardware than that of what?");
                (LicenceStatus::OutOfToleranceGrace, grace.min(held))
            }
            (None, Some(held)) => (LicenceStatus::Licensed, held),
            (None, None) => {
                let grace = left(&self.state.grace, millis(limits.initial_grace));
                (LicenceStatus::InitialGrace, grace)
            }
        };
        match left {
            0 => Licence { status: LicenceStatus::Notification, left: None },
            u128::MAX => Licence { status, left: None },
            left => Licence { status, left: Some(Duration::from_millis(left as u64)) },
        }
    }

    /// Whether the activation is of the kind that is asked for.
    fn is_as_installed(&self) -> bool {
        let by = self.state.grant.as_ref().map(|grant| grant.by);
        match (self.key, by) {
            (None, Some(ActivatedBy::Count)) => true,
            (Some(key), Some(ActivatedBy::Key(by) | ActivatedBy::Phone(by))) => by == key.key_id,
            _ => false,
        }
    }

    /// Whether it is for ever, and of the kind that is asked for: then nothing need be asked.
    fn is_settled(&self) -> bool {
        let granted = self.state.grant.as_ref();
        let for_ever =
            granted.is_some_and(|grant| grant.by != ActivatedBy::Count && grant.validity.is_none());
        for_ever && self.is_as_installed() && self.is_licensed()
    }

    /// How many places there are to ask.
    fn places(&self) -> u8 {
        if self.key.is_some() { 1 } else { self.hosts.get() }
    }

    fn is_licensed(&self) -> bool {
        self.licence().status == LicenceStatus::Licensed
    }

    /// Polls until the client sends (`true`) or waits.
    fn poll(&mut self) -> bool {
        for _ in 0..MOST_POLLS {
            match self.poll_once() {
                Step::Save | Step::Report(_) => {}
                Step::Send { .. } => return true,
                Step::Wait { .. } => return false,
            }
        }
        panic!("the client neither sends nor waits");
    }

    fn poll_once(&mut self) -> Step {
        let now = self.time.now();
        let step = self.client.poll(now, &mut self.dice);
        if !matches!(step, Step::Wait { .. }) {
            self.promised = None;
        }
        match step {
            Step::Save => {
                self.saved = (self.client.image(now).to_vec(), self.state.stored(now));
            }
            Step::Report(event) => self.reported(event),
            Step::Send { host } => self.sends(host),
            Step::Wait { until } => self.waits(until.as_millis()),
        }
        step
    }

    fn reported(&mut self, event: Event) {
        let (now, licence) = (self.time.now().monotonic.as_millis(), self.licence());
        match event {
            Event::StatusChanged { from, to } => {
                assert_eq!((from, to), (self.reported, licence.status));
                assert_ne!(from, to);
                self.reported = to;
            }
            Event::ExpiresSoon { left } => {
                assert_eq!(licence.status, LicenceStatus::Licensed);
                let whole_seconds = licence.left.map(|left| Duration::from_secs(left.as_secs()));
                assert_eq!(whole_seconds, Some(left));
                assert!(left <= Duration::from_millis(30 * DAY));
                assert!(self.warned_at.is_none_or(|before| now >= before + DAY));
                self.warned_at = Some(now);
            }
            Event::Rearmed => assert!(std::mem::take(&mut self.rearm_to_report)),
            event => panic!("{event:?} of an image that nobody edited"),
        }
    }

    /// Before anything goes out, everything is saved and said.
    fn check_at_rest(&mut self) {
        assert_eq!(self.saved.1.essence(), self.state.essence());
        assert_eq!(self.reported, self.licence().status);
        assert!(!self.rearm_to_report);
        let now = self.time.now().monotonic.as_millis();
        let overdue = |pending: &Pending| pending.sent_until.is_some_and(|until| now >= until);
        if self.pending.as_ref().is_some_and(overdue) {
            self.next_host();
            self.promised = None;
        }
    }

    fn sends(&mut self, host: u8) {
        self.check_at_rest();
        let now = self.time.now().monotonic.as_millis();
        if self.pending.is_none() {
            assert!(self.kicked || now >= self.rested_at + self.least_rest, "asks too soon");
            assert!(self.kicked || !self.is_settled(), "asks for what it has for ever");
            self.kicked = false;
            self.sent_in_round = 0;
            let first = if self.key.is_some() { 0 } else { self.preferred };
            self.ask(first, 1, false);
        }
        self.sent_in_round += 1;
        assert!(self.sent_in_round <= self.places() + 1, "a round of too many requests");
        let schedule = TagSchedule::new(self.tag_key());
        let pending = self.pending.as_mut().expect("as asked");
        assert_eq!(host, pending.host);
        assert_eq!(pending.sent_until, None, "sent twice");
        pending.sent_until = Some(now + EXCHANGE_LIMIT);

        let frame = *self.client.pending_frame().expect("it is to be sent");
        let parsed = ParsedRequest::parse(&frame).expect("well formed");
        let request = parsed.verify(&schedule).expect("tagged");
        let nonce = request.nonce;
        assert!(self.nonces.insert(nonce.0), "a nonce used again");
        assert_eq!(request.into_inner(), Request { nonce, ..pending.request });
        self.frames.push(frame);
    }

    fn waits(&mut self, until: u64) {
        self.check_at_rest();
        let now = self.time.now().monotonic.as_millis();
        assert!(until > now, "a wait that does not wait");
        let stands_still = matches!(self.time.calendar(), Calendar::Garbage(_));
        assert!(stands_still || self.promised.is_none_or(|due| now < due), "woken for nothing");
        (self.promised, self.due) = (Some(until), until);
        if let Some(pending) = &self.pending {
            assert_eq!(Some(until), pending.sent_until);
            return;
        }
        assert!(until <= now + DAY);
        if self.is_settled() {
            return;
        }
        let spread = |wait: u64| wait + wait / 10;
        let rest = match &self.state.grant {
            Some(grant) if self.is_licensed() && self.is_as_installed() => {
                grant.renewal_interval.max(self.activation_interval)
            }
            _ => self.activation_interval,
        };
        assert!(now < self.rested_at + spread(rest), "should have asked");
    }

    /// Makes the next request.
    fn ask(&mut self, host: u8, tried: u8, rearmed: bool) {
        let (now, licence) = (self.time.now(), self.licence());
        let minutes_left = licence.left.map_or(0, |left| left.as_secs().div_ceil(60));
        let request = Request {
            virtual_machine: self.machine.virtual_machine,
            renewal: self.is_licensed(),
            licence_status: licence.status,
            method: if self.key.is_some() { Method::Key } else { Method::Count },
            required_count: self.product.required_count,
            time_left: Minutes(minutes_left.min(u32::MAX.into()) as u32),
            application_id: APPLICATION,
            activation_id: ACTIVATION,
            counted_id: COUNTED,
            cmid: self.state.cmid,
            previous_cmid: self.state.previous,
            client_time: now.clock.filter(|clock| clock.as_secs() != 0),
            nonce: Nonce([0; 16]),
            fingerprint: self.machine.fingerprint,
            workstation_name: self.machine.workstation_name,
            key_id: self.key.map_or(KEY_ID, |key| key.key_id),
        };
        self.pending = Some(Pending { host, tried, rearmed, sent_until: None, request });
    }

    /// What requests are tagged with.
    fn tag_key(&self) -> &TagKey {
        self.key.map_or(&self.product.tag_key, |key| &key.tag_key)
    }

    fn next_host(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        if pending.tried < self.places() {
            let host = (pending.host + 1) % self.hosts.get();
            self.ask(host, pending.tried + 1, pending.rearmed);
        } else {
            self.rest(self.activation_interval);
        }
    }

    fn rest(&mut self, wait: u64) {
        self.pending = None;
        self.rested_at = self.time.now().monotonic.as_millis();
        self.least_rest = wait - wait / 10;
    }

    fn give_up(&mut self, failure: Failure) {
        let was_pending = self.pending.is_some();
        self.client.give_up(self.time.now(), &mut self.dice, failure);
        self.next_host();
        if was_pending {
            assert_eq!(self.client.last_attempt(), Some(Err(failure)));
        }
    }

    /// Delivers what cannot be accepted, and sees that it changes nothing.
    fn discarded(&mut self, bytes: &[u8]) -> Discard {
        let now = self.time.now();
        let seen = |client: &KeyedClient<'_>| {
            let frame = client.pending_frame().copied();
            (client.image(now), frame, client.last_attempt(), client.licence(now))
        };
        let before = seen(&self.client);
        let discard = self.client.handle_response(now, &mut self.dice, bytes);
        let discard = discard.expect_err("nobody signed this for this request");
        assert!(seen(&self.client) == before, "a discarded answer left a trace");
        discard
    }

    fn answer(&mut self, answer: &Answer) {
        let pending = self.client.pending_frame().copied();
        let this = pending.or(self.frames.last().copied()).unwrap_or([0; FRAME_LEN]);
        let asked = match answer.to {
            To::This | To::ThisOne | To::ThisOneToo => this,
            To::TheOneBefore => *self.frames.iter().rev().nth(1).unwrap_or(&[1; FRAME_LEN]),
            To::Nobody => [2; FRAME_LEN],
        };
        let by_key = self.pending.as_ref().is_some_and(Pending::is_by_key);
        let trusted = answer.voucher;
        let voucher = if by_key { trusted.of_authority() } else { trusted.of_host() };
        let (body, bytes, damaged) = self.written(answer, voucher, &asked);
        let delivery = Delivery { bytes, damaged, voucher, body };
        self.deliver(&delivery);
        self.delivered = Some(delivery);
    }

    /// The answer in bytes, and whether they are still what they were.
    fn written(
        &self,
        answer: &Answer,
        voucher: Voucher,
        asked: &Frame,
    ) -> (ResponseBody, Vec<u8>, bool) {
        let vendor = Vendor::get();
        let required = self.product.required_count.get();
        let body = ResponseBody {
            verdict: match answer.verdict {
                Said::Enough(lasting) => {
                    Verdict::Granted { count: required, validity: lasting.validity() }
                }
                Said::Count(count, lasting) => {
                    Verdict::Granted { count: (count % 8).into(), validity: lasting.validity() }
                }
                Said::Refused(code) => Verdict::Refused(Refusal::ALL[usize::from(code) % 8]),
            },
            duplicate: answer.duplicate,
            activation_interval: answer.activation_interval.minutes(120),
            renewal_interval: answer.renewal_interval.minutes(10_080),
            host_time: UnixTime::from_secs(self.host_time(answer.time)),
            request_digest: trust::request_digest(asked),
            certificate: vendor.certificate(voucher),
        };
        let mut bytes = vendor.answer(voucher, body).to_vec();
        let mut damaged = true;
        match answer.damage {
            Damage::None | Damage::Nothing | Damage::NoneAtAll => damaged = false,
            Damage::Bit(bit) => {
                let bit = usize::from(bit) % (FRAME_LEN * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Damage::Cut(length) => bytes.truncate(length.min(249).into()),
            Damage::Longer => bytes.push(0),
        }
        (body, bytes, damaged)
    }

    fn deliver(&mut self, Delivery { bytes, damaged, voucher, body }: &Delivery) {
        let now = self.time.now();
        let Some(asked) = self.client.pending_frame() else {
            assert_eq!(self.discarded(bytes), Discard::NotAsked);
            return;
        };
        let to_this = body.request_digest == trust::request_digest(asked);
        if *damaged {
            assert!(matches!(self.discarded(bytes), Discard::Untrusted(_)));
        } else if let Some(discard) = self.objection(now, *voucher, body, to_this) {
            assert_eq!(self.discarded(bytes), discard);
        } else {
            self.accepted(bytes, body);
        }
    }

    fn host_time(&self, time: HostTime) -> u64 {
        let right = self.time.right_secs();
        let clients = self.time.now().clock.map_or(right, UnixTime::as_secs);
        let off = |from: u64, beyond: bool, behind: bool| {
            let off = 240 * 60 + u64::from(beyond);
            if behind { from.saturating_sub(off) } else { from.saturating_add(off) }
        };
        match time {
            HostTime::Right => right,
            HostTime::AsTheClient => clients,
            HostTime::OffByMinutes(minutes) => right.saturating_add_signed(i64::from(minutes) * 60),
            HostTime::AtTheEdge { behind, beyond } => off(clients, beyond, behind),
            HostTime::AtTheFloor { beyond } => off(self.state.floor, beyond, true),
            HostTime::Any(seconds) => seconds,
        }
    }

    /// Why the answer must be discarded (PROTOCOL 11).
    fn objection(
        &self,
        now: Now,
        voucher: Voucher,
        body: &ResponseBody,
        to_this: bool,
    ) -> Option<Discard> {
        let by_key = self.pending.as_ref().is_some_and(Pending::is_by_key);
        if let Some(untrusted) = distrust(voucher, body, to_this, by_key) {
            return Some(Discard::Untrusted(untrusted));
        }
        let host_secs = body.host_time.as_secs();
        match now.clock.map(UnixTime::as_secs) {
            Some(clock) if host_secs > clock.saturating_add(240 * 60) => {
                return Some(Discard::ClockSkew(Skew::Behind(host_secs - clock)));
            }
            Some(clock) if clock > host_secs.saturating_add(240 * 60) => {
                return Some(Discard::ClockSkew(Skew::Ahead(clock - host_secs)));
            }
            _ => {}
        }
        let behind = self.state.floor.saturating_sub(host_secs);
        (behind > 240 * 60).then_some(Discard::BelowFloor { behind })
    }

    fn accepted(&mut self, bytes: &[u8], body: &ResponseBody) {
        let now = self.time.now();
        let outcome = self.client.handle_response(now, &mut self.dice, bytes);
        let outcome = outcome.expect("nothing speaks against this answer");
        let pending = self.pending.clone().expect("it was asked");
        self.state.floor = self.state.floor.max(body.host_time.as_secs());
        self.activation_interval = bounded(body.activation_interval);
        if !pending.is_by_key() {
            self.preferred = pending.host;
        }
        let by_key = pending.is_by_key();
        let granted = matches!(body.verdict, Verdict::Granted { .. });
        self.state.counted |= granted && !by_key;
        let required = self.product.required_count.get();
        let predicted = match body.verdict {
            Verdict::Refused(refusal) => {
                self.next_host();
                Outcome::Refused(refusal)
            }
            Verdict::Granted { count, validity } if by_key || count >= required => {
                self.activate(&pending, body, count, validity);
                Outcome::Activated { count }
            }
            Verdict::Granted { count, .. } => {
                self.rest(self.activation_interval);
                Outcome::BelowThreshold { count, required }
            }
        };
        assert_eq!(outcome, predicted);
        assert_eq!(self.client.last_attempt(), Some(Ok(outcome)));
        if granted && !by_key && body.duplicate && !pending.rearmed {
            let held = self.state.grant.as_ref().map(|grant| grant.cmid);
            let keeps = self.state.previous.is_some() && self.state.previous == held;
            if !keeps {
                self.state.previous = Some(self.state.cmid);
            }
            self.takes_fresh_cmid();
            self.state.counted = false;
            self.rearm_to_report = true;
            self.ask(pending.host, pending.tried, true);
        }
    }

    fn activate(&mut self, pending: &Pending, body: &ResponseBody, count: u32, validity: Validity) {
        let now = self.time.now();
        let millis = |minutes: Minutes| u64::from(minutes.0) * MINUTE;
        let maximum = self.product.limits.maximum_validity;
        let by_key = pending.is_by_key();
        let validity = match (validity, maximum) {
            (Validity::Perpetual, _) if by_key => None,
            (Validity::Perpetual, _) => unreachable!("no host grants it"),
            (Validity::For(granted), _) if by_key => Some(millis(granted)),
            (Validity::For(granted), Validity::For(maximum)) => Some(millis(granted.min(maximum))),
            (Validity::For(granted), Validity::Perpetual) => Some(millis(granted)),
        };
        let key_id = pending.request.key_id;
        let by = if by_key { ActivatedBy::Key(key_id) } else { ActivatedBy::Count };
        let renewal_interval = bounded(body.renewal_interval);
        let host_time = body.host_time.as_secs();
        self.state.grant = Some(Grant {
            cmid: pending.request.cmid,
            hardware: pending.request.fingerprint,
            by,
            validity,
            activation_interval: Some(self.activation_interval),
            renewal_interval,
            count,
            host_time,
            digest: body.request_digest,
            age: Mark::at(host_time, now),
        });
        self.state.previous = None;
        self.state.out_of_tolerance = None;
        // Before the activation ends, but never as often as that would take for a very short one.
        let renewal = renewal_interval - renewal_interval / 10;
        let shortest = bounded(Minutes(0));
        self.rest(self.activation_interval);
        let half = validity.map_or(u64::MAX, |validity| validity / 2);
        let soonest = half.max(shortest - shortest / 10);
        self.least_rest = self.least_rest.min(renewal).min(soonest);
        self.kicked = false;
        self.check_hardware();
    }

    fn install(&mut self, key: Option<&'static InstalledKey>) {
        let now = self.time.now();
        self.client.install(now, &mut self.dice, key);
        self.key = key;
        self.warned_at = None;
        self.starts(now);
    }

    /// It may ask at once, and it has not failed yet.
    fn starts(&mut self, now: Now) {
        self.pending = None;
        self.rested_at = now.monotonic.as_millis();
        self.kicked = !self.is_settled();
    }

    fn take_stored(&mut self, carried: &Carried) {
        let now = self.time.now();
        let key = installed_key(carried.key);
        let by_count = carried.wrong == Wrong::ByCount;
        let hardware = machine(carried.machine);
        let request = Request {
            virtual_machine: hardware.virtual_machine,
            renewal: false,
            licence_status: LicenceStatus::InitialGrace,
            method: if by_count { Method::Count } else { Method::Key },
            required_count: NonZeroU32::MIN,
            time_left: Minutes(0),
            application_id: APPLICATION,
            activation_id: if carried.wrong == Wrong::Product {
                ActivationId([9; 16])
            } else {
                ACTIVATION
            },
            counted_id: COUNTED,
            cmid: match carried.cmid {
                Some(number) => Cmid::new([number | 1; 16]).expect("not zero"),
                None => self.state.cmid,
            },
            previous_cmid: None,
            client_time: None,
            nonce: Nonce([carried.machine; 16]),
            fingerprint: hardware.fingerprint,
            workstation_name: Name::default(),
            key_id: key.key_id,
        };
        let frame = TagSchedule::new(&key.tag_key).seal(&request);
        if let Some(spoken) = carried.phone {
            return self.take_confirmation(carried.wrong, spoken, &request, &frame);
        }
        let other = [3; FRAME_LEN];
        let to_this = !matches!(carried.answer.to, To::TheOneBefore | To::Nobody);
        let voucher = carried.answer.voucher.of_authority();
        let answered = if to_this { &frame } else { &other };
        let (body, bytes, damaged) = self.written(&carried.answer, voucher, answered);
        let Ok(answer) = <&Frame>::try_from(bytes.as_slice()) else { return };

        let before = self.client.image(now);
        let taken = self.client.take_stored(now, &mut self.dice, &frame, answer);
        let foreign = self.foreign(carried.wrong, &request);
        let objection = if foreign.is_some() {
            foreign
        } else if damaged {
            assert!(matches!(taken, Err(Rejection::Untrusted(_))));
            assert!(self.client.image(now) == before);
            return;
        } else {
            distrust(voucher, &body, to_this, true).map(Rejection::Untrusted)
        };
        if let Some(rejection) = objection {
            assert_eq!(taken, Err(rejection));
            assert!(self.client.image(now) == before, "what is not believed left a trace");
            return;
        }
        let (count, validity) = match body.verdict {
            Verdict::Refused(refusal) => {
                assert_eq!(taken, Ok(Outcome::Refused(refusal)));
                assert!(self.client.image(now) == before, "a refusal left a trace");
                return;
            }
            Verdict::Granted { count, validity } => (count, validity),
        };
        assert_eq!(taken, Ok(Outcome::Activated { count }));
        self.state.floor = self.state.floor.max(body.host_time.as_secs());
        self.activation_interval = bounded(body.activation_interval);
        self.adopts(request.cmid);
        let pending = Pending { host: 0, tried: 1, rearmed: false, sent_until: None, request };
        self.activate(&pending, &body, count, validity);
        self.warned_at = None;
        self.starts(now);
    }

    /// Why a request that is brought is none of this machine's.
    fn foreign(&self, wrong: Wrong, request: &Request<'_>) -> Option<Rejection> {
        match wrong {
            Wrong::ByCount => Some(Rejection::ByCount),
            Wrong::Product => Some(Rejection::OtherProduct),
            _ if !self.is_ours(&request.fingerprint) => Some(Rejection::OtherHardware),
            _ => None,
        }
    }

    fn adopts(&mut self, cmid: Cmid) {
        self.state.counted &= cmid == self.state.cmid;
        self.state.cmid = cmid;
        self.cmids.insert(cmid);
    }

    fn take_confirmation(
        &mut self,
        wrong: Wrong,
        spoken: Spoken,
        request: &Request<'_>,
        frame: &Frame,
    ) {
        let now = self.time.now();
        let [first, second, impostor] = Vendor::root_keys();
        let signer = match spoken {
            Spoken::Second => &second,
            Spoken::Impostor => &impostor,
            Spoken::Host => &Vendor::get().hosts[0],
            _ => &first,
        };
        let mut machine = phone::Machine::of(request);
        if matches!(spoken, Spoken::OtherMachine) {
            machine.cmid = Cmid::new([0xee; 16]).expect("not zero");
        }
        let id = InstallationId::for_machine(&machine, &TagKey::from_bytes([7; 32]));
        let confirmation = id.confirm(signer).unwrap_or_else(|never| match never {});
        let beside = if matches!(spoken, Spoken::OtherRequest) { &[4; FRAME_LEN] } else { frame };
        let mut record = confirmation.record(&id, beside);
        if let Spoken::Bit(bit) = spoken {
            let bit = usize::from(bit) % (FRAME_LEN * 8);
            record[bit / 8] ^= 1 << (bit % 8);
        }
        let before = self.client.image(now);
        let taken = self.client.take_stored(now, &mut self.dice, frame, &record);
        let unconfirmed = match spoken {
            Spoken::First | Spoken::Second => None,
            Spoken::Impostor | Spoken::Host => Some(UntrustedRecord::Unconfirmed),
            Spoken::OtherMachine => Some(UntrustedRecord::OtherMachine),
            Spoken::OtherRequest => Some(UntrustedRecord::Changed),
            Spoken::Bit(_) => {
                taken.expect_err("a confirmation that somebody changed");
                assert!(self.client.image(now) == before);
                return;
            }
        };
        let foreign = self.foreign(wrong, request);
        if let Some(rejection) = foreign.or(unconfirmed.map(Rejection::Unconfirmed)) {
            assert_eq!(taken, Err(rejection));
            assert!(self.client.image(now) == before, "what is not confirmed left a trace");
            return;
        }
        assert_eq!(taken, Ok(Outcome::Activated { count: 0 }));
        self.adopts(request.cmid);
        self.state.grant = Some(Grant {
            cmid: request.cmid,
            hardware: request.fingerprint,
            by: ActivatedBy::Phone(request.key_id),
            validity: None,
            activation_interval: None,
            renewal_interval: bounded(Minutes(0)),
            count: 0,
            host_time: 0,
            digest: trust::request_digest(frame),
            age: Mark::now(now, self.state.floor),
        });
        self.state.previous = None;
        self.state.out_of_tolerance = None;
        self.rest(self.activation_interval);
        self.warned_at = None;
        self.starts(now);
        self.check_hardware();
    }

    fn takes_fresh_cmid(&mut self) {
        self.state.cmid = self.client.cmid();
        assert!(self.cmids.insert(self.state.cmid), "a CMID used again");
    }

    /// Whether this is the machine's hardware, as far as the product minds.
    fn is_ours(&self, hardware: &Fingerprint) -> bool {
        let pairs = hardware.components().iter().zip(self.machine.fingerprint.components());
        let differing = pairs.filter(|(a, b)| a != b).count();
        differing <= self.product.matching.tolerance.into()
    }

    /// Whether the activation is still of this hardware.
    fn check_hardware(&mut self) {
        let Some(grant) = &self.state.grant else { return };
        let matches = self.is_ours(&grant.hardware);
        match (matches, &self.state.out_of_tolerance) {
            (true, Some(_)) => self.state.out_of_tolerance = None,
            (false, None) => {
                let mark = Mark::now(self.time.now(), self.state.floor);
                self.state.out_of_tolerance = Some(mark);
            }
            _ => return,
        }
        self.kicked |= self.pending.is_none();
    }

    fn rearm(&mut self) {
        let now = self.time.now();
        let before = self.client.image(now);
        let rearmed = self.client.rearm(now, &mut self.dice);
        let allowed = self.product.limits.rearms;
        if self.state.rearms_used == allowed {
            assert_eq!(rearmed.expect_err("as often as allowed").limit, allowed);
            assert!(self.client.image(now) == before);
            return;
        }
        rearmed.expect("it is allowed once more");
        if self.state.counted || self.state.previous.is_none() {
            self.state.previous = Some(self.state.cmid);
        }
        self.takes_fresh_cmid();
        self.state.counted = false;
        self.state.rearms_used += 1;
        self.state.grace = Mark::now(now, self.state.floor);
        self.state.out_of_tolerance = None;
        self.state.grant = None;
        self.pending = None;
        self.kicked = true;
    }

    fn reboot(&mut self, reboot: &Reboot) {
        let before = self.time.now();
        let (image, mut state) = if reboot.power_cut {
            self.saved.clone()
        } else {
            (self.client.image(before).to_vec(), self.state.stored(before))
        };
        let status = self.client.licence(before).status;
        let nothing_else = !reboot.power_cut && reboot.off_minutes == 0 && reboot.machine.is_none();

        self.time.restart(reboot.off_minutes.into(), reboot.monotonic.into());
        let now = self.time.now();
        state.marks().for_each(|mark| mark.counted_from = now.monotonic.as_millis());
        self.state = state;
        if let Some(number) = reboot.machine {
            self.machine = machine(number);
        }
        self.pending = None;
        if let Some((at, bit)) = reboot.edit {
            self.check_edited(&image, usize::from(at) % IMAGE_LEN, bit % 8);
        }
        let resumed = self.resumed(&image, now);
        self.client = resumed.expect("an image of this program");
        self.saved = (image.clone(), self.state.clone());
        let spoilt_before = self.state.out_of_tolerance.is_some();
        self.check_hardware();
        if spoilt_before == self.state.out_of_tolerance.is_some() {
            assert!(self.client.image(now)[..] == image, "an image that does not come back");
        }
        if nothing_else {
            // A start keeps whole seconds of running time: a status may live one more.
            let after = self.client.licence(now);
            let revived = status == LicenceStatus::Notification
                && after.left.is_some_and(|left| left <= Duration::from_secs(1));
            assert!(after.status == status || revived, "{status:?} became {after:?}");
        }
        self.preferred = 0;
        let said = self.state.grant.as_ref().and_then(|grant| grant.activation_interval);
        let product = bounded(self.product.limits.activation_interval);
        self.activation_interval = said.unwrap_or(product);
        self.reported = self.licence().status;
        self.rearm_to_report = false;
        self.warned_at = None;
        self.due = now.monotonic.as_millis();
        self.starts(now);
    }

    fn resumed(&mut self, image: &[u8], now: Now) -> Result<KeyedClient<'p>, Corrupt> {
        let hosts = Keyed::new(Numbered::new(self.hosts), self.key);
        Client::resume_with(self.product, self.machine, hosts, image, now, &mut self.dice)
    }

    /// An edited image activates nothing that was not activated, and no longer by the calendar.
    fn check_edited(&mut self, image: &[u8], at: usize, bit: u8) {
        let now = self.time.now();
        let mut edited = image.to_vec();
        edited[at] ^= 1 << bit;
        let resumed = self.resumed(&edited, now);
        let Ok(mut client) = resumed else { return };
        if client.is_activated(now) {
            let grant = self.state.grant.as_ref().expect("an activation out of nothing");
            assert!(at < IMAGE_LEN - 2 * FRAME_LEN, "an edited frame was believed");
            assert!(
                at >= 16 || self.state.previous == Some(grant.cmid),
                "another machine's activation was believed"
            );
            // A host's time of 0 is none.
            if let (Some(validity), Some(clock), 1..) = (grant.validity, now.clock, grant.host_time)
            {
                let age = u128::from(clock.as_secs().saturating_sub(grant.host_time)) * 1_000;
                assert!(age < validity.into(), "an edited image activates for longer");
            }
        }
        for _ in 0..=MOST_POLLS {
            match client.poll(now, &mut self.dice) {
                Step::Save | Step::Report(_) => {}
                Step::Send { .. } => {
                    let frame = client.pending_frame().expect("it is to be sent");
                    let parsed = ParsedRequest::parse(frame).expect("well formed");
                    parsed.verify(&TagSchedule::new(self.tag_key())).expect("tagged");
                    return;
                }
                Step::Wait { until } => {
                    assert!(until > now.monotonic);
                    return;
                }
            }
        }
        panic!("the client neither sends nor waits");
    }
}

impl Pending {
    fn is_by_key(&self) -> bool {
        self.request.method == Method::Key
    }
}

impl Trusted {
    /// Who vouches for an answer to a request by count.
    fn of_host(self) -> Voucher {
        match self {
            Self::First => Voucher::First,
            Self::Second => Voucher::Second,
            Self::Dated => Voucher::Dated,
            Self::Any(voucher) => voucher,
        }
    }

    /// Who vouches for an answer to a request by key.
    fn of_authority(self) -> Voucher {
        match self {
            Self::Any(voucher) => voucher,
            _ => Voucher::Authority,
        }
    }
}

/// Why an answer cannot be believed, whatever the clocks say (PROTOCOL 11).
fn distrust(
    voucher: Voucher,
    body: &ResponseBody,
    to_this: bool,
    by_key: bool,
) -> Option<Untrusted> {
    let Certificate { claims, .. } = body.certificate;
    let perpetual = matches!(body.verdict, Verdict::Granted { validity: Validity::Perpetual, .. });
    let host_time = body.host_time;
    let minute = host_time.as_secs() / 60;
    let wrong_role = match (by_key, voucher) {
        (false, Voucher::Authority) => Some(Role::Authority),
        (true, Voucher::Authority) | (false, _) => None,
        (true, _) => Some(Role::Host),
    };
    if !to_this {
        Some(Untrusted::OtherRequest)
    } else if voucher == Voucher::UnknownRoot {
        Some(Untrusted::UnknownRoot(UNKNOWN_ROOT))
    } else if voucher == Voucher::Impostor {
        Some(Untrusted::CertificateSignature)
    } else if let Some(role) = wrong_role {
        Some(Untrusted::WrongRole(role))
    } else if voucher == Voucher::LowRank {
        Some(Untrusted::NotCovered { certificate: claims.coverage, product: COVERAGE })
    } else if perpetual && !by_key {
        Some(Untrusted::Perpetual)
    } else if minute < claims.not_before.0.into() || minute > claims.not_after.0.into() {
        Some(Untrusted::OutsideDates { host_time })
    } else if voucher == Voucher::OtherSigner {
        Some(Untrusted::ResponseSignature)
    } else {
        None
    }
}
