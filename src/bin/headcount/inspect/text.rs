//! What people type or copy: product keys, host ids, hexadecimal digits.

use headcount::daemon::files;
use headcount::trust::ProductKey;
use headcount::wire::{HostId, KeyId, KeyKind};
use zeroize::Zeroizing;

use super::report::{Fault, FaultKind, Report};
use super::show::Shown;

/// Digits of a host id, and how many may be missing or too many for it still to look like one.
const HOST_ID_DIGITS: usize = 35;
const NEARLY: usize = 5;

/// Symbols of a product key.
const KEY_SYMBOLS: usize = 25;

/// What a text is.
pub(super) enum Text {
    /// Hexadecimal digits of these bytes.
    Bytes(Zeroizing<Vec<u8>>),
    /// Something else, described.
    Described(Report),
}

pub(super) fn inspect(text: &str) -> Text {
    let text = text.trim();
    let symbols = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
    let length = symbols.clone().count();
    let digits_only = symbols.clone().all(|c| c.is_ascii_digit());
    if digits_only && length == HOST_ID_DIGITS {
        return Text::Described(host_id(text));
    }
    if let Some(bytes) = files::from_hex(text).map(Zeroizing::new)
        && (bytes.len() > KEY_SYMBOLS || bytes.starts_with(b"HC"))
    {
        return Text::Bytes(bytes);
    }
    if digits_only && length.abs_diff(HOST_ID_DIGITS) <= NEARLY {
        return Text::Described(host_id(text));
    }
    let one_word = text.split_whitespace().count() <= 1 || text.contains('-');
    let alphanumeric = symbols.clone().all(|c| c.is_ascii_alphanumeric());
    if one_word && alphanumeric && length.abs_diff(KEY_SYMBOLS) <= NEARLY {
        return Text::Described(product_key(text));
    }
    Text::Described(hexadecimal(text).unwrap_or_else(|| other(text)))
}

fn product_key(text: &str) -> Report {
    let mut report = Report::new("product_key", "Product key");
    match ProductKey::from_text(text) {
        Ok(key) => {
            let (name, words) = match key.kind() {
                KeyKind::Host => ("host", "host key: enrols hosts"),
                KeyKind::MultipleActivation => {
                    ("mak", "multiple activation key: activates single machines at the authority")
                }
                KeyKind::ClientSetup => {
                    ("setup", "client setup key: ships in every unit, tags requests to hosts")
                }
            };
            report.field(None, "kind", Shown::new(name, words));
            let KeyId(id) = key.key_id();
            report.field(None, "key_id", Shown::plain(id));
            report.field(None, "check", Shown::new(true, "fits: no typing error"));
            report.notes.push(
                "Whether the authority has issued it, and what it covers, only the authority knows."
                    .to_owned(),
            );
        }
        Err(invalid) => report.fault = Some(malformed(None, invalid.to_string())),
    }
    report
}

fn host_id(text: &str) -> Report {
    let mut report = Report::new("host_id", "Host id");
    // Line breaks come with copying.
    let joined: String = text.split_whitespace().collect();
    match joined.parse::<HostId>() {
        Ok(id) => {
            report.field(None, "host_id", Shown::plain(id.to_string()));
            report.notes.push("Valid; of which host only the hosts can tell.".to_owned());
        }
        Err(invalid) => report.fault = Some(malformed(None, invalid.to_string())),
    }
    report
}

/// A text that is nearly all hexadecimal digits, and the first thing that is wrong with it.
fn hexadecimal(text: &str) -> Option<Report> {
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    let others = text.char_indices().filter(|(_, c)| !c.is_ascii_hexdigit() && !c.is_whitespace());
    if digits < 16 || others.clone().count() * 16 > digits {
        return None;
    }
    let mut report = Report::new("hexadecimal", "Hexadecimal digits");
    let first = others.clone().next();
    report.fault = match first {
        Some((offset, found)) => Some(malformed(
            Some(offset),
            format!("{found:?} at byte {offset} of the text is no hexadecimal digit"),
        )),
        None if digits % 2 == 1 => {
            Some(malformed(Some(text.len()), format!("{digits} digits: half a byte is missing")))
        }
        None => {
            let bytes = digits / 2;
            let cause = format!("{bytes} bytes in hexadecimal, no frame, certificate or image");
            return Some(Report::unknown(cause));
        }
    };
    Some(report)
}

fn other(text: &str) -> Report {
    let lines = text.lines().count();
    let looks_like = if text.is_empty() {
        "there is nothing in it".to_owned()
    } else if text.starts_with("-----BEGIN ") {
        "it looks like PEM, which headcount does not use".to_owned()
    } else if text.starts_with(['{', '<']) {
        "it looks like JSON or XML".to_owned()
    } else if text.lines().any(|line| line.contains(" = ")) {
        "it looks like TOML: a product file or a configuration is read by the verbs that use it"
            .to_owned()
    } else {
        format!("it looks like text of {lines} line{}", if lines == 1 { "" } else { "s" })
    };
    Report::unknown(looks_like)
}

fn malformed(offset: Option<usize>, cause: String) -> Fault {
    Fault { kind: FaultKind::Malformed, offset, cause }
}
