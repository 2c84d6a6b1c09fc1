//! Enrolment, kinds 3 and 4: how a host is activated by the vendor (PROTOCOL 6).

use nom::Parser;

use super::certificate::{CERTIFICATE_LEN, Certificate};
use super::error::{Fault, Malformed};
use super::id::{KeyId, Nonce, PublicKey};
use super::name::Name;
use super::parse::{self, Parsed, checked};
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
        parse::frame(frame, Kind::EnrolmentRequest, |input| {
            let (input, request) = Self::body(input)?;
            let (input, _signature) = parse::borrowed::<SIGNATURE_LEN>(input)?;
            let (input, _tag) = parse::borrowed::<TAG_LEN>(input)?;
            Ok((input, request))
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

    fn body(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, ()) = parse::reserved::<2>(input)?;
        let (input, platform_rank) = parse::u8(input)?;
        let (input, ()) = parse::reserved::<1>(input)?;
        let (input, key_id) = parse::u32(input)?;
        let (input, ()) = parse::reserved::<4>(input)?;
        let (input, public_key) = parse::array(input)?;
        let (input, host_time) = parse::u64(input)?;
        let (input, nonce) = parse::array(input)?;
        let (input, fingerprint) = parse::array(input)?;
        let (input, host_name) = Name::parse(input)?;
        let (input, ()) = parse::reserved::<2>(input)?;
        let request = Self {
            platform_rank,
            key_id: KeyId(key_id),
            public_key: PublicKey(public_key),
            host_time: (host_time != 0).then_some(UnixTime::from_secs(host_time)),
            nonce: Nonce(nonce),
            fingerprint: Fingerprint::from_bytes(fingerprint),
            host_name,
        };
        Ok((input, request))
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
        parse::frame(frame, Kind::EnrolmentResponse, |input| {
            let (input, body) = EnrolmentBody::parser(input)?;
            let (input, signature) = parse::array(input)?;
            Ok((input, Self { body, signature: Signature(signature) }))
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

    fn parser(input: &[u8]) -> Parsed<'_, Self> {
        let (input, refusal) = checked(parse::u16, Refusal::from_wire).parse(input)?;
        let (input, ()) = parse::reserved::<2>(input)?;
        let (input, hosts_left) = parse::u32(input)?;
        let (input, activations_left) = parse::u32(input)?;
        let (input, authority_time) = parse::u64(input)?;
        let (input, request_digest) = parse::array(input)?;
        let (input, outcome) = outcome(input, refusal)?;
        let (input, root_id) = parse::u16(input)?;
        let (input, ()) = parse::reserved::<8>(input)?;
        let body = Self {
            outcome,
            hosts_left,
            activations_left,
            authority_time: UnixTime::from_secs(authority_time),
            request_digest: Digest(request_digest),
            root_id,
        };
        Ok((input, body))
    }
}

/// The certificate's place: all zero when refused, and only then.
fn outcome(input: &[u8], refusal: Option<Refusal>) -> Parsed<'_, Result<Certificate, Refusal>> {
    let (rest, bytes) = parse::borrowed::<CERTIFICATE_LEN>(input)?;
    match refusal {
        Some(refusal) => {
            parse::zero_tail(input, bytes, Fault::CertificatePresence)?;
            Ok((rest, Err(refusal)))
        }
        None if *bytes == [0; CERTIFICATE_LEN] => {
            Err(parse::fault_at(input, 0, Fault::CertificatePresence))
        }
        None => Certificate::parser(input).map(|(rest, certificate)| (rest, Ok(certificate))),
    }
}
