//! Values made of fuzz bytes: all that can be written and comes back equal.

use std::num::NonZeroU32;

use arbitrary::{Result, Unstructured};
use headcount::fingerprint::Fingerprint;
use headcount::time::{EpochMinute, Minutes, UnixTime};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, CountedId, Coverage, Digest,
    EnrolmentBody, EnrolmentRequest, Frame, KeyId, LicenceStatus, Method, Name, Nonce, PublicKey,
    Refusal, Request, ResponseBody, Role, Signature, Validity, Verdict,
};

/// A request.
pub fn request<'a>(u: &mut Unstructured<'a>) -> Result<Request<'a>> {
    Ok(Request {
        virtual_machine: u.arbitrary()?,
        renewal: u.arbitrary()?,
        licence_status: *u.choose(&LicenceStatus::ALL)?,
        method: method(u)?,
        required_count: u.arbitrary::<NonZeroU32>()?,
        time_left: Minutes(u.arbitrary()?),
        application_id: ApplicationId(u.arbitrary()?),
        activation_id: ActivationId(u.arbitrary()?),
        counted_id: CountedId(u.arbitrary()?),
        cmid: Cmid::new(u.arbitrary()?).unwrap_or(Cmid::from_random([0; 16])),
        previous_cmid: Cmid::new(u.arbitrary()?),
        client_time: clock(u)?,
        nonce: Nonce(u.arbitrary()?),
        fingerprint: Fingerprint::new(u.arbitrary()?),
        key_id: KeyId(u.arbitrary()?),
        workstation_name: name(u)?,
    })
}

/// A response's signed part.
pub fn response_body(u: &mut Unstructured<'_>) -> Result<ResponseBody> {
    Ok(ResponseBody {
        verdict: if u.arbitrary()? {
            Verdict::Refused(*u.choose(&Refusal::ALL)?)
        } else {
            Verdict::Granted { count: u.arbitrary()?, validity: validity(u)? }
        },
        duplicate: u.arbitrary()?,
        activation_interval: Minutes(u.arbitrary()?),
        renewal_interval: Minutes(u.arbitrary()?),
        host_time: UnixTime::from_secs(u.arbitrary()?),
        request_digest: Digest(u.arbitrary()?),
        certificate: certificate(u)?,
    })
}

/// A host's request for enrolment.
pub fn enrolment_request<'a>(u: &mut Unstructured<'a>) -> Result<EnrolmentRequest<'a>> {
    Ok(EnrolmentRequest {
        platform_rank: u.arbitrary()?,
        key_id: KeyId(u.arbitrary()?),
        public_key: PublicKey(u.arbitrary()?),
        host_time: clock(u)?,
        nonce: Nonce(u.arbitrary()?),
        fingerprint: Fingerprint::new(u.arbitrary()?),
        host_name: name(u)?,
    })
}

/// The signed part of the answer to one.
pub fn enrolment_body(u: &mut Unstructured<'_>) -> Result<EnrolmentBody> {
    Ok(EnrolmentBody {
        outcome: if u.arbitrary()? {
            Err(*u.choose(&Refusal::ALL)?)
        } else {
            // A certificate of nothing but zeros stands for none.
            let mut certificate = certificate(u)?;
            certificate.signature.0[0] |= 1;
            Ok(certificate)
        },
        hosts_left: u.arbitrary()?,
        activations_left: u.arbitrary()?,
        authority_time: UnixTime::from_secs(u.arbitrary()?),
        request_digest: Digest(u.arbitrary()?),
        root_id: u.arbitrary()?,
    })
}

/// A certificate that nobody signed.
pub fn certificate(u: &mut Unstructured<'_>) -> Result<Certificate> {
    let public_key = PublicKey(u.arbitrary()?);
    Ok(Certificate { claims: claims(u, public_key)?, signature: Signature(u.arbitrary()?) })
}

/// What a certificate says of a key.
pub fn claims(u: &mut Unstructured<'_>, public_key: PublicKey) -> Result<Claims> {
    Ok(Claims {
        public_key,
        serial: u.arbitrary()?,
        not_before: EpochMinute(u.arbitrary()?),
        not_after: EpochMinute(u.arbitrary()?),
        root_id: u.arbitrary()?,
        coverage: coverage(u)?,
        role: *u.choose(&[Role::Host, Role::Authority])?,
    })
}

/// A place in the catalogue.
pub fn coverage(u: &mut Unstructured<'_>) -> Result<Coverage> {
    Ok(Coverage {
        family: u.int_in_range(6..=8)?,
        rank: u.arbitrary()?,
        generation: u.arbitrary()?,
    })
}

/// A name, cut to fit.
pub fn name<'a>(u: &mut Unstructured<'a>) -> Result<Name<'a>> {
    u.arbitrary().map(Name::truncated)
}

/// The frame with at least one bit of one byte flipped.
pub fn flip(u: &mut Unstructured<'_>, frame: &Frame) -> Result<Frame> {
    let mut flipped = *frame;
    let at = u.choose_index(frame.len())?;
    flipped[at] ^= u.int_in_range(1..=255)?;
    Ok(flipped)
}

fn method(u: &mut Unstructured<'_>) -> Result<Method> {
    u.choose(&[Method::Count, Method::Key]).copied()
}

/// `u32::MAX` minutes have no wire form of their own.
fn validity(u: &mut Unstructured<'_>) -> Result<Validity> {
    let minutes: u32 = u.arbitrary()?;
    Ok(if minutes == u32::MAX { Validity::Perpetual } else { Validity::For(Minutes(minutes)) })
}

/// A clock that shows 0 is none.
fn clock(u: &mut Unstructured<'_>) -> Result<Option<UnixTime>> {
    let secs: u64 = u.arbitrary()?;
    Ok((secs != 0).then_some(UnixTime::from_secs(secs)))
}
