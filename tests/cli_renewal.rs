//! A host that runs and comes to another certificate, with the real program.
#![cfg(all(feature = "cli", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/program.rs"]
mod program;
#[path = "common/site.rs"]
mod site;
#[path = "authority/support.rs"]
mod support;
#[path = "common/enrolling_vendor.rs"]
mod vendor;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use headcount::authority::EnrolmentOutcome;
use headcount::time::Minutes;
use headcount::wire::{KeyKind, Refusal, Response};
use program::Folder;
use serde_json::Value;
use site::{Host, host_command};
use support::KEY;
use vendor::{Authorities, configure, key_text, new_host, now};

/// Long enough for any machine; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host whose certificate ends in half an hour, enrolled by a vendor whose next ones last a year.
fn host_that_ends_soon() -> (Folder, Authorities) {
    let (site, authorities) = (new_host(), Authorities::listen());
    authorities.vendor().validity = Minutes(30);
    enrol(&site, &authorities);
    authorities.vendor().validity = Minutes::from_days(365);
    (site, authorities)
}

fn enrol(site: &Folder, authorities: &Authorities) {
    let place = authorities.place();
    let key = ["--key-file", "host-key.txt"];
    site.run(&[&["host", "enrol", "--config", "host", "--online", &place][..], &key].concat())
        .expect(0);
}

fn install_key(site: &Folder) {
    site.run(&["host", "install-key", "--config", "host", "--key-file", "host-key.txt"]).expect(0);
}

fn renew_by_itself(site: &Folder, authorities: &Authorities) {
    configure(site, &format!("[enrolment]\nauthority = \"{}\"\n", authorities.place()));
}

fn start(site: &Folder) -> Host {
    Host::start(host_command(site).stderr(Stdio::piped()))
}

/// Stops it, cleanly, and returns what it logged.
fn stop(mut host: Host) -> String {
    host.terminate();
    let log = host.log();
    host.stopped();
    log
}

fn status(site: &Folder) -> Value {
    site.run(&["host", "status", "--config", "host", "--json"]).expect(0).json()
}

/// The serial number of the certificate that a host answers with, if it answers.
fn answers_with(site: &Folder, host: &Host) -> Option<u64> {
    let mut stream = TcpStream::connect(&host.tcp).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&site::request(site, now())).unwrap();
    let mut answer = [0; 250];
    stream.read_exact(&mut answer).ok()?;
    Some(Response::parse(&answer).unwrap().body.certificate.claims.serial)
}

#[track_caller]
fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_host_enrols_again_by_itself_and_goes_on_serving() {
    let (site, authorities) = host_that_ends_soon();
    install_key(&site);
    renew_by_itself(&site, &authorities);
    let before = status(&site);
    assert_eq!(
        (&before["renewal"]["ends_soon"], &before["renewal"]["by_itself"]),
        (&true.into(), &true.into())
    );
    let old = before["certificate"]["serial"].as_u64();
    let host = start(&site);
    wait_for("renewed", || answers_with(&site, &host) > old);
    let after = status(&site);
    assert_eq!(after["certificate"]["serial"].as_u64(), answers_with(&site, &host));
    assert_eq!(
        (&after["renewal"]["ends_soon"], &after["renewal"]["failed"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(after["renewal"]["key_id"], KEY.0);
    let log = stop(host);
    assert!(log.contains("enrolling again") && log.contains("new certificate"), "{log}");
    // Once is enough.
    assert_eq!(authorities.vendor().decided.len(), 2);
    site.run(&["host", "status", "--config", "host"]).expect(0).says("enrols again by itself from");
}

#[test]
fn what_is_enrolled_by_hand_is_taken_while_the_host_runs() {
    let (site, authorities) = (new_host(), Authorities::listen());
    let host = start(&site);
    assert_eq!(answers_with(&site, &host), None, "silent until it is enrolled");
    for _ in 0..2 {
        let before = answers_with(&site, &host);
        enrol(&site, &authorities);
        wait_for("taken", || answers_with(&site, &host) > before);
    }
    // What is of no use does not harm what is.
    let held = answers_with(&site, &host);
    let path = site.join("host/state/host.certificate");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[..60]).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(answers_with(&site, &host), held);
    std::fs::write(&path, &good).unwrap();
    let log = stop(host);
    assert_eq!(log.matches("certificate in use is kept").count(), 1, "{log}");
}

#[test]
fn a_refusal_is_told_and_leaves_the_certificate_in_use() {
    let (site, authorities) = host_that_ends_soon();
    install_key(&site);
    renew_by_itself(&site, &authorities);
    authorities.vendor().key().blocked = true;
    let held = status(&site)["certificate"].clone();
    let host = start(&site);
    wait_for("told", || status(&site)["renewal"]["failed"].is_object());
    let told = status(&site);
    assert!(told["renewal"]["failed"]["reason"].as_str().unwrap().contains("key_blocked"));
    assert_eq!(told["certificate"], held);
    assert_eq!(answers_with(&site, &host), held["serial"].as_u64());
    let text = site.run(&["host", "status", "--config", "host"]).expect(0);
    text.says("WARNING: the certificate ends in 0 days").says("The next try");
    assert_eq!(authorities.vendor().last(), EnrolmentOutcome::Refused(Refusal::KeyBlocked));
    assert_eq!(authorities.vendor().decided.len(), 2, "it does not ask again and again");

    // Another key is tried at once.
    let another = headcount::wire::KeyId(901);
    authorities.vendor().key().blocked = false;
    authorities.vendor().key().key_id = another;
    let key = key_text(KeyKind::Host, another);
    site.run(&["host", "install-key", "--config", "host", &key]).expect(0);
    wait_for("renewed", || answers_with(&site, &host) > held["serial"].as_u64());
    wait_for("forgotten", || status(&site)["renewal"]["failed"].is_null());
    let log = stop(host);
    assert!(log.contains("key_blocked") && log.contains("certificate in use stays"), "{log}");
}

#[test]
fn a_worse_certificate_does_not_take_the_place_of_a_valid_one() {
    let (site, authorities) = host_that_ends_soon();
    install_key(&site);
    renew_by_itself(&site, &authorities);
    authorities.vendor().key().coverage.rank -= 1;
    let held = status(&site)["certificate"].clone();
    let host = start(&site);
    wait_for("told", || status(&site)["renewal"]["failed"].is_object());
    let reason = status(&site)["renewal"]["failed"]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("covers less"), "{reason}");
    assert_eq!(status(&site)["certificate"], held);
    assert_eq!(answers_with(&site, &host), held["serial"].as_u64());
    stop(host);
    // Somebody who wants it takes it by hand, and it counts nothing more.
    assert!(status(&site)["renewal"]["failed"].is_object());
    enrol(&site, &authorities);
    assert!(status(&site)["renewal"]["failed"].is_null(), "that is over");
    assert_eq!(authorities.vendor().last(), EnrolmentOutcome::Repeated);
    assert_ne!(status(&site)["certificate"], held);
}

#[test]
fn an_end_that_nobody_sees_to_is_warned_about() {
    let (site, authorities) = host_that_ends_soon();
    let host = start(&site);
    std::thread::sleep(Duration::from_secs(3));
    let log = stop(host);
    assert_eq!(log.matches("the certificate ends in").count(), 1, "{log}");
    assert!(log.contains("host enrol") && log.contains("[enrolment]"), "{log}");
    let text = site.run(&["host", "status", "--config", "host"]).expect(0);
    text.says("WARNING: the certificate ends in").says("Enrol it again");
    assert_eq!(authorities.vendor().decided.len(), 1, "nobody is asked who was not named");

    // Where it is to see to it itself, but cannot, that is said at the start.
    renew_by_itself(&site, &authorities);
    let host = start(&site);
    wait_for("told", || status(&site)["renewal"]["failed"].is_object());
    let log = stop(host);
    assert!(log.contains("cannot enrol again by itself"), "{log}");
    assert!(log.contains("no host key is installed"), "{log}");
}
