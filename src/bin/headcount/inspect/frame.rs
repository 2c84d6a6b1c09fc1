//! Frames and certificates: which fields stand where (PROTOCOL 2 to 6).

use headcount::phone;
use headcount::wire::{
    self, CERTIFICATE_LEN, Certificate, EnrolmentRequest, EnrolmentResponse, FRAME_LEN,
    Fault as WireFault, Frame, Kind, Malformed, Request, Response,
};

use super::report::{Fault, FaultKind, Field, Report};
use super::show::{self, Shown};

/// A field's place, length and name, and how it is shown.
type Place = (usize, usize, &'static str, fn(&[u8]) -> Shown);

const HEADER: &[Place] =
    &[(0, 2, "magic", show::magic), (2, 1, "version", show::integer), (3, 1, "kind", show::kind)];

const REQUEST: &[Place] = &[
    (4, 2, "flags", show::request_flags),
    (6, 1, "licence_status", show::licence_status),
    (7, 1, "method", show::method),
    (8, 4, "required_count", show::integer),
    (12, 4, "time_left", show::time_left),
    (16, 16, "application_id", show::uuid),
    (32, 16, "activation_id", show::uuid),
    (48, 16, "counted_id", show::uuid),
    (64, 16, "cmid", show::uuid),
    (80, 16, "previous_cmid", show::optional_uuid),
    (96, 8, "client_time", show::unix_time),
    (104, 16, "nonce", show::hex),
    (120, 16, "fingerprint", show::fingerprint),
    (136, 64, "workstation_name", show::name),
    (200, 4, "key_id", show::integer),
    (204, 14, "reserved", show::reserved),
    (218, 32, "tag", show::hex),
];

const RESPONSE: &[Place] = &[
    (4, 2, "status", show::status),
    (6, 2, "flags", show::response_flags),
    (8, 4, "count", show::integer),
    (12, 4, "activation_interval", show::minutes),
    (16, 4, "renewal_interval", show::minutes),
    (20, 4, "validity", show::validity),
    (24, 8, "host_time", show::unix_time),
    (32, 32, "request_digest", show::hex),
];
const RESPONSE_CERTIFICATE: usize = 64;
const RESPONSE_END: &[Place] =
    &[(184, 2, "reserved", show::reserved), (186, 64, "signature", show::hex)];

/// What a client stores in the place of a response when it was activated by phone (PROTOCOL 14).
const CONFIRMATION_RECORD: &[Place] = &[
    (20, 4, "validity", show::validity),
    (32, 32, "request_digest", show::hex),
    (64, 33, "installation_id", show::hex),
    (186, 64, "signature", show::hex),
];

const ENROLMENT_REQUEST: &[Place] = &[
    (4, 2, "flags", show::no_flags),
    (6, 1, "platform_rank", show::integer),
    (7, 1, "reserved", show::reserved),
    (8, 4, "key_id", show::integer),
    (12, 4, "reserved", show::reserved),
    (16, 32, "public_key", show::public_key),
    (48, 8, "host_time", show::unix_time),
    (56, 16, "nonce", show::hex),
    (72, 16, "fingerprint", show::fingerprint),
    (88, 64, "host_name", show::name),
    (152, 2, "reserved", show::reserved),
    (154, 64, "signature", show::hex),
    (218, 32, "tag", show::hex),
];

const ENROLMENT_RESPONSE: &[Place] = &[
    (4, 2, "status", show::status),
    (6, 2, "flags", show::no_flags),
    (8, 4, "hosts_left", show::integer),
    (12, 4, "activations_left", show::integer),
    (16, 8, "authority_time", show::unix_time),
    (24, 32, "request_digest", show::hex),
];
const ENROLMENT_CERTIFICATE: usize = 56;
const ENROLMENT_RESPONSE_END: &[Place] = &[
    (176, 2, "root_id", show::integer),
    (178, 8, "reserved", show::reserved),
    (186, 64, "signature", show::hex),
];

const CERTIFICATE: &[Place] = &[
    (0, 32, "public_key", show::public_key),
    (32, 8, "serial", show::integer),
    (40, 4, "not_before", show::epoch_minute),
    (44, 4, "not_after", show::epoch_minute),
    (48, 2, "root_id", show::integer),
    (50, 2, "family", show::integer),
    (52, 1, "rank", show::integer),
    (53, 1, "generation", show::integer),
    (54, 1, "role", show::role),
    (55, 1, "reserved", show::reserved),
    (56, 64, "signature", show::hex),
];

/// A frame, or what claims to be one.
pub(super) fn inspect(bytes: &[u8]) -> Report {
    let (what, title) = match kind(bytes) {
        Some(Kind::Request) => ("activation_request", "Activation request"),
        Some(Kind::Response) => ("activation_response", "Activation response"),
        Some(Kind::EnrolmentRequest) => ("enrolment_request", "Enrolment request"),
        Some(Kind::EnrolmentResponse) => ("enrolment_response", "Enrolment response"),
        None => ("frame", "Frame"),
    };
    let mut report = Report::new(what, title);
    let malformed = malformed(bytes).err();
    let limit = malformed.map_or(FRAME_LEN, |malformed| usize::from(malformed.offset));
    report.fields = fields(bytes, limit, kind(bytes));
    report.fault = malformed.map(fault);
    report
}

/// A certificate outside a frame.
pub(super) fn inspect_certificate(bytes: &[u8; CERTIFICATE_LEN]) -> Report {
    let mut report = Report::new("certificate", "Certificate");
    let malformed = Certificate::parse(bytes).err();
    let limit = malformed.map_or(CERTIFICATE_LEN, |malformed| usize::from(malformed.offset));
    report.fields = read(bytes, limit, CERTIFICATE.iter().map(|place| (String::new(), *place)));
    report.fault = malformed.map(fault);
    report
}

/// The fields of a frame within something else.
pub(super) fn fields_at(frame: &Frame, start: usize, prefix: &str) -> Vec<Field> {
    let limit = malformed(frame).map_or_else(|error| usize::from(error.offset), |()| FRAME_LEN);
    let mut fields = if phone::is_record(frame) {
        let places = HEADER.iter().chain(CONFIRMATION_RECORD);
        read(frame, FRAME_LEN, places.map(|place| (String::new(), *place)))
    } else {
        fields(frame, limit, kind(frame))
    };
    for field in &mut fields {
        field.place = field.place.take().map(|place| place.start + start..place.end + start);
        field.name = format!("{prefix}.{}", field.name);
    }
    fields
}

/// The kind that the header of a whole or cut frame names.
fn kind(bytes: &[u8]) -> Option<Kind> {
    let mut frame: Frame = [0; FRAME_LEN];
    for (to, from) in frame.iter_mut().zip(bytes) {
        *to = *from;
    }
    Kind::of(&frame).ok()
}

fn malformed(bytes: &[u8]) -> Result<(), Malformed> {
    let frame = wire::frame_from_slice(bytes)?;
    match Kind::of(frame)? {
        Kind::Request => Request::parse(frame).map(|_| ()),
        Kind::Response => Response::parse(frame).map(|_| ()),
        Kind::EnrolmentRequest => EnrolmentRequest::parse(frame).map(|_| ()),
        Kind::EnrolmentResponse => EnrolmentResponse::parse(frame).map(|_| ()),
    }
}

fn fault(malformed: Malformed) -> Fault {
    let offset = usize::from(malformed.offset);
    let cause = match malformed.fault {
        WireFault::Length(length) if length > FRAME_LEN => {
            format!("{malformed}: there is too much from byte {offset} on")
        }
        WireFault::Length(_) => format!("{malformed}: it ends before byte {offset}"),
        _ => malformed.to_string(),
    };
    Fault { kind: FaultKind::Malformed, offset: Some(offset), cause }
}

fn fields(bytes: &[u8], limit: usize, kind: Option<Kind>) -> Vec<Field> {
    let mut places: Vec<(String, Place)> = Vec::new();
    let mut add = |prefix: &str, start: usize, table: &[Place]| {
        let moved = table.iter().map(|(offset, length, name, show)| {
            (prefix.to_owned(), (start + offset, *length, *name, *show))
        });
        places.extend(moved);
    };
    add("", 0, HEADER);
    match kind {
        None => {}
        Some(Kind::Request) => add("", 0, REQUEST),
        Some(Kind::Response) => {
            add("", 0, RESPONSE);
            add("certificate.", RESPONSE_CERTIFICATE, CERTIFICATE);
            add("", 0, RESPONSE_END);
        }
        Some(Kind::EnrolmentRequest) => add("", 0, ENROLMENT_REQUEST),
        Some(Kind::EnrolmentResponse) => {
            add("", 0, ENROLMENT_RESPONSE);
            let certificate = bytes.get(ENROLMENT_CERTIFICATE..).unwrap_or_default();
            if certificate.iter().take(CERTIFICATE_LEN).all(|byte| *byte == 0) {
                let none = |_: &[u8]| Shown::new(serde_json::Value::Null, "none");
                add("", ENROLMENT_CERTIFICATE, &[(0, CERTIFICATE_LEN, "certificate", none)]);
            } else {
                add("certificate.", ENROLMENT_CERTIFICATE, CERTIFICATE);
            }
            add("", 0, ENROLMENT_RESPONSE_END);
        }
    }
    read(bytes, limit, places.into_iter())
}

/// The fields before byte `limit`, and the one that holds it, as it is: that one is wrong.
fn read(bytes: &[u8], limit: usize, places: impl Iterator<Item = (String, Place)>) -> Vec<Field> {
    let mut fields = Vec::new();
    for (prefix, (offset, length, name, show)) in places {
        let place = offset..offset + length;
        let Some(content) = bytes.get(place.clone()) else { break };
        if offset > limit {
            break;
        }
        let wrong = limit < place.end;
        let shown = if wrong { show::hex(content) } else { show(content) };
        fields.push(Field { place: Some(place), name: prefix + name, shown, wrong });
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_no_gap() {
        for kind in 1..=4 {
            for filler in [0, 1] {
                let mut frame: Frame = [filler; FRAME_LEN];
                frame[..4].copy_from_slice(&[b'H', b'C', 1, kind]);
                let fields = fields(&frame, FRAME_LEN, super::kind(&frame));
                let mut next = 0;
                for Field { place, name, .. } in &fields {
                    let place = place.clone().unwrap();
                    assert_eq!(place.start, next, "{kind} {name}");
                    next = place.end;
                }
                assert_eq!(next, FRAME_LEN, "{kind}");
            }
        }
    }
}
