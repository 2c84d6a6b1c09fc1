//! A vendor, a host and a client, and what they honestly say to each other.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use std::num::NonZeroU32;

use headcount::fingerprint::Fingerprint;
use headcount::time::{EpochMinute, Minutes, UnixTime};
use headcount::trust::{
    Expected, Root, Signer, SigningKey, TagKey, TagSchedule, Verifier, request_digest,
    seal_enrolment_request, sign_certificate, sign_enrolment_response, sign_response,
};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, CountedId, Coverage, EnrolmentBody,
    EnrolmentRequest, Frame, KeyId, LicenceStatus, Method, Name, Nonce, PublicKey, Refusal,
    Request, ResponseBody, Role, Validity, Verdict,
};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
pub(crate) const PRODUCT: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
pub(crate) const HOST_SEED: [u8; 32] = [2; 32];

pub(crate) fn root_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

pub(crate) fn host_key() -> SigningKey {
    SigningKey::from_seed(&HOST_SEED)
}

pub(crate) fn tag_key() -> TagKey {
    TagKey::from_bytes([3; 32])
}

pub(crate) fn roots() -> [Root; 2] {
    roots_of()
}

/// The same with any implementation of Ed25519.
pub(crate) fn roots_of<V: Verifier>() -> [Root<V>; 2] {
    let other = SigningKey::from_seed(&[4; 32]);
    [(1, root_key()), (2, other)]
        .map(|(id, key)| Root::with_verifier(id, &key.public_key()).unwrap())
}

pub(crate) fn claims(public_key: PublicKey, role: Role) -> Claims {
    Claims {
        public_key,
        serial: 11,
        not_before: EpochMinute(29_000_000),
        not_after: EpochMinute(31_000_000),
        root_id: 1,
        coverage: Coverage { family: 7, rank: 3, generation: 5 },
        role,
    }
}

pub(crate) fn request(method: Method) -> Frame {
    TagSchedule::new(&tag_key()).seal(&Request {
        virtual_machine: true,
        renewal: false,
        licence_status: LicenceStatus::InitialGrace,
        method,
        required_count: NonZeroU32::new(25).unwrap(),
        time_left: Minutes(43_200),
        application_id: ApplicationId([0x11; 16]),
        activation_id: ActivationId([0x22; 16]),
        counted_id: CountedId([0x33; 16]),
        cmid: Cmid::new([0x44; 16]).unwrap(),
        previous_cmid: Cmid::new([0x55; 16]),
        client_time: Some(NOW),
        nonce: Nonce([0x66; 16]),
        fingerprint: Fingerprint::new([0x7788; 8]),
        workstation_name: Name::new("réseau-été").unwrap(),
        key_id: KeyId(77),
    })
}

pub(crate) fn answer(request: &Frame, verdict: Verdict, certificate: Certificate) -> ResponseBody {
    ResponseBody {
        verdict,
        duplicate: false,
        activation_interval: Minutes(120),
        renewal_interval: Minutes(10_080),
        host_time: NOW,
        request_digest: request_digest(request),
        certificate,
    }
}

pub(crate) fn expected<'a, V>(
    request: &'a Frame,
    method: Method,
    roots: &'a [Root<V>],
) -> Expected<'a, V> {
    Expected { request, method, product: PRODUCT, roots, known_certificate: None }
}

/// A valid exchange: the request, the response that answers it, and the method.
pub(crate) fn exchanges() -> [(Method, Frame, Frame); 3] {
    let granted = |validity| Verdict::Granted { count: 25, validity };
    [
        (Method::Count, Role::Host, granted(Validity::For(Minutes(259_200)))),
        (Method::Count, Role::Host, Verdict::Refused(Refusal::ClockSkew)),
        (Method::Key, Role::Authority, granted(Validity::Perpetual)),
    ]
    .map(|(method, role, verdict)| {
        let request = request(method);
        let claims = claims(host_key().public_key(), role);
        let certificate = sign_certificate(&claims, &root_key()).unwrap();
        let body = answer(&request, verdict, certificate);
        (method, request, sign_response(&body, &host_key()).unwrap())
    })
}

pub(crate) fn enrolment() -> (Frame, Frame) {
    let request = EnrolmentRequest {
        platform_rank: 3,
        key_id: KeyId(900),
        public_key: host_key().public_key(),
        host_time: Some(NOW),
        nonce: Nonce([0x77; 16]),
        fingerprint: Fingerprint::new([9; 8]),
        host_name: Name::new("host.example.net").unwrap(),
    };
    let request = seal_enrolment_request(&request, &host_key(), &tag_key()).unwrap();
    let claims = claims(host_key().public_key(), Role::Host);
    let body = EnrolmentBody {
        outcome: Ok(sign_certificate(&claims, &root_key()).unwrap()),
        hosts_left: 5,
        activations_left: 9,
        authority_time: NOW,
        request_digest: request_digest(&request),
        root_id: 1,
    };
    (request, sign_enrolment_response(&body, &root_key()).unwrap())
}
