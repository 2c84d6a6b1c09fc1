//! Figures in words and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::frames::Trust;
use super::tally::Tally;

/// The percentiles that are reported, with their names in JSON.
const PERCENTILES: [(&str, &str, f64); 4] =
    [("p50", "p50", 50.0), ("p90", "p90", 90.0), ("p99", "p99", 99.0), ("p99_9", "p99.9", 99.9)];

/// The fields that every measurement has.
pub(super) fn figures(tally: &Tally) -> Value {
    json!({
        "exchanges": tally.exchanges(),
        "exchanges_per_second": rounded(tally.per_second(), 1),
        "granted": tally.granted,
        "refused": tally.refused,
        "unanswered": tally.unanswered,
        "errors": tally.errors,
        "wrong": tally.wrong,
        "count": tally.count,
        "elapsed_ms": u64::try_from(tally.elapsed.as_millis()).unwrap_or(u64::MAX),
        "latency_us": latency(tally),
    })
}

fn latency(tally: &Tally) -> Value {
    let mut value = json!({ "max": micros(tally.latency.max()) });
    for (name, _, percentile) in PERCENTILES {
        value[name] = json!(micros(tally.latency.value_at_percentile(percentile)));
    }
    value
}

pub(super) fn text(tally: &Tally, trust: &Trust) -> String {
    let mut text = String::new();
    let seconds = tally.elapsed.as_secs_f64();
    let _ = writeln!(
        text,
        "{} exchanges in {seconds:.1} s: {} a second",
        grouped(tally.exchanges()),
        grouped(whole(tally.per_second()))
    );
    let _ = write!(text, "latency in µs:");
    for (_, name, percentile) in PERCENTILES {
        let _ = write!(text, " {name} {},", micros(tally.latency.value_at_percentile(percentile)));
    }
    let _ = writeln!(text, " max {}", micros(tally.latency.max()));
    let _ = write!(
        text,
        "granted {}, refused {}, unanswered {}, errors {}, wrong {}",
        grouped(tally.granted),
        tally.refused,
        tally.unanswered,
        tally.errors,
        tally.wrong
    );
    if let Some(refusal) = tally.refusal {
        let _ = write!(text, "\nlast refusal: {}", refusal.name());
    }
    if let Some(error) = &tally.error {
        let _ = write!(text, "\nlast error: {error}");
    }
    if let Some(count) = tally.count {
        let _ = write!(text, "\nhighest count seen: {}", grouped(count.into()));
    }
    let _ = write!(text, "\nsignatures verified afterwards: {}", trust.verified);
    if trust.failed > 0 {
        let _ = write!(text, ", {} failed", trust.failed);
    }
    text
}

/// Nanoseconds as microseconds, to a tenth.
fn micros(nanos: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "three digits of it mean something")]
    let micros = nanos as f64 / 1_000.0;
    rounded(micros, 1)
}

pub(super) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// A rate as a whole number.
#[expect(clippy::cast_sign_loss, reason = "rates are not negative, and the cast saturates")]
pub(super) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// A number with its thousands set apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 999, 1_000, 65_536, 1_234_567].map(grouped),
            ["0", "999", "1,000", "65,536", "1,234,567"]
        );
    }
}
