//! Activation responses and certificates (PROTOCOL 4, 5 and 11). 250 bytes are taken as a frame,
//! any other number as the material of a value.
#![no_main]

use std::num::NonZeroU32;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use headcount::fingerprint::Fingerprint;
use headcount::policy;
use headcount::time::Minutes;
use headcount::trust::{
    Expected, Signer, Untrusted, request_digest, sign_certificate, sign_response, verify_response,
};
use headcount::wire::{
    ActivationId, ApplicationId, CERTIFICATE_LEN, Certificate, Cmid, CountedId, Coverage, Digest,
    Frame, KeyId, Kind, LicenceStatus, Method, Name, Nonce, Request, Response, ResponseBody, Role,
    Validity, Verdict,
};
use headcount_fuzz::{
    NOW, PRODUCT, certificate, check_malformed, claims, coverage, door, flip, genuine_certificate,
    host_key, outsider_key, response_body, root_key, roots, schedule,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match door(bytes) {
        Some(frame) => {
            check_frame(frame);
            check_forgeries(frame);
        }
        None => check_values(&mut Unstructured::new(bytes)).unwrap_or_default(),
    }
});

/// The request that the client has sent.
static REQUEST: LazyLock<Frame> = LazyLock::new(|| {
    schedule().seal(&Request {
        virtual_machine: false,
        renewal: false,
        licence_status: LicenceStatus::InitialGrace,
        method: Method::Count,
        required_count: NonZeroU32::MIN,
        time_left: Minutes(0),
        application_id: ApplicationId([1; 16]),
        activation_id: ActivationId([2; 16]),
        counted_id: CountedId([3; 16]),
        cmid: Cmid::from_random([4; 16]),
        previous_cmid: None,
        client_time: None,
        nonce: Nonce([5; 16]),
        fingerprint: Fingerprint::EMPTY,
        workstation_name: Name::EMPTY,
        key_id: KeyId(1),
    })
});

/// The one response that the honest host has ever signed.
static SIGNED: LazyLock<Frame> = LazyLock::new(|| {
    let body = ResponseBody {
        verdict: Verdict::Granted { count: 25, validity: Validity::For(policy::VALIDITY) },
        duplicate: false,
        activation_interval: policy::ACTIVATION_INTERVAL,
        renewal_interval: policy::RENEWAL_INTERVAL,
        host_time: NOW,
        request_digest: answered(),
        certificate: *genuine_certificate(),
    };
    let Ok(frame) = sign_response(&body, host_key());
    assert!(verify_response(&frame, &expected(PRODUCT, Method::Count)).is_ok());
    frame
});

/// The digest that a response must carry.
fn answered() -> Digest {
    request_digest(&REQUEST)
}

fn expected(product: Coverage, method: Method) -> Expected<'static> {
    Expected { request: &REQUEST, method, product, roots: roots(), known_certificate: None }
}

fn check_frame(frame: &Frame) {
    let response = match Response::parse(frame) {
        Ok(response) => response,
        Err(malformed) => return check_malformed(&malformed),
    };
    assert_eq!(Kind::of(frame), Ok(Kind::Response));
    let again = response.emit();
    assert_eq!(again, *frame);
    assert_eq!(Response::parse(&again), Ok(response));
    let certificate = response.body.certificate;
    assert_eq!(Certificate::parse(&certificate.emit()), Ok(certificate));
}

/// A forger who knows the request, and copies from the one signed response as much as may help.
/// Nothing but that response itself may ever be believed.
fn check_forgeries(frame: &Frame) {
    const DIGEST: std::ops::Range<usize> = 32..64;
    const CERTIFICATE: std::ops::Range<usize> = 64..64 + CERTIFICATE_LEN;
    const SIGNATURE: std::ops::Range<usize> = 186..250;
    let mut forged = *frame;
    for part in [0..4, DIGEST, CERTIFICATE, SIGNATURE] {
        forged[part.clone()].copy_from_slice(&SIGNED[part]);
        let verified = verify_response(&forged, &expected(PRODUCT, Method::Count));
        match verified {
            Ok(response) => {
                assert_eq!(forged, *SIGNED, "a response that nobody signed is believed");
                assert_eq!(response.emit(), forged);
            }
            Err(untrusted) => {
                assert_ne!(forged, *SIGNED, "{untrusted}");
                assert!(!untrusted.to_string().is_empty());
            }
        }
    }
}

fn check_values(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let body = response_body(u)?;
    let Ok(frame) = sign_response(&body, host_key());
    let parsed = Response::parse(&frame).expect("it was written from a value");
    assert_eq!(parsed.body, body);
    check_frame(&frame);
    check_judgement(u, body)
}

/// A certificate that says something arbitrary, and the judgement that follows from PROTOCOL 11,
/// worked out a second time.
fn check_judgement(u: &mut Unstructured<'_>, body: ResponseBody) -> arbitrary::Result<()> {
    let (product, method) = (coverage(u)?, *u.choose(&[Method::Count, Method::Key])?);
    let host_key = if u.ratio(15, 16)? { host_key() } else { outsider_key() };
    let mut claims = claims(u, host_key.public_key())?;
    claims.root_id = u.int_in_range(1..=2)?;
    let by_root = u.ratio(15, 16)?;
    let Ok(certificate) = sign_certificate(&claims, if by_root { root_key() } else { host_key });
    let request_digest = if u.ratio(15, 16)? { answered() } else { body.request_digest };
    let body = ResponseBody { certificate, request_digest, ..body };
    let Ok(frame) = sign_response(&body, host_key);

    let minute = body.host_time.as_secs() / 60;
    let covered = claims.coverage;
    let granted_for_ever =
        matches!(body.verdict, Verdict::Granted { validity: Validity::Perpetual, .. });
    let believed = request_digest == answered()
        && claims.root_id == 1
        && by_root
        && (claims.role == Role::Authority) == (method == Method::Key)
        && covered.family == product.family
        && covered.rank >= product.rank
        && covered.generation >= product.generation
        && !(granted_for_ever && claims.role == Role::Host)
        && minute >= u64::from(claims.not_before.0)
        && minute <= u64::from(claims.not_after.0);
    let mut expected = expected(product, method);
    match verify_response(&frame, &expected) {
        Ok(response) => {
            assert!(believed, "{body:?} is believed");
            assert_eq!(response.body, body);
            let known = response.certificate();
            expected.known_certificate = Some(&known);
            assert_eq!(verify_response(&frame, &expected), Ok(response));
            let forged = flip(u, &frame)?;
            assert!(verify_response(&forged, &expected).is_err(), "a flipped frame is believed");
            let other = Certificate { claims, ..self::certificate(u)? };
            let body = ResponseBody { certificate: other, ..body };
            let Ok(frame) = sign_response(&body, host_key);
            let refused = verify_response(&frame, &expected).map(|_| ());
            let expected =
                if other == certificate { Ok(()) } else { Err(Untrusted::CertificateSignature) };
            assert_eq!(refused, expected);
        }
        Err(untrusted) => assert!(!believed, "{untrusted}: {body:?}"),
    }
    Ok(())
}
