//! Fields of the wire as values for machines and words for people.

use headcount::daemon::{date, files};
use headcount::time::{EpochMinute, UnixTime};
use headcount::trust;
use headcount::wire::{CountedId, LicenceStatus, PublicKey, Refusal};
use serde_json::{Value, json};

/// A field's content.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) value: Value,
    pub(super) words: String,
}

impl Shown {
    pub(super) fn new(value: impl Into<Value>, words: impl Into<String>) -> Self {
        Self { value: value.into(), words: words.into() }
    }

    /// A value that speaks for itself.
    pub(super) fn plain(value: impl Into<Value>) -> Self {
        let value = value.into();
        let words = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self { value, words }
    }
}

/// The big-endian number that a field of up to eight bytes holds.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub(super) fn integer(bytes: &[u8]) -> Shown {
    Shown::plain(number(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> Shown {
    Shown::plain(files::to_hex(bytes))
}

pub(super) fn reserved(bytes: &[u8]) -> Shown {
    let zero = bytes.iter().all(|byte| *byte == 0);
    let hex = files::to_hex(bytes);
    Shown::new(hex.clone(), if zero { "zero".to_owned() } else { hex })
}

pub(super) fn magic(bytes: &[u8]) -> Shown {
    let text = String::from_utf8_lossy(bytes).into_owned();
    Shown::new(text.clone(), format!("\"{text}\""))
}

pub(super) fn kind(bytes: &[u8]) -> Shown {
    let words = match number(bytes) {
        1 => "1, activation request",
        2 => "2, activation response",
        3 => "3, enrolment request",
        4 => "4, enrolment response",
        _ => "unknown",
    };
    Shown::new(number(bytes), words)
}

pub(super) fn request_flags(bytes: &[u8]) -> Shown {
    flags(bytes, &["virtual machine", "renewal"])
}

pub(super) fn response_flags(bytes: &[u8]) -> Shown {
    flags(bytes, &["duplicate CMID"])
}

pub(super) fn no_flags(bytes: &[u8]) -> Shown {
    flags(bytes, &[])
}

fn flags(bytes: &[u8], names: &[&str]) -> Shown {
    let value = number(bytes);
    let set = names.iter().enumerate().filter(|(bit, _)| value >> bit & 1 != 0);
    let set: Vec<&str> = set.map(|(_, name)| *name).collect();
    Shown::new(value, if set.is_empty() { "none".to_owned() } else { set.join(", ") })
}

pub(super) fn licence_status(bytes: &[u8]) -> Shown {
    let value = number(bytes);
    let status = LicenceStatus::ALL.iter().find(|status| u64::from(**status as u8) == value);
    Shown::new(value, format!("{value}, {}", status.map_or("unknown", |status| status.name())))
}

pub(super) fn method(bytes: &[u8]) -> Shown {
    let value = number(bytes);
    let words = match value {
        0 => "0, by count: for a host",
        1 => "1, by key: for the authority",
        _ => "unknown",
    };
    Shown::new(value, words)
}

pub(super) fn status(bytes: &[u8]) -> Shown {
    let value = number(bytes);
    let refusal = Refusal::ALL.iter().find(|refusal| u64::from(refusal.code()) == value);
    let name = if value == 0 { "success" } else { refusal.map_or("unknown", |found| found.name()) };
    Shown::new(value, format!("{value}, {name}"))
}

pub(super) fn role(bytes: &[u8]) -> Shown {
    let value = number(bytes);
    let words = match value {
        0 => "0, host",
        1 => "1, authority",
        _ => "unknown",
    };
    Shown::new(value, words)
}

/// A number of minutes, with the larger unit where it is whole.
pub(super) fn minutes(bytes: &[u8]) -> Shown {
    let value = number(bytes);
    Shown::new(value, minutes_in_words(value))
}

fn minutes_in_words(value: u64) -> String {
    let (count, unit) = match value {
        0 => return "0".to_owned(),
        value if value % 1_440 == 0 => (value / 1_440, "day"),
        value if value % 60 == 0 => (value / 60, "hour"),
        _ => return format!("{value} min"),
    };
    format!("{value} min ({count} {unit}{})", if count == 1 { "" } else { "s" })
}

pub(super) fn time_left(bytes: &[u8]) -> Shown {
    match number(bytes) {
        0 => Shown::new(0, "no limit"),
        _ => minutes(bytes),
    }
}

pub(super) fn validity(bytes: &[u8]) -> Shown {
    match number(bytes) {
        0xFFFF_FFFF => Shown::new(0xFFFF_FFFF_u32, "for ever"),
        _ => minutes(bytes),
    }
}

pub(super) fn unix_time(bytes: &[u8]) -> Shown {
    time(UnixTime::from_secs(number(bytes)))
}

pub(super) fn time(time: UnixTime) -> Shown {
    match time.as_secs() {
        0 => Shown::new(0, "none: no clock"),
        secs => Shown::new(secs, date(time)),
    }
}

pub(super) fn epoch_minute(bytes: &[u8]) -> Shown {
    let minute = EpochMinute(u32::try_from(number(bytes)).unwrap_or(u32::MAX));
    Shown::new(minute.0, date(minute.start()))
}

pub(super) fn uuid(bytes: &[u8]) -> Shown {
    // All identifiers are written alike.
    match bytes.try_into() {
        Ok(bytes) => Shown::plain(CountedId(bytes).to_string()),
        Err(_) => hex(bytes),
    }
}

pub(super) fn optional_uuid(bytes: &[u8]) -> Shown {
    if bytes.iter().all(|byte| *byte == 0) { Shown::new(Value::Null, "none") } else { uuid(bytes) }
}

pub(super) fn fingerprint(bytes: &[u8]) -> Shown {
    let components: Vec<Option<String>> = bytes
        .chunks(2)
        .map(|pair| pair.iter().any(|byte| *byte != 0).then(|| files::to_hex(pair)))
        .collect();
    let words: Vec<&str> =
        components.iter().map(|component| component.as_deref().unwrap_or("----")).collect();
    Shown::new(json!(components), words.join(" "))
}

pub(super) fn name(bytes: &[u8]) -> Shown {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
    // Quoted and escaped: a name comes from anywhere, and this is a terminal.
    let words = if text.is_empty() { "none".to_owned() } else { format!("{text:?}") };
    Shown::new(text, words)
}

pub(super) fn public_key(bytes: &[u8]) -> Shown {
    let Ok(key) = bytes.try_into() else { return hex(bytes) };
    let hex = files::to_hex(bytes);
    let words = format!("{hex}, host id {}", trust::host_id(&PublicKey(key)));
    Shown::new(hex, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_take_their_largest_whole_unit() {
        let words = |value: u32| minutes(&value.to_be_bytes()).words;
        assert_eq!(words(10_080), "10080 min (7 days)");
        assert_eq!(words(1_440), "1440 min (1 day)");
        assert_eq!(words(120), "120 min (2 hours)");
        assert_eq!(words(15), "15 min");
        assert_eq!(words(0), "0");
    }

    #[test]
    fn names_cannot_write_to_the_terminal() {
        let shown = name(b"a\x1b[2Jb\0\0");
        assert_eq!(shown.words, r#""a\u{1b}[2Jb""#);
        assert_eq!(shown.value, "a\u{1b}[2Jb");
    }
}
