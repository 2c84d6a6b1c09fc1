//! What a client remembers over a restart, and what of it is believed (PROTOCOL 11).

use core::fmt;
use core::time::Duration;

use super::product::{Machine, Product};
use super::span::Span;
use super::step::Rejection;
use crate::cursor::{Reader, Writer};
use crate::policy;
use crate::storage::Corrupt;
use crate::time::{Minutes, Now, UnixTime};
use crate::trust::{Expected, KnownCertificates, Verified, Verifier, request_digest};
use crate::wire::{
    Certificate, Cmid, FRAME_LEN, Frame, Request, Response, ResponseBody, Signature, Validity,
    Verdict,
};

/// Bytes of a client's state, before the envelope that [`storage`](crate::storage) puts around it.
pub const IMAGE_LEN: usize = 2 * 16 + 1 + 3 * SPAN_LEN + 8 + 2 * FRAME_LEN + 2;
const SPAN_LEN: usize = 16;

/// The state that survives a restart.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) cmid: Cmid,
    /// Sent to the host until the next activation; a stored activation may still be under it.
    pub(super) previous_cmid: Option<Cmid>,
    pub(super) rearms_used: u8,
    /// Since the first start or the last rearm by hand.
    pub(super) grace: Span,
    /// Since the hardware was found changed beyond the tolerance.
    pub(super) out_of_tolerance: Option<Span>,
    /// The latest host time ever accepted.
    pub(super) floor: UnixTime,
    pub(super) activation: Option<Activation>,
}

/// An accepted pair of request and response that activates. Of the response, what the request says
/// as well is left out. `Debug` hides the request, which has the whole CMID in it.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "the activation interval is the protocol's own term")]
pub(super) struct Activation {
    request: Frame,
    pub(super) count: u32,
    granted: Validity,
    duplicate: bool,
    activation_interval: Minutes,
    pub(super) renewal_interval: Minutes,
    pub(super) host_time: UnixTime,
    pub(super) certificate: Verified<Certificate>,
    signature: Signature,
    /// Since the host's time in the response.
    pub(super) age: Span,
}

impl Record {
    pub(super) const fn new(cmid: Cmid, now: Now) -> Self {
        Self {
            cmid,
            previous_cmid: None,
            rearms_used: 0,
            grace: Span::begin(now),
            out_of_tolerance: None,
            floor: UnixTime::from_secs(0),
            activation: None,
        }
    }

    /// Takes a new CMID after an automatic rearm. The old one becomes the previous one, unless an
    /// activation is still held under the one before it: that one stays, or a restart would lose
    /// the activation.
    pub(super) fn replace_cmid(&mut self, fresh: Cmid) {
        let held = self.activation.as_ref().and_then(Activation::cmid);
        if self.previous_cmid.is_none() || held != self.previous_cmid {
            self.previous_cmid = Some(self.cmid);
        }
        self.cmid = fresh;
    }

    /// Writes the state.
    pub(super) fn emit(&self, now: Now) -> [u8; IMAGE_LEN] {
        let mut image = [0; IMAGE_LEN];
        let mut writer = Writer::new(&mut image);
        writer
            .put(self.cmid.as_bytes())
            .put(&Cmid::optional_bytes(self.previous_cmid))
            .u8(self.rearms_used);
        emit_span(&mut writer, Some(&self.grace), now);
        writer.u8(u8::from(self.out_of_tolerance.is_some()));
        emit_span(&mut writer, self.out_of_tolerance.as_ref(), now);
        writer.u64(self.floor.as_secs());
        writer.u8(u8::from(self.activation.is_some()));
        emit_span(&mut writer, self.activation.as_ref().map(|activation| &activation.age), now);
        match &self.activation {
            Some(activation) => {
                writer.put(&activation.request).put(&activation.response().emit());
            }
            None => {
                writer.put(&[0; FRAME_LEN]).put(&[0; FRAME_LEN]);
            }
        }
        writer.finish();
        image
    }

    /// Reads a state. The activation in it is verified again; when it is not believed, the rest of
    /// the state stands and the reason is returned beside it.
    pub(super) fn parse(
        image: &[u8],
        product: &Product<'_, impl Verifier>,
        known: &mut KnownCertificates,
        now: Now,
    ) -> Result<(Self, Option<Rejection>), Corrupt> {
        let mut reader = Reader::new(image);
        let cmid = reader.checked(Reader::array, Cmid::new)?;
        let previous_cmid = Cmid::new(reader.array()?);
        let rearms_used = reader.u8()?;
        let grace = parse_span(&mut reader, now)?;
        let is_out_of_tolerance = parse_flag(&mut reader)?;
        let out_of_tolerance = parse_span(&mut reader, now)?;
        let floor = UnixTime::from_secs(reader.u64()?);
        let has_activation = parse_flag(&mut reader)?;
        let age = parse_span(&mut reader, now)?;
        let request: Frame = reader.array()?;
        let response: Frame = reader.array()?;
        reader.finish()?;
        let mut record = Self {
            cmid,
            previous_cmid,
            rearms_used,
            grace,
            out_of_tolerance: is_out_of_tolerance.then_some(out_of_tolerance),
            floor,
            activation: None,
        };
        if !has_activation {
            return Ok((record, None));
        }
        match record.believe(&request, &response, product, known) {
            Ok(response) => {
                // The mark is signed; the stored copy of it is not, and would prolong the validity.
                let age = age.marked(response.body.host_time);
                record.activation = Activation::new(request, &response, age);
                Ok((record, None))
            }
            Err(rejection) => Ok((record, Some(rejection))),
        }
    }

    /// Verifies a stored activation like a fresh response, except that its age is allowed, and that
    /// it is this machine's. The fingerprint is not looked at here: a mismatch is a state, not a
    /// forgery.
    fn believe(
        &self,
        request_frame: &Frame,
        response: &Frame,
        product: &Product<'_, impl Verifier>,
        known: &mut KnownCertificates,
    ) -> Result<Verified<Response>, Rejection> {
        let request = Request::parse(request_frame)
            .map_err(|malformed| Rejection::Untrusted(malformed.into()))?;
        if !product.made(&request) {
            return Err(Rejection::OtherProduct);
        }
        if request.cmid != self.cmid && Some(request.cmid) != self.previous_cmid {
            return Err(Rejection::OtherMachine);
        }
        let expected = Expected {
            request: request_frame,
            method: request.method,
            product: product.coverage,
            roots: product.roots,
            known_certificate: None,
        };
        let response = known.verify(response, &expected).and_then(Verified::response);
        let response = response.map_err(Rejection::Untrusted)?;
        match response.body.verdict {
            Verdict::Granted { count, .. }
                if policy::meets_threshold(count, product.required_count) =>
            {
                Ok(response)
            }
            _ => Err(Rejection::NotActivating),
        }
    }
}

impl Activation {
    /// `None` for a refusal, which activates nothing.
    pub(super) fn new(request: Frame, response: &Verified<Response>, age: Span) -> Option<Self> {
        let body = &response.body;
        let Verdict::Granted { count, validity } = body.verdict else { return None };
        Some(Self {
            request,
            count,
            granted: validity,
            duplicate: body.duplicate,
            activation_interval: body.activation_interval,
            renewal_interval: body.renewal_interval,
            host_time: body.host_time,
            certificate: response.certificate(),
            signature: response.signature,
            age,
        })
    }

    /// The whole response again.
    fn response(&self) -> Response {
        let body = ResponseBody {
            verdict: Verdict::Granted { count: self.count, validity: self.granted },
            duplicate: self.duplicate,
            activation_interval: self.activation_interval,
            renewal_interval: self.renewal_interval,
            host_time: self.host_time,
            request_digest: request_digest(&self.request),
            certificate: *self.certificate,
        };
        Response { body, signature: self.signature }
    }

    /// The CMID it was granted to.
    pub(super) fn cmid(&self) -> Option<Cmid> {
        Request::parse(&self.request).ok().map(|request| request.cmid)
    }

    /// Whether the machine still has the hardware that was activated.
    pub(super) fn is_of<V>(&self, machine: &Machine<'_>, product: &Product<'_, V>) -> bool {
        // The frame was parsed when it was made or believed.
        Request::parse(&self.request).is_ok_and(|request| {
            product.matching.same_machine(&request.fingerprint, &machine.fingerprint)
        })
    }

    /// How long it lasts; `None` for ever.
    pub(super) fn validity<V>(&self, product: &Product<'_, V>) -> Option<Duration> {
        match policy::capped_validity(self.granted, product.limits.maximum_validity) {
            Validity::Perpetual => None,
            Validity::For(minutes) => Some(minutes.as_duration()),
        }
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activation")
            .field("response", &self.response())
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

fn emit_span(writer: &mut Writer<'_>, span: Option<&Span>, now: Now) {
    let (since, ran) = span.map_or_else(Default::default, |span| span.stored(now));
    writer.u64(since.as_secs()).u64(ran);
}

fn parse_span(reader: &mut Reader<'_>, now: Now) -> Result<Span, Corrupt> {
    Ok(Span::resume(UnixTime::from_secs(reader.u64()?), reader.u64()?, now))
}

pub(super) fn parse_flag(reader: &mut Reader<'_>) -> Result<bool, Corrupt> {
    reader.checked(Reader::u8, |byte| match byte {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    })
}
