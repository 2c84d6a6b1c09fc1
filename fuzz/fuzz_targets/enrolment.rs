//! Enrolment, both ways (PROTOCOL 6). 250 bytes are taken as a frame of both kinds, any other
//! number as the material of values.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Unstructured;
use headcount::fingerprint::Fingerprint;
use headcount::trust::{
    Signer, UntrustedEnrolment, request_digest, seal_enrolment_request, sign_enrolment_response,
    verify_enrolment_request, verify_enrolment_response,
};
use headcount::wire::{
    CERTIFICATE_LEN, EnrolmentBody, EnrolmentRequest, EnrolmentResponse, Frame, KeyId, Kind, Name,
    Nonce,
};
use headcount_fuzz::{
    NOW, check_malformed, door, enrolment_body, enrolment_request, flip, genuine_certificate,
    host_key, outsider_key, root_key, roots, tag_key,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match door(bytes) {
        Some(frame) => {
            check_request(frame);
            check_response(frame);
            check_forgeries(frame);
        }
        None => check_values(&mut Unstructured::new(bytes)).unwrap_or_default(),
    }
});

/// What the honest host has sent.
static REQUEST: LazyLock<Frame> = LazyLock::new(|| {
    let request = EnrolmentRequest {
        platform_rank: 3,
        key_id: KeyId(900),
        public_key: host_key().public_key(),
        host_time: Some(NOW),
        nonce: Nonce([5; 16]),
        fingerprint: Fingerprint::EMPTY,
        host_name: Name::EMPTY,
    };
    let Ok(frame) = seal_enrolment_request(&request, host_key(), tag_key());
    frame
});

/// What the authority has answered.
static SIGNED: LazyLock<Frame> = LazyLock::new(|| {
    let body = EnrolmentBody {
        outcome: Ok(*genuine_certificate()),
        hosts_left: 5,
        activations_left: 9,
        authority_time: NOW,
        request_digest: request_digest(&REQUEST),
        root_id: 1,
    };
    let Ok(frame) = sign_enrolment_response(&body, root_key());
    frame
});

fn check_request(frame: &Frame) {
    let request = match EnrolmentRequest::parse(frame) {
        Ok(request) => request,
        Err(malformed) => return check_malformed(&malformed),
    };
    assert_eq!(Kind::of(frame), Ok(Kind::EnrolmentRequest));
    let Ok(again) = seal_enrolment_request(&request, host_key(), tag_key());
    assert_eq!(again[..154], frame[..154], "all but signature and tag is written as it was");
    assert_eq!(EnrolmentRequest::parse(&again), Ok(request));

    let ours = request.public_key == host_key().public_key();
    match verify_enrolment_request(frame, tag_key()) {
        Ok(verified) => {
            assert_eq!(*verified, request);
            // Ed25519 is deterministic: the only signature we make is this one.
            assert!(ours && again == *frame, "a request that nobody signed is believed");
        }
        Err(refused) => {
            assert!(!ours || again != *frame, "{refused}");
            assert!(!refused.to_string().is_empty());
        }
    }
    let sealed = verify_enrolment_request(&again, tag_key()).map(|verified| *verified);
    assert_eq!(sealed, if ours { Ok(request) } else { Err(UntrustedEnrolment::Possession) });
}

fn check_response(frame: &Frame) {
    let response = match EnrolmentResponse::parse(frame) {
        Ok(response) => response,
        Err(malformed) => return check_malformed(&malformed),
    };
    assert_eq!(Kind::of(frame), Ok(Kind::EnrolmentResponse));
    let again = response.emit();
    assert_eq!(again, *frame);
    assert_eq!(EnrolmentResponse::parse(&again), Ok(response));
}

/// A forger who copies from the one signed answer as much as may help.
fn check_forgeries(frame: &Frame) {
    const DIGEST: std::ops::Range<usize> = 24..56;
    const CERTIFICATE: std::ops::Range<usize> = 56..56 + CERTIFICATE_LEN;
    const SIGNATURE: std::ops::Range<usize> = 186..250;
    let public_key = host_key().public_key();
    let mut forged = *frame;
    for part in [0..4, DIGEST, 176..178, CERTIFICATE, SIGNATURE] {
        forged[part.clone()].copy_from_slice(&SIGNED[part]);
        match verify_enrolment_response(&forged, &REQUEST, &public_key, roots()) {
            Ok(_) => assert_eq!(forged, *SIGNED, "an answer that nobody signed is believed"),
            Err(untrusted) => {
                assert_ne!(forged, *SIGNED, "{untrusted}");
                assert!(!untrusted.to_string().is_empty());
            }
        }
    }
}

fn check_values(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let mut request = enrolment_request(u)?;
    let signer = if u.arbitrary()? { host_key() } else { outsider_key() };
    if u.arbitrary()? {
        request.public_key = signer.public_key();
    }
    let Ok(frame) = seal_enrolment_request(&request, signer, tag_key());
    assert_eq!(EnrolmentRequest::parse(&frame), Ok(request));
    let verified = verify_enrolment_request(&frame, tag_key()).is_ok();
    assert_eq!(verified, request.public_key == signer.public_key());
    let forged = flip(u, &frame)?;
    assert!(verify_enrolment_request(&forged, tag_key()).is_err(), "a flipped frame is believed");

    let body = enrolment_body(u)?;
    let Ok(frame) = sign_enrolment_response(&body, root_key());
    assert_eq!(EnrolmentResponse::parse(&frame).map(|response| response.body), Ok(body));
    check_response(&frame);

    // A refusal needs only digest and root to be believed, a grant its certificate too.
    let mut body = EnrolmentBody { request_digest: request_digest(&REQUEST), root_id: 1, ..body };
    if body.outcome.is_ok() && u.arbitrary()? {
        body.outcome = Ok(*genuine_certificate());
    }
    let Ok(frame) = sign_enrolment_response(&body, root_key());
    let public_key = host_key().public_key();
    let verified = verify_enrolment_response(&frame, &REQUEST, &public_key, roots());
    let believed = body.outcome.is_err() || body.outcome == Ok(*genuine_certificate());
    assert_eq!(verified.is_ok(), believed);
    let forged = flip(u, &frame)?;
    let verified = verify_enrolment_response(&forged, &REQUEST, &public_key, roots());
    assert!(verified.is_err(), "a flipped answer is believed");
    Ok(())
}
