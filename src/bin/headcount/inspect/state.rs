//! Images of client and host state: what can be told of them without the product.

use headcount::client::{self, ImageSummary, StoredSpan};
use headcount::discovery::Host;
use headcount::host::{self, PoolSummary, Silence, SnapshotSummary};
use headcount::storage::{Corrupt, Damage, ENVELOPE_LEN, Image, Kind, VERSION};
use headcount::time::UnixTime;
use headcount::wire::{FRAME_LEN, Frame, LicenceStatus, Refusal};
use serde_json::{Map, Value};

use super::frame;
use super::report::{Fault, FaultKind, Report};
use super::show::{self, Shown};

/// Bytes of the envelope before the payload.
const HEADER_LEN: usize = ENVELOPE_LEN - CHECKSUM_LEN;
const CHECKSUM_LEN: usize = 4;

/// The report, and the frames of a stored activation.
pub(super) fn inspect(bytes: &[u8]) -> (Report, Option<(Frame, Frame)>) {
    let image = Image::parse(bytes);
    let (what, title) = match bytes.get(5) {
        Some(1) => ("client_state", "Client state image"),
        Some(2) => ("host_state", "Host state image"),
        Some(3) => ("remembered_host", "Image of the host that a client asks first"),
        _ => ("state", "State image"),
    };
    let mut report = Report::new(what, title);
    let length = envelope(&mut report, bytes, image.is_ok());
    let payload = match &image {
        Ok(image) => image.payload,
        // What follows is a guess, and said to be one below.
        Err(_) => bytes.get(HEADER_LEN..HEADER_LEN + length).unwrap_or_default(),
    };
    let content = match (&image, bytes.get(5)) {
        (Ok(Image { kind: Kind::Client, .. }), _) | (Err(_), Some(1)) => {
            client_state(&mut report, payload)
        }
        (Ok(Image { kind: Kind::Host, .. }), _) | (Err(_), Some(2)) => {
            host_state(&mut report, payload).map(|()| None)
        }
        (Ok(Image { kind: Kind::RememberedHost, .. }), _) | (Err(_), Some(3)) => {
            remembered_host(&mut report, payload).map(|()| None)
        }
        _ => Ok(None),
    };
    match (image, &content) {
        (Err(damage), _) => {
            if report.fields.len() > ENVELOPE_FIELDS {
                report.notes.push("Its content may be wrong: the image is damaged.".to_owned());
            }
            if damage.is_newer_version() {
                report.notes.push("Use the version of headcount that wrote it.".to_owned());
            }
            report.fault = Some(damaged(&damage, length));
        }
        (Ok(_), Err(Corrupt { offset })) => {
            report.fault = Some(Fault {
                kind: FaultKind::Damaged,
                offset: Some(HEADER_LEN + offset),
                cause: "the checksum fits, but the content breaks a rule".to_owned(),
            });
        }
        (Ok(_), Ok(_)) => {
            let rest = bytes.len().saturating_sub(length + ENVELOPE_LEN);
            if rest > 0 {
                report.notes.push(format!("{rest} bytes after the image, which are ignored."));
            }
        }
    }
    (report, content.ok().flatten())
}

/// Fields of the envelope that [`envelope`] shows at most.
const ENVELOPE_FIELDS: usize = 7;

/// The envelope's fields as far as they are there; returns the payload's length as it says it.
fn envelope(report: &mut Report, bytes: &[u8], whole: bool) -> usize {
    let mut add = |start: usize, length: usize, name: &str, show: fn(&[u8]) -> Shown| {
        let place = start..start + length;
        if let Some(content) = bytes.get(place.clone()) {
            report.field(Some(place), name, show(content));
        }
    };
    add(0, 4, "magic", show::magic);
    add(4, 1, "version", show::integer);
    add(5, 1, "kind", |byte| match byte {
        [1] => Shown::new(1, "1, client"),
        [2] => Shown::new(2, "2, host"),
        [3] => Shown::new(3, "3, the host to ask first"),
        other => show::integer(other),
    });
    add(6, 2, "reserved", show::reserved);
    add(8, 8, "sequence", show::integer);
    add(16, 4, "payload_length", show::integer);
    let length = bytes.get(16..20).and_then(|length| length.try_into().ok());
    let length = length.map_or(0, u32::from_be_bytes) as usize;
    let fits = |bytes: &[u8]| Shown::new(show::hex(bytes).value, "fits");
    add(HEADER_LEN + length, CHECKSUM_LEN, "checksum", if whole { fits } else { show::hex });
    length
}

fn damaged(damage: &Damage, length: usize) -> Fault {
    let offset = match damage {
        Damage::Truncated { length, .. } => Some(*length),
        Damage::Magic => Some(0),
        Damage::Version(_) => Some(4),
        Damage::Kind(_) => Some(5),
        Damage::Reserved => Some(6),
        Damage::Checksum => Some(HEADER_LEN + length),
        _ => None,
    };
    let cause = match damage {
        Damage::Version(_) => format!("{damage} (this is headcount's format {VERSION})"),
        _ => damage.to_string(),
    };
    Fault { kind: FaultKind::Damaged, offset, cause }
}

fn client_state(report: &mut Report, payload: &[u8]) -> Result<Option<(Frame, Frame)>, Corrupt> {
    let ImageSummary {
        cmid,
        previous_cmid,
        rearms_used,
        counted,
        grace,
        out_of_tolerance,
        floor,
        activation,
    } = client::describe_image(payload)?;
    let none = || Shown::new(Value::Null, "none");
    report.field(None, "cmid", Shown::plain(cmid.to_string()));
    let previous = previous_cmid.map_or_else(none, |cmid| Shown::plain(cmid.to_string()));
    report.field(None, "previous_cmid", previous);
    report.field(None, "rearms_used", Shown::plain(rearms_used));
    let words = if counted { "a host has counted this machine" } else { "no host has, yet" };
    report.field(None, "counted", Shown::new(counted, words));
    span(report, "grace", Some(grace));
    span(report, "out_of_tolerance", out_of_tolerance);
    let floor = match floor.as_secs() {
        0 => Shown::new(Value::Null, "none: no host's answer was ever accepted"),
        _ => show::time(floor),
    };
    report.field(None, "latest_host_time", floor);
    let Some(activation) = activation else {
        report.field(None, "activation", none());
        return Ok(None);
    };
    span(report, "activation_age", Some(activation.age));
    let frames = [
        (&activation.request, ImageSummary::REQUEST_OFFSET, "request"),
        (&activation.response, ImageSummary::RESPONSE_OFFSET, "response"),
    ];
    for (frame, offset, prefix) in frames {
        let place = HEADER_LEN + offset;
        report.field(
            Some(place..place + FRAME_LEN),
            prefix,
            Shown::new(show::hex(frame).value, format!("{FRAME_LEN} bytes:")),
        );
        report.fields.extend(frame::fields_at(frame, place, prefix));
    }
    Ok(Some((activation.request, activation.response)))
}

/// A span as the clocks saw it: since when by the calendar, and how long the device has run.
fn span(report: &mut Report, name: &str, span: Option<StoredSpan>) {
    let Some(StoredSpan { since, ran_secs }) = span else {
        report.field(None, name, Shown::new(Value::Null, "no"));
        return;
    };
    report.field(None, format!("{name}_since"), show::time(since.unwrap_or_default()));
    let words = format!("{ran_secs} s ({} h)", ran_secs / 3_600);
    report.field(None, format!("{name}_ran"), Shown::new(ran_secs, words));
}

fn remembered_host(report: &mut Report, payload: &[u8]) -> Result<(), Corrupt> {
    let text = str::from_utf8(payload).ok();
    let host = text.and_then(|text| text.parse::<Host>().ok()).ok_or(Corrupt { offset: 0 })?;
    let place = HEADER_LEN..HEADER_LEN + payload.len();
    report.field(Some(place), "host", Shown::plain(host.to_string()));
    Ok(())
}

fn host_state(report: &mut Report, payload: &[u8]) -> Result<(), Corrupt> {
    let mut pools = Vec::new();
    let summary = host::describe_snapshot(payload, |_, pool| pools.push(*pool));
    if let Ok(SnapshotSummary { taken_at, counters, pools, .. }) = &summary {
        report.field(None, "taken_at", show::time(taken_at.unwrap_or_default()));
        report.field(None, "frames", Shown::plain(counters.frames()));
        report.field(None, "granted", Shown::plain(counters.granted));
        let refused = Refusal::ALL.iter().map(|refusal| refusal.name()).zip(counters.refused);
        report.field(None, "refused", by_name(refused));
        report.field(None, "silent", by_name(Silence::NAMES.into_iter().zip(counters.silent)));
        report.field(None, "pools", Shown::plain(*pools));
    }
    for (number, pool) in (1..).zip(&pools) {
        host_pool(report, number, pool);
    }
    summary.map(|_| ())
}

fn host_pool(report: &mut Report, number: u32, pool: &PoolSummary) {
    let PoolSummary { offset, counted_id, counters, limit, records, oldest, newest } = pool;
    let start = HEADER_LEN + offset;
    let mut add = |name: &str, shown| report.field(None, format!("pool{number}.{name}"), shown);
    add("counted_id", Shown::new(counted_id.to_string(), format!("{counted_id}, at byte {start}")));
    add(
        "records",
        match limit {
            0 => Shown::new(-1, "-1: nobody has asked yet"),
            _ => Shown::plain(*records),
        },
    );
    add("limit", Shown::plain(*limit));
    add("requests", Shown::plain(counters.requests));
    add("failed", Shown::plain(counters.failed));
    add("required_count", Shown::plain(counters.required_count));
    let names = LicenceStatus::ALL.iter().map(|status| status.name());
    add("by_licence_status", by_name(names.zip(counters.by_licence_status)));
    for (name, minute) in [("oldest_record", oldest), ("newest_record", newest)] {
        if let Some(minute) = minute {
            add(name, show::time(UnixTime::from_secs(u64::from(minute.0) * 60)));
        }
    }
}

/// Counters by name; people see only those that are not zero.
fn by_name(counters: impl Iterator<Item = (&'static str, u32)>) -> Shown {
    let mut value = Map::new();
    let mut words = Vec::new();
    for (name, count) in counters {
        value.insert(name.to_owned(), count.into());
        if count > 0 {
            words.push(format!("{name} {count}"));
        }
    }
    let words = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    Shown::new(Value::Object(value), words)
}
