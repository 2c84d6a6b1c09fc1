//! How the program takes its arguments, and how it tells what is wrong, whatever the verb.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/program.rs"]
mod program;

use program::Folder;

#[test]
fn usage_errors_are_told_in_json_too() {
    let folder = Folder::new();
    for arguments in [
        &["--json"][..],
        &["--json", "host"],
        &["--json", "juggle"],
        &["demo", "--json", "--clients", "none"],
        &["host", "init", "--json"],
        &["client", "activate", "--transport", "pigeon", "--json"],
        &["bench", "--json"],
    ] {
        let ended = folder.run(arguments).expect(2);
        let error = &ended.json()["error"];
        assert_eq!(error["exit"], 2, "{arguments:?}: {error}");
        assert_eq!(error["name"], "usage", "{arguments:?}: {error}");
        let cause = error["cause"].as_str().unwrap();
        assert!(!cause.is_empty() && !cause.starts_with("error"), "{arguments:?}: {error}");
    }
    let clients = folder.run(&["demo", "--json", "--clients", "none"]).json();
    assert!(clients["error"]["cause"].as_str().unwrap().contains("--clients"), "{clients}");
    // For people they stay what they were, and a value is no option.
    folder.run(&["demo", "--clients", "none"]).expect(2).says("error: ").says("--clients");
    assert!(folder.run(&["host", "init", "--", "a", "--json"]).expect(2).stdout.is_empty());
    folder.run(&["--version", "--json"]).expect(0).says("headcount");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["explain"][..], &["explain", "--json"], &["--help"], &["--version"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_headcount"))
            .args(arguments)
            .stdout(full())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("cannot write the output"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn help_ends_with_an_example_and_exit_codes() {
    let folder = Folder::new();
    folder.run(&["--help"]).expect(0).says("Example").says("Exit codes");
    for verb in ["host init", "host run", "client status", "authority key new", "demo", "bench"] {
        let arguments: Vec<_> = verb.split(' ').chain(["--help"]).collect();
        folder.run(&arguments).expect(0).says("xample").says("Exit codes: 0 done, 1 failed");
    }
}
