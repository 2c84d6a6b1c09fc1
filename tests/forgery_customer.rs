//! What a customer who holds keys, hosts and answers cannot make of them: each attack of the threat
//! model's "All that a customer holds", by the name that it has there.

mod common;
#[path = "forgery/customer.rs"]
mod customer;
#[path = "authority/store.rs"]
mod store;

use headcount::authority::{ANSWERS_PER_MACHINE, ActivationOutcome, Ledger, PhoneError};
use headcount::client::{Discard, Outcome, Rejection};
use headcount::fingerprint::Fingerprint;
use headcount::phone::{
    Confirmation, HostConfirmation, HostInstallationId, InstallationId, Machine, Unconfirmed,
    UntrustedRecord, verify_record,
};
use headcount::time::{EpochMinute, UnixTime};
use headcount::trust::{
    Signer, SigningKey, TagSchedule, Untrusted, UntrustedGrant, request_digest,
    seal_enrolment_request, sign_certificate, sign_enrolment_response, sign_response,
    verify_enrolment_response, verify_response,
};
use headcount::wire::{
    Certificate, Claims, Cmid, Coverage, EnrolmentBody, EnrolmentRequest, Fault, Frame, KeyId,
    KeyKind, Malformed, Method, Name, Nonce, Refusal, Request, Response, ResponseBody, Role,
};

use self::common::{COVERAGE, DAY, EPOCH, HOUR, KEY_ID, clocks, now, running};
use self::customer::{
    BY_COUNT, FOR_EVER, HOST_KEY, MAK, MAK_LIMIT, PREMIUM, PREMIUM_COVERAGE, REFUSAL, Victim, World,
};

const fn untrusted<T>(why: Untrusted) -> Result<T, Discard> {
    Err(Discard::Untrusted(why))
}

#[test]
fn every_attack_of_the_threat_model_is_here() {
    let page = include_str!("../docs/threat-model.md");
    let (_, section) = page.split_once("### All that a customer holds").unwrap();
    let (table, _) = section.split_once("What he can do with it").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let plain =
        |text: &str| text.replace(',', "").replace(['\'', '-', ' '], "_").replace("_s_", "s_");
    let mut attacks: Vec<String> = rows.skip(2).map(plain).collect();
    let source = include_str!("forgery_customer.rs");
    let tests = source.split("#[test]\nfn ").skip(2);
    let mut tests: Vec<String> = tests.map(|test| test.split('(').next().unwrap().into()).collect();
    attacks.sort();
    tests.sort();
    assert_eq!(attacks, tests);
}

#[test]
fn secrets_of_product_keys_sign_nothing() {
    let world = World::new();
    let product = world.product();
    let mut victim = Victim::new(&product, 0, Some(&world.mak));
    let request = victim.asks(now(0));
    // All secrets that follow from the keys, tried as what signs.
    let secrets = [
        *world.mak.tag_key.expose(),
        *world.host_key_tag().expose(),
        *world.vendor.tag_key.expose(),
    ];
    for secret in secrets {
        let own = SigningKey::from_seed(&secret);
        let claims = Claims { public_key: own.public_key(), ..world.certificate.claims };
        let certificate = sign_certificate(&claims, &own).unwrap();
        let body = World::body(&request, FOR_EVER, certificate);
        let forged = sign_response(&body, &own).unwrap();
        assert_eq!(victim.hears(now(0), &forged), untrusted(Untrusted::CertificateSignature));
        // In the name of a root that is nobody's, or under the real authority's certificate.
        let claims = Claims { root_id: 2, ..claims };
        let certificate = sign_certificate(&claims, &own).unwrap();
        let forged = sign_response(&ResponseBody { certificate, ..body }, &own).unwrap();
        assert_eq!(victim.hears(now(0), &forged), untrusted(Untrusted::UnknownRoot(2)));
        let body = ResponseBody { certificate: world.certificate, ..body };
        let forged = sign_response(&body, &own).unwrap();
        assert_eq!(victim.hears(now(0), &forged), untrusted(Untrusted::ResponseSignature));
        // By phone.
        let id = world.installation_id(&request);
        let confirmation = id.confirm(&own).unwrap();
        assert_eq!(confirmation.verify(&id, &world.vendor.roots), Err(Unconfirmed));
    }
    let genuine = world.is_granted(&request);
    assert_eq!(victim.hears(now(0), &genuine), Ok(Outcome::Activated { count: MAK_LIMIT - 1 }));
}

#[test]
fn one_product_key_is_not_another() {
    let world = World::new();
    let product = world.product();
    let request = Victim::new(&product, 0, Some(&world.mak)).asks(now(0));
    let request = Request::parse(&request).unwrap();
    let held = [
        (KeyKind::MultipleActivation, MAK),
        (KeyKind::Host, HOST_KEY),
        (KeyKind::ClientSetup, KEY_ID),
    ];
    for (kind, key_id) in held {
        let tag_key = world.tag_key(kind, key_id);
        for named in [MAK, HOST_KEY, KEY_ID, KeyId(502)] {
            // As a MAK, by frame and by phone; as a host key.
            let frame = TagSchedule::new(&tag_key).seal(&Request { key_id: named, ..request });
            let parsed = headcount::trust::ParsedRequest::parse(&frame).unwrap();
            let right = world.tag_key(KeyKind::MultipleActivation, named);
            let is_held = (kind, key_id) == (KeyKind::MultipleActivation, named);
            assert_eq!(parsed.verify(&TagSchedule::new(&right)).is_ok(), is_held);
            let machine = Machine { key_id: named, ..Machine::of(&request) };
            let id = InstallationId::for_machine(&machine, &tag_key);
            assert_eq!(id.is_tagged_with(&right), is_held);
            let host = world.vendor.host_key.public_key();
            let id = HostInstallationId::for_host(named, 9, &host, &tag_key);
            let right = world.tag_key(KeyKind::Host, named);
            let is_held = (kind, key_id) == (KeyKind::Host, named);
            assert_eq!(id.is_tagged_with(&right), is_held);
        }
    }
}

#[test]
fn a_host_does_not_answer_for_the_authority() {
    let world = World::new();
    let product = world.product();
    let mut victim = Victim::new(&product, 0, Some(&world.mak));
    let request = victim.asks(now(0));
    for verdict in [FOR_EVER, BY_COUNT, REFUSAL] {
        let answer = world.host_says(&request, verdict);
        assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::WrongRole(Role::Host)));
        let brought = victim.is_brought(&request, &answer);
        assert_eq!(brought, Err(Rejection::Untrusted(Untrusted::WrongRole(Role::Host))));
    }
    // The role is one byte of the certificate.
    let mut claims = world.vendor.certificate.claims;
    claims.role = Role::Authority;
    let certificate = Certificate { claims, ..world.vendor.certificate };
    let answer = world.sign(&World::body(&request, FOR_EVER, certificate));
    assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::CertificateSignature));
}

#[test]
fn a_host_does_not_activate_for_ever() {
    let world = World::new();
    let product = world.product();
    let mut victim = Victim::new(&product, 0, None);
    let request = victim.asks(now(0));
    let answer = world.host_says(&request, FOR_EVER);
    assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::Perpetual));
    // Nor as long as it likes: the product's own maximum holds.
    let long = headcount::wire::Validity::For(headcount::time::Minutes(u32::MAX - 1));
    let verdict = headcount::wire::Verdict::Granted { count: 100, validity: long };
    let answer = world.host_says(&request, verdict);
    assert_eq!(victim.hears(now(0), &answer), Ok(Outcome::Activated { count: 100 }));
    assert!(victim.client.is_activated(now(180 * DAY - 1)));
    assert!(!victim.client.is_activated(now(180 * DAY)));
}

#[test]
fn a_host_does_not_activate_above_its_rank() {
    let world = World::new();
    for coverage in [
        PREMIUM_COVERAGE,
        Coverage { generation: COVERAGE.generation + 1, ..COVERAGE },
        Coverage { family: COVERAGE.family + 1, ..COVERAGE },
    ] {
        let product = headcount::client::Product { coverage, ..world.premium() };
        let mut victim = Victim::new(&product, 0, None);
        let request = victim.asks(now(0));
        let answer = world.host_says(&request, BY_COUNT);
        let not_covered = Untrusted::NotCovered { certificate: COVERAGE, product: coverage };
        assert_eq!(victim.hears(now(0), &answer), untrusted(not_covered));
        let claims = Claims { coverage, ..world.vendor.certificate.claims };
        let raised = Certificate { claims, ..world.vendor.certificate };
        let answer = world.sign(&World::body(&request, BY_COUNT, raised));
        assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::CertificateSignature));
    }
    // By key it is the authority that says no.
    let premium = world.premium();
    let request = Victim::new(&premium, 0, Some(&world.mak)).asks(now(0));
    let refused = ActivationOutcome::Refused(Refusal::NotCovered);
    assert_eq!(world.ask(&request).outcome, refused);
}

#[test]
fn a_host_does_not_certify() {
    let world = World::new();
    let product = world.product();
    let other = SigningKey::from_seed(&[77; 32]);
    for (key, role) in [(None, Role::Host), (Some(&world.mak), Role::Authority)] {
        let mut victim = Victim::new(&product, 0, key);
        let request = victim.asks(now(0));
        let claims =
            Claims { public_key: other.public_key(), role, ..world.vendor.certificate.claims };
        let certificate = sign_certificate(&claims, &world.vendor.host_key).unwrap();
        let body = World::body(&request, BY_COUNT, certificate);
        let answer = sign_response(&body, &other).unwrap();
        assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::CertificateSignature));
    }
}

#[test]
fn a_host_does_not_enrol() {
    let world = World::new();
    let host = &world.vendor.host_key;
    let request = EnrolmentRequest {
        platform_rank: 9,
        key_id: HOST_KEY,
        public_key: host.public_key(),
        host_time: None,
        nonce: Nonce([1; 16]),
        fingerprint: Fingerprint::EMPTY,
        host_name: Name::EMPTY,
    };
    let request = seal_enrolment_request(&request, host, &world.host_key_tag()).unwrap();
    let believe = |frame: &Frame| {
        let (key, roots) = (host.public_key(), &world.vendor.roots);
        verify_enrolment_response(frame, &request, &key, roots).map(|_| ())
    };
    let body = EnrolmentBody {
        outcome: Ok(world.vendor.certificate),
        hosts_left: 6,
        activations_left: 9,
        authority_time: UnixTime::from_secs(EPOCH),
        request_digest: request_digest(&request),
        root_id: 1,
    };
    let forged = sign_enrolment_response(&body, host).unwrap();
    assert_eq!(believe(&forged), Err(UntrustedGrant::Signature));
    // A genuine answer, with the certificate of another host, or with better claims.
    let genuine = world
        .authority()
        .answer_enrolment(&request, UnixTime::from_secs(EPOCH), 7, &mut *world.store.borrow_mut())
        .unwrap()
        .frame;
    assert_eq!(believe(&genuine), Ok(()));
    let mut spliced = genuine;
    spliced[56..176].copy_from_slice(&world.vendor.certificate.emit());
    assert_eq!(believe(&spliced), Err(UntrustedGrant::Signature));
    let mut raised = genuine;
    raised[56 + 52] = 3;
    assert_eq!(believe(&raised), Err(UntrustedGrant::Signature));
}

#[test]
fn no_certificate_works_outside_its_dates() {
    let world = World::new();
    let product = world.product();
    let day = |days: u64| UnixTime::from_secs(EPOCH + days * DAY).minute();
    for (key, role) in [(None, Role::Host), (Some(&world.mak), Role::Authority)] {
        let certificate = world.vendor.certify(|claims| {
            claims.role = role;
            claims.not_before = day(10);
            claims.not_after = EpochMinute(day(20).0 - 1);
        });
        let says = |request: &Frame, at: u64| {
            let host_time = UnixTime::from_secs(EPOCH + at);
            world.sign(&ResponseBody { host_time, ..World::body(request, BY_COUNT, certificate) })
        };
        // To clients with a clock and without one: before and after, by its own time.
        for at in [now, running] {
            for second in [0, 10 * DAY - 1, 20 * DAY, 300 * DAY] {
                let mut victim = Victim::new(&product, 0, key);
                let request = victim.asks(at(second));
                let host_time = UnixTime::from_secs(EPOCH + second);
                let answer = says(&request, second);
                let outside = untrusted(Untrusted::OutsideDates { host_time });
                assert_eq!(victim.hears(at(second), &answer), outside);
            }
        }
        // By a time that lies within: a clock tells, and so does what was accepted before.
        let mut victim = Victim::new(&product, 0, key);
        let request = victim.asks(now(25 * DAY));
        let answer = says(&request, 19 * DAY);
        let heard = victim.hears(now(25 * DAY), &answer);
        assert!(matches!(heard, Err(Discard::ClockSkew(_))), "{heard:?}");

        let genuine = world.vendor.certify(|claims| claims.role = role);
        let mut victim = Victim::new(&product, 0, key);
        let request = victim.asks(running(0));
        let host_time = UnixTime::from_secs(EPOCH + 25 * DAY);
        let below = headcount::wire::Verdict::Refused(Refusal::Busy);
        let body = World::body(&request, below, genuine);
        let answer = world.sign(&ResponseBody { host_time, ..body });
        assert_eq!(victim.hears(running(0), &answer), Ok(Outcome::Refused(Refusal::Busy)));
        let request = victim.asks(running(3 * HOUR));
        let answer = says(&request, 19 * DAY);
        let heard = victim.hears(running(3 * HOUR), &answer);
        assert!(matches!(heard, Err(Discard::BelowFloor { .. })), "{heard:?}");
        // Nor by a clock that is set back to that time.
        let heard = victim.hears(clocks(3 * HOUR, (19 * DAY).cast_signed()), &answer);
        assert!(matches!(heard, Err(Discard::BelowFloor { .. })), "{heard:?}");
    }
}

#[test]
fn the_authoritys_certificate_is_of_no_use_to_a_host() {
    let world = World::new();
    let product = world.product();
    let mut neighbour = Victim::new(&product, 1, Some(&world.mak));
    let asked = neighbour.asks(now(0));
    let genuine = Response::parse(&world.is_granted(&asked)).unwrap();
    let mut victim = Victim::new(&product, 0, Some(&world.mak));
    let request = victim.asks(now(0));
    let certificate = genuine.body.certificate;
    let body = World::body(&request, FOR_EVER, certificate);
    let answer = world.sign(&body);
    assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::ResponseSignature));
    // With the signature of the genuine answer, and with his own key in the certificate.
    let answer = Response { body, ..genuine }.emit();
    assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::ResponseSignature));
    let public_key = world.vendor.host_key.public_key();
    let claims = Claims { public_key, ..certificate.claims };
    let certificate = Certificate { claims, ..certificate };
    let answer = world.sign(&ResponseBody { certificate, ..body });
    assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::CertificateSignature));
}

#[test]
fn two_answers_do_not_make_a_third() {
    let world = World::new();
    let product = world.product();
    let (mut victim, mut neighbour) =
        (Victim::new(&product, 0, Some(&world.mak)), Victim::new(&product, 1, Some(&world.mak)));
    let (request, asked) = (victim.asks(now(0)), neighbour.asks(now(0)));
    let granted = world.is_granted(&asked);
    let foreign =
        [granted, world.host_says(&request, FOR_EVER), world.host_says(&request, REFUSAL), {
            world.store.borrow_mut().maks[0].blocked = true;
            world.ask(&request).frame
        }];
    world.store.borrow_mut().maks[0].blocked = false;
    // Every field of one taken over into another, and every two neighbouring ones.
    let fields = [4, 6, 8, 12, 16, 20, 24, 32, 64, 96, 104, 112, 116, 118, 120, 184, 186, 218, 250];
    for base in &foreign {
        for from in &foreign {
            for window in fields.windows(3) {
                for end in [window[1], window[2]] {
                    let mut answer = *base;
                    answer[window[0]..end].copy_from_slice(&from[window[0]..end]);
                    match victim.hears(now(0), &answer) {
                        Err(_) => {}
                        // The genuine refusal, whole again. It ends the exchange.
                        Ok(Outcome::Refused(_)) => {
                            assert_eq!(answer, foreign[3]);
                            victim = Victim::new(&product, 0, Some(&world.mak));
                            assert_eq!(victim.asks(now(0)), request);
                        }
                        Ok(other) => panic!("{other:?}"),
                    }
                }
            }
        }
    }
    // The digest alone, which names the victim's request.
    let mut answer = granted;
    answer[32..64].copy_from_slice(&request_digest(&request).0);
    assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::ResponseSignature));
}

#[test]
fn a_refusal_does_not_become_a_grant() {
    let world = World::new();
    let product = world.product();
    world.store.borrow_mut().maks[0].activations_limit = 0;
    let mut victim = Victim::new(&product, 0, Some(&world.mak));
    let request = victim.asks(now(0));
    let refusal = world.ask(&request);
    assert_eq!(refusal.outcome, ActivationOutcome::Refused(Refusal::KeyExhausted));
    let mut granted = refusal.frame;
    granted[4..6].fill(0);
    granted[20..24].fill(0xff);
    assert_eq!(victim.hears(now(0), &granted), untrusted(Untrusted::ResponseSignature));
    // A grant with an end does not lose it.
    world.store.borrow_mut().maks[0].activations_limit = 1;
    let body = Response::parse(&world.is_granted(&request)).unwrap().body;
    assert_eq!(
        body.verdict,
        headcount::wire::Verdict::Granted {
            count: 0,
            validity: headcount::wire::Validity::Perpetual
        }
    );
}

#[test]
fn an_answer_is_for_one_request() {
    let world = World::new();
    let product = world.product();
    let mut victim = Victim::new(&product, 0, Some(&world.mak));
    let mut neighbour = Victim::new(&product, 1, Some(&world.mak));
    let answer = world.is_granted(&neighbour.asks(now(0)));
    let request = victim.asks(now(0));
    assert_eq!(victim.hears(now(0), &answer), untrusted(Untrusted::OtherRequest));
    // Not even for another request of the same machine, which has started anew.
    let answer = world.is_granted(&request);
    let image = victim.client.image(now(0));
    assert!(!victim.starts_from(&image, Some(&world.mak)));
    let again = *victim.client.pending_frame().expect("a request");
    assert_ne!(again, request);
    assert_eq!(victim.hears(now(DAY), &answer), untrusted(Untrusted::OtherRequest));
    let answer = world.ask(&again).frame;
    let heard = victim.hears(clocks(DAY, 0), &answer);
    assert_eq!(heard, Ok(Outcome::Activated { count: MAK_LIMIT - 2 }));
}

#[test]
fn a_carried_activation_stays_on_its_machine() {
    let world = World::new();
    let product = world.product();
    let mut owner = Victim::new(&product, 0, Some(&world.mak));
    let request = owner.asks(now(0));
    let answer = world.is_granted(&request);
    assert!(owner.hears(now(0), &answer).is_ok());

    let mut thief = Victim::new(&product, 1, Some(&world.mak));
    let own = thief.asks(now(0));
    assert_eq!(thief.is_brought(&request, &answer), Err(Rejection::OtherHardware));
    // His own request beside it, or the owner's with his own hardware or CMID in it.
    let other_request = Err(Rejection::Untrusted(Untrusted::OtherRequest));
    assert_eq!(thief.is_brought(&own, &answer), other_request);
    let (asked, mine) = (Request::parse(&request).unwrap(), Request::parse(&own).unwrap());
    for edited in [
        Request { fingerprint: mine.fingerprint, ..asked },
        Request { fingerprint: mine.fingerprint, cmid: mine.cmid, ..asked },
    ] {
        assert_eq!(thief.is_brought(&world.seal(&edited), &answer), other_request);
    }
    // The owner's whole storage, and the thief's with the owner's activation in it.
    let (stolen, own) = (owner.client.image(now(0)), thief.client.image(now(0)));
    assert!(!thief.starts_from(&stolen, Some(&world.mak)));
    let mut spliced = own;
    let frames = own.len() - 500 - 17..;
    spliced[frames.clone()].copy_from_slice(&stolen[frames]);
    assert!(!thief.starts_from(&spliced, Some(&world.mak)));
    assert_eq!(thief.client.activation(), None);
    // Whoever owns the machine starts from it.
    assert!(owner.starts_from(&stolen, Some(&world.mak)));
}

#[test]
fn a_carried_activation_stays_in_its_product() {
    let world = World::new();
    let (product, premium) = (world.product(), world.premium());
    let mut cheap = Victim::new(&product, 0, Some(&world.mak));
    let request = cheap.asks(now(0));
    let answer = world.is_granted(&request);
    // The same machine, with the better edition on it.
    let mut victim = Victim::new(&premium, 0, Some(&world.mak));
    victim.asks(now(0));
    assert_eq!(victim.is_brought(&request, &answer), Err(Rejection::OtherProduct));
    let asked = Request::parse(&request).unwrap();
    let edited = world.seal(&Request { activation_id: PREMIUM, ..asked });
    let other_request = Err(Rejection::Untrusted(Untrusted::OtherRequest));
    assert_eq!(victim.is_brought(&edited, &answer), other_request);
    // An answer by count is not one by key, nor can it be carried.
    let mut counted = Victim::new(&product, 0, None);
    let request = counted.asks(now(0));
    let answer = world.host_says(&request, BY_COUNT);
    assert_eq!(cheap.is_brought(&request, &answer), Err(Rejection::ByCount));
    let asked = Request::parse(&request).unwrap();
    let edited = world.seal(&Request { method: Method::Key, key_id: MAK, ..asked });
    assert_eq!(cheap.is_brought(&edited, &answer), other_request);
}

/// Everything in a request that a confirmation is for, changed one at a time.
fn others<'a>(request: &Request<'a>) -> [Request<'a>; 5] {
    let request = *request;
    let mut components = *request.fingerprint.components();
    components[7] ^= 1;
    [
        Request { cmid: Cmid::new([7; 16]).unwrap(), ..request },
        Request { fingerprint: Fingerprint::new(components), ..request },
        Request { activation_id: PREMIUM, ..request },
        Request { application_id: headcount::wire::ApplicationId([9; 16]), ..request },
        Request { key_id: KeyId(502), ..request },
    ]
}

#[test]
fn a_confirmation_is_for_one_machine_product_and_key() {
    let world = World::new();
    let product = world.product();
    let mut victim = Victim::new(&product, 0, Some(&world.mak));
    let request = victim.asks(now(0));
    let id = world.installation_id(&request);
    let confirmation = world.is_confirmed(&id);
    let roots = &world.vendor.roots;
    assert_eq!(confirmation.verify(&id, roots), Ok(1));
    let asked = Request::parse(&request).unwrap();
    for other in others(&asked) {
        let frame = world.seal(&other);
        let elsewhere = world.installation_id(&frame);
        assert_eq!(confirmation.verify(&elsewhere, roots), Err(Unconfirmed), "{other:?}");
        // Stored beside that request, with either id.
        let record = confirmation.record(&elsewhere, &frame);
        assert_eq!(verify_record(&record, &frame, roots), Err(UntrustedRecord::Unconfirmed));
        let record = confirmation.record(&id, &frame);
        assert_eq!(verify_record(&record, &frame, roots), Err(UntrustedRecord::OtherMachine));
        let brought = victim.is_brought(&frame, &record);
        assert!(brought.is_err(), "{brought:?}");
    }
    // Made with another key's tag it is another id.
    let machine = Machine::of(&asked);
    let retagged = InstallationId::for_machine(&machine, &world.host_key_tag());
    assert_eq!(confirmation.verify(&retagged, roots), Err(Unconfirmed));
    let record = confirmation.record(&id, &request);
    assert_eq!(victim.is_brought(&request, &record), Ok(Outcome::Activated { count: 0 }));
}

/// An installation id with the product of one machine and the digest of another, tagged as it
/// must be: what somebody makes who holds the MAK and has read PROTOCOL 14.
fn lie(world: &World, said: &InstallationId, real: &InstallationId) -> InstallationId {
    use hmac::{Hmac, KeyInit, Mac};
    let bits = |id: &InstallationId| {
        let record = Confirmation::record(&confirmation_of_nobody(), id, &[0; 250]);
        let bytes = record[64..97].to_vec();
        bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
            .collect::<Vec<_>>()
    };
    let mut lie = bits(said);
    lie[60..220].copy_from_slice(&bits(real)[60..220]);
    let pack = |bits: &[u8]| -> Vec<u8> {
        let bytes = bits.chunks(8).map(|byte| {
            byte.iter().enumerate().fold(0, |whole, (at, bit)| whole | bit << (7 - at))
        });
        bytes.collect()
    };
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(world.mak.tag_key.expose()).unwrap();
    mac.update(b"headcount/1/installation\0");
    mac.update(&pack(&lie[..220]));
    let tag = mac.finalize().into_bytes();
    for (at, bit) in lie[220..259].iter_mut().enumerate() {
        *bit = tag[at / 8] >> (7 - at % 8) & 1;
    }
    // In decimal: doubled, bit by bit.
    let mut digits = [0_u8; 78];
    for bit in &lie[..259] {
        let mut carry = *bit;
        for digit in digits.iter_mut().rev() {
            let doubled = *digit * 2 + carry;
            (*digit, carry) = (doubled % 10, doubled / 10);
        }
    }
    let groups = digits.chunks(6).enumerate().map(|(index, group)| {
        let six: String = group.iter().map(|digit| char::from(b'0' + digit)).collect();
        let mut candidates = (0..10).map(|check| format!("{six}{check}"));
        candidates.find(|group| headcount::phone::check_group(index, group).is_ok()).unwrap()
    });
    groups.collect::<Vec<_>>().join("-").parse().unwrap()
}

fn confirmation_of_nobody() -> Confirmation {
    let world = World::new();
    let product = world.product();
    let id = world.installation_id(&Victim::new(&product, 9, Some(&world.mak)).asks(now(0)));
    id.confirm(&SigningKey::from_seed(&[99; 32])).unwrap()
}

#[test]
fn an_installation_id_that_lies_helps_nobody() {
    let world = World::new();
    let (product, premium) = (world.product(), world.premium());
    let cheap = Victim::new(&product, 1, Some(&world.mak)).asks(now(0));
    let mut victim = Victim::new(&premium, 0, Some(&world.mak));
    let request = victim.asks(now(0));
    let (cheap, real) = (world.installation_id(&cheap), world.installation_id(&request));
    let at = UnixTime::from_secs(EPOCH);
    let told = world.authority().answer_installation(
        &real,
        &World::catalogue(),
        at,
        &mut *world.store.borrow_mut(),
    );
    assert_eq!(told, Err(PhoneError::Refused(Refusal::NotCovered)));
    // The cheap product's name on the digest of the machine with the better one: that is believed.
    let id = lie(&world, &cheap, &real);
    assert_eq!(id.machine(), real.machine());
    let confirmation = world.is_confirmed(&id);
    let roots = &world.vendor.roots;
    assert_eq!(confirmation.verify(&id, roots), Ok(1));
    assert_eq!(confirmation.verify(&real, roots), Err(Unconfirmed));
    let unconfirmed = |why| Err(Rejection::Unconfirmed(why));
    let record = confirmation.record(&id, &request);
    let brought = victim.is_brought(&request, &record);
    assert_eq!(brought, unconfirmed(UntrustedRecord::OtherMachine));
    let record = confirmation.record(&real, &request);
    let brought = victim.is_brought(&request, &record);
    assert_eq!(brought, unconfirmed(UntrustedRecord::Unconfirmed));
}

#[test]
fn a_stored_confirmation_cannot_be_edited_or_moved() {
    let world = World::new();
    let product = world.product();
    let mut owner = Victim::new(&product, 0, Some(&world.mak));
    let request = owner.asks(now(0));
    let id = world.installation_id(&request);
    let record = world.is_confirmed(&id).record(&id, &request);
    assert!(owner.is_brought(&request, &record).is_ok());
    let image = owner.client.image(now(0));
    // Every bit of both frames, in the storage that the owner can write.
    let frames = image.len() - 500;
    for bit in (frames * 8..image.len() * 8).step_by(3) {
        let mut edited = image;
        edited[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(!owner.starts_from(&edited, Some(&world.mak)), "bit {bit}");
    }
    // On another machine: the whole storage, the pair, the pair in his own storage.
    let mut thief = Victim::new(&product, 1, Some(&world.mak));
    thief.asks(now(0));
    let own = thief.client.image(now(0));
    assert_eq!(thief.is_brought(&request, &record), Err(Rejection::OtherHardware));
    assert!(!thief.starts_from(&image, Some(&world.mak)));
    let mut spliced = own;
    let from = own.len() - 500 - 17;
    spliced[from..].copy_from_slice(&image[from..]);
    assert!(!thief.starts_from(&spliced, Some(&world.mak)));
    // With another key installed, or none, it is still the owner's activation.
    assert!(owner.starts_from(&image, None));
}

#[test]
fn a_stored_confirmation_is_no_answer_and_no_certificate() {
    let world = World::new();
    let product = world.product();
    let mut owner = Victim::new(&product, 0, Some(&world.mak));
    let request = owner.asks(now(0));
    let id = world.installation_id(&request);
    let record = world.is_confirmed(&id).record(&id, &request);
    // On the wire.
    let malformed = Malformed { offset: 3, fault: Fault::Kind(5) };
    assert_eq!(owner.hears(now(0), &record), untrusted(Untrusted::Malformed(malformed)));
    // With the kind of an answer it has a certificate by root 0.
    let mut answer = record;
    answer[3] = 2;
    assert_eq!(owner.hears(now(0), &answer), untrusted(Untrusted::UnknownRoot(0)));
    assert!(owner.is_brought(&request, &record).is_ok());
    // What a client holds it takes for verified: these 120 bytes are none that were.
    owner.client.ask_now(now(0));
    let request = owner.asks(now(0));
    let certificate = Certificate::parse(record[64..184].try_into().unwrap()).unwrap();
    let answer = world.sign(&World::body(&request, FOR_EVER, certificate));
    let heard = owner.client.handle_response(now(0), &mut common::Always(0), &answer);
    assert_eq!(heard, untrusted(Untrusted::UnknownRoot(0)));
}

#[test]
fn a_hosts_confirmation_cannot_be_raised_or_prolonged() {
    let world = World::new();
    let roots = &world.vendor.roots;
    let host = world.vendor.host_key.public_key();
    let id = HostInstallationId::for_host(HOST_KEY, 9, &host, &world.host_key_tag());
    let at = UnixTime::from_secs(EPOCH);
    let told =
        world.authority().answer_host_installation(&id, at, 1, &mut *world.store.borrow_mut());
    let told = told.unwrap();
    assert_eq!(told.confirmation.verify(&host, roots).unwrap().claims.coverage, COVERAGE);
    let Certificate { claims, signature } = told.certificate;
    let day = 24 * 60;
    let Claims { serial, not_before, not_after, coverage, .. } = claims;
    for better in [
        Claims { serial: serial + 1, ..claims },
        Claims { not_before: EpochMinute(not_before.0 - day), ..claims },
        Claims { not_after: EpochMinute(not_after.0 + day), ..claims },
        Claims { coverage: Coverage { family: 8, ..coverage }, ..claims },
        Claims { coverage: Coverage { rank: 3, ..coverage }, ..claims },
        Claims { coverage: Coverage { generation: 4, ..coverage }, ..claims },
    ] {
        let certificate = Certificate { claims: better, signature };
        let forged = HostConfirmation::from_certificate(&certificate).unwrap();
        let refused = forged.verify(&host, roots).unwrap_err();
        assert_eq!(refused, Untrusted::CertificateSignature, "{better:?}");
    }
    let certificate = Certificate { claims: Claims { root_id: 2, ..claims }, signature };
    let forged = HostConfirmation::from_certificate(&certificate).unwrap();
    assert_eq!(forged.verify(&host, roots).unwrap_err(), Untrusted::UnknownRoot(2));
    // For another host, or as a certificate of the authority.
    let other = SigningKey::from_seed(&[78; 32]).public_key();
    let refused = told.confirmation.verify(&other, roots).unwrap_err();
    assert_eq!(refused, Untrusted::CertificateSignature);
    assert_eq!(told.confirmation.certificate(&host).claims.role, Role::Host);
}

#[test]
fn signatures_of_one_kind_do_not_pass_for_another() {
    let world = World::new();
    let product = world.product();
    let roots = &world.vendor.roots;
    let mut victim = Victim::new(&product, 0, Some(&world.mak));
    let request = victim.asks(now(0));
    let id = world.installation_id(&request);
    let confirmed = world.is_confirmed(&id).record(&id, &request);
    let host = world.vendor.host_key.public_key();
    let host_request = EnrolmentRequest {
        platform_rank: 9,
        key_id: HOST_KEY,
        public_key: host,
        host_time: None,
        nonce: Nonce([1; 16]),
        fingerprint: Fingerprint::EMPTY,
        host_name: Name::EMPTY,
    };
    let tag_key = world.host_key_tag();
    let enrolment =
        seal_enrolment_request(&host_request, &world.vendor.host_key, &tag_key).unwrap();
    let at = UnixTime::from_secs(EPOCH);
    let enrolled = world
        .authority()
        .answer_enrolment(&enrolment, at, 1, &mut *world.store.borrow_mut())
        .unwrap()
        .frame;
    // All that a root key has signed: certificates, an enrolment, a confirmation.
    let by_root =
        [&world.certificate.emit()[56..], &enrolled[112..176], &enrolled[186..], &confirmed[186..]];
    for (index, signature) in by_root.into_iter().enumerate() {
        let signature: [u8; 64] = signature.try_into().unwrap();
        let mut record = confirmed;
        record[186..].copy_from_slice(&signature);
        assert_eq!(verify_record(&record, &request, roots).is_ok(), index == 3);
        let mut answer = enrolled;
        answer[186..].copy_from_slice(&signature);
        let believed = verify_enrolment_response(&answer, &enrolment, &host, roots).is_ok();
        assert_eq!(believed, index == 2);
        let signature = headcount::wire::Signature(signature);
        let certificate = Certificate { signature, ..world.certificate };
        let genuine = headcount::trust::check_certificate(&certificate, roots).is_ok();
        assert_eq!(genuine, index == 0);
        let answer = world.sign(&World::body(&request, FOR_EVER, certificate));
        assert!(victim.hears(now(0), &answer).is_err());
    }
    // An enrolment's answer is no activation, and the other way round.
    let kind = |kind| Untrusted::Malformed(Malformed { offset: 3, fault: Fault::Kind(kind) });
    assert_eq!(victim.hears(now(0), &enrolled), untrusted(kind(4)));
    let answer = world.is_granted(&request);
    let refused = verify_enrolment_response(&answer, &request, &host, roots).unwrap_err();
    let malformed = Malformed { offset: 3, fault: Fault::Kind(2) };
    assert_eq!(refused, UntrustedGrant::Malformed(malformed));
}

#[test]
fn a_walk_of_small_steps_does_not_lead_to_another_machine() {
    let world = World::new();
    let product = world.product();
    let request = Victim::new(&product, 0, Some(&world.mak)).asks(now(0));
    let asked = Request::parse(&request).unwrap();
    let [from, to] = [1_u16, 0xbeef];
    let mut counted = 0;
    for step in 0..=8 {
        let components = core::array::from_fn(|index| if index < step { to } else { from });
        let fingerprint = Fingerprint::new(components);
        let frame = world.seal(&Request { fingerprint, ..asked });
        match world.ask(&frame).outcome {
            ActivationOutcome::Granted { counted: new, .. } => counted += u32::from(new),
            other => panic!("{other:?}"),
        }
    }
    // Eight components, of which two may differ from a machine that was counted.
    assert_eq!(counted, 3);
}

#[test]
fn hardware_between_two_machines_reaches_twice_the_tolerance() {
    let world = World::new();
    let product = world.product();
    let mut counted = Victim::new(&product, 0, Some(&world.mak));
    let request = counted.asks(now(0));
    world.is_granted(&request);
    let asked = Request::parse(&request).unwrap();
    let hardware = |changed: usize| {
        let mut components = *asked.fingerprint.components();
        components[..changed].iter_mut().for_each(|component| *component ^= 1);
        Fingerprint::new(components)
    };
    let reach = 2 * usize::from(product.matching.tolerance);
    // Asked for with each hardware on the way, and brought to machines ever further away.
    for changed in 1..=8 {
        let mut client = Victim::new(&product, 1, Some(&world.mak));
        client.client.set_machine(
            headcount::client::Machine { fingerprint: hardware(changed), ..common::machine(1) },
            now(0),
        );
        let is_activated = (0..=changed).any(|between| {
            let frame = world.seal(&Request { fingerprint: hardware(between), ..asked });
            let answer = world.ask(&frame);
            if let ActivationOutcome::Granted { counted: true, .. } = answer.outcome {
                // That has used up another one, and is no gain.
                world.store.borrow_mut().activations.pop();
                return false;
            }
            client.is_brought(&frame, &answer.frame).is_ok()
        });
        assert_eq!(is_activated, changed <= reach, "{changed} components are others");
    }
}

#[test]
fn made_up_hardware_does_not_fill_the_records() {
    let world = World::new();
    let product = world.product();
    let request = Victim::new(&product, 0, Some(&world.mak)).asks(now(0));
    world.is_granted(&request);
    let asked = Request::parse(&request).unwrap();
    let mut frames = Vec::new();
    for made_up in 0..200 {
        let mut components = *asked.fingerprint.components();
        components[usize::from(made_up % 8)] = 1_000 + made_up;
        let fingerprint = Fingerprint::new(components);
        frames.push(world.seal(&Request { fingerprint, ..asked }));
        let known = ActivationOutcome::Granted { counted: false, left: MAK_LIMIT - 1 };
        assert_eq!(world.ask(frames.last().unwrap()).outcome, known);
    }
    let store = &mut *world.store.borrow_mut();
    let machine = store.activations[0].machine;
    assert!(store.activations.iter().all(|record| record.machine == machine));
    let mut shown = 0;
    store.fingerprints(MAK, asked.cmid, &mut |_, _| shown += 1).unwrap();
    assert_eq!(shown, 1, "to compare with");
    let kept =
        frames.iter().filter(|frame| store.answer_to(&request_digest(frame)).unwrap().is_some());
    assert_eq!(kept.count(), ANSWERS_PER_MACHINE);
}

#[test]
fn asking_more_does_not_get_more() {
    let world = World::new();
    let product = world.product();
    let mut victims: Vec<_> = (0..=MAK_LIMIT as u16)
        .map(|number| Victim::new(&product, number, Some(&world.mak)))
        .collect();
    let (mut activated, mut answers) = (0, Vec::new());
    for _ in 0..3 {
        for victim in &mut victims {
            if victim.is_activated() {
                continue;
            }
            victim.client.ask_now(now(0));
            let request = victim.asks(now(0));
            let first = world.ask(&request);
            let again = world.ask(&request);
            assert!(again == first || again.outcome == ActivationOutcome::Repeated);
            assert_eq!(again.frame, first.frame);
            answers.push(again.frame);
            if let Ok(Outcome::Activated { .. }) = victim.hears(now(0), &again.frame) {
                activated += 1;
            }
        }
    }
    assert_eq!(activated, MAK_LIMIT);
    // By phone there is no more either.
    let last = victims.last_mut().unwrap();
    last.client.ask_now(now(0));
    let request = last.asks(now(0));
    let told = world.authority().answer_installation(
        &world.installation_id(&request),
        &World::catalogue(),
        UnixTime::from_secs(EPOCH),
        &mut *world.store.borrow_mut(),
    );
    assert_eq!(told, Err(PhoneError::Refused(Refusal::KeyExhausted)));
    // An answer that one machine got is the answer of no other.
    let expected = headcount::trust::Expected {
        request: &request,
        method: Method::Key,
        product: COVERAGE,
        roots: &world.vendor.roots,
        known_certificate: None,
    };
    for answer in answers {
        assert_eq!(verify_response(&answer, &expected), Err(Untrusted::OtherRequest));
    }
}
