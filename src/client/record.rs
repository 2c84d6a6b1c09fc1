//! What a client remembers over a restart, and what of it is believed (PROTOCOL 11).

use core::fmt;

use super::phone::{Confirmed, is_by_phone};
use super::product::{Machine, Product};
use super::span::Span;
use super::step::Rejection;
use crate::cursor::{Reader, Writer};
use crate::discovery::Hosts;
use crate::policy;
use crate::storage::Corrupt;
use crate::time::{Minutes, Now, UnixTime};
use crate::trust::{KnownCertificates, Verified, Verifier};
use crate::wire::{Cmid, FRAME_LEN, Frame, Method, RequestView, ResponseView, Validity, Verdict};

/// Bytes of a client's state, before the envelope that [`storage`](crate::storage) puts around it.
pub const IMAGE_LEN: usize = 2 * 16 + 1 + 3 * SPAN_LEN + 8 + 2 * FRAME_LEN + 3;
const SPAN_LEN: usize = 16;

/// The state that survives a restart.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) cmid: Cmid,
    /// Sent to the host until the next activation; a stored activation may still be under it.
    pub(super) previous_cmid: Option<Cmid>,
    pub(super) rearms_used: u8,
    /// Whether a host has counted this machine under `cmid`, as far as its answers say.
    pub(super) counted: bool,
    /// Since the first start or the last rearm by hand.
    pub(super) grace: Span,
    /// The latest host time ever accepted.
    pub(super) floor: UnixTime,
    pub(super) activation: Option<Activation>,
}

/// An accepted pair of request and response that activates. `Debug` hides the frames, which have the
/// whole CMID in them.
#[derive(Clone)]
pub(super) struct Activation {
    request: Frame,
    response: Frame,
    /// Since the host's time in the response.
    pub(super) age: Span,
    /// Since the hardware was found changed beyond the tolerance.
    pub(super) out_of_tolerance: Option<Span>,
}

impl Record {
    pub(super) fn new(cmid: Cmid, now: Now) -> Self {
        let floor = UnixTime::from_secs(0);
        Self {
            cmid,
            previous_cmid: None,
            rearms_used: 0,
            counted: false,
            grace: Span::begin(now, floor),
            floor,
            activation: None,
        }
    }

    /// Rearms by hand. The previous CMID is the one that a host has a record of: of a CMID that no host
    /// ever answered there is none to drop.
    pub(super) fn rearm(&mut self, fresh: Cmid, now: Now) {
        if self.counted || self.previous_cmid.is_none() {
            self.previous_cmid = Some(self.cmid);
        }
        self.cmid = fresh;
        self.counted = false;
        self.rearms_used = self.rearms_used.saturating_add(1);
        self.grace = Span::begin(now, self.floor);
        self.activation = None;
    }

    /// Takes a new CMID after an automatic rearm. The old one becomes the previous one, unless an
    /// activation is still held under the one before it: that one stays, or a restart would lose
    /// the activation.
    pub(super) fn replace_cmid(&mut self, fresh: Cmid) {
        let activation = self.activation.as_ref();
        let is_held_under = |cmid| activation.is_some_and(|held| held.request().is_from(cmid));
        if !self.previous_cmid.is_some_and(is_held_under) {
            self.previous_cmid = Some(self.cmid);
        }
        self.cmid = fresh;
        self.counted = false;
    }

    /// Takes the CMID of an activation that was carried here.
    pub(super) fn adopt(&mut self, cmid: Cmid) {
        self.counted &= self.cmid == cmid;
        self.cmid = cmid;
        self.previous_cmid = None;
    }

    /// Writes the state.
    pub(super) fn emit(&self, now: Now) -> [u8; IMAGE_LEN] {
        let mut image = [0; IMAGE_LEN];
        let mut writer = Writer::new(&mut image);
        writer
            .put(self.cmid.as_bytes())
            .put(&Cmid::optional_bytes(self.previous_cmid))
            .u8(self.rearms_used)
            .u8(u8::from(self.counted));
        emit_span(&mut writer, Some(&self.grace), now);
        let activation = self.activation.as_ref();
        let out_of_tolerance = activation.and_then(|held| held.out_of_tolerance.as_ref());
        writer.u8(u8::from(out_of_tolerance.is_some()));
        emit_span(&mut writer, out_of_tolerance, now);
        writer.u64(self.floor.as_secs());
        writer.u8(u8::from(activation.is_some()));
        emit_span(&mut writer, activation.map(|held| &held.age), now);
        // Where there is none, the image ends in zeros.
        if let Some(activation) = activation {
            writer.put(&activation.request).put(&activation.response).finish();
        }
        image
    }

    /// Reads a state. The activation in it is verified again; when it is not believed, the rest of
    /// the state stands and the reason is returned.
    ///
    /// # Errors
    ///
    /// The image breaks a rule; the record is then of no use.
    pub(super) fn load<H: Hosts>(
        &mut self,
        image: &[u8],
        product: &Product<'_, impl Verifier>,
        known: &mut KnownCertificates,
        now: Now,
    ) -> Result<Option<Rejection>, Corrupt> {
        let mut reader = Reader::new(image);
        if let Some(cmid) = reader.checked(Reader::array, Cmid::new) {
            self.cmid = cmid;
        }
        self.previous_cmid = Cmid::new(reader.array());
        self.rearms_used = reader.u8();
        self.counted = reader.flag();
        self.grace = parse_span(&mut reader, now);
        let is_out_of_tolerance = reader.flag();
        let out_of_tolerance = parse_span(&mut reader, now);
        self.floor = UnixTime::from_secs(reader.u64());
        let has_activation = reader.flag();
        let age = parse_span(&mut reader, now);
        let frames = (reader.chunk(), reader.chunk());
        reader.finish()?;
        let (Some(request), Some(response), true) = (frames.0, frames.1, has_activation) else {
            return Ok(None);
        };
        let believed = if is_by_phone::<H>(response) {
            self.check_owner(request, product)
                .and_then(|()| Confirmed::verify(response, request, product))
                .map(|confirmed| Activation::confirmed(request, confirmed, age))
        } else {
            self.believe::<H>(request, response, product, known).map(|response| {
                self.floor = self.floor.max(response.host_time());
                // The mark is signed; the stored copy of it is not, and would prolong the validity.
                Activation::new(request, response, age.marked(response.host_time()))
            })
        };
        let activation = match believed {
            Ok(activation) => self.activation.insert(activation),
            Err(rejection) => return Ok(Some(rejection)),
        };
        activation.out_of_tolerance = is_out_of_tolerance.then_some(out_of_tolerance);
        Ok(None)
    }

    /// Verifies a stored activation like a fresh response, except that its age is allowed, and that
    /// it is this machine's. The fingerprint is not looked at here: a mismatch is a state, not a
    /// forgery.
    fn believe<'f, H: Hosts>(
        &self,
        request_frame: &Frame,
        response: &'f Frame,
        product: &Product<'_, impl Verifier>,
        known: &mut KnownCertificates,
    ) -> Result<Verified<ResponseView<'f>>, Rejection> {
        self.check_owner(request_frame, product)?;
        let method = method_of::<H>(request_frame);
        let response = product.answer::<H>(request_frame, response, known)?;
        match response.verdict() {
            Verdict::Granted { count, .. }
                if method == Method::Key
                    || policy::meets_threshold(count, product.required_count) =>
            {
                Ok(response)
            }
            _ => Err(Rejection::NotActivating),
        }
    }

    /// Whether a stored request is this product's, and this machine's by its CMID.
    fn check_owner<V>(&self, request: &Frame, product: &Product<'_, V>) -> Result<(), Rejection> {
        let request = RequestView::answered(request);
        if !product.made(request) {
            return Err(Rejection::OtherProduct);
        }
        let is_from_previous = self.previous_cmid.is_some_and(|cmid| request.is_from(cmid));
        if !is_from_previous && !request.is_from(self.cmid) {
            return Err(Rejection::OtherMachine);
        }
        Ok(())
    }
}

impl Activation {
    /// The response grants, and was verified as the answer to the request.
    pub(super) fn new(request: &Frame, response: Verified<ResponseView<'_>>, age: Span) -> Self {
        Self { request: *request, response: *response.frame(), age, out_of_tolerance: None }
    }

    /// The same by phone. It is for ever, so its age is of no use.
    pub(super) fn confirmed(request: &Frame, by: Confirmed<'_>, age: Span) -> Self {
        Self { request: *request, response: *by.record(), age, out_of_tolerance: None }
    }

    pub(super) const fn response(&self) -> ResponseView<'_> {
        ResponseView::parsed_before(&self.response)
    }

    pub(super) const fn request(&self) -> RequestView<'_> {
        RequestView::answered(&self.request)
    }

    /// Whether the machine still has the hardware that was activated.
    pub(super) fn is_of<V>(&self, machine: &Machine<'_>, product: &Product<'_, V>) -> bool {
        let activated = self.request().fingerprint();
        product.matching.same_machine(&activated, &machine.fingerprint)
    }

    /// By count or by key.
    pub(super) fn method<H: Hosts>(&self) -> Method {
        method_of::<H>(&self.request)
    }

    /// What the authority has granted for ever it need not be asked for again.
    pub(super) fn is_never_renewed<H: Hosts>(&self) -> bool {
        self.method::<H>() == Method::Key && self.response().validity() == Validity::Perpetual
    }

    /// How long it lasts; `None` for ever. The product's maximum is for hosts: the authority speaks
    /// for the vendor himself.
    pub(super) fn validity<V, H: Hosts>(&self, product: &Product<'_, V>) -> Option<Minutes> {
        let granted = self.response().validity();
        let validity = match self.method::<H>() {
            Method::Count => policy::capped_validity(granted, product.limits.maximum_validity),
            Method::Key => granted,
        };
        match validity {
            Validity::Perpetual => None,
            Validity::For(minutes) => Some(minutes),
        }
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activation").field("age", &self.age).finish_non_exhaustive()
    }
}

/// The method of a request of the client's own. One that cannot be activated by key neither makes
/// nor believes another than by count.
pub(super) fn method_of<H: Hosts>(request: &Frame) -> Method {
    if H::BY_KEY { RequestView::answered(request).method() } else { Method::Count }
}

fn emit_span(writer: &mut Writer<'_>, span: Option<&Span>, now: Now) {
    let (since, ran) = span.map_or_else(Default::default, |span| span.stored(now));
    writer.u64(since.as_secs()).u64(ran);
}

#[inline(never)]
fn parse_span(reader: &mut Reader<'_>, now: Now) -> Span {
    Span::resume(UnixTime::from_secs(reader.u64()), reader.u64(), now)
}
