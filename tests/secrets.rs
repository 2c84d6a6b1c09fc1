//! What people print or log tells no secret and identifies no machine: a CMID shows two bytes.

mod common;

use core::fmt::Debug;
use core::num::NonZeroU32;

use common::{Bench, IDS, KEY_ID, ONE_HOST, TWO_HOSTS, Vendor, drive, now};
use headcount::client::{Client, Failure, Machine};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{SetupKey, Source};
use headcount::storage::{Kind, MemoryStore, Slots, image_len};
use headcount::table::{CmidTable, Record, Sighting};
use headcount::time::EpochMinute;
use headcount::trust::{
    Expected, MasterKey, ParsedRequest, Signer, SigningKey, TagKey, TagSchedule, request_digest,
    seal_enrolment_request, verify_enrolment_request, verify_response,
};
use headcount::wire::{
    Cmid, EnrolmentRequest, Frame, KeyId, KeyKind, Method, Name, Nonce, Request, UncheckedKey,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Bytes that no text may show: neither in hexadecimal nor as a list of numbers.
struct Hidden {
    what: &'static str,
    bytes: Vec<u8>,
}

impl Hidden {
    fn new(what: &'static str, bytes: &[u8]) -> Self {
        Self { what, bytes: bytes.to_vec() }
    }

    fn check(&self, text: &str) {
        assert!(!self.is_shown_by(text), "{} is shown by {text}", self.what);
    }

    /// Three bytes in a row are too many, whatever stands between them.
    fn is_shown_by(&self, text: &str) -> bool {
        let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let lower = bare.to_lowercase();
        let hex: String = lower.replace("0x", "").chars().filter(char::is_ascii_hexdigit).collect();
        let as_bytes = self.bytes.windows(3).any(|window| {
            let joined = |separator: &str, form: fn(&u8) -> String| {
                window.iter().map(form).collect::<Vec<_>>().join(separator)
            };
            hex.contains(&joined("", |byte| format!("{byte:02x}")))
                || bare.contains(&joined(",", u8::to_string))
        });
        let as_numbers = self.bytes.as_chunks::<8>().0.iter().any(|chunk| {
            let numbers = [u64::from_le_bytes(*chunk), u64::from_be_bytes(*chunk)];
            numbers.iter().any(|number| bare.contains(&number.to_string()))
        });
        as_bytes || as_numbers
    }
}

fn check(hidden: &[Hidden], shown: &dyn Debug) {
    for text in [format!("{shown:?}"), format!("{shown:#?}"), format!("{shown:x?}")] {
        for hidden in hidden {
            hidden.check(&text);
        }
    }
}

fn random<const N: usize>(rng: &mut StdRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn random_machine(rng: &mut StdRng) -> Machine<'static> {
    Machine {
        fingerprint: Fingerprint::from_bytes(random(rng)),
        workstation_name: Name::new("bench").unwrap(),
        virtual_machine: false,
    }
}

#[test]
fn the_check_itself_finds_what_is_shown() {
    let secret = Hidden::new("it", &[0xde, 0xad, 0xbe, 0xef]);
    let results = [
        secret.is_shown_by("deadbeef"),
        secret.is_shown_by("DE-AD-BE"),
        secret.is_shown_by("[0xad, 0xbe, 0xef]"),
        secret.is_shown_by("[1, 173, 190,\n 239]"),
        secret.is_shown_by("..beef"),
        secret.is_shown_by("[173, 190]"),
    ];
    assert_eq!(results, [true, true, true, true, false, false]);
}

#[test]
fn keys_print_no_secret() {
    let mut rng = StdRng::seed_from_u64(1);
    let (seed, master, tag) = (random(&mut rng), random(&mut rng), random(&mut rng));
    let key = MasterKey::from_bytes(master).product_key(KeyKind::Host, KEY_ID);
    let unchecked = UncheckedKey::from_text(key.to_text().as_str()).unwrap();
    let tag_key = TagKey::from_bytes(tag);
    let hidden = [
        Hidden::new("the seed", &seed),
        Hidden::new("the master key", &master),
        Hidden::new("the tag key", &tag),
        Hidden::new("the product key's tag key", key.tag_key().expose()),
        Hidden::new("the product key's secret", &unchecked.secret),
    ];
    let shown: [&dyn Debug; 8] = [
        &SigningKey::from_seed(&seed),
        &MasterKey::from_bytes(master),
        &tag_key,
        &TagSchedule::new(&tag_key),
        &SetupKey::new(KEY_ID, &tag_key),
        &key,
        &unchecked,
        &key.tag_key(),
    ];
    for value in shown {
        check(&hidden, value);
    }
    let text = key.to_text();
    for value in [&key as &dyn Debug, &unchecked, &text] {
        let printed = format!("{value:?}");
        assert!(text.as_str().split('-').all(|group| !printed.contains(group)), "{printed}");
    }
}

#[test]
fn the_values_of_an_exchange_print_no_machine() {
    let mut rng = StdRng::seed_from_u64(2);
    let vendor = Vendor::new();
    let hash_key = random(&mut rng);
    let (cmid, previous) =
        (Cmid::from_random(random(&mut rng)), Cmid::from_random(random(&mut rng)));
    let machine = random_machine(&mut rng);
    let hidden = [
        Hidden::new("the CMID", cmid.as_bytes()),
        Hidden::new("the previous CMID", previous.as_bytes()),
        Hidden::new("the fingerprint", &machine.fingerprint.to_bytes()),
        Hidden::new("the tag key", vendor.tag_key.expose()),
        Hidden::new("the hash key", &hash_key),
    ];
    let request = Request {
        virtual_machine: false,
        renewal: false,
        licence_status: headcount::wire::LicenceStatus::Licensed,
        method: Method::Count,
        required_count: NonZeroU32::new(25).unwrap(),
        time_left: headcount::time::Minutes(0),
        application_id: IDS.0,
        activation_id: IDS.1,
        counted_id: IDS.2,
        cmid,
        previous_cmid: Some(previous),
        client_time: None,
        nonce: Nonce(random(&mut rng)),
        fingerprint: machine.fingerprint,
        workstation_name: machine.workstation_name,
        key_id: KEY_ID,
    };
    let schedule = TagSchedule::new(&vendor.tag_key);
    let frame = schedule.seal(&request);
    let parsed = ParsedRequest::parse(&frame).unwrap();
    let verified = parsed.verify(&schedule).unwrap();
    let expected = Expected {
        request: &frame,
        method: Method::Count,
        product: common::COVERAGE,
        roots: &vendor.roots,
        known_certificate: None,
    };
    let sighting = Sighting {
        required_count: request.required_count,
        cmid,
        previous_cmid: Some(previous),
        fingerprint: machine.fingerprint,
    };
    let record = Record { cmid, fingerprint: machine.fingerprint, last_seen: EpochMinute(0) };
    let mut table = CmidTable::<1>::new(hash_key);
    let added = table.observe(EpochMinute(0), &sighting, &Matching::DEFAULT);
    let other = Sighting { cmid: previous, previous_cmid: None, ..sighting };
    let evicted = table.observe(EpochMinute(0), &other, &Matching::DEFAULT);

    let (keys, mut pools) = (vendor.setup_keys(), [common::pool()]);
    let mut bench = Bench {
        vendor: &vendor,
        host: headcount::host::Host::new(
            &mut pools,
            &keys,
            Some(vendor.certificate),
            headcount::host::Settings::DEFAULT,
            hash_key,
        ),
    };
    let admitted = bench.host.admit(now(0), Source::UNKNOWN, &frame).unwrap();
    check(&hidden, &admitted);
    check(&hidden, &admitted.examine());
    let answer = bench.handle(now(0), &frame).unwrap();
    let response = verify_response(&answer, &expected).unwrap();
    let digest = request_digest(&frame);
    let shown: [&dyn Debug; 16] = [
        &cmid,
        &machine,
        &machine.fingerprint,
        &request,
        &parsed,
        &verified,
        &expected,
        &sighting,
        &record,
        &table,
        &added,
        &evicted,
        &bench.host,
        &response,
        &digest,
        &vendor.product(1),
    ];
    for value in shown {
        check(&hidden, value);
    }
    let [.., a, b] = cmid.as_bytes();
    assert_eq!(format!("{cmid:?}"), format!("Cmid(..{a:02x}{b:02x})"), "two bytes, to tell apart");
}

#[test]
fn an_enrolment_prints_no_machine() {
    let mut rng = StdRng::seed_from_u64(3);
    let (fingerprint, seed, tag) = (random(&mut rng), random(&mut rng), random(&mut rng));
    let (host_key, tag_key) = (SigningKey::from_seed(&seed), TagKey::from_bytes(tag));
    let request = EnrolmentRequest {
        platform_rank: 1,
        key_id: KeyId(1),
        public_key: host_key.public_key(),
        host_time: None,
        nonce: Nonce(random(&mut rng)),
        fingerprint: Fingerprint::from_bytes(fingerprint),
        host_name: Name::EMPTY,
    };
    let Ok(frame) = seal_enrolment_request(&request, &host_key, &tag_key);
    let verified = verify_enrolment_request(&frame, &tag_key).unwrap();
    let hidden = [
        Hidden::new("the fingerprint", &fingerprint),
        Hidden::new("the seed", &seed),
        Hidden::new("the tag key", &tag),
    ];
    for value in [&request as &dyn Debug, &verified] {
        check(&hidden, value);
    }
}

/// A client goes through its life, and is handed over in each state.
fn live(mut look: impl FnMut(&Client<'_>, &[Hidden])) {
    let mut rng = StdRng::seed_from_u64(4);
    let vendor = Vendor::new();
    let product = vendor.product(1);
    let (keys, mut pools) = (vendor.setup_keys(), [common::pool()]);
    let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
    let machine = random_machine(&mut rng);
    let mut hidden = vec![
        Hidden::new("the fingerprint", &machine.fingerprint.to_bytes()),
        Hidden::new("the tag key", vendor.tag_key.expose()),
    ];
    let mut client = Client::new(&product, machine, TWO_HOSTS, now(0), &mut rng);
    hidden.push(Hidden::new("the CMID", client.cmid().as_bytes()));
    look(&client, &hidden);
    let ask = |client: &mut Client<'_>, at, rng: &mut StdRng| -> Frame {
        drive(client, now(at), rng, &mut Vec::new()).unwrap()
    };
    ask(&mut client, 0, &mut rng);
    look(&client, &hidden);
    client.handle_response(now(0), &mut rng, &[0; 250]).unwrap_err();
    client.give_up(now(0), &mut rng, Failure::NoAnswer);
    let frame = ask(&mut client, 0, &mut rng);
    let answer = bench.handle(now(0), &frame).unwrap();
    client.handle_response(now(0), &mut rng, &answer).unwrap();
    look(&client, &hidden);

    // Another machine took its CMID.
    let other = random_machine(&mut rng);
    let image = client.image(now(0));
    let mut clone = Client::resume(&product, other, ONE_HOST, &image, now(0), &mut rng).unwrap();
    hidden.push(Hidden::new("the clone's fingerprint", &other.fingerprint.to_bytes()));
    let frame = ask(&mut clone, 0, &mut rng);
    let answer = bench.handle(now(0), &frame).unwrap();
    clone.handle_response(now(0), &mut rng, &answer).unwrap();
    hidden.push(Hidden::new("the new CMID", clone.cmid().as_bytes()));
    look(&clone, &hidden);
    clone.rearm(now(0), &mut rng).unwrap();
    hidden.push(Hidden::new("the rearmed CMID", clone.cmid().as_bytes()));
    look(&clone, &hidden);
    bench.handle(now(0), &[0; 250]).unwrap_err();
    check(&hidden, &bench.host);

    let mut buffer = [0; image_len(headcount::client::IMAGE_LEN)];
    let summary = headcount::client::describe_image(&image).unwrap();
    assert!(summary.activation.is_some());
    check(&hidden, &summary);
    let store = MemoryStore::<{ image_len(headcount::client::IMAGE_LEN) }>::new();
    let (mut slots, found) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
    check(&hidden, &found);
    slots.save(&image, &mut buffer).unwrap();
    check(&hidden, &slots);
    let store = slots.into_store();
    check(&hidden, &store);
    let (_, found) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
    check(&hidden, &found);
}

#[test]
fn a_client_prints_no_machine() {
    let mut states = 0;
    live(|client, hidden| {
        check(hidden, client);
        states += 1;
    });
    assert_eq!(states, 5);
}

#[cfg(feature = "log")]
mod logged {
    use std::sync::Mutex;

    use super::{Hidden, live};

    static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Capture;

    impl log::Log for Capture {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            RECORDS.lock().unwrap().push(record.args().to_string());
        }

        fn flush(&self) {}
    }

    #[test]
    fn what_is_logged_names_no_machine() {
        log::set_logger(&Capture).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let mut all = Vec::new();
        live(|_, hidden| {
            all = hidden.iter().map(|hidden| Hidden::new(hidden.what, &hidden.bytes)).collect();
        });
        let records = RECORDS.lock().unwrap();
        assert!(!records.is_empty(), "nothing was logged");
        for record in &*records {
            for hidden in &all {
                hidden.check(record);
            }
        }
    }
}
