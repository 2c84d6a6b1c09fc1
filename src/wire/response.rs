//! The activation response, kind 2 (PROTOCOL 5).

use super::certificate::{CERTIFICATE_LEN, Certificate};
use super::error::{Fault, Malformed};
use super::parse::{self, Fields};
use super::status::Refusal;
use super::{Digest, Frame, Kind, SIGNED_LEN, Signature};
use crate::cursor::Writer;
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

impl Response {
    /// Reads a frame. Its signatures are not checked: see
    /// [`verify_response`](crate::trust::verify_response) for that.
    pub fn parse(frame: &Frame) -> Result<Self, Malformed> {
        parse::frame(frame, Kind::Response, |fields| {
            let body = ResponseBody::read(fields);
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

impl ResponseBody {
    /// Writes the 186 bytes that are signed.
    pub(crate) fn emit(&self) -> [u8; SIGNED_LEN] {
        let (refusal, count, validity) = match self.verdict {
            Verdict::Granted { count, validity } => (None, count, validity.to_wire()),
            Verdict::Refused(refusal) => (Some(refusal), 0, 0),
        };
        let mut bytes = [0; SIGNED_LEN];
        let mut writer = Writer::new(&mut bytes);
        writer
            .put(&Kind::Response.header())
            .u16(Refusal::to_wire(refusal))
            .u16(if self.duplicate { FLAG_DUPLICATE } else { 0 })
            .u32(count)
            .u32(self.activation_interval.0)
            .u32(self.renewal_interval.0)
            .u32(validity)
            .u64(self.host_time.as_secs())
            .put(&self.request_digest.0)
            .put::<CERTIFICATE_LEN>(&self.certificate.emit())
            .reserved::<2>()
            .finish();
        bytes
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let refusal = fields.checked(Fields::u16, Refusal::from_wire);
        let flags = fields.checked(Fields::u16, |flags| {
            if flags & !FLAG_DUPLICATE == 0 { Ok(flags) } else { Err(Fault::Flags(flags)) }
        });
        let zero_if_refused = |value: u32| {
            let refused = matches!(refusal, Some(Some(_)));
            if refused && value != 0 { Err(Fault::RefusalGrants) } else { Ok(value) }
        };
        let count = fields.checked(Fields::u32, zero_if_refused);
        let activation_interval = Minutes(fields.u32());
        let renewal_interval = Minutes(fields.u32());
        let validity = fields.checked(Fields::u32, zero_if_refused);
        let host_time = UnixTime::from_secs(fields.u64());
        let request_digest = Digest(fields.array());
        let certificate = Certificate::read(fields);
        fields.reserved(2);
        Some(Self {
            verdict: match refusal? {
                None => {
                    Verdict::Granted { count: count?, validity: Validity::from_wire(validity?) }
                }
                Some(refusal) => Verdict::Refused(refusal),
            },
            duplicate: flags? & FLAG_DUPLICATE != 0,
            activation_interval,
            renewal_interval,
            host_time,
            request_digest,
            certificate: certificate?,
        })
    }
}
