//! Whatever lies in the two slots of a store, and whatever the payloads say: nothing panics, what is
//! found is what a naive reader finds, what is taken over is written again as it was, and no cut
//! save costs the image before it.
#![no_main]

use std::cell::Cell;
use std::convert::Infallible;
use std::num::{NonZeroU8, NonZeroU32};
use std::rc::Rc;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use headcount::client::{self, Client, Event, IMAGE_LEN, Limits, Machine, Step, describe_image};
use headcount::discovery::{Hosts, Keyed, Numbered};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{
    Host, HostCounters, Pool, Product, RestoreFailure, Settings, SetupKey, Source,
    describe_snapshot,
};
use headcount::phone::{self, InstallationId};
use headcount::policy;
use headcount::storage::{
    Damage, ENVELOPE_LEN, Found, Image, Kind, SaveError, Slot, SlotState, Slots, Store, VERSION,
};
use headcount::table::RestoreError;
use headcount::time::{Minutes, Now, UnixTime};
use headcount::trust::{TagSchedule, request_digest};
use headcount::wire::{
    ActivationId, ApplicationId, Cmid, CountedId, FRAME_LEN, Frame, KeyId, LicenceStatus, Method,
    Name, Nonce, Refusal, Request, ResponseBody, Validity, Verdict,
};
use headcount_fuzz::ops::{
    COVERAGE, Calendar, Dice, EPOCH, Luck, Time, Vendor, Voucher, fingerprint,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: Case| {
    match case {
        Case::Slots(scene) => scene.check(),
        Case::Saves(saves) => saves.check(),
        Case::Client(case) => check_client(&case.payload(), case.machine, case.calendar),
        Case::ClientBytes(bytes, calendar) => check_client(&bytes, 0, calendar),
        Case::Host(case) => check_host(&case.payload(), case.calendar),
        Case::HostBytes(bytes, calendar) => check_host(&bytes, calendar),
    }
});

#[derive(Arbitrary, Debug)]
enum Case {
    Slots(Scene),
    Saves(Saves),
    Client(ClientCase),
    ClientBytes(Vec<u8>, Calendar),
    Host(HostCase),
    HostBytes(Vec<u8>, Calendar),
}

// The envelope, as the documentation of `storage` describes it.

/// What is in a slot.
#[derive(Arbitrary, Clone, Debug)]
enum Content {
    Nothing,
    Erased(u8),
    Bytes(Vec<u8>),
    Image(Written),
    ImageToo(Written),
}

/// An image as somebody may have written it.
#[derive(Arbitrary, Clone, Debug)]
struct Written {
    version: Usual<u8>,
    kind: Usual<u8>,
    reserved: Usual<u16>,
    sequence: Sequence,
    payload: Vec<u8>,
    /// A length that is not the payload's.
    claimed: Usual<u32>,
    /// What happened to it afterwards.
    tail: Vec<u8>,
    cut: Usual<u16>,
    turned: Usual<u16>,
}

/// Mostly what it should be.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Usual<T> {
    Right,
    RightToo,
    RightAsWell,
    Other(T),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Sequence {
    Small(u8),
    Any(u64),
    NearlyTheHighest(u8),
}

impl<T> Usual<T> {
    fn or(self, right: T) -> T {
        match self {
            Self::Other(other) => other,
            _ => right,
        }
    }

    fn other(self) -> Option<T> {
        match self {
            Self::Other(other) => Some(other),
            _ => None,
        }
    }
}

/// CRC-32 of Ethernet and zip, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

impl Written {
    fn bytes(&self, kind: Kind) -> Vec<u8> {
        let sequence = match self.sequence {
            Sequence::Small(sequence) => sequence.into(),
            Sequence::Any(sequence) => sequence,
            Sequence::NearlyTheHighest(below) => u64::MAX - u64::from(below % 4),
        };
        let mut bytes = b"HCST".to_vec();
        bytes.extend([self.version.or(VERSION), self.kind.or(kind as u8)]);
        bytes.extend(self.reserved.or(0).to_be_bytes());
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(self.claimed.or(self.payload.len() as u32).to_be_bytes());
        bytes.extend(&self.payload);
        bytes.extend(crc32(&bytes).to_be_bytes());
        if let Some(cut) = self.cut.other() {
            bytes.truncate(cut.into());
        }
        bytes.extend(&self.tail);
        if let Some(turned) = self.turned.other().filter(|_| !bytes.is_empty()) {
            let bit = usize::from(turned) % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes
    }
}

impl Content {
    fn bytes(&self, kind: Kind) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Erased(length) => vec![0xff; (*length).into()],
            Self::Bytes(bytes) => bytes.clone(),
            Self::Image(written) | Self::ImageToo(written) => written.bytes(kind),
        }
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the length is N")
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(field(bytes, at))
}

fn small_number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(field(bytes, at))
}

/// A whole image: kind, sequence number and payload; or what is wrong with it.
fn naive_image(bytes: &[u8], buffer: usize) -> Result<(u8, u64, &[u8]), Damage> {
    let length = bytes.len();
    if length < 4 {
        return Err(Damage::Truncated { length, image: ENVELOPE_LEN });
    }
    if &bytes[..4] != b"HCST" {
        return Err(Damage::Magic);
    }
    if length < 20 {
        return Err(Damage::Truncated { length, image: ENVELOPE_LEN });
    }
    let image = small_number(bytes, 16) as usize + ENVELOPE_LEN;
    if image > length {
        return Err(if image > buffer {
            Damage::TooLong { length: image, buffer }
        } else {
            Damage::Truncated { length, image }
        });
    }
    if crc32(&bytes[..image - 4]) != small_number(bytes, image - 4) {
        return Err(Damage::Checksum);
    }
    match (bytes[4], field(bytes, 6)) {
        (VERSION, [0, 0]) => Ok((bytes[5], number(bytes, 8), &bytes[20..image - 4])),
        (VERSION, _) => Err(Damage::Reserved),
        (other, _) => Err(Damage::Version(other)),
    }
}

fn naive_state(bytes: &[u8], buffer: usize, kind: Kind) -> SlotState {
    if bytes.len() > buffer {
        return SlotState::Damaged(Damage::TooLong { length: bytes.len(), buffer });
    }
    if bytes.iter().all(|byte| *byte == 0xff) {
        return SlotState::Empty;
    }
    match naive_image(bytes, buffer) {
        Ok((found, sequence, _)) if found == kind as u8 => SlotState::Whole(sequence),
        Ok((found, ..)) => SlotState::Damaged(Damage::Kind(found)),
        Err(damage) => SlotState::Damaged(damage),
    }
}

/// Two slots of a device, whose power may fail after so many bytes.
#[derive(Clone, Debug, Default)]
struct Device {
    slots: [Vec<u8>; 2],
    unreadable: [bool; 2],
    medium: Medium,
    /// Bytes that it still writes or erases before the power fails.
    power: Rc<Cell<Option<usize>>>,
}

#[derive(Arbitrary, Clone, Copy, Debug, Default, PartialEq)]
enum Medium {
    /// A file that is written in place: cut off at its start, then grown.
    #[default]
    File,
    /// Bytes are replaced one after the other, and what was longer stays.
    Eeprom,
    /// The slot is erased, then written.
    Flash,
}

const FLASH: usize = 400;
const BUFFER: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    Power,
    Unreadable,
    NoRoom,
}

impl Device {
    /// One byte's worth of work.
    fn work(&self) -> Result<(), Failure> {
        match self.power.get() {
            Some(0) => return Err(Failure::Power),
            Some(left) => self.power.set(Some(left - 1)),
            None => {}
        }
        Ok(())
    }
}

impl Store for Device {
    type Error = Failure;

    fn read(&mut self, slot: Slot, into: &mut [u8]) -> Result<usize, Failure> {
        let index = usize::from(slot == Slot::B);
        if self.unreadable[index] {
            return Err(Failure::Unreadable);
        }
        let bytes = &self.slots[index];
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        Ok(if self.medium == Medium::Flash { count } else { bytes.len() })
    }

    fn write(&mut self, slot: Slot, image: &[u8]) -> Result<(), Failure> {
        let index = usize::from(slot == Slot::B);
        match self.medium {
            Medium::File => self.slots[index].clear(),
            Medium::Eeprom => {}
            Medium::Flash if image.len() > FLASH => return Err(Failure::NoRoom),
            Medium::Flash => {
                for at in 0..FLASH {
                    self.work()?;
                    self.slots[index][at] = 0xff;
                }
            }
        }
        for (at, byte) in image.iter().enumerate() {
            self.work()?;
            let length = self.slots[index].len().max(at + 1);
            self.slots[index].resize(length, 0);
            self.slots[index][at] = *byte;
        }
        Ok(())
    }
}

/// Slots of any content, looked at once.
#[derive(Arbitrary, Debug)]
struct Scene {
    slots: [Content; 2],
    unreadable: [u8; 2],
    buffer: u16,
    host: bool,
}

impl Scene {
    fn check(&self) {
        let kind = if self.host { Kind::Host } else { Kind::Client };
        let mut device = Device {
            slots: [0, 1].map(|n: usize| self.slots[n].bytes(kind)),
            unreadable: self.unreadable.map(|n| n % 8 == 7),
            ..Device::default()
        };
        for bytes in &device.slots {
            check_inspection(bytes);
        }
        for kind in [Kind::Client, Kind::Host, Kind::RememberedHost] {
            let buffer_len = usize::from(self.buffer) % 1_024;
            check_open(&mut device, kind, buffer_len);
        }
    }
}

/// The reader for people agrees with the naive one.
fn check_inspection(bytes: &[u8]) {
    let found = Image::parse(bytes);
    match naive_image(bytes, usize::MAX) {
        Ok((kind @ 1..=3, sequence, payload)) => {
            let found = found.expect("a whole image");
            assert_eq!(
                (found.kind as u8, found.sequence, found.payload),
                (kind, sequence, payload)
            );
        }
        Ok((kind, ..)) => assert_eq!(found, Err(Damage::Kind(kind))),
        Err(damage) => assert_eq!(found, Err(damage)),
    }
}

fn check_open(device: &mut Device, kind: Kind, buffer_len: usize) {
    let copy = device.clone();
    let state = |n: usize| {
        if copy.unreadable[n] {
            SlotState::Unreadable
        } else {
            naive_state(&copy.slots[n], buffer_len, kind)
        }
    };
    let (a, b) = (state(0), state(1));
    let sequence = |state: SlotState| match state {
        SlotState::Whole(sequence) => Some(sequence),
        _ => None,
    };
    let mut buffer = vec![0; buffer_len];
    let opened = Slots::open(&mut *device, kind, &mut buffer);
    let newest = sequence(a).max(sequence(b));
    match (newest, opened) {
        (Some(newest), Ok((_, Found::Whole { payload, slot, sequence: found, other }))) => {
            let expected = if sequence(a) == Some(newest) { Slot::A } else { Slot::B };
            assert_eq!((slot, found), (expected, newest));
            let (index, other_state) = if slot == Slot::A { (0, b) } else { (1, a) };
            assert_eq!(other, other_state);
            let whole = naive_image(&copy.slots[index], buffer_len);
            assert_eq!(whole, Ok((kind as u8, newest, payload)));
            let payload = payload.to_vec();
            match kind {
                Kind::Client => check_client(&payload, 0, Calendar::Right),
                Kind::Host => check_host(&payload, Calendar::Right),
                Kind::RememberedHost => {}
            }
        }
        (None, Err(error)) => {
            assert_eq!(error, Failure::Unreadable);
            assert!([a, b].contains(&SlotState::Unreadable));
        }
        (None, Ok((_, Found::Nothing))) => assert_eq!([a, b], [SlotState::Empty; 2]),
        (None, Ok((_, Found::Damaged { a: found_a, b: found_b }))) => {
            assert_eq!((found_a, found_b), (a, b));
            assert!([a, b] != [SlotState::Empty; 2]);
        }
        (newest, opened) => panic!("newest {newest:?}, found {opened:?}"),
    }
}

/// Saves one after the other, of which some are cut.
#[derive(Arbitrary, Debug)]
struct Saves {
    slots: [Content; 2],
    medium: Medium,
    saves: Vec<Save>,
}

#[derive(Arbitrary, Debug)]
struct Save {
    payload: Vec<u8>,
    cut: Usual<u16>,
    /// After a cut there is one, as a rule; but a medium may also fail without.
    restart: bool,
}

impl Saves {
    fn check(&self) {
        const KIND: Kind = Kind::Client;
        let mut device = Device { medium: self.medium, ..Device::default() };
        device.slots = [0, 1].map(|n: usize| {
            let mut bytes = self.slots[n].bytes(KIND);
            if self.medium == Medium::Flash {
                bytes.resize(FLASH, 0xff);
            }
            bytes.truncate(BUFFER);
            bytes
        });
        let power = Rc::clone(&device.power);
        let mut buffer = [0; BUFFER];
        let mut newest = stored(&device);
        let (mut slots, _) = Slots::open(device, KIND, &mut buffer).expect("it is readable");
        // Since the last restart or successful save; any of them may have come out whole.
        let mut attempted = Vec::new();
        for Save { payload, cut, restart } in self.saves.iter().take(12) {
            let payload = &payload[..payload.len().min(200)];
            power.set(cut.other().map(|cut| usize::from(cut) % 800));
            let saved = slots.save(payload, &mut buffer);
            power.set(None);
            let now = stored(slots.store());
            attempted.push(payload.to_vec());
            match saved {
                Ok(()) => assert_eq!(now.as_deref(), Some(payload), "a save that did not last"),
                Err(SaveError::Store(Failure::Power)) => {
                    let whole = now.as_ref().is_some_and(|now| attempted.contains(now));
                    assert!(whole || now == newest, "a cut lost the image before it");
                }
                Err(SaveError::Exhausted) => assert_eq!(now, newest),
                Err(error) => panic!("{error:?}"),
            }
            if saved.is_ok() || *restart {
                newest = now;
                attempted.clear();
            }
            if *restart {
                let device = slots.into_store();
                (slots, _) = Slots::open(device, KIND, &mut buffer).expect("it is readable");
            }
        }
    }
}

/// The newest image's payload.
fn stored(device: &Device) -> Option<Vec<u8>> {
    let mut buffer = [0; BUFFER];
    let opened = Slots::open(device.clone(), Kind::Client, &mut buffer);
    match opened.expect("it is readable").1 {
        Found::Whole { payload, .. } => Some(payload.to_vec()),
        Found::Nothing | Found::Damaged { .. } => None,
    }
}

// The client's payload.

const CMIDS: [[u8; 16]; 3] = [[0; 16], [0xc1; 16], [0xc2; 16]];
const REQUIRED: u32 = 3;

/// A request and the answer to it, both genuine.
struct Exchange {
    request: Frame,
    response: Frame,
    cmid: [u8; 16],
    hardware: Fingerprint,
    /// `None` by phone.
    host_time: Option<u64>,
    by_key: bool,
    activates: bool,
}

fn product() -> &'static client::Product<'static> {
    static PRODUCT: OnceLock<client::Product<'static>> = OnceLock::new();
    PRODUCT.get_or_init(|| client::Product {
        application_id: ApplicationId([1; 16]),
        activation_id: ActivationId([2; 16]),
        counted_id: CountedId([1; 16]),
        coverage: COVERAGE,
        required_count: NonZeroU32::MIN.saturating_add(REQUIRED - 1),
        matching: Matching::DEFAULT,
        key_id: KeyId(77),
        tag_key: Vendor::get().tag_key.clone(),
        roots: &Vendor::get().roots,
        limits: Limits { maximum_validity: Validity::Perpetual, ..Limits::DEFAULT },
    })
}

fn request(product: &client::Product<'_>, cmid: u8, hardware: u8) -> Request<'static> {
    Request {
        virtual_machine: false,
        renewal: false,
        licence_status: LicenceStatus::InitialGrace,
        method: Method::Count,
        required_count: product.required_count,
        time_left: Minutes(0),
        application_id: product.application_id,
        activation_id: product.activation_id,
        counted_id: product.counted_id,
        cmid: Cmid::new(CMIDS[usize::from(cmid)]).expect("not the first"),
        previous_cmid: None,
        client_time: None,
        nonce: Nonce([7; 16]),
        fingerprint: fingerprint(hardware),
        workstation_name: Name::new("fuzzed").expect("short"),
        key_id: product.key_id,
    }
}

fn exchanges() -> &'static [Exchange] {
    static EXCHANGES: OnceLock<Vec<Exchange>> = OnceLock::new();
    EXCHANGES.get_or_init(|| {
        let days = |days| Validity::For(Minutes::from_days(days));
        let granted = |count, validity| Verdict::Granted { count, validity };
        let by_key = |request| Request { method: Method::Key, ..request };
        let other = |request| Request { activation_id: ActivationId([9; 16]), ..request };
        let ask = |cmid, hardware| request(product(), cmid, hardware);
        [
            (ask(1, 0), Voucher::First, granted(REQUIRED, days(180)), true),
            (ask(2, 4), Voucher::Second, granted(u32::MAX, days(0)), true),
            (ask(1, 2), Voucher::Dated, granted(REQUIRED + 1, days(1)), true),
            (by_key(ask(1, 0)), Voucher::Authority, granted(9, Validity::Perpetual), true),
            (by_key(ask(2, 0)), Voucher::Authority, granted(0, Validity::Perpetual), true),
            (by_key(ask(2, 0)), Voucher::Authority, granted(0, days(1)), true),
            (by_key(ask(1, 0)), Voucher::Authority, Verdict::Refused(Refusal::KeyBlocked), false),
            (by_key(ask(1, 0)), Voucher::Impostor, granted(9, Validity::Perpetual), false),
            (ask(1, 0), Voucher::First, granted(REQUIRED - 1, days(180)), false),
            (ask(1, 0), Voucher::First, Verdict::Refused(Refusal::NotCovered), false),
            (ask(1, 0), Voucher::First, granted(REQUIRED, Validity::Perpetual), false),
            (ask(1, 0), Voucher::Authority, granted(REQUIRED, days(180)), false),
            (ask(1, 0), Voucher::Impostor, granted(REQUIRED, days(180)), false),
            (ask(1, 0), Voucher::OtherSigner, granted(REQUIRED, days(180)), false),
            (other(ask(1, 0)), Voucher::First, granted(REQUIRED, days(180)), false),
        ]
        .into_iter()
        .map(|(asked, voucher, verdict, activates)| {
            let vendor = Vendor::get();
            let request = TagSchedule::new(&vendor.tag_key).seal(&asked);
            let body = ResponseBody {
                verdict,
                duplicate: false,
                activation_interval: Minutes(120),
                renewal_interval: Minutes(10_080),
                host_time: UnixTime::from_secs(EPOCH),
                request_digest: request_digest(&request),
                certificate: vendor.certificate(voucher),
            };
            Exchange {
                request,
                response: vendor.answer(voucher, body),
                cmid: *asked.cmid.as_bytes(),
                hardware: asked.fingerprint,
                host_time: Some(EPOCH),
                by_key: asked.method == Method::Key,
                activates,
            }
        })
        .chain(confirmed(by_key(ask(1, 0)), 0))
        .chain(confirmed(by_key(ask(2, 4)), 1))
        .chain(confirmed(by_key(ask(1, 0)), 2))
        .collect()
    })
}

/// A request, and in the place of the answer the record that the root key of this number has confirmed
/// it. There are two root keys; the third is an impostor's.
fn confirmed(asked: Request<'_>, root: usize) -> Option<Exchange> {
    let request = TagSchedule::new(&Vendor::get().tag_key).seal(&asked);
    let id = InstallationId::for_machine(&phone::Machine::of(&asked), &Vendor::get().tag_key);
    let confirmation = id.confirm(&Vendor::root_keys()[root]).ok()?;
    Some(Exchange {
        request,
        response: confirmation.record(&id, &request),
        cmid: *asked.cmid.as_bytes(),
        hardware: asked.fingerprint,
        host_time: None,
        by_key: true,
        activates: root < 2,
    })
}

/// A client's state, field by field.
#[derive(Arbitrary, Debug)]
struct ClientCase {
    cmid: u8,
    previous: u8,
    rearms_used: u8,
    counted: Flag,
    grace: (Mark, Mark),
    spoilt: Flag,
    spoilt_since: (Mark, Mark),
    floor: Mark,
    activated: Flag,
    age: (Mark, Mark),
    exchange: u8,
    /// The answer of another exchange.
    other_answer: Usual<u8>,
    edits: Vec<(u16, u8)>,
    length: Usual<u16>,
    machine: u8,
    calendar: Calendar,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Mark {
    Zero,
    Now,
    Any(u64),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Flag {
    Clear,
    Set,
    Other(u8),
}

impl Mark {
    fn bytes(self) -> [u8; 8] {
        match self {
            Self::Zero => 0,
            Self::Now => EPOCH,
            Self::Any(any) => any,
        }
        .to_be_bytes()
    }
}

impl Flag {
    fn byte(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::Set => 1,
            Self::Other(other) => other,
        }
    }
}

// Where a client's state has its fields.
const PREVIOUS: usize = 16;
const GRACE_RAN: usize = 42;
const SPOILT: usize = 50;
const FLOOR: usize = 67;
const ACTIVATED: usize = 75;
const AGE: usize = 76;
const REQUEST: usize = 92;
const RESPONSE: usize = REQUEST + FRAME_LEN;
const _: () = assert!(RESPONSE + FRAME_LEN == IMAGE_LEN);

impl ClientCase {
    fn payload(&self) -> Vec<u8> {
        let exchanges = exchanges();
        let exchange = |number: u8| &exchanges[usize::from(number) % exchanges.len()];
        let answer = self.other_answer.or(self.exchange);
        let mut payload = Vec::new();
        payload.extend(CMIDS[usize::from(self.cmid) % 3]);
        payload.extend(CMIDS[usize::from(self.previous) % 3]);
        payload.push(self.rearms_used);
        payload.push(self.counted.byte());
        payload.extend([self.grace.0.bytes(), self.grace.1.bytes()].concat());
        payload.push(self.spoilt.byte());
        payload.extend([self.spoilt_since.0.bytes(), self.spoilt_since.1.bytes()].concat());
        payload.extend(self.floor.bytes());
        payload.push(self.activated.byte());
        payload.extend([self.age.0.bytes(), self.age.1.bytes()].concat());
        payload.extend(exchange(self.exchange).request);
        payload.extend(exchange(answer).response);
        for (at, xor) in &self.edits {
            payload[usize::from(*at) % IMAGE_LEN] ^= xor;
        }
        if let Some(length) = self.length.other() {
            payload.resize(usize::from(length) % 1_024, 0);
        }
        payload
    }
}

/// By a client that can be activated by key, and by one that only counts.
fn check_client(payload: &[u8], number: u8, calendar: Calendar) {
    let numbered = || Numbered::new(NonZeroU8::MIN);
    check_client_of(payload, number, calendar, || Keyed::new(numbered(), None));
    check_client_of(payload, number, calendar, numbered);
}

fn check_client_of<H: Hosts<Find = Infallible>>(
    payload: &[u8],
    number: u8,
    calendar: Calendar,
    hosts: impl Fn() -> H,
) {
    let now = Time::new(calendar).now();
    let mut dice = Dice::new(number, Luck::Mixed);
    let machine = Machine {
        fingerprint: fingerprint(number),
        workstation_name: Name::new("fuzzed").expect("short"),
        virtual_machine: false,
    };
    let described = describe_image(payload);
    let resumed = Client::resume_with(product(), machine, hosts(), payload, now, &mut dice);
    let mut client = match resumed {
        Ok(client) => client,
        Err(corrupt) => {
            assert!(corrupt.offset <= payload.len());
            assert_eq!(described.map(drop), Err(corrupt));
            return;
        }
    };
    assert_eq!(described.map(|summary| summary.cmid), Ok(client.cmid()));

    let believed = exchanges().iter().find(|exchange| {
        exchange.activates
            && (H::BY_KEY || !exchange.by_key)
            && payload[ACTIVATED] == 1
            && payload[REQUEST..RESPONSE] == exchange.request
            && payload[RESPONSE..] == exchange.response
            && [&payload[..PREVIOUS], &payload[PREVIOUS..2 * PREVIOUS]]
                .contains(&exchange.cmid.as_slice())
    });
    let image = client.image(now);
    assert_eq!(image[..], rewritten(payload, believed, &machine.fingerprint, now));
    assert_eq!(client.activation().is_some(), believed.is_some());
    assert!(believed.is_some() || !client.is_activated(now), "activated by nothing");

    // What it writes, it reads.
    let again = Client::resume_with(product(), machine, hosts(), &image, now, &mut dice);
    let again = again.expect("it was just written");
    assert!(again.image(now) == image);
    assert_eq!(again.licence(now), client.licence(now));

    let mut rejected = false;
    for _ in 0..6 {
        match client.poll(now, &mut dice) {
            Step::Report(Event::StoredActivationRejected(_)) => rejected = true,
            Step::Save | Step::Report(_) => {}
            Step::Send { .. } | Step::Wait { .. } => {
                assert_eq!(rejected, payload[ACTIVATED] == 1 && believed.is_none());
                return;
            }
        }
    }
    panic!("the client neither sends nor waits");
}

/// What a client writes that has read this.
fn rewritten(
    payload: &[u8],
    believed: Option<&Exchange>,
    hardware: &Fingerprint,
    now: Now,
) -> Vec<u8> {
    let mut image = payload.to_vec();
    // Running time is counted in milliseconds, of which 2^62 are the most.
    let mut limit = |at: usize| {
        let most = (1 << 62) / 1_000;
        let ran = number(payload, at).min(most);
        image[at..at + 8].copy_from_slice(&ran.to_be_bytes());
    };
    limit(GRACE_RAN);
    limit(SPOILT + 9);
    limit(AGE + 8);
    let mut spoilt = payload[SPOILT] == 1;
    match believed {
        Some(exchange) => {
            // Without a host's time, nothing better is known of the age.
            if let Some(host_time) = exchange.host_time {
                image[AGE..AGE + 8].copy_from_slice(&host_time.to_be_bytes());
            }
            let floor = number(payload, FLOOR).max(exchange.host_time.unwrap_or(0));
            image[FLOOR..FLOOR + 8].copy_from_slice(&floor.to_be_bytes());
            let pairs = exchange.hardware.components().iter().zip(hardware.components());
            let matches = pairs.filter(|(a, b)| a != b).count() <= 2;
            if !matches && !spoilt {
                let floor = UnixTime::from_secs(floor);
                let clock = now.clock.filter(|clock| policy::can_be_right(*clock, floor));
                let clock = clock.map_or(0, UnixTime::as_secs);
                image[SPOILT] = 1;
                image[SPOILT + 1..SPOILT + 9].copy_from_slice(&clock.to_be_bytes());
                image[SPOILT + 9..SPOILT + 17].fill(0);
            }
            spoilt = !matches;
        }
        None => {
            image[ACTIVATED..].fill(0);
            spoilt = false;
        }
    }
    if !spoilt {
        image[SPOILT..SPOILT + 17].fill(0);
    }
    image
}

// The host's payload.

const CAPACITY: usize = 4;
const POOLS: [CountedId; 2] = [CountedId([1; 16]), CountedId([2; 16])];
const SERVED: [Product; 1] = [Product {
    application_id: ApplicationId([1; 16]),
    activation_id: ActivationId([2; 16]),
    coverage: COVERAGE,
}];

/// A host's state, field by field.
#[derive(Arbitrary, Debug)]
struct HostCase {
    minute: Minute,
    taken_at: Mark,
    counters: [u32; 16],
    pools: Vec<PoolCase>,
    pool_count: Usual<u16>,
    edits: Vec<(u16, u8)>,
    length: Usual<u16>,
    calendar: Calendar,
}

#[derive(Arbitrary, Debug)]
struct PoolCase {
    id: u8,
    counters: [u32; 10],
    limit: Usual<u32>,
    count: Usual<u32>,
    first_seen: Minute,
    /// CMID, hardware, and minutes after the one before.
    records: Vec<(u8, u8, i8)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Minute {
    Now,
    Any(u32),
}

impl Minute {
    fn value(self) -> u32 {
        match self {
            Self::Now => (EPOCH / 60) as u32,
            Self::Any(any) => any,
        }
    }
}

impl HostCase {
    fn payload(&self) -> Vec<u8> {
        let mut payload = self.minute.value().to_be_bytes().to_vec();
        payload.extend(self.taken_at.bytes());
        self.counters.iter().for_each(|counter| payload.extend(counter.to_be_bytes()));
        let pools = &self.pools[..self.pools.len().min(4)];
        payload.extend(self.pool_count.or(pools.len() as u16).to_be_bytes());
        for pool in pools {
            let records = &pool.records[..pool.records.len().min(8)];
            payload.extend([pool.id % 3 + 1; 16]);
            pool.counters.iter().for_each(|counter| payload.extend(counter.to_be_bytes()));
            payload.extend(pool.limit.or(records.len() as u32).to_be_bytes());
            payload.extend(pool.count.or(records.len() as u32).to_be_bytes());
            let mut seen = pool.first_seen.value();
            for (cmid, hardware, later) in records {
                seen = seen.wrapping_add_signed((*later).into());
                payload.extend([*cmid; 16]);
                payload.extend(fingerprint(*hardware).to_bytes());
                payload.extend(seen.to_be_bytes());
            }
        }
        for (at, xor) in &self.edits {
            let length = payload.len();
            payload[usize::from(*at) % length] ^= xor;
        }
        if let Some(length) = self.length.other() {
            payload.resize(usize::from(length) % 2_048, 0);
        }
        payload
    }
}

/// A pool as it stands in a snapshot.
struct StoredPool<'a> {
    id: [u8; 16],
    counters: &'a [u8],
    limit: u32,
    records: Vec<&'a [u8]>,
}

const SNAPSHOT_HEADER: usize = 78;

/// The pools, if the snapshot is as long as it says and no CMID in it is zero.
fn naive_pools(payload: &[u8]) -> Option<Vec<StoredPool<'_>>> {
    let (header, mut rest) = payload.split_at_checked(SNAPSHOT_HEADER)?;
    let mut pools = Vec::new();
    for _ in 0..u16::from_be_bytes(field(header, 76)) {
        let (pool, records) = rest.split_at_checked(64)?;
        let count = small_number(pool, 60) as usize;
        let (records, after) = records.split_at_checked(count.checked_mul(36)?)?;
        let records: Vec<_> = records.chunks(36).collect();
        if records.iter().any(|record| record[..16] == [0; 16]) {
            return None;
        }
        let (id, limit) = (field(pool, 0), small_number(pool, 56));
        pools.push(StoredPool { id, counters: &pool[16..56], limit, records });
        rest = after;
    }
    rest.is_empty().then_some(pools)
}

impl<'a> StoredPool<'a> {
    fn limit(&self) -> u32 {
        self.limit.min(CAPACITY as u32)
    }

    /// The records that a table of our capacity keeps.
    fn kept(&self) -> &[&'a [u8]] {
        let more = self.records.len().saturating_sub(self.limit() as usize);
        &self.records[more..]
    }

    /// Why no table can have held this.
    fn objection(&self) -> Option<RestoreError> {
        if self.records.len() > self.limit as usize {
            return Some(RestoreError::TooManyRecords { limit: self.limit });
        }
        for (position, record) in self.kept().iter().enumerate() {
            let before = &self.kept()[..position];
            let seen = |record: &[u8]| small_number(record, 32);
            let position = position as u32;
            if before.last().is_some_and(|before| seen(before) > seen(record)) {
                return Some(RestoreError::OutOfOrder { position });
            }
            if before.iter().any(|before| before[..16] == record[..16]) {
                return Some(RestoreError::Duplicate { position });
            }
        }
        None
    }

    fn emit(&self, into: &mut Vec<u8>) {
        into.extend(self.id);
        into.extend(self.counters);
        into.extend(self.limit().to_be_bytes());
        into.extend((self.kept().len() as u32).to_be_bytes());
        into.extend(self.kept().concat());
    }
}

type TestHost<'a> = Host<'a, CAPACITY, 4>;

fn empty_pools() -> [Pool<'static, CAPACITY>; 2] {
    POOLS.map(|id| Pool::new(id, &SERVED, Matching::DEFAULT))
}

fn snapshot(host: &mut TestHost<'_>, now: Now) -> Vec<u8> {
    let mut bytes = vec![0; TestHost::snapshot_capacity(POOLS.len())];
    let length = host.snapshot(now, &mut bytes).expect("the capacity is enough");
    bytes.truncate(length);
    bytes
}

fn check_host(payload: &[u8], calendar: Calendar) {
    let now = Time::new(calendar).now();
    let certificate = Some(Vendor::get().certificate(Voucher::First));
    let keys = [SetupKey::new(KeyId(77), &Vendor::get().tag_key)];
    let mut pools = empty_pools();
    let mut host = TestHost::new(&mut pools, &keys, certificate, Settings::DEFAULT, [1; 16]);
    let restored = host.restore(now, payload);
    let described = describe_snapshot(payload, |_, pool| assert!(pool.offset < payload.len()));
    let naive = naive_pools(payload);
    assert_eq!(described.is_ok(), naive.is_some());

    let ours = |pool: &&StoredPool<'_>| POOLS.contains(&CountedId(pool.id));
    match restored {
        Ok(restored) => {
            let naive = naive.expect("a snapshot that is too short was taken over");
            assert!(naive.iter().filter(ours).all(|pool| pool.objection().is_none()));
            let known = naive.iter().filter(ours).count();
            assert_eq!(usize::from(restored.pools), known);
            assert_eq!(usize::from(restored.unknown), naive.len() - known);
            let left_out = naive.iter().filter(ours).map(|p| p.records.len() - p.kept().len());
            assert_eq!(restored.left_out as usize, left_out.sum::<usize>());
            assert_eq!(snapshot(&mut host, now), taken_over(payload, &naive, now));
        }
        Err(failure) => {
            match failure {
                RestoreFailure::Corrupt(corrupt) => assert_eq!(described.map(drop), Err(corrupt)),
                RestoreFailure::Table(error) => {
                    // The first pool at fault, unless the snapshot ends before it is whole.
                    let objections = naive.iter().flatten().filter(ours);
                    let first = objections.filter_map(StoredPool::objection).next();
                    assert!(first.is_none_or(|first| first == error), "{first:?}, {error:?}");
                    assert!(first.is_some() || naive.is_none());
                }
            }
            assert_eq!(*host.counters(), HostCounters::default());
            let mut fresh_pools = empty_pools();
            let mut fresh =
                TestHost::new(&mut fresh_pools, &keys, certificate, Settings::DEFAULT, [1; 16]);
            assert_eq!(snapshot(&mut host, now), snapshot(&mut fresh, now));
        }
    }

    let taken = snapshot(&mut host, now);
    let mut pools = empty_pools();
    let mut second = TestHost::new(&mut pools, &keys, None, Settings::DEFAULT, [2; 16]);
    second.restore(now, &taken).map(drop).expect("it was just written");
    assert_eq!(snapshot(&mut second, now), taken);
    assert!(second.pools(now).eq(host.pools(now)));

    // And it goes on counting.
    let frame = TagSchedule::new(&Vendor::get().tag_key).seal(&request(product(), 1, 0));
    let answer = host.decide(now, Source::UNKNOWN, &frame);
    let status = host.pools(now).next().expect("there are two");
    if let Ok(ResponseBody { verdict: Verdict::Granted { count, .. }, .. }) = answer {
        assert_eq!(status.count, Some(count));
    }
    assert!(status.count.is_none_or(|count| count <= status.limit));
    assert!(status.limit <= status.capacity);
}

/// What a host writes at once that has taken this over.
fn taken_over(payload: &[u8], stored: &[StoredPool<'_>], now: Now) -> Vec<u8> {
    let (minute, taken_at) = (small_number(payload, 0), number(payload, 4));
    let clock = now.clock.map(UnixTime::as_secs);
    // Time passes only when a calendar tells both times.
    let (down, calendar) = match clock {
        Some(clock) if taken_at == 0 => (0, clock),
        Some(clock) if clock >= taken_at => ((clock - taken_at) / 60, clock),
        _ => (0, taken_at),
    };
    let minute = minute.saturating_add(down.min(43_200) as u32);
    let mut expected = minute.to_be_bytes().to_vec();
    expected.extend(calendar.to_be_bytes());
    expected.extend(&payload[12..76]);
    expected.extend((POOLS.len() as u16).to_be_bytes());
    for id in POOLS {
        match stored.iter().rev().find(|pool| pool.id == id.0) {
            Some(pool) => pool.emit(&mut expected),
            None => {
                expected.extend(id.0);
                expected.extend([0; 48]);
            }
        }
    }
    expected
}
