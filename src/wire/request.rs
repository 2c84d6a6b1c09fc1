//! The activation request, kind 1 (PROTOCOL 3).

use core::fmt;
use core::num::NonZeroU32;

use super::error::{Fault, Malformed};
use super::id::{ActivationId, ApplicationId, Cmid, CountedId, KeyId, Nonce};
use super::name::Name;
use super::status::{LicenceStatus, Method};
use super::{FRAME_LEN, Frame, Kind};
use crate::cursor::{part, place};
use crate::fingerprint::Fingerprint;
use crate::time::{Minutes, UnixTime};

/// What a client asks of a host (by count) or of the authority (by key).
///
/// A value holds only what the protocol allows, so writing it cannot fail. The tag is not part of
/// it: [`trust`](crate::trust) adds and checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'a> {
    /// The client runs in a virtual machine.
    pub virtual_machine: bool,
    /// The client is activated now and renews.
    pub renewal: bool,
    /// The state of the client's licence.
    pub licence_status: LicenceStatus,
    /// Who is asked.
    pub method: Method,
    /// The client's activation threshold: the count its product needs.
    pub required_count: NonZeroU32,
    /// Minutes left in the licence status; 0 when there is no limit.
    pub time_left: Minutes,
    /// The product.
    pub application_id: ApplicationId,
    /// Its edition.
    pub activation_id: ActivationId,
    /// The pool it is counted in.
    pub counted_id: CountedId,
    /// The machine.
    pub cmid: Cmid,
    /// The CMID the machine had before it rearmed.
    pub previous_cmid: Option<Cmid>,
    /// The client's clock; `None` when it has none.
    pub client_time: Option<UnixTime>,
    /// Fresh for every new request.
    pub nonce: Nonce,
    /// The machine's hardware.
    pub fingerprint: Fingerprint,
    /// The machine's name, for people.
    pub workstation_name: Name<'a>,
    /// The product key that keys the tag.
    pub key_id: KeyId,
}

mod flag {
    pub(super) const VIRTUAL_MACHINE: u16 = 0x0001;
    pub(super) const RENEWAL: u16 = 0x0002;
    pub(super) const ALL: u16 = VIRTUAL_MACHINE | RENEWAL;
}

mod field {
    pub(super) const FLAGS: usize = 4;
    pub(super) const LICENCE_STATUS: usize = 6;
    pub(super) const METHOD: usize = 7;
    pub(super) const REQUIRED_COUNT: usize = 8;
    pub(super) const TIME_LEFT: usize = 12;
    pub(super) const APPLICATION_ID: usize = 16;
    pub(super) const ACTIVATION_ID: usize = 32;
    pub(super) const COUNTED_ID: usize = 48;
    pub(super) const CMID: usize = 64;
    pub(super) const PREVIOUS_CMID: usize = 80;
    pub(super) const CLIENT_TIME: usize = 96;
    pub(super) const NONCE: usize = 104;
    pub(super) const FINGERPRINT: usize = 120;
    pub(super) const WORKSTATION_NAME: usize = 136;
    pub(super) const KEY_ID: usize = 200;
    pub(super) const RESERVED: usize = 204;
}

impl<'a> Request<'a> {
    /// Reads a frame. Its tag is not checked: see
    /// [`ParsedRequest`](crate::trust::ParsedRequest) for that.
    pub fn parse(frame: &'a Frame) -> Result<Self, Malformed> {
        RequestView::parse(frame).map(RequestView::request)
    }

    /// Writes the frame, but for its tag.
    pub(crate) fn emit(&self) -> Frame {
        let flags = if self.virtual_machine { flag::VIRTUAL_MACHINE } else { 0 }
            | if self.renewal { flag::RENEWAL } else { 0 };
        let mut frame = [0; FRAME_LEN];
        let to = &mut frame;
        place::<0, _, _>(to, Kind::Request.header());
        place::<{ field::FLAGS }, _, _>(to, flags.to_be_bytes());
        place::<{ field::LICENCE_STATUS }, _, _>(to, [self.licence_status as u8]);
        place::<{ field::METHOD }, _, _>(to, [self.method as u8]);
        place::<{ field::REQUIRED_COUNT }, _, _>(to, self.required_count.get().to_be_bytes());
        place::<{ field::TIME_LEFT }, _, _>(to, self.time_left.0.to_be_bytes());
        place::<{ field::APPLICATION_ID }, _, _>(to, self.application_id.0);
        place::<{ field::ACTIVATION_ID }, _, _>(to, self.activation_id.0);
        place::<{ field::COUNTED_ID }, _, _>(to, self.counted_id.0);
        place::<{ field::CMID }, _, _>(to, *self.cmid.as_bytes());
        if let Some(previous) = self.previous_cmid {
            place::<{ field::PREVIOUS_CMID }, _, _>(to, *previous.as_bytes());
        }
        let client_time = self.client_time.map_or(0, UnixTime::as_secs);
        place::<{ field::CLIENT_TIME }, _, _>(to, client_time.to_be_bytes());
        place::<{ field::NONCE }, _, _>(to, self.nonce.0);
        place::<{ field::FINGERPRINT }, _, _>(to, self.fingerprint.to_bytes());
        self.workstation_name.emit(to.get_mut(field::WORKSTATION_NAME..).unwrap_or_default());
        place::<{ field::KEY_ID }, _, _>(to, self.key_id.0.to_be_bytes());
        frame
    }
}

/// A request where it stands: what is needed of it is read without a copy of all.
#[derive(Clone, Copy)]
pub(crate) struct RequestView<'a>(&'a Frame);

impl<'a> RequestView<'a> {
    /// Checks all rules of PROTOCOL 3 but the tag.
    #[inline(never)]
    pub(crate) fn parse(frame: &'a Frame) -> Result<Self, Malformed> {
        Kind::Request.check(*part::<0, _, _>(frame))?;
        let view = Self(frame);
        let flags = view.flags();
        if flags & !flag::ALL != 0 {
            return Err(Malformed::at(field::FLAGS, Fault::Flags(flags)));
        }
        let [status, method] = *part::<{ field::LICENCE_STATUS }, _, _>(frame);
        LicenceStatus::from_wire(status)
            .map_err(|fault| Malformed::at(field::LICENCE_STATUS, fault))?;
        Method::from_wire(method).map_err(|fault| Malformed::at(field::METHOD, fault))?;
        if *part::<{ field::REQUIRED_COUNT }, _, _>(frame) == [0; 4] {
            return Err(Malformed::at(field::REQUIRED_COUNT, Fault::RequiredCount));
        }
        if view.cmid_bytes() == [0; 16] {
            return Err(Malformed::at(field::CMID, Fault::Cmid));
        }
        Name::parse(part::<{ field::WORKSTATION_NAME }, _, _>(frame))
            .map_err(|malformed| malformed.within(field::WORKSTATION_NAME))?;
        let reserved: &[u8; 14] = part::<{ field::RESERVED }, _, _>(frame);
        match reserved.iter().position(|byte| *byte != 0) {
            Some(index) => {
                Err(Malformed::at(field::RESERVED.saturating_add(index), Fault::Reserved))
            }
            None => Ok(view),
        }
    }

    /// A request of the client's own. That it is well formed follows from an answer to it.
    pub(crate) const fn answered(frame: &'a Frame) -> Self {
        Self(frame)
    }

    pub(crate) const fn frame(self) -> &'a Frame {
        self.0
    }

    pub(crate) fn licence_status(self) -> LicenceStatus {
        let [status, _] = *part::<{ field::LICENCE_STATUS }, _, _>(self.0);
        LicenceStatus::from_wire(status).unwrap_or(LicenceStatus::Unlicensed)
    }

    pub(crate) fn method(self) -> Method {
        match part::<{ field::METHOD }, _, _>(self.0) {
            [0] => Method::Count,
            [_] => Method::Key,
        }
    }

    pub(crate) fn required_count(self) -> NonZeroU32 {
        let count = u32::from_be_bytes(*part::<{ field::REQUIRED_COUNT }, _, _>(self.0));
        NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
    }

    pub(crate) fn application_id(self) -> ApplicationId {
        ApplicationId(*part::<{ field::APPLICATION_ID }, _, _>(self.0))
    }

    pub(crate) fn activation_id(self) -> ActivationId {
        ActivationId(*part::<{ field::ACTIVATION_ID }, _, _>(self.0))
    }

    pub(crate) fn counted_id(self) -> CountedId {
        CountedId(*part::<{ field::COUNTED_ID }, _, _>(self.0))
    }

    /// Whether the machine has this CMID.
    pub(crate) fn is_from(self, cmid: Cmid) -> bool {
        self.cmid_bytes() == *cmid.as_bytes()
    }

    /// In a request that is malformed in this, nobody's.
    pub(crate) fn cmid(self) -> Cmid {
        Cmid::new(self.cmid_bytes()).unwrap_or(Cmid::NOBODY)
    }

    pub(crate) fn previous_cmid(self) -> Option<Cmid> {
        Cmid::new(*part::<{ field::PREVIOUS_CMID }, _, _>(self.0))
    }

    pub(crate) fn client_time(self) -> Option<UnixTime> {
        let time = u64::from_be_bytes(*part::<{ field::CLIENT_TIME }, _, _>(self.0));
        (time != 0).then_some(UnixTime::from_secs(time))
    }

    pub(crate) fn fingerprint(self) -> Fingerprint {
        Fingerprint::from_bytes(*part::<{ field::FINGERPRINT }, _, _>(self.0))
    }

    pub(crate) fn key_id(self) -> KeyId {
        KeyId(u32::from_be_bytes(*part::<{ field::KEY_ID }, _, _>(self.0)))
    }

    /// The whole, of a well-formed request.
    pub(crate) fn request(self) -> Request<'a> {
        let flags = self.flags();
        let time_left = u32::from_be_bytes(*part::<{ field::TIME_LEFT }, _, _>(self.0));
        let name = Name::parse(part::<{ field::WORKSTATION_NAME }, _, _>(self.0));
        Request {
            virtual_machine: flags & flag::VIRTUAL_MACHINE != 0,
            renewal: flags & flag::RENEWAL != 0,
            licence_status: self.licence_status(),
            method: self.method(),
            required_count: self.required_count(),
            time_left: Minutes(time_left),
            application_id: self.application_id(),
            activation_id: self.activation_id(),
            counted_id: self.counted_id(),
            cmid: self.cmid(),
            previous_cmid: self.previous_cmid(),
            client_time: self.client_time(),
            nonce: Nonce(*part::<{ field::NONCE }, _, _>(self.0)),
            fingerprint: self.fingerprint(),
            workstation_name: name.unwrap_or_default(),
            key_id: self.key_id(),
        }
    }

    fn flags(self) -> u16 {
        u16::from_be_bytes(*part::<{ field::FLAGS }, _, _>(self.0))
    }

    fn cmid_bytes(self) -> [u8; 16] {
        *part::<{ field::CMID }, _, _>(self.0)
    }
}

impl fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request().fmt(f)
    }
}
