//! Frames to values and back (PROTOCOL 1 to 7): no state, no clock, no crypto.
//!
//! What this layer promises:
//!
//! - Any bytes may be parsed: the answer is a value or a [`Malformed`] that names the byte.
//! - A value cannot hold what the protocol forbids, so writing one cannot fail.
//! - A frame that is accepted re-encodes to the same 250 bytes.
//! - Requests, responses and certificates have a view beside the value: it has passed the same rules,
//!   and takes single fields from the frame, so that a small device needs no copy of the whole.
//! - Nothing here says that a frame is *true*. Signatures and tags are
//!   [`trust`](crate::trust)'s business, and what it has verified has a type of its own.

mod certificate;
mod enrolment;
mod error;
mod host_id;
mod id;
mod name;
mod parse;
mod product_key;
mod request;
mod response;
mod status;

pub use certificate::{CERTIFICATE_LEN, Certificate, Claims, Coverage, Role};
pub use enrolment::{EnrolmentBody, EnrolmentRequest, EnrolmentResponse};
pub use error::{Fault, Malformed};
pub use host_id::{HostId, InvalidHostId};
pub use id::{
    ActivationId, ApplicationId, Cmid, CountedId, InvalidId, KeyId, MachineDigest, Nonce, PublicKey,
};
pub use name::{InvalidName, NAME_LEN, Name};
pub use product_key::{InvalidKeyText, KeyKind, KeyText, UncheckedKey};
pub use request::Request;
pub use response::{Response, ResponseBody, Validity, Verdict};
pub use status::{LicenceStatus, Method, Refusal};

pub(crate) use certificate::CertificateView;
pub(crate) use enrolment::POSSESSION_LEN;
pub(crate) use request::RequestView;
pub(crate) use response::ResponseView;

use crate::cursor::{Writer, part};

/// Bytes of every frame, each way.
pub const FRAME_LEN: usize = 250;

/// Bytes of an HMAC-SHA-256 tag, the end of a request.
pub const TAG_LEN: usize = 32;

/// Bytes of an Ed25519 signature, the end of a response.
pub const SIGNATURE_LEN: usize = 64;

/// Bytes of a request that its tag covers.
pub(crate) const TAGGED_LEN: usize = FRAME_LEN - TAG_LEN;

/// Bytes of a response that its signature covers.
pub(crate) const SIGNED_LEN: usize = FRAME_LEN - SIGNATURE_LEN;

const MAGIC: [u8; 2] = *b"HC";
const VERSION: u8 = 1;

/// A frame's bytes: the length is in the type.
pub type Frame = [u8; FRAME_LEN];

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Digest(pub [u8; 32]);

/// An Ed25519 signature, not verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; SIGNATURE_LEN]);

impl core::fmt::Debug for Signature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Signature(..)")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Signature {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Signature(..)");
    }
}

/// What a frame is (PROTOCOL 2, offset 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Kind {
    /// [`Request`].
    Request = 1,
    /// [`Response`].
    Response = 2,
    /// [`EnrolmentRequest`].
    EnrolmentRequest = 3,
    /// [`EnrolmentResponse`].
    EnrolmentResponse = 4,
}

impl Kind {
    /// The kind that a frame's header names, when magic, version and kind are known ones.
    pub fn of(frame: &Frame) -> Result<Self, Malformed> {
        let header: [u8; 4] = *part::<0, _, _>(frame);
        let kind = match header {
            [.., 2] => Self::Response,
            [.., 3] => Self::EnrolmentRequest,
            [.., 4] => Self::EnrolmentResponse,
            _ => Self::Request,
        };
        kind.check(header).map(|()| kind)
    }

    /// Whether a header is the one of this kind (PROTOCOL 2).
    fn check(self, header: [u8; 4]) -> Result<(), Malformed> {
        let [m0, m1, version, kind] = header;
        if [m0, m1] != MAGIC {
            return Err(Malformed::at(0, Fault::Magic));
        }
        if version != VERSION {
            return Err(Malformed::at(2, Fault::Version(version)));
        }
        if kind != self as u8 {
            return Err(Malformed::at(3, Fault::Kind(kind)));
        }
        Ok(())
    }

    const fn header(self) -> [u8; 4] {
        let [m0, m1] = MAGIC;
        [m0, m1, VERSION, self as u8]
    }
}

/// The outermost door: bytes of any length, which must be those of one frame.
pub fn frame_from_slice(bytes: &[u8]) -> Result<&Frame, Malformed> {
    bytes.try_into().map_err(|_| Malformed {
        offset: bytes.len().min(FRAME_LEN) as u16,
        fault: Fault::Length(bytes.len()),
    })
}

/// A signed part and its signature, put together.
pub(crate) fn signed_frame(signed: &[u8; SIGNED_LEN], signature: &Signature) -> Frame {
    let mut frame = [0; FRAME_LEN];
    Writer::new(&mut frame).put(signed).put(&signature.0).finish();
    frame
}

/// A tagged part and its tag, put together.
pub(crate) fn tagged_frame(tagged: &[u8; TAGGED_LEN], tag: &[u8; TAG_LEN]) -> Frame {
    let mut frame = [0; FRAME_LEN];
    Writer::new(&mut frame).put(tagged).put(tag).finish();
    frame
}

/// A signed part and its signature of an enrolment request, put together for the tag.
pub(crate) fn tagged_part(
    signed: &[u8; POSSESSION_LEN],
    signature: &Signature,
) -> [u8; TAGGED_LEN] {
    let mut tagged = [0; TAGGED_LEN];
    Writer::new(&mut tagged).put(signed).put(&signature.0).finish();
    tagged
}

/// A frame's tagged part and its tag.
pub(crate) fn split_tag(frame: &Frame) -> (&[u8; TAGGED_LEN], &[u8; TAG_LEN]) {
    split(frame)
}

/// A frame's signed part and its signature.
pub(crate) fn split_signature(frame: &Frame) -> (&[u8; SIGNED_LEN], &[u8; SIGNATURE_LEN]) {
    split(frame)
}

/// Splits an array in two whose lengths add up to its own.
pub(crate) fn split<const N: usize, const A: usize, const B: usize>(
    whole: &[u8; N],
) -> (&[u8; A], &[u8; B]) {
    const { assert!(A + B == N) };
    let (Some((a, _)), Some((_, b))) = (whole.split_first_chunk(), whole.split_last_chunk()) else {
        // Unreachable by the assertion above, which the compiler sees too.
        return (&[0; A], &[0; B]);
    };
    (a, b)
}
