//! Enrolment, kinds 3 and 4: how a host is activated by the vendor (PROTOCOL 6).

use super::certificate::{CERTIFICATE_LEN, Certificate};
use super::error::{Fault, Malformed};
use super::id::{KeyId, Nonce, PublicKey};
use super::name::Name;
use super::parse::{self, Fields};
use super::status::Refusal;
use super::{Digest, Frame, Kind, SIGNATURE_LEN, SIGNED_LEN, Signature, TAG_LEN, TAGGED_LEN};
use crate::cursor::Writer;
use crate::fingerprint::Fingerprint;
use crate::time::UnixTime;

/// Bytes of an enrolment request that the host's key signs.
pub(crate) const POSSESSION_LEN: usize = TAGGED_LEN - SIGNATURE_LEN;

/// A host asks the vendor for a certificate. Neither signature nor tag are part of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EnrolmentRequest<'a> {
    /// The highest product group that the host's platform may serve.
    pub platform_rank: u8,
    /// The host key (a product key of kind 1).
    pub key_id: KeyId,
    /// The host's public key: same key, same host.
    pub public_key: PublicKey,
    /// The host's clock; `None` without one.
    pub host_time: Option<UnixTime>,
    /// Fresh for every new request.
    pub nonce: Nonce,
    /// The host's hardware.
    pub fingerprint: Fingerprint,
    /// The host's name, for people.
    pub host_name: Name<'a>,
}

impl<'a> EnrolmentRequest<'a> {
    /// Reads a frame. Signature and tag are not checked: see
    /// [`verify_enrolment_request`](crate::trust::verify_enrolment_request) for that.
    pub fn parse(frame: &'a Frame) -> Result<Self, Malformed> {
        parse::frame(frame, Kind::EnrolmentRequest, |fields| {
            let request = Self::read(fields);
            let _signature = fields.take(SIGNATURE_LEN);
            let _tag = fields.take(TAG_LEN);
            request
        })
    }

    /// Writes the first 154 bytes, which the host's key signs.
    pub(crate) fn emit(&self) -> [u8; POSSESSION_LEN] {
        let mut bytes = [0; POSSESSION_LEN];
        let mut writer = Writer::new(&mut bytes);
        writer
            .put(&Kind::EnrolmentRequest.header())
            .reserved::<2>()
            .u8(self.platform_rank)
            .reserved::<1>()
            .u32(self.key_id.0)
            .reserved::<4>()
            .put(&self.public_key.0)
            .u64(self.host_time.map_or(0, UnixTime::as_secs))
            .put(&self.nonce.0)
            .put(&self.fingerprint.to_bytes())
            .put(&self.host_name.to_bytes())
            .reserved::<2>()
            .finish();
        bytes
    }

    fn read(fields: &mut Fields<'a>) -> Option<Self> {
        fields.reserved(2);
        let platform_rank = fields.u8();
        fields.reserved(1);
        let key_id = KeyId(fields.u32());
        fields.reserved(4);
        let public_key = PublicKey(fields.array());
        let host_time = fields.u64();
        let nonce = Nonce(fields.array());
        let fingerprint = Fingerprint::from_bytes(fields.array());
        let host_name = Name::read(fields);
        fields.reserved(2);
        Some(Self {
            platform_rank,
            key_id,
            public_key,
            host_time: (host_time != 0).then_some(UnixTime::from_secs(host_time)),
            nonce,
            fingerprint,
            host_name: host_name?,
        })
    }
}

/// The vendor's answer to an enrolment request. Its signature is not verified by parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EnrolmentResponse {
    /// Everything the signature covers.
    pub body: EnrolmentBody,
    /// The root key's signature over the body, not verified.
    pub signature: Signature,
}

/// The first 186 bytes of an enrolment response, which are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EnrolmentBody {
    /// The host's certificate, or why there is none.
    pub outcome: Result<Certificate, Refusal>,
    /// Hosts that the key can still enrol.
    pub hosts_left: u32,
    /// Activations that this host has left on the key.
    pub activations_left: u32,
    /// The authority's clock.
    pub authority_time: UnixTime,
    /// Digest of the whole request frame that is answered.
    pub request_digest: Digest,
    /// Which of the vendor's root keys signs this frame.
    pub root_id: u16,
}

impl EnrolmentResponse {
    /// Reads a frame. Signatures are not checked: see
    /// [`verify_enrolment_response`](crate::trust::verify_enrolment_response) for that.
    pub fn parse(frame: &Frame) -> Result<Self, Malformed> {
        parse::frame(frame, Kind::EnrolmentResponse, |fields| {
            let body = EnrolmentBody::read(fields);
            let signature = Signature(fields.array());
            Some(Self { body: body?, signature })
        })
    }

    /// Writes the frame.
    #[must_use]
    pub fn emit(&self) -> Frame {
        super::signed_frame(&self.body.emit(), &self.signature)
    }
}

impl EnrolmentBody {
    /// Writes the 186 bytes that are signed.
    pub(crate) fn emit(&self) -> [u8; SIGNED_LEN] {
        let certificate = match &self.outcome {
            Ok(certificate) => certificate.emit(),
            Err(_) => [0; CERTIFICATE_LEN],
        };
        let mut bytes = [0; SIGNED_LEN];
        let mut writer = Writer::new(&mut bytes);
        writer
            .put(&Kind::EnrolmentResponse.header())
            .u16(Refusal::to_wire(self.outcome.err()))
            .reserved::<2>()
            .u32(self.hosts_left)
            .u32(self.activations_left)
            .u64(self.authority_time.as_secs())
            .put(&self.request_digest.0)
            .put(&certificate)
            .u16(self.root_id)
            .reserved::<8>()
            .finish();
        bytes
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let refusal = fields.checked(Fields::u16, Refusal::from_wire);
        fields.reserved(2);
        let hosts_left = fields.u32();
        let activations_left = fields.u32();
        let authority_time = UnixTime::from_secs(fields.u64());
        let request_digest = Digest(fields.array());
        let outcome = outcome(fields, refusal?);
        let root_id = fields.u16();
        fields.reserved(8);
        let outcome = outcome?;
        Some(Self {
            outcome,
            hosts_left,
            activations_left,
            authority_time,
            request_digest,
            root_id,
        })
    }
}

/// The certificate's place: all zero when refused, and only then.
fn outcome(
    fields: &mut Fields<'_>,
    refusal: Option<Refusal>,
) -> Option<Result<Certificate, Refusal>> {
    if let Some(refusal) = refusal {
        fields.zeros(CERTIFICATE_LEN, Fault::CertificatePresence);
        return Some(Err(refusal));
    }
    if fields.rest().first_chunk() == Some(&[0; CERTIFICATE_LEN]) {
        fields.fail(fields.rest(), Fault::CertificatePresence);
        return None;
    }
    fields.chunk(Certificate::parse).map(Ok)
}
