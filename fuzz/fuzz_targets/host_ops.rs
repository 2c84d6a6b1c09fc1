//! Operations in any order against a host, with a naive model beside it that says what must come
//! out: the whole answer or the reason for silence, all counters, and what a restart keeps.
#![no_main]

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use arbitrary::Arbitrary;
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{
    Host, HostCounters, Pool, PoolCounters, PoolStatus, Product, RateLimit, Settings, SetupKey,
    Silence, Source,
};
use headcount::time::{EpochMinute, Minutes, Now, UnixTime};
use headcount::trust::{self, Signer, TagKey, TagSchedule};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, CountedId, Coverage, FRAME_LEN, Frame,
    KeyId, LicenceStatus, Method, Name, Nonce, PublicKey, Refusal, Request, Response, ResponseBody,
    Role, Signature, Validity, Verdict,
};
use headcount_fuzz::ops::{Calendar, EPOCH, Time, fingerprint};
use libfuzzer_sys::fuzz_target;

/// Records per pool: few, so that short scripts fill them.
const CAPACITY: usize = 8;
/// One set of the rate limiter: what has room for every source of the script never forgets one.
const SOURCES: usize = 4;
const LONGEST_SCRIPT: usize = 128;
/// The host's table time starts here at the latest: half of the scale is left for it to run.
const LATEST_START: u64 = u32::MAX as u64 / 2;
/// Minutes after which no record is left.
const RECORD_LIFE: u64 = 43_200;

fuzz_target!(|script: Script| World::new(&script.site).run(&script));

#[derive(Arbitrary, Debug)]
struct Script {
    site: Site,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
struct Site {
    two_pools: bool,
    rules: [Rule; 2],
    certificate: Vouched,
    rate: Rate,
    hash_key: u8,
    calendar: Calendar,
    activation_interval: u32,
    renewal_interval: u32,
    validity: u32,
}

/// How a pool tells machines apart.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Rule {
    Default,
    Strict,
    Blind,
    Weighted,
}

/// What the root key says of the host.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Vouched {
    Nothing,
    ForEver,
    /// From a day before the script begins to 40 days after it has.
    ForAWhile,
    LowRank,
    OldGeneration,
    OtherFamily,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Rate {
    Off,
    OneIn(u8),
    ThreeIn(u8),
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Ask(Question),
    /// The last frame once more, as UDP does it.
    AskAgain {
        source: u8,
    },
    AskMutated {
        question: Question,
        at: u8,
        xor: u8,
    },
    AskRaw {
        source: u8,
        bytes: Vec<u8>,
    },
    /// Through the signer, which may fail.
    AskSigned {
        question: Question,
        fails: bool,
    },
    Millis(u16),
    Minutes(u16),
    Calendar(Calendar),
    Vouch(Vouched),
    Status,
    Restart {
        off_minutes: u16,
        monotonic: u16,
        keeps: Keeps,
    },
}

/// What is left of the host's state after a restart.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Keeps {
    Nothing,
    All,
    /// The configuration names the pools in another order.
    AllReordered,
    /// The configuration no longer has the second pool.
    FirstPool,
}

#[derive(Arbitrary, Debug)]
struct Question {
    source: u8,
    key: u8,
    tag: Tag,
    /// By key in one of sixteen.
    method: u8,
    product: Asked,
    cmid: u8,
    previous: Option<u8>,
    hardware: u8,
    threshold: u8,
    status: u8,
    virtual_machine: bool,
    renewal: bool,
    time: ClientTime,
}

/// What is to be activated.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Asked {
    OfTheFirstPool(u8),
    OfTheSecondPool(u8),
    Any { application: u8, activation: u8, counted: u8 },
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Tag {
    Right,
    RightToo,
    RightAsWell,
    OfTheOtherKey,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum ClientTime {
    Absent,
    Same,
    OffBySeconds(i16),
    /// 240 minutes, or a second more.
    AtTheEdge {
        behind: bool,
        beyond: bool,
    },
    Any(u64),
}

const FAMILY: u16 = 7;
const HIGHEST: Coverage = Coverage { family: FAMILY, rank: 1, generation: 3 };
const KEY_IDS: [u32; 2] = [77, 78];

const COUNTED: [CountedId; 2] = [CountedId([1; 16]), CountedId([2; 16])];

const fn product(application: u8, activation: u8, rank: u8, generation: u8) -> Product {
    Product {
        application_id: ApplicationId([application; 16]),
        activation_id: ActivationId([activation; 16]),
        coverage: Coverage { family: FAMILY, rank, generation },
    }
}

/// The last two are above what any certificate covers here.
const FIRST: [Product; 5] = [
    product(1, 1, 0, 0),
    product(1, 2, 1, 3),
    product(1, 3, 1, 0),
    product(2, 1, 2, 0),
    product(2, 2, 0, 4),
];
/// An edition may be counted in two pools.
const SECOND: [Product; 2] = [product(1, 1, 1, 0), product(3, 3, 0, 3)];

impl Rule {
    fn matching(self) -> Matching {
        match self {
            Self::Default => Matching::DEFAULT,
            Self::Strict => Matching { weights: [255; 8], tolerance: 0 },
            Self::Blind => Matching { weights: [0; 8], tolerance: 0 },
            Self::Weighted => Matching { weights: [9, 1, 0, 5, 2, 1, 1, 1], tolerance: 9 },
        }
    }
}

impl Vouched {
    /// The host does not verify its own certificate, so nobody signs it here.
    fn certificate(self) -> Option<Certificate> {
        let (mut coverage, mut dates) = (HIGHEST, (0, u32::MAX));
        match self {
            Self::Nothing => return None,
            Self::ForEver => {}
            Self::ForAWhile => {
                let begin = (EPOCH / 60) as u32;
                dates = (begin - 24 * 60, begin + 40 * 24 * 60);
            }
            Self::LowRank => coverage.rank = 0,
            Self::OldGeneration => coverage.generation = 0,
            Self::OtherFamily => coverage.family += 1,
        }
        let claims = Claims {
            public_key: PublicKey([5; 32]),
            serial: 1,
            not_before: EpochMinute(dates.0),
            not_after: EpochMinute(dates.1),
            root_id: 1,
            coverage,
            role: Role::Host,
        };
        Some(Certificate { claims, signature: Signature([6; 64]) })
    }
}

impl Rate {
    fn limit(self) -> RateLimit {
        let limit = |burst, seconds: u8| RateLimit {
            burst,
            interval: Duration::from_secs(u64::from(seconds)),
        };
        match self {
            Self::Off => RateLimit::OFF,
            Self::OneIn(seconds) => limit(1, seconds),
            Self::ThreeIn(seconds) => limit(3, seconds),
        }
    }
}

impl Site {
    fn settings(&self) -> Settings {
        Settings {
            activation_interval: Minutes(self.activation_interval),
            renewal_interval: Minutes(self.renewal_interval),
            validity: Minutes(self.validity.min(u32::MAX - 1)),
            rate_limit: self.rate.limit(),
        }
    }
}

fn tag_key(number: u8) -> TagKey {
    TagKey::from_bytes([number + 1; 32])
}

fn source(number: u8) -> Source {
    match number % SOURCES as u8 {
        0 => Source::UNKNOWN,
        n => Source::from(std::net::IpAddr::from([192, 0, 2, n])),
    }
}

fn cmid(number: u8) -> Cmid {
    Cmid::new([number % 14 + 1; 16]).expect("not zero")
}

impl Question {
    fn frame(&self, now: Now, nonce: u32) -> Frame {
        let clock = now.clock.map_or(EPOCH, UnixTime::as_secs);
        let client_time = match self.time {
            ClientTime::Absent => None,
            ClientTime::Same => Some(clock),
            ClientTime::OffBySeconds(seconds) => clock.checked_add_signed(seconds.into()),
            ClientTime::AtTheEdge { behind, beyond } => {
                let off = 240 * 60 + u64::from(beyond);
                if behind { clock.checked_sub(off) } else { clock.checked_add(off) }
            }
            ClientTime::Any(seconds) => Some(seconds),
        };
        let of = |products: &[Product], number: u8, counted_id| {
            let product = products[usize::from(number) % products.len()];
            (product.application_id, product.activation_id, counted_id)
        };
        let (application_id, activation_id, counted_id) = match self.product {
            Asked::OfTheFirstPool(number) => of(&FIRST, number, COUNTED[0]),
            Asked::OfTheSecondPool(number) => of(&SECOND, number, COUNTED[1]),
            Asked::Any { application, activation, counted } => (
                ApplicationId([application % 4; 16]),
                ActivationId([activation % 4; 16]),
                CountedId([counted % 4; 16]),
            ),
        };
        // Three of eight with the first key, three with the second, two with one nobody knows.
        let key = self.key % 8;
        let mut unique = [0; 16];
        unique[..4].copy_from_slice(&nonce.to_be_bytes());
        let request = Request {
            virtual_machine: self.virtual_machine,
            renewal: self.renewal,
            licence_status: LicenceStatus::ALL[usize::from(self.status) % 7],
            method: if self.method % 16 == 15 { Method::Key } else { Method::Count },
            required_count: match self.threshold % 8 {
                7 => NonZeroU32::MAX,
                n => NonZeroU32::MIN.saturating_add(n.into()),
            },
            time_left: Minutes(0),
            application_id,
            activation_id,
            counted_id,
            cmid: cmid(self.cmid),
            previous_cmid: self.previous.map(cmid),
            client_time: client_time.filter(|time| *time != 0).map(UnixTime::from_secs),
            nonce: Nonce(unique),
            fingerprint: fingerprint(self.hardware),
            workstation_name: Name::new("fuzzed").expect("short"),
            key_id: KeyId(KEY_IDS.get(usize::from(key / 3)).copied().unwrap_or(79)),
        };
        let keyed = match self.tag {
            Tag::OfTheOtherKey => 1 - (key / 3).min(1),
            _ => (key / 3).min(1),
        };
        TagSchedule::new(&tag_key(keyed)).seal(&request)
    }
}

/// Signs with a constant, or not at all.
struct Stamp {
    fails: bool,
}

impl Signer for Stamp {
    type Error = ();

    fn public_key(&self) -> PublicKey {
        PublicKey([5; 32])
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, ()> {
        if self.fails { Err(()) } else { Ok(Signature([8; 64])) }
    }
}

/// What PROTOCOL 8, 9 and 10 say, as directly as it can be written down.
struct Model {
    settings: Settings,
    certificate: Option<Certificate>,
    /// Requests that each source may still make, in milliseconds of the interval; and since when.
    credit: HashMap<Source, (u64, u64)>,
    pools: Vec<CountedMachines>,
    counters: HostCounters,
    frames: u32,
    /// The table's minute at a monotonic time in milliseconds.
    table_time: Option<(u32, u64)>,
    /// The calendar at that minute, after a restart, until a calendar tells how long it took.
    saved_at: Option<u64>,
}

#[derive(Clone)]
struct CountedMachines {
    counted_id: CountedId,
    products: &'static [Product],
    matching: Matching,
    limit: u32,
    machines: Vec<MachineSeen>,
    counters: PoolCounters,
}

#[derive(Clone, Copy)]
struct MachineSeen {
    cmid: Cmid,
    fingerprint: Fingerprint,
    minute: u32,
}

impl Model {
    fn minute(&mut self, now: Now) -> u32 {
        let millis = now.monotonic.as_millis();
        let start = now.clock.map_or(0, |clock| (clock.as_secs() / 60).min(LATEST_START) as u32);
        let (minute, since) = self.table_time.get_or_insert((start, millis));
        let ran = millis - *since;
        let clock = now.clock.map(UnixTime::as_secs);
        if let (Some(saved), Some(clock)) = (self.saved_at, clock)
            && clock >= saved
        {
            let down = (u128::from(clock - saved) * 1_000).saturating_sub(ran.into()) / 60_000;
            *minute = minute.saturating_add(down.min(RECORD_LIFE.into()) as u32);
            self.saved_at = None;
        }
        minute.saturating_add((ran / 60_000).min(u32::MAX.into()) as u32)
    }

    /// What a snapshot says of the calendar; 0 when it was never known.
    fn calendar(&self, now: Now) -> u64 {
        let ran = self.table_time.map_or(0, |(_, since)| now.monotonic.as_millis() - since);
        let saved = self.saved_at.map(|saved| saved.saturating_add(ran / 1_000));
        saved.or(now.clock.map(UnixTime::as_secs)).unwrap_or(0)
    }

    fn predict(&mut self, now: Now, source: Source, bytes: &[u8]) -> Result<ResponseBody, Silence> {
        self.frames += 1;
        let predicted = self.answer(now, source, bytes);
        match &predicted {
            Ok(body) => *self.answered(body) += 1,
            Err(silence) => self.counters.silent[silence.index()] += 1,
        }
        predicted
    }

    fn answered(&mut self, body: &ResponseBody) -> &mut u32 {
        match body.verdict {
            Verdict::Granted { .. } => &mut self.counters.granted,
            Verdict::Refused(refusal) => {
                &mut self.counters.refused[usize::from(refusal.code()) - 1]
            }
        }
    }

    fn answer(&mut self, now: Now, source: Source, bytes: &[u8]) -> Result<ResponseBody, Silence> {
        // Which bytes are a request, the codec says: it has fuzz targets of its own.
        let frame = headcount::wire::frame_from_slice(bytes)?;
        let request = Request::parse(frame)?;
        if !self.may_ask(source, now.monotonic.as_millis()) {
            return Err(Silence::RateLimited);
        }
        let certificate = self.certificate.ok_or(Silence::NoCertificate)?;
        let host_time = now.clock.ok_or(Silence::NoClock)?;
        let key = KEY_IDS.iter().position(|id| *id == request.key_id.0);
        let key = key.ok_or(Silence::UnknownKey(request.key_id))?;
        if TagSchedule::new(&tag_key(key as u8)).seal(&request) != *frame {
            return Err(Silence::BadTag);
        }
        let minute = self.minute(now);
        let (verdict, duplicate) = match self.count(&request, &certificate, host_time, minute) {
            Ok((count, duplicate)) => {
                let validity = Validity::For(self.settings.validity);
                (Verdict::Granted { count, validity }, duplicate)
            }
            Err(refusal) => (Verdict::Refused(refusal), false),
        };
        Ok(ResponseBody {
            verdict,
            duplicate,
            activation_interval: self.settings.activation_interval,
            renewal_interval: self.settings.renewal_interval,
            host_time,
            request_digest: trust::request_digest(frame),
            certificate,
        })
    }

    /// A bucket of `burst` requests that fills by one in each interval.
    fn may_ask(&mut self, source: Source, now: u64) -> bool {
        let interval = self.settings.rate_limit.interval.as_millis() as u64;
        let full = interval * u64::from(self.settings.rate_limit.burst);
        let (credit, since) = self.credit.entry(source).or_insert((full, now));
        *credit = full.min(*credit + (now - *since));
        *since = now;
        let allowed = *credit >= interval;
        if allowed {
            *credit -= interval;
        }
        allowed
    }

    fn count(
        &mut self,
        request: &Request<'_>,
        certificate: &Certificate,
        host_time: UnixTime,
        minute: u32,
    ) -> Result<(u32, bool), Refusal> {
        if request.method != Method::Count {
            return Err(Refusal::NotCovered);
        }
        let found = self.pools.iter_mut().find_map(|pool| {
            let product = pool.products.iter().find(|product| {
                product.application_id == request.application_id
                    && product.activation_id == request.activation_id
            })?;
            (pool.counted_id == request.counted_id).then_some((pool, product))
        });
        let (pool, product) = found.ok_or(Refusal::UnknownProduct)?;
        let claims = &certificate.claims;
        let covered = claims.coverage.family == product.coverage.family
            && claims.coverage.rank >= product.coverage.rank
            && claims.coverage.generation >= product.coverage.generation;
        let epoch_minute = host_time.as_secs() / 60;
        let valid =
            (claims.not_before.0.into()..=claims.not_after.0.into()).contains(&epoch_minute);
        let skewed = request
            .client_time
            .is_some_and(|client| client.as_secs().abs_diff(host_time.as_secs()) > 240 * 60);
        let refusal = if !covered {
            Some(Refusal::NotCovered)
        } else if !valid {
            Some(Refusal::NotEnrolled)
        } else if skewed {
            Some(Refusal::ClockSkew)
        } else {
            None
        };
        let counters = &mut pool.counters;
        counters.requests += 1;
        counters.by_licence_status[request.licence_status as usize] += 1;
        if let Some(refusal) = refusal {
            counters.failed += 1;
            return Err(refusal);
        }
        counters.required_count = counters.required_count.max(request.required_count.get());
        Ok(pool.see(request, minute))
    }
}

impl CountedMachines {
    fn expire(&mut self, minute: u32) {
        self.machines
            .retain(|machine| u64::from(minute.saturating_sub(machine.minute)) < RECORD_LIFE);
    }

    fn same(&self, a: &Fingerprint, b: &Fingerprint) -> bool {
        let differs = |i: &usize| a.components()[*i] != b.components()[*i];
        let sum: u32 = (0..8).filter(differs).map(|i| u32::from(self.matching.weights[i])).sum();
        sum <= self.matching.tolerance.into()
    }

    fn see(&mut self, request: &Request<'_>, minute: u32) -> (u32, bool) {
        self.expire(minute);
        let wanted = request.required_count.get().saturating_mul(2).min(CAPACITY as u32);
        self.limit = self.limit.max(wanted);
        let place = self.machines.iter().position(|machine| machine.cmid == request.cmid);
        let known = place.map(|place| self.machines.remove(place));
        let duplicate =
            known.is_some_and(|known| !self.same(&known.fingerprint, &request.fingerprint));
        if let Some(place) = self.machines.iter().position(|machine| {
            Some(machine.cmid) == request.previous_cmid
                && self.same(&machine.fingerprint, &request.fingerprint)
        }) {
            self.machines.remove(place);
        }
        while self.machines.len() as u32 >= self.limit {
            let oldest = self.machines.iter().map(|machine| machine.minute).min();
            let place = self.machines.iter().position(|machine| Some(machine.minute) == oldest);
            self.machines.remove(place.expect("it is full"));
        }
        let Request { cmid, fingerprint, .. } = *request;
        self.machines.push(MachineSeen { cmid, fingerprint, minute });
        (self.machines.len() as u32, duplicate)
    }

    fn status(&mut self, minute: u32) -> PoolStatus {
        self.expire(minute);
        PoolStatus {
            counted_id: self.counted_id,
            count: (self.limit > 0).then_some(self.machines.len() as u32),
            limit: self.limit,
            capacity: CAPACITY as u32,
            counters: self.counters,
        }
    }

    fn forget(&mut self) {
        (self.limit, self.counters) = (0, PoolCounters::default());
        self.machines.clear();
    }
}

struct World {
    time: Time,
    model: Model,
    hash_key: [u8; 16],
    last_frame: Frame,
    asked: u32,
}

type TestHost<'a> = Host<'a, CAPACITY, SOURCES>;

impl World {
    fn new(site: &Site) -> Self {
        let all: [(CountedId, &'static [Product]); 2] =
            [(COUNTED[0], &FIRST), (COUNTED[1], &SECOND)];
        let pools =
            all.into_iter().zip(site.rules).map(|((counted_id, products), rule)| CountedMachines {
                counted_id,
                products,
                matching: rule.matching(),
                limit: 0,
                machines: Vec::new(),
                counters: PoolCounters::default(),
            });
        let model = Model {
            settings: site.settings(),
            certificate: site.certificate.certificate(),
            credit: HashMap::new(),
            pools: pools.take(1 + usize::from(site.two_pools)).collect(),
            counters: HostCounters::default(),
            frames: 0,
            table_time: None,
            saved_at: None,
        };
        Self {
            time: Time::new(site.calendar),
            model,
            hash_key: [site.hash_key; 16],
            last_frame: [0; FRAME_LEN],
            asked: 0,
        }
    }

    fn run(&mut self, script: &Script) {
        let mut operations = script.operations.iter().take(LONGEST_SCRIPT);
        let mut stored = None;
        loop {
            let restart = self.live(&mut operations, stored.as_ref());
            let Some(after) = restart else { break };
            stored = Some(after);
        }
    }

    /// From a start to the next restart or, then with `None`, to the end of the script.
    fn live<'s>(
        &mut self,
        operations: &mut impl Iterator<Item = &'s Operation>,
        stored: Option<&Stored>,
    ) -> Option<Stored> {
        let keys = [0, 1].map(|n| SetupKey::new(KeyId(KEY_IDS[usize::from(n)]), &tag_key(n)));
        let mut pools: Vec<Pool<'_, CAPACITY>> = self
            .model
            .pools
            .iter()
            .map(|pool| Pool::new(pool.counted_id, pool.products, pool.matching))
            .collect();
        let Model { certificate, settings, .. } = self.model;
        let mut host = TestHost::new(&mut pools, &keys, certificate, settings, self.hash_key);
        if let Some(stored) = stored {
            self.restore(&mut host, stored);
            self.check_status(&mut host);
        }
        for operation in operations {
            match operation {
                Operation::Restart { off_minutes, monotonic, keeps } => {
                    let stored = self.restart(&mut host, *keeps);
                    self.time.restart((*off_minutes).into(), (*monotonic).into());
                    return Some(stored);
                }
                operation => self.apply(&mut host, operation),
            }
            assert_eq!(*host.counters(), self.model.counters);
            assert_eq!(host.counters().frames(), self.model.frames);
        }
        self.check_status(&mut host);
        None
    }

    fn apply(&mut self, host: &mut TestHost<'_>, operation: &Operation) {
        match operation {
            Operation::Ask(question) => {
                self.last_frame = self.frame(question);
                self.ask(host, source(question.source), &self.last_frame.clone());
            }
            Operation::AskAgain { source: number } => {
                self.ask(host, source(*number), &self.last_frame.clone());
            }
            Operation::AskMutated { question, at, xor } => {
                let mut frame = self.frame(question);
                frame[usize::from(*at) % FRAME_LEN] ^= xor;
                self.ask(host, source(question.source), &frame);
            }
            Operation::AskRaw { source: number, bytes } => self.ask(host, source(*number), bytes),
            Operation::AskSigned { question, fails } => self.ask_signed(host, question, *fails),
            Operation::Millis(millis) => self.time.pass_millis((*millis).into()),
            Operation::Minutes(minutes) => self.time.pass_minutes((*minutes).into()),
            Operation::Calendar(calendar) => self.time.set_calendar(*calendar),
            Operation::Vouch(vouched) => {
                self.model.certificate = vouched.certificate();
                host.set_certificate(self.model.certificate);
                assert_eq!(host.certificate(), self.model.certificate.as_ref());
            }
            Operation::Status => self.check_status(host),
            Operation::Restart { .. } => unreachable!("ends this life"),
        }
    }

    fn frame(&mut self, question: &Question) -> Frame {
        self.asked += 1;
        question.frame(self.time.now(), self.asked)
    }

    fn ask(&mut self, host: &mut TestHost<'_>, source: Source, bytes: &[u8]) {
        let now = self.time.now();
        let predicted = self.model.predict(now, source, bytes);
        assert_eq!(host.decide(now, source, bytes), predicted);
    }

    fn ask_signed(&mut self, host: &mut TestHost<'_>, question: &Question, fails: bool) {
        let (now, frame) = (self.time.now(), self.frame(question));
        let source = source(question.source);
        let predicted = self.model.predict(now, source, &frame);
        let answer = host.handle(now, source, &frame, &Stamp { fails });
        match predicted {
            Ok(body) if fails => {
                *self.model.answered(&body) -= 1;
                self.model.counters.silent[Silence::Signer.index()] += 1;
                assert_eq!(answer, Err(Silence::Signer));
            }
            Ok(body) => {
                let response = Response { body, signature: Signature([8; 64]) };
                assert_eq!(answer, Ok(response.emit()));
            }
            Err(silence) => assert_eq!(answer, Err(silence)),
        }
    }

    fn check_status(&mut self, host: &mut TestHost<'_>) {
        let now = self.time.now();
        let minute = self.model.minute(now);
        let predicted = self.model.pools.iter_mut().map(|pool| pool.status(minute));
        assert!(host.pools(now).eq(predicted), "pools differ from the model");
    }

    /// Takes a snapshot and says what of it the next start must bring back.
    fn restart(&mut self, host: &mut TestHost<'_>, keeps: Keeps) -> Stored {
        let now = self.time.now();
        let pools = self.model.pools.len();
        let mut snapshot = vec![0; TestHost::snapshot_capacity(pools)];
        let length = host.snapshot(now, &mut snapshot).expect("the capacity is enough");
        let needed = host.snapshot(now, &mut vec![0; length - 1]).expect_err("too short").needed;
        assert_eq!(needed, length);
        snapshot.truncate(length);
        let minute = self.model.minute(now);
        let calendar = self.model.calendar(now);
        let taken = Stored { snapshot, snapshot_pools: pools, minute, calendar, keeps };
        self.check_smaller_host(&taken);

        let model = &mut self.model;
        model.credit.clear();
        match keeps {
            Keeps::Nothing => {
                (model.counters, model.frames) = (HostCounters::default(), 0);
                (model.table_time, model.saved_at) = (None, None);
                model.pools.iter_mut().for_each(CountedMachines::forget);
            }
            Keeps::All => {}
            Keeps::AllReordered => model.pools.reverse(),
            Keeps::FirstPool => model.pools.truncate(1),
        }
        taken
    }

    fn restore(&mut self, host: &mut TestHost<'_>, stored: &Stored) {
        if stored.keeps == Keeps::Nothing {
            return;
        }
        let now = self.time.now();
        let restored = host.restore(now, &stored.snapshot).expect("a snapshot of this program");
        let kept = self.model.pools.len();
        assert_eq!(usize::from(restored.pools), kept);
        assert_eq!(usize::from(restored.unknown), stored.snapshot_pools - kept);
        assert_eq!(restored.left_out, 0);
        assert_eq!(*host.counters(), self.model.counters);
        self.model.table_time = Some((stored.minute, now.monotonic.as_millis()));
        self.model.saved_at = (stored.calendar != 0).then_some(stored.calendar);
        self.model.minute(now);
    }

    /// A host with room for fewer records keeps the latest.
    fn check_smaller_host(&mut self, stored: &Stored) {
        const FEWER: u32 = 3;
        let mut pools: Vec<Pool<'_, { FEWER as usize }>> = self
            .model
            .pools
            .iter()
            .map(|pool| Pool::new(pool.counted_id, pool.products, pool.matching))
            .collect();
        let settings = self.model.settings;
        let mut host = Host::<'_, _, SOURCES>::new(&mut pools, &[], None, settings, self.hash_key);
        let now = self.time.now();
        let restored = host.restore(now, &stored.snapshot).expect("a snapshot of this program");
        let counts = self.model.pools.iter().map(|pool| pool.machines.len() as u32);
        assert_eq!(restored.left_out, counts.map(|count| count.saturating_sub(FEWER)).sum::<u32>());
        let minute = stored.minute;
        for (pool, status) in self.model.pools.iter().zip(host.pools(now)) {
            let mut pool = pool.clone();
            let more = pool.machines.len().saturating_sub(FEWER as usize);
            pool.machines.drain(..more);
            pool.limit = pool.limit.min(FEWER);
            assert_eq!(status, PoolStatus { capacity: FEWER, ..pool.status(minute) });
        }
    }
}

/// A snapshot, and what the model knows of the moment it was taken.
struct Stored {
    snapshot: Vec<u8>,
    snapshot_pools: usize,
    minute: u32,
    calendar: u64,
    keeps: Keeps,
}
