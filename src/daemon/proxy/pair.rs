//! A request and the answer that grants it: what a machine is given.

use core::fmt;

use crate::time::UnixTime;
use crate::trust::{Untrusted, request_digest};
use crate::wire::{
    FRAME_LEN, Frame, Method, Request, Response, Role, Validity, Verdict, frame_from_slice,
};

/// Bytes of a pair: two frames.
pub const PAIR_LEN: usize = 2 * FRAME_LEN;

/// A request and the answer that grants it. `Debug` hides both, which have the whole CMID in them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    request: Frame,
    answer: Frame,
}

/// What an answer grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Activations that were left on the key.
    pub left: u32,
    /// For how long.
    pub validity: Validity,
    /// The authority's clock.
    pub at: UnixTime,
}

impl Pair {
    /// Puts two frames together that belong together by their form: the answer is the authority's, to
    /// this request, and grants it. Signatures are [`Judge`](super::Judge)'s business.
    pub fn new(request: &Frame, answer: &Frame) -> Result<Self, Unfit> {
        match check_form(request, answer)?.body.verdict {
            Verdict::Granted { .. } => Ok(Self::of_granted(request, answer)),
            Verdict::Refused(_) => Err(Unfit::Refusal),
        }
    }

    /// The same, of an answer that has been judged and grants the request.
    pub(super) const fn of_granted(request: &Frame, answer: &Frame) -> Self {
        Self { request: *request, answer: *answer }
    }

    /// Reads [`PAIR_LEN`] bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unfit> {
        let (request, answer) =
            bytes.split_at_checked(FRAME_LEN).ok_or(Unfit::Length(bytes.len()))?;
        let request = frame_from_slice(request).map_err(|_| Unfit::Length(bytes.len()))?;
        let answer = frame_from_slice(answer).map_err(|_| Unfit::Length(bytes.len()))?;
        let method =
            Request::parse(request).map_err(|error| Unfit::Untrusted(error.into()))?.method;
        if method != Method::Key {
            return Err(Unfit::ByCount);
        }
        Self::new(request, answer)
    }

    /// The bytes that the machine reads: the request, then the answer.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PAIR_LEN] {
        let mut bytes = [0; PAIR_LEN];
        let (request, answer) = bytes.split_at_mut(FRAME_LEN);
        request.copy_from_slice(&self.request);
        answer.copy_from_slice(&self.answer);
        bytes
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &Frame {
        &self.request
    }

    /// What is granted. `None` never happens: the answer was read when the pair was made.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        let body = Response::parse(&self.answer).ok()?.body;
        match body.verdict {
            Verdict::Granted { count, validity } => {
                Some(Grant { left: count, validity, at: body.host_time })
            }
            Verdict::Refused(_) => None,
        }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pair(..)")
    }
}

/// Why two frames are no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// So many bytes are not those of two frames.
    Length(usize),
    /// The request asks a host by count.
    ByCount,
    /// The answer is malformed, or not to this request, or not the authority's.
    Untrusted(Untrusted),
    /// The answer is a refusal.
    Refusal,
}

impl From<Untrusted> for Unfit {
    fn from(untrusted: Untrusted) -> Self {
        Self::Untrusted(untrusted)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "{length} bytes, not {PAIR_LEN}"),
            Self::ByCount => f.write_str("the request asks a host by count, not the authority"),
            Self::Untrusted(untrusted) => untrusted.fmt(f),
            Self::Refusal => f.write_str("the answer is a refusal"),
        }
    }
}

impl core::error::Error for Unfit {}

/// What can be said of an answer without any key: that it is one to this request, and that it says
/// to be the authority's, within the dates of its own certificate.
pub(super) fn check_form(request: &Frame, answer: &Frame) -> Result<Response, Untrusted> {
    let response = Response::parse(answer)?;
    if response.body.request_digest != request_digest(request) {
        return Err(Untrusted::OtherRequest);
    }
    let claims = &response.body.certificate.claims;
    if claims.role != Role::Authority {
        return Err(Untrusted::WrongRole(claims.role));
    }
    let host_time = response.body.host_time;
    if !claims.valid_at(host_time) {
        return Err(Untrusted::OutsideDates { host_time });
    }
    Ok(response)
}
