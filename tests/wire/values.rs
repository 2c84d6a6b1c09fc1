//! Arbitrary values of every kind of frame, and one plain value of each.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use headcount::fingerprint::Fingerprint;
use headcount::time::{EpochMinute, Minutes, UnixTime};
use headcount::trust::{
    Signer, SigningKey, TagKey, TagSchedule, seal_enrolment_request, sign_certificate,
    sign_enrolment_response, sign_response,
};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, CountedId, Coverage, Digest,
    EnrolmentBody, EnrolmentRequest, Frame, KeyId, LicenceStatus, Method, NAME_LEN, Name, Nonce,
    PublicKey, Refusal, Request, ResponseBody, Role, Signature, Validity, Verdict,
};
use proptest::array::{uniform16, uniform32};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn schedule() -> TagSchedule {
    TagSchedule::new(&TagKey::from_bytes([0x5a; 32]))
}

/// The key of everybody in these tests.
pub(crate) fn key() -> &'static SigningKey {
    &KEY
}

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[0x11; 32]));

/// Any text, long ones too: `Name::truncated` makes a name of it.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,80}", "[a-zé日😀]{0,70}", Just("x".repeat(NAME_LEN))]
}

pub(crate) fn cmid() -> impl Strategy<Value = Cmid> {
    any::<[u8; 16]>().prop_filter_map("all zero", Cmid::new)
}

/// A clock that shows 0 is none (PROTOCOL 3, offset 96).
pub(crate) fn clock() -> impl Strategy<Value = Option<UnixTime>> {
    option::of((1..=u64::MAX).prop_map(UnixTime::from_secs))
}

pub(crate) fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    any::<[u16; 8]>().prop_map(Fingerprint::new)
}

prop_compose! {
    pub(crate) fn ids()(ids in any::<[[u8; 16]; 3]>()) -> (ApplicationId, ActivationId, CountedId) {
        let [application, activation, counted] = ids;
        (ApplicationId(application), ActivationId(activation), CountedId(counted))
    }
}

prop_compose! {
    /// A request without a name, which is borrowed and so comes in later.
    pub(crate) fn request()(
        (virtual_machine, renewal) in any::<(bool, bool)>(),
        licence_status in prop::sample::select(&LicenceStatus::ALL[..]),
        method in prop::sample::select(&[Method::Count, Method::Key][..]),
        required_count in 1..=u32::MAX,
        (time_left, key_id) in any::<(u32, u32)>(),
        (application_id, activation_id, counted_id) in ids(),
        cmid in cmid(),
        previous_cmid in option::of(cmid()),
        client_time in clock(),
        nonce in uniform16(any::<u8>()),
        fingerprint in fingerprint(),
    ) -> Request<'static> {
        Request {
            virtual_machine,
            renewal,
            licence_status,
            method,
            required_count: NonZeroU32::new(required_count).unwrap(),
            time_left: Minutes(time_left),
            application_id,
            activation_id,
            counted_id,
            cmid,
            previous_cmid,
            client_time,
            nonce: Nonce(nonce),
            fingerprint,
            workstation_name: Name::EMPTY,
            key_id: KeyId(key_id),
        }
    }
}

prop_compose! {
    pub(crate) fn certificate()(
        public_key in uniform32(any::<u8>()),
        serial in any::<u64>(),
        (not_before, not_after) in any::<(u32, u32)>(),
        (root_id, family, rank, generation) in any::<(u16, u16, u8, u8)>(),
        role in prop::sample::select(&[Role::Host, Role::Authority][..]),
        signature in vec(1..=u8::MAX, 64),
    ) -> Certificate {
        Certificate {
            claims: Claims {
                public_key: PublicKey(public_key),
                serial,
                not_before: EpochMinute(not_before),
                not_after: EpochMinute(not_after),
                root_id,
                coverage: Coverage { family, rank, generation },
                role,
            },
            signature: Signature(signature.try_into().unwrap()),
        }
    }
}

pub(crate) fn refusal() -> impl Strategy<Value = Refusal> {
    prop::sample::select(&Refusal::ALL[..])
}

pub(crate) fn verdict() -> impl Strategy<Value = Verdict> {
    let validity = prop_oneof![
        4 => (0..u32::MAX).prop_map(|minutes| Validity::For(Minutes(minutes))),
        1 => Just(Validity::Perpetual),
    ];
    prop_oneof![
        (any::<u32>(), validity).prop_map(|(count, validity)| Verdict::Granted { count, validity }),
        refusal().prop_map(Verdict::Refused),
    ]
}

prop_compose! {
    pub(crate) fn response()(
        verdict in verdict(),
        duplicate in any::<bool>(),
        (activation_interval, renewal_interval) in any::<(u32, u32)>(),
        host_time in any::<u64>(),
        digest in uniform32(any::<u8>()),
        certificate in certificate(),
    ) -> ResponseBody {
        ResponseBody {
            verdict,
            duplicate,
            activation_interval: Minutes(activation_interval),
            renewal_interval: Minutes(renewal_interval),
            host_time: UnixTime::from_secs(host_time),
            request_digest: Digest(digest),
            certificate,
        }
    }
}

prop_compose! {
    pub(crate) fn enrolment_request()(
        platform_rank in any::<u8>(),
        key_id in any::<u32>(),
        public_key in uniform32(any::<u8>()),
        host_time in clock(),
        nonce in uniform16(any::<u8>()),
        fingerprint in fingerprint(),
    ) -> EnrolmentRequest<'static> {
        EnrolmentRequest {
            platform_rank,
            key_id: KeyId(key_id),
            public_key: PublicKey(public_key),
            host_time,
            nonce: Nonce(nonce),
            fingerprint,
            host_name: Name::EMPTY,
        }
    }
}

prop_compose! {
    pub(crate) fn enrolment_response()(
        outcome in prop_oneof![certificate().prop_map(Ok), refusal().prop_map(Err)],
        (hosts_left, activations_left) in any::<(u32, u32)>(),
        authority_time in any::<u64>(),
        digest in uniform32(any::<u8>()),
        root_id in any::<u16>(),
    ) -> EnrolmentBody {
        EnrolmentBody {
            outcome,
            hosts_left,
            activations_left,
            authority_time: UnixTime::from_secs(authority_time),
            request_digest: Digest(digest),
            root_id,
        }
    }
}

/// A frame of each kind.
pub(crate) fn frames() -> impl Strategy<Value = [Frame; 4]> {
    let values = (request(), response(), enrolment_request(), enrolment_response(), text());
    values.prop_map(|(request, response, enrolment, granted, name)| {
        let name = Name::truncated(&name);
        let enrolment = EnrolmentRequest { host_name: name, ..enrolment };
        [
            schedule().seal(&Request { workstation_name: name, ..request }),
            sign_response(&response, key()).unwrap(),
            seal_enrolment_request(&enrolment, key(), &TagKey::from_bytes([1; 32])).unwrap(),
            sign_enrolment_response(&granted, key()).unwrap(),
        ]
    })
}

pub(crate) fn plain_request() -> Request<'static> {
    Request {
        virtual_machine: false,
        renewal: true,
        licence_status: LicenceStatus::Licensed,
        method: Method::Count,
        required_count: NonZeroU32::new(25).unwrap(),
        time_left: Minutes(0),
        application_id: ApplicationId([1; 16]),
        activation_id: ActivationId([2; 16]),
        counted_id: CountedId([3; 16]),
        cmid: Cmid::new([0xc4; 16]).unwrap(),
        previous_cmid: None,
        client_time: None,
        nonce: Nonce([5; 16]),
        fingerprint: Fingerprint::new([0xf1f2; 8]),
        workstation_name: Name::new("router-7").unwrap(),
        key_id: KeyId(77),
    }
}

pub(crate) fn plain_certificate() -> Certificate {
    let claims = Claims {
        public_key: key().public_key(),
        serial: 9,
        not_before: EpochMinute(1),
        not_after: EpochMinute(u32::MAX),
        root_id: 1,
        coverage: Coverage { family: 7, rank: 1, generation: 3 },
        role: Role::Host,
    };
    sign_certificate(&claims, key()).unwrap()
}

pub(crate) fn plain_response() -> ResponseBody {
    ResponseBody {
        verdict: Verdict::Granted { count: 25, validity: Validity::For(Minutes(259_200)) },
        duplicate: false,
        activation_interval: Minutes(120),
        renewal_interval: Minutes(10_080),
        host_time: UnixTime::from_secs(1_800_000_000),
        request_digest: Digest([6; 32]),
        certificate: plain_certificate(),
    }
}

/// A plain frame of each kind.
pub(crate) fn plain_frames() -> [Frame; 4] {
    static FRAMES: LazyLock<[Frame; 4]> = LazyLock::new(make_plain_frames);
    *FRAMES
}

fn make_plain_frames() -> [Frame; 4] {
    let request = EnrolmentRequest {
        platform_rank: 3,
        key_id: KeyId(900),
        public_key: key().public_key(),
        host_time: None,
        nonce: Nonce([7; 16]),
        fingerprint: Fingerprint::EMPTY,
        host_name: Name::new("ルータ").unwrap(),
    };
    let grant = EnrolmentBody {
        outcome: Ok(plain_certificate()),
        hosts_left: 5,
        activations_left: 9,
        authority_time: UnixTime::from_secs(1_800_000_000),
        request_digest: Digest([8; 32]),
        root_id: 1,
    };
    [
        schedule().seal(&plain_request()),
        sign_response(&plain_response(), key()).unwrap(),
        seal_enrolment_request(&request, key(), &TagKey::from_bytes([1; 32])).unwrap(),
        sign_enrolment_response(&grant, key()).unwrap(),
    ]
}
