//! `headcount demo` on a machine that has other things to do.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// An hour passes in a second, and a request is refused when it is more than four hours old.
#[test]
fn a_demo_that_is_stopped_for_a_while_still_activates_all() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_headcount"))
        .args(["demo", "--clients", "1000", "--threshold", "25"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = demo.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    };
    let mut output = BufReader::new(demo.stdout.take().unwrap());
    let mut text = String::new();
    // The first machines have been answered: the others' requests are on their way.
    while !text.contains("  machine") {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "{text}");
    }
    signal("-STOP");
    thread::sleep(Duration::from_secs(5));
    signal("-CONT");
    output.read_to_string(&mut text).unwrap();
    let ended = demo.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{text}{ended:?}");
    assert!(text.contains("1000 of 1000 machines activated"), "{text}");
    assert!(!text.contains("clock"), "no request became old: {text}");
}
