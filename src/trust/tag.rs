//! Tags: proof that a request comes from somebody who holds the product's key (PROTOCOL 3).

use core::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{TagKey, Verified, label};
use crate::cursor::place;
use crate::wire::{self, Frame, KeyId, Malformed, Request, RequestView, TAG_LEN, TAGGED_LEN};

/// A tag key made ready for requests: key and label are already absorbed, so that each tag costs
/// only the request's own bytes.
#[derive(Clone)]
pub struct TagSchedule(Hmac<Sha256>);

impl TagSchedule {
    /// Absorbs the key.
    #[must_use]
    pub fn new(key: &TagKey) -> Self {
        Self(label::REQUEST.keyed(key.expose()))
    }

    /// Writes a request with its tag.
    #[must_use]
    pub fn seal(&self, request: &Request<'_>) -> Frame {
        self.clone().seal_last(request)
    }

    /// The same for the last one: without a copy of the schedule.
    pub(crate) fn seal_last(self, request: &Request<'_>) -> Frame {
        let mut frame = request.emit();
        let tag = self.tag(wire::split_tag(&frame).0);
        place::<TAGGED_LEN, _, _>(&mut frame, tag);
        frame
    }

    fn tag(mut self, tagged: &[u8; TAGGED_LEN]) -> [u8; TAG_LEN] {
        self.0.update(tagged);
        self.0.finalize().into_bytes().into()
    }
}

impl fmt::Debug for TagSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagSchedule(..)")
    }
}

/// The tag does not verify: not a request by a holder of the product's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadTag;

impl fmt::Display for BadTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tag does not verify: the sender does not hold the product's setup key")
    }
}

impl core::error::Error for BadTag {}

/// A request that is well formed, in the frame in which it came, before its tag is checked. `Debug`
/// hides the frame, which has the whole CMID in it.
#[derive(Clone, Copy)]
pub struct ParsedRequest<'a>(RequestView<'a>);

impl<'a> ParsedRequest<'a> {
    /// Reads the frame.
    pub fn parse(frame: &'a Frame) -> Result<Self, Malformed> {
        RequestView::parse(frame).map(Self)
    }

    /// The product key whose tag key it claims.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.0.key_id()
    }

    /// What the request says; nothing vouches for it yet.
    #[must_use]
    pub fn unverified(&self) -> Request<'a> {
        self.0.request()
    }

    /// Checks the tag, in constant time.
    pub fn verify(self, schedule: &TagSchedule) -> Result<Verified<Request<'a>>, BadTag> {
        self.check_tag(schedule).map(|verified| Verified(verified.request()))
    }

    /// The same, without a copy of what the request says.
    pub(crate) fn check_tag(
        self,
        schedule: &TagSchedule,
    ) -> Result<Verified<RequestView<'a>>, BadTag> {
        let (tagged, tag) = wire::split_tag(self.0.frame());
        if bool::from(schedule.clone().tag(tagged).ct_eq(tag)) {
            Ok(Verified(self.0))
        } else {
            Err(BadTag)
        }
    }
}

impl fmt::Debug for ParsedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParsedRequest").field(&self.unverified()).finish()
    }
}
