//! The activation response, kind 2 (PROTOCOL 5).

use super::certificate::{Certificate, CertificateView};
use super::error::{Fault, Malformed};
use super::status::Refusal;
use super::{Digest, FRAME_LEN, Frame, Kind, SIGNED_LEN, Signature, split_signature};
use crate::cursor::{part, place};
use crate::time::{Minutes, UnixTime};

/// What a host or the authority answers. That it was parsed says nothing of its signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Response {
    /// Everything the signature covers.
    pub body: ResponseBody,
    /// The certificate's key's signature over the body, not verified.
    pub signature: Signature,
}

/// The first 186 bytes of a response, which are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseBody {
    /// Granted or refused.
    pub verdict: Verdict,
    /// Another machine uses the same CMID (PROTOCOL 8).
    pub duplicate: bool,
    /// How long to wait before the next try while not activated.
    pub activation_interval: Minutes,
    /// How long to wait before renewing while activated.
    pub renewal_interval: Minutes,
    /// The answering side's clock.
    pub host_time: UnixTime,
    /// Digest of the whole request frame that is answered.
    pub request_digest: Digest,
    /// What the root key says of the key that signs the response.
    pub certificate: Certificate,
}

/// The outcome a response carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// Status 0. Whether it activates is the client's to decide, by its threshold.
    Granted {
        /// Machines counted in the pool now, this one included; with method 1, activations left
        /// on the key.
        count: u32,
        /// How long an activation lasts.
        validity: Validity,
    },
    /// Any other status; count and validity are zero on the wire.
    Refused(Refusal),
}

/// How long an activation lasts (PROTOCOL 5, offset 20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Validity {
    /// This many minutes. `0xFFFF_FFFF` is written as one less, because it means for ever.
    For(Minutes),
    /// For ever: `0xFFFF_FFFF`, which only the authority may grant.
    Perpetual,
}

impl Validity {
    const PERPETUAL: u32 = 0xFFFF_FFFF;

    const fn from_wire(value: u32) -> Self {
        match value {
            Self::PERPETUAL => Self::Perpetual,
            minutes => Self::For(Minutes(minutes)),
        }
    }

    const fn to_wire(self) -> u32 {
        match self {
            Self::Perpetual => Self::PERPETUAL,
            // A number that is too large must not turn into a promise for ever.
            Self::For(Minutes(Self::PERPETUAL)) => Self::PERPETUAL - 1,
            Self::For(Minutes(minutes)) => minutes,
        }
    }
}

const FLAG_DUPLICATE: u16 = 0x0001;

mod field {
    pub(super) const STATUS: usize = 4;
    pub(super) const FLAGS: usize = 6;
    pub(super) const COUNT: usize = 8;
    pub(super) const ACTIVATION_INTERVAL: usize = 12;
    pub(super) const RENEWAL_INTERVAL: usize = 16;
    pub(super) const VALIDITY: usize = 20;
    pub(super) const HOST_TIME: usize = 24;
    pub(super) const DIGEST: usize = 32;
    pub(super) const CERTIFICATE: usize = 64;
    pub(super) const RESERVED: usize = 184;
}

impl Response {
    /// Reads a frame. Its signatures are not checked: see
    /// [`verify_response`](crate::trust::verify_response) for that.
    pub fn parse(frame: &Frame) -> Result<Self, Malformed> {
        ResponseView::parse(frame).map(ResponseView::response)
    }

    /// Writes the frame.
    #[must_use]
    pub fn emit(&self) -> Frame {
        let mut frame = self.body.emit();
        place::<SIGNED_LEN, _, _>(&mut frame, self.signature.0);
        frame
    }
}

impl ResponseBody {
    /// Writes the frame, but for its signature.
    pub(crate) fn emit(&self) -> Frame {
        let (refusal, count, validity) = match self.verdict {
            Verdict::Granted { count, validity } => (None, count, validity.to_wire()),
            Verdict::Refused(refusal) => (Some(refusal), 0, 0),
        };
        let mut frame = [0; FRAME_LEN];
        let to = &mut frame;
        place::<0, _, _>(to, Kind::Response.header());
        place::<{ field::STATUS }, _, _>(to, Refusal::to_wire(refusal).to_be_bytes());
        let flags = if self.duplicate { FLAG_DUPLICATE } else { 0 };
        place::<{ field::FLAGS }, _, _>(to, flags.to_be_bytes());
        place::<{ field::COUNT }, _, _>(to, count.to_be_bytes());
        let [activation, renewal] = [self.activation_interval, self.renewal_interval];
        place::<{ field::ACTIVATION_INTERVAL }, _, _>(to, activation.0.to_be_bytes());
        place::<{ field::RENEWAL_INTERVAL }, _, _>(to, renewal.0.to_be_bytes());
        place::<{ field::VALIDITY }, _, _>(to, validity.to_be_bytes());
        place::<{ field::HOST_TIME }, _, _>(to, self.host_time.as_secs().to_be_bytes());
        place::<{ field::DIGEST }, _, _>(to, self.request_digest.0);
        place::<{ field::CERTIFICATE }, _, _>(to, self.certificate.emit());
        frame
    }
}

/// A well-formed response where it stands: a client reads what it needs without a copy of all.
#[derive(Clone, Copy)]
pub(crate) struct ResponseView<'a>(&'a Frame);

impl<'a> ResponseView<'a> {
    /// Checks all rules of PROTOCOL 5 but the signatures.
    #[inline(never)]
    pub(crate) fn parse(frame: &'a Frame) -> Result<Self, Malformed> {
        Kind::Response.check(*part::<0, _, _>(frame))?;
        let view = Self(frame);
        let refusal = Refusal::from_wire(view.status())
            .map_err(|fault| Malformed::at(field::STATUS, fault))?;
        let flags = view.flags();
        if flags & !FLAG_DUPLICATE != 0 {
            return Err(Malformed::at(field::FLAGS, Fault::Flags(flags)));
        }
        if refusal.is_some() && view.count() != 0 {
            return Err(Malformed::at(field::COUNT, Fault::RefusalGrants));
        }
        if refusal.is_some() && view.validity() != Validity::For(Minutes(0)) {
            return Err(Malformed::at(field::VALIDITY, Fault::RefusalGrants));
        }
        CertificateView::parse(part::<{ field::CERTIFICATE }, _, _>(frame))
            .map_err(|malformed| malformed.within(field::CERTIFICATE))?;
        match part::<{ field::RESERVED }, _, _>(frame) {
            [0, 0] => Ok(view),
            [0, _] => Err(Malformed::at(field::RESERVED + 1, Fault::Reserved)),
            _ => Err(Malformed::at(field::RESERVED, Fault::Reserved)),
        }
    }

    /// A response that was parsed before.
    pub(crate) const fn parsed_before(frame: &'a Frame) -> Self {
        Self(frame)
    }

    pub(crate) const fn frame(self) -> &'a Frame {
        self.0
    }

    pub(crate) fn verdict(self) -> Verdict {
        match Refusal::from_wire(self.status()) {
            Ok(Some(refusal)) => Verdict::Refused(refusal),
            _ => Verdict::Granted { count: self.count(), validity: self.validity() },
        }
    }

    /// 0 in a refusal.
    pub(crate) fn count(self) -> u32 {
        u32::from_be_bytes(*part::<{ field::COUNT }, _, _>(self.0))
    }

    /// Nothing in a refusal.
    pub(crate) fn validity(self) -> Validity {
        Validity::from_wire(u32::from_be_bytes(*part::<{ field::VALIDITY }, _, _>(self.0)))
    }

    pub(crate) fn duplicate(self) -> bool {
        self.flags() & FLAG_DUPLICATE != 0
    }

    pub(crate) fn activation_interval(self) -> Minutes {
        Minutes(u32::from_be_bytes(*part::<{ field::ACTIVATION_INTERVAL }, _, _>(self.0)))
    }

    pub(crate) fn renewal_interval(self) -> Minutes {
        Minutes(u32::from_be_bytes(*part::<{ field::RENEWAL_INTERVAL }, _, _>(self.0)))
    }

    pub(crate) fn host_time(self) -> UnixTime {
        UnixTime::from_secs(u64::from_be_bytes(*part::<{ field::HOST_TIME }, _, _>(self.0)))
    }

    pub(crate) fn request_digest(self) -> Digest {
        Digest(*part::<{ field::DIGEST }, _, _>(self.0))
    }

    pub(crate) fn certificate(self) -> CertificateView<'a> {
        CertificateView::at(part::<{ field::CERTIFICATE }, _, _>(self.0))
    }

    pub(crate) fn response(self) -> Response {
        let body = ResponseBody {
            verdict: self.verdict(),
            duplicate: self.duplicate(),
            activation_interval: self.activation_interval(),
            renewal_interval: self.renewal_interval(),
            host_time: self.host_time(),
            request_digest: self.request_digest(),
            certificate: self.certificate().certificate(),
        };
        Response { body, signature: Signature(*split_signature(self.0).1) }
    }
    fn status(self) -> u16 {
        u16::from_be_bytes(*part::<{ field::STATUS }, _, _>(self.0))
    }

    fn flags(self) -> u16 {
        u16::from_be_bytes(*part::<{ field::FLAGS }, _, _>(self.0))
    }
}
