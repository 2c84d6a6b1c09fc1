//! `headcount bench` runs and prints what it documents. Nothing is said about times.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_headcount")).arg("bench").args(arguments).output().unwrap()
}

/// A number at a path such as `/modes/0/goal`.
fn number(value: &Value, path: &str) -> f64 {
    let number = value.pointer(path).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no number at {path} in {value:#}"))
}

#[test]
fn a_comparison_tells_rates_latencies_and_ratios() {
    let arguments = ["--compare", "--seconds", "1", "--rounds", "1", "--transport", "udp"];
    let output = bench(&[&arguments[..], &["--clients", "50", "--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (path, expected) in [("/seconds", 1.0), ("/rounds", 1.0), ("/clients", 50.0)] {
        assert!((number(&value, path) - expected).abs() < f64::EPSILON, "{path}");
    }
    assert_eq!(value["interrupted"], false);
    assert!(number(&value, "/connections") >= 1.0);
    assert!(number(&value, "/goal") > 0.0);

    assert_eq!(value["modes"].as_array().unwrap().len(), 1);
    assert_eq!(value["modes"][0]["mode"], "udp");
    for ratio in ["ratio_to_signing_echo", "ratio_to_echo"] {
        for kind in ["best", "median"] {
            assert!(number(&value, &format!("/modes/0/{ratio}/{kind}")) > 0.0);
        }
    }
    for (index, server) in ["host", "signing-echo", "echo"].into_iter().enumerate() {
        let path = format!("/modes/0/servers/{index}");
        let figures = value.pointer(&path).unwrap();
        assert_eq!(figures["server"], server);
        assert!(number(figures, "/exchanges") >= 1.0);
        assert!(number(figures, "/exchanges_per_second") > 0.0);
        assert_eq!(figures["exchanges"], figures["granted"]);
        assert_eq!(figures["rounds"].as_array().unwrap().len(), 1);
        for counter in ["refused", "unanswered", "errors", "wrong", "elapsed_ms"] {
            number(figures, &format!("/{counter}"));
        }
        let latencies = ["p50", "p90", "p99", "p99_9", "max"];
        let latencies = latencies.map(|name| number(figures, &format!("/latency_us/{name}")));
        assert!(latencies.is_sorted() && latencies[0] > 0.0, "{latencies:?}");
    }
    // The machines are distinct and all of them counted, if each had its turn.
    assert!((1.0..=50.0).contains(&number(&value, "/modes/0/servers/0/count")));
}

#[test]
fn what_cannot_be_measured_is_a_usage_error() {
    assert_eq!(bench(&[]).status.code(), Some(2));
    assert_eq!(bench(&["--host", "localhost"]).status.code(), Some(2), "no product file");
    let both = ["--compare", "--host", "localhost", "--product", "p.toml"];
    assert_eq!(bench(&both).status.code(), Some(2));
}
