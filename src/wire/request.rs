//! The activation request, kind 1 (PROTOCOL 3).

use core::num::NonZeroU32;

use super::error::{Fault, Malformed};
use super::id::{ActivationId, ApplicationId, Cmid, CountedId, KeyId, Nonce};
use super::name::Name;
use super::parse::{self, Fields};
use super::status::{LicenceStatus, Method};
use super::{Frame, Kind, TAG_LEN, TAGGED_LEN};
use crate::cursor::Writer;
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

impl<'a> Request<'a> {
    /// Reads a frame. Its tag is not checked: see
    /// [`ParsedRequest`](crate::trust::ParsedRequest) for that.
    pub fn parse(frame: &'a Frame) -> Result<Self, Malformed> {
        parse::frame(frame, Kind::Request, Self::body)
    }

    /// Writes the first 218 bytes of the frame, which the tag covers.
    pub(crate) fn emit(&self) -> [u8; TAGGED_LEN] {
        let flags = if self.virtual_machine { flag::VIRTUAL_MACHINE } else { 0 }
            | if self.renewal { flag::RENEWAL } else { 0 };
        let mut bytes = [0; TAGGED_LEN];
        let mut writer = Writer::new(&mut bytes);
        writer
            .put(&Kind::Request.header())
            .u16(flags)
            .u8(self.licence_status as u8)
            .u8(self.method as u8)
            .u32(self.required_count.get())
            .u32(self.time_left.0)
            .put(&self.application_id.0)
            .put(&self.activation_id.0)
            .put(&self.counted_id.0)
            .put(self.cmid.as_bytes())
            .put(&Cmid::optional_bytes(self.previous_cmid))
            .u64(self.client_time.map_or(0, UnixTime::as_secs))
            .put(&self.nonce.0)
            .put(&self.fingerprint.to_bytes())
            .put(&self.workstation_name.to_bytes())
            .u32(self.key_id.0)
            .reserved::<14>()
            .finish();
        bytes
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
