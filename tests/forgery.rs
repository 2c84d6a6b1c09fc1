//! What must not be believed: every single-bit flip of what is, and everything beyond what a
//! certificate says (PROTOCOL 3 to 6 and 11).

use std::collections::HashSet;

use headcount::client::{Client, Discard, Outcome};
use headcount::host::{Host, RateLimit, Settings, Silence, Source};
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{
    Expected, ParsedRequest, Signer, TagKey, TagSchedule, Untrusted, UntrustedEnrolment,
    UntrustedGrant, seal_enrolment_request, sign_certificate, sign_response,
    verify_enrolment_request, verify_enrolment_response, verify_response,
};
use headcount::wire::{
    Certificate, Claims, Coverage, EnrolmentRequest, Frame, Method, Response, ResponseBody, Role,
    Validity, Verdict,
};

use rand::SeedableRng;
use rand::rngs::StdRng;

use self::common::{DAY, ONE_HOST, Vendor, drive, machine, now, pool};
use self::vendor::{
    NOW, answer, claims, enrolment, exchanges, expected, host_key, request, root_key, roots,
    tag_key,
};

mod common;
#[path = "forgery/vendor.rs"]
mod vendor;

/// The frame with each of its 2,000 bits flipped, one at a time.
fn flips(frame: &Frame) -> impl Iterator<Item = (usize, Frame)> {
    (0..frame.len() * 8).map(|bit| {
        let mut flipped = *frame;
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        (bit, flipped)
    })
}

#[test]
fn no_bit_flip_of_a_request_verifies() {
    let schedule = TagSchedule::new(&tag_key());
    for (_, request, _) in exchanges() {
        assert!(ParsedRequest::parse(&request).unwrap().verify(&schedule).is_ok());
        for (bit, flipped) in flips(&request) {
            let verified = ParsedRequest::parse(&flipped).map(|parsed| parsed.verify(&schedule));
            assert!(!matches!(verified, Ok(Ok(_))), "bit {bit}");
        }
    }
}

#[test]
fn no_bit_flip_of_a_response_verifies() {
    let roots = roots();
    for (method, request, response) in exchanges() {
        let mut expected = expected(&request, method, &roots);
        let certificate = verify_response(&response, &expected).unwrap().certificate();
        for known_certificate in [None, Some(&certificate)] {
            expected.known_certificate = known_certificate;
            assert!(verify_response(&response, &expected).is_ok());
            for (bit, flipped) in flips(&response) {
                assert!(verify_response(&flipped, &expected).is_err(), "bit {bit}");
            }
        }
    }
}

#[test]
fn flips_are_two_thousand_other_frames() {
    let (_, frame, _) = exchanges()[0];
    let others: HashSet<Frame> = flips(&frame).map(|(_, flipped)| flipped).collect();
    assert_eq!(others.len(), 2_000);
    assert!(!others.contains(&frame));
}

/// Everything that a host remembers of machines: its snapshot from the pools on, behind two times
/// and its counters.
fn machines(host: &mut Host<'_, 50, 16>) -> Vec<u8> {
    let mut buffer = vec![0; Host::<'_, 50, 16>::snapshot_capacity(1)];
    let length = host.snapshot(now(0), &mut buffer).unwrap();
    let counters = host.counters();
    let frames = 1 + counters.refused.len() + counters.silent.len();
    buffer[4 + 8 + 4 * frames..length].to_vec()
}

#[test]
fn a_host_is_silent_to_every_bit_flip_of_a_request_and_counts_nobody() {
    let vendor = Vendor::new();
    let (keys, mut pools) = (vendor.setup_keys(), [pool()]);
    let rate_limit = RateLimit { burst: u32::MAX, ..RateLimit::DEFAULT };
    let settings = Settings { rate_limit, ..Settings::DEFAULT };
    let mut host = Host::new(&mut pools, &keys, Some(vendor.certificate), settings, [9; 16]);
    let mut rng = StdRng::seed_from_u64(1);
    let product = vendor.product(25);
    let [known, fresh] = [0, 1].map(|number| {
        let mut client = Client::new(&product, machine(number), ONE_HOST, now(0), &mut rng);
        drive(&mut client, now(0), &mut rng, &mut Vec::new()).unwrap()
    });
    let ask = |host: &mut Host<'_, 50, 16>, frame: &Frame| {
        host.handle(now(0), Source::UNKNOWN, frame, &vendor.host_key)
    };
    ask(&mut host, &known).unwrap();
    let before = machines(&mut host);
    for request in [known, fresh] {
        for (bit, flipped) in flips(&request) {
            let silence = ask(&mut host, &flipped).unwrap_err();
            assert_ne!(silence, Silence::RateLimited, "bit {bit} was not looked at");
        }
        assert_eq!(machines(&mut host), before);
    }
    ask(&mut host, &fresh).unwrap();
    assert_ne!(machines(&mut host), before, "the frame that was not flipped");
    assert_eq!(host.pools(now(0)).next().unwrap().count, Some(2));
}

#[test]
fn a_client_takes_no_notice_of_any_bit_flip_of_its_answer() {
    common::bench!(vendor, bench);
    let product = vendor.product(1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
    // First without a certificate that it knows, then a renewal with one.
    for now in [now(0), now(8 * DAY)] {
        let request = drive(&mut client, now, &mut rng, &mut Vec::new()).unwrap();
        let answer = bench.handle(now, &request).unwrap();
        let (image, licence) = (client.image(now), client.licence(now));
        for (bit, flipped) in flips(&answer) {
            let discard = client.handle_response(now, &mut rng, &flipped).unwrap_err();
            assert!(matches!(discard, Discard::Untrusted(_)), "bit {bit}: {discard}");
            assert_eq!(client.pending_frame(), Some(&request), "bit {bit}");
        }
        assert_eq!((client.image(now), client.licence(now)), (image, licence));
        let outcome = client.handle_response(now, &mut rng, &answer);
        assert_eq!(outcome, Ok(Outcome::Activated { count: 1 }));
        assert_ne!(client.image(now), image);
    }
}

/// The host answered something that the client had not sent, by one bit.
#[test]
fn a_response_to_any_other_request_is_refused() {
    let roots = roots();
    for (method, request, response) in exchanges() {
        for (bit, flipped) in flips(&request) {
            let verified = verify_response(&response, &expected(&flipped, method, &roots));
            assert_eq!(verified.unwrap_err(), Untrusted::OtherRequest, "bit {bit}");
        }
    }
}

/// What a host with only its own key can do: sign anything. What it cannot: a better certificate.
#[test]
fn no_bit_of_a_certificate_can_be_changed_by_the_host() {
    let roots = roots();
    let (method, request, response) = exchanges()[0];
    let body = Response::parse(&response).unwrap().body;
    let bytes = body.certificate.emit();
    let mut well_formed = 0;
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 0x80 >> (bit % 8);
        let Ok(certificate) = Certificate::parse(&bytes) else { continue };
        let body = ResponseBody { certificate, ..body };
        let signed = sign_response(&body, &host_key()).unwrap();
        let refused = verify_response(&signed, &expected(&request, method, &roots)).unwrap_err();
        let by_root =
            matches!(refused, Untrusted::CertificateSignature | Untrusted::UnknownRoot(_));
        assert!(by_root, "bit {bit}: {refused}");
        well_formed += 1;
    }
    // Seven bits of the role and eight reserved ones are refused as malformed.
    assert_eq!(well_formed, 960 - 7 - 8);
}

#[test]
fn every_bit_flip_of_an_enrolment_is_refused() {
    let (roots, key) = (roots(), host_key().public_key());
    let (request, response) = enrolment();
    assert!(verify_enrolment_request(&request, &tag_key()).is_ok());
    assert!(verify_enrolment_response(&response, &request, &key, &roots).is_ok());
    for (bit, flipped) in flips(&request) {
        assert!(verify_enrolment_request(&flipped, &tag_key()).is_err(), "request, bit {bit}");
        let answered = verify_enrolment_response(&response, &flipped, &key, &roots);
        assert_eq!(answered.unwrap_err(), UntrustedGrant::OtherRequest, "request, bit {bit}");
    }
    for (bit, flipped) in flips(&response) {
        let verified = verify_enrolment_response(&flipped, &request, &key, &roots);
        assert!(verified.is_err(), "response, bit {bit}");
    }
}

/// Whoever holds the host key's tag key still cannot enrol a public key of somebody else's.
#[test]
fn enrolment_needs_the_secret_key_and_is_for_one_host() {
    let (request, response) = enrolment();
    let parsed = EnrolmentRequest::parse(&request).unwrap();
    let stolen = seal_enrolment_request(&parsed, &root_key(), &tag_key()).unwrap();
    let refused = verify_enrolment_request(&stolen, &tag_key()).unwrap_err();
    assert_eq!(refused, UntrustedEnrolment::Possession);
    let other_tag = TagKey::from_bytes([0; 32]);
    let refused = verify_enrolment_request(&request, &other_tag).unwrap_err();
    assert_eq!(refused, UntrustedEnrolment::Tag);

    let other_host = root_key().public_key();
    let refused = verify_enrolment_response(&response, &request, &other_host, &roots());
    assert_eq!(refused.unwrap_err(), UntrustedGrant::Certificate);
}

/// Coverage, role, dates and the perpetual grant, each one step beyond its bound.
#[test]
fn what_a_certificate_says_is_a_bound() {
    let roots = roots();
    let bound = claims(host_key().public_key(), Role::Host);
    let judge =
        |claims: Claims, product: Coverage, method: Method, host_time: UnixTime, validity| {
            let request = request(method);
            let certificate = sign_certificate(&claims, &root_key()).unwrap();
            let granted = Verdict::Granted { count: 25, validity };
            let body = ResponseBody { host_time, ..answer(&request, granted, certificate) };
            let frame = sign_response(&body, &host_key()).unwrap();
            let expected = Expected { product, ..expected(&request, method, &roots) };
            verify_response(&frame, &expected).map(|_| ())
        };
    let limited = Validity::For(Minutes(1));
    let (count, key) = (Method::Count, Method::Key);
    let covered = bound.coverage;
    assert_eq!(judge(bound, covered, count, NOW, limited), Ok(()));
    for product in [
        Coverage { family: 8, ..covered },
        Coverage { rank: 4, ..covered },
        Coverage { generation: 6, ..covered },
    ] {
        let refused = Untrusted::NotCovered { certificate: covered, product };
        assert_eq!(judge(bound, product, count, NOW, limited), Err(refused));
    }
    let authority = Claims { role: Role::Authority, ..bound };
    assert_eq!(judge(authority, covered, key, NOW, Validity::Perpetual), Ok(()));
    let wrong = |role| Err(Untrusted::WrongRole(role));
    assert_eq!(judge(authority, covered, count, NOW, limited), wrong(Role::Authority));
    assert_eq!(judge(bound, covered, key, NOW, limited), wrong(Role::Host));
    let perpetual = judge(bound, covered, count, NOW, Validity::Perpetual);
    assert_eq!(perpetual, Err(Untrusted::Perpetual));

    // Both ends are minutes, and both minutes are included whole.
    let first = bound.not_before.start().as_secs();
    let last = bound.not_after.start().as_secs() + 59;
    for (secs, valid) in [
        (first - 1, false),
        (first, true),
        (last, true),
        (last + 1, false),
        (0, false),
        (u64::MAX, false),
    ] {
        let host_time = UnixTime::from_secs(secs);
        let judged = judge(bound, covered, count, host_time, limited);
        let outside = Err(Untrusted::OutsideDates { host_time });
        assert_eq!(judged, if valid { Ok(()) } else { outside });
    }
}
