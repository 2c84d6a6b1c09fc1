//! The activation request, kind 1 (PROTOCOL 3).

use core::num::NonZeroU32;

use super::error::{Fault, Malformed};
use super::id::{ActivationId, ApplicationId, Cmid, CountedId, KeyId, Nonce};
use super::name::Name;
use super::parse::{self, Fields};
use super::status::{LicenceStatus, Method};
use super::{FRAME_LEN, Frame, Kind, TAG_LEN};
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
}

impl<'a> Request<'a> {
    /// Reads a frame. Its tag is not checked: see
    /// [`ParsedRequest`](crate::trust::ParsedRequest) for that.
    pub fn parse(frame: &'a Frame) -> Result<Self, Malformed> {
        parse::frame(frame, Kind::Request, Self::body)
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
        place::<{ field::WORKSTATION_NAME }, _, _>(to, self.workstation_name.to_bytes());
        place::<{ field::KEY_ID }, _, _>(to, self.key_id.0.to_be_bytes());
        frame
    }

    fn body(fields: &mut Fields<'a>) -> Option<Self> {
        let flags = fields.checked(Fields::u16, |flags| {
            if flags & !flag::ALL == 0 { Ok(flags) } else { Err(Fault::Flags(flags)) }
        });
        let licence_status = fields.checked(Fields::u8, LicenceStatus::from_wire);
        let method = fields.checked(Fields::u8, Method::from_wire);
        let required_count =
            fields.checked(Fields::u32, |count| NonZeroU32::new(count).ok_or(Fault::RequiredCount));
        let time_left = Minutes(fields.u32());
        let application_id = ApplicationId(fields.array());
        let activation_id = ActivationId(fields.array());
        let counted_id = CountedId(fields.array());
        let cmid = fields.checked(Fields::array, |bytes| Cmid::new(bytes).ok_or(Fault::Cmid));
        let previous_cmid = Cmid::new(fields.array());
        let client_time = fields.u64();
        let nonce = Nonce(fields.array());
        let fingerprint = Fingerprint::from_bytes(fields.array());
        let workstation_name = Name::read(fields);
        let key_id = KeyId(fields.u32());
        fields.reserved(14);
        let _tag = fields.take(TAG_LEN);
        let flags = flags?;
        Some(Self {
            virtual_machine: flags & flag::VIRTUAL_MACHINE != 0,
            renewal: flags & flag::RENEWAL != 0,
            licence_status: licence_status?,
            method: method?,
            required_count: required_count?,
            time_left,
            application_id,
            activation_id,
            counted_id,
            cmid: cmid?,
            previous_cmid,
            client_time: (client_time != 0).then_some(UnixTime::from_secs(client_time)),
            nonce,
            fingerprint,
            workstation_name: workstation_name?,
            key_id,
        })
    }
}

/// What a client looks at in a request of its own, where it stands. The rules are not checked: that
/// the request is well formed follows from an answer to it.
#[derive(Clone, Copy)]
pub(crate) struct RequestView<'a>(&'a Frame);

impl<'a> RequestView<'a> {
    pub(crate) const fn new(frame: &'a Frame) -> Self {
        Self(frame)
    }

    pub(crate) fn method(self) -> Method {
        match part::<{ field::METHOD }, _, _>(self.0) {
            [0] => Method::Count,
            [_] => Method::Key,
        }
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

    /// `None` only when it is malformed.
    pub(crate) fn cmid(self) -> Option<Cmid> {
        Cmid::new(*part::<{ field::CMID }, _, _>(self.0))
    }

    pub(crate) fn fingerprint(self) -> Fingerprint {
        Fingerprint::from_bytes(*part::<{ field::FINGERPRINT }, _, _>(self.0))
    }
}
