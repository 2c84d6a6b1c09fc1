//! How a host comes to its certificate: on line, by file, by QR code; with the real program.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/program.rs"]
mod program;
#[path = "authority/support.rs"]
mod support;
#[path = "common/enrolling_vendor.rs"]
mod vendor;

use std::fs;
use std::time::Duration;

use headcount::authority::EnrolmentOutcome;
use headcount::daemon::{Applicant, EnrolmentKey, HostConfig, files};
use headcount::time::UnixTime;
use headcount::wire::{KeyId, KeyKind, Refusal};
use program::{Ended, Folder};
use serde_json::json;
use support::{KEY, tag_key};
use vendor::{Authorities, Line, configure, key_text, new_host, now};

fn enrol(site: &Folder, arguments: &[&str]) -> Ended {
    site.run(&[&["host", "enrol", "--config", "host", "--json"][..], arguments].concat())
}

/// Asks on line, with the key from its file.
fn online(site: &Folder, authorities: &Authorities) -> Ended {
    enrol(site, &["--online", &authorities.place(), "--key-file", "host-key.txt"])
}

fn certificate(site: &Folder) -> serde_json::Value {
    let status = site.run(&["host", "status", "--config", "host", "--json"]).expect(0).json();
    status["certificate"].clone()
}

#[test]
fn a_host_is_enrolled_on_line_by_either_transport() {
    let (site, authorities) = (new_host(), Authorities::listen());
    for (activation, transport) in (1..).zip(["tcp", "udp"]) {
        let place = authorities.place();
        let arguments =
            ["--online", &place, "--transport", transport, "--key-file", "host-key.txt"];
        let enrolled = enrol(&site, &arguments).expect(0).json();
        assert_eq!(enrolled["serial"], certificate(&site)["serial"]);
        assert_eq!(certificate(&site)["valid_now"], true);
        assert_eq!(authorities.vendor().last(), EnrolmentOutcome::Granted { activation });
    }
    assert_eq!(authorities.vendor().ledger.names, ["core-switch", "core-switch"]);
    let text = site.run(&[
        "host",
        "enrol",
        "--config",
        "host",
        "--key-file",
        "host-key.txt",
        "--online",
        &authorities.place(),
    ]);
    text.expect(0).says("Enrolled: certificate").says("A host that runs takes it");
}

#[test]
fn an_answer_that_is_lost_does_not_use_up_another_activation() {
    let (site, authorities) = (new_host(), Authorities::listen());
    authorities.vendor().line = Line::LosesAnswers;
    online(&site, &authorities).expect(5).says("without an answer");
    assert_eq!(authorities.vendor().last(), EnrolmentOutcome::Granted { activation: 1 });
    assert!(certificate(&site).is_null());
    authorities.vendor().line = Line::Good;
    online(&site, &authorities).expect(0);
    assert_eq!(authorities.vendor().last(), EnrolmentOutcome::Repeated);
    assert_eq!(certificate(&site)["valid_now"], true);
    // That one is settled: whoever asks now wants a newer certificate.
    online(&site, &authorities).expect(0);
    assert_eq!(authorities.vendor().last(), EnrolmentOutcome::Granted { activation: 2 });
}

#[test]
fn a_request_that_waited_too_long_is_made_anew() {
    let (site, authorities) = (new_host(), Authorities::listen());
    let config = HostConfig::read(&site.join("host")).unwrap();
    let applicant = Applicant::new(&config, &config.read_products().unwrap()).unwrap();
    let key = EnrolmentKey { key_id: KEY, tag_key: tag_key(KEY) };
    let old = UnixTime::from_secs(now().as_secs() - 86_400);
    site.file("host/state/enrolment.sent", applicant.request(&key, Some(old)));
    online(&site, &authorities).expect(0);
    let decided = authorities.vendor().decided.clone();
    let refused = EnrolmentOutcome::Refused(Refusal::ClockSkew);
    assert_eq!(decided, [refused, EnrolmentOutcome::Granted { activation: 1 }]);
}

#[test]
fn every_refusal_is_told_and_hurts_nothing() {
    let (site, authorities) = (new_host(), Authorities::listen());
    online(&site, &authorities).expect(0);
    let held = certificate(&site);
    let refused = |refusal: Refusal, advice: &str| {
        let ended = online(&site, &authorities).expect(4);
        let document = ended.json();
        assert_eq!(document["status"], refusal.code());
        let cause = document["error"]["cause"].as_str().unwrap();
        assert!(cause.contains(refusal.name()), "{cause}");
        ended.says(advice).says("headcount explain");
        assert_eq!(certificate(&site), held);
    };
    authorities.vendor().key().activations_per_host = 1;
    refused(Refusal::KeyExhausted, "no place left");
    authorities.vendor().key().blocked = true;
    refused(Refusal::KeyBlocked, "another host key");
    authorities.vendor().key().key_id = KeyId(901);
    refused(Refusal::UnknownKey, "not of a test one");
    authorities.vendor().line = Line::Busy;
    refused(Refusal::Busy, "some minutes");
}

#[test]
fn nobody_who_is_not_the_vendor_is_believed() {
    let (site, authorities) = (new_host(), Authorities::listen());
    online(&site, &authorities).expect(0);
    let held = certificate(&site);
    authorities.vendor().line = Line::Forged;
    for transport in ["tcp", "udp"] {
        let place = authorities.place();
        let arguments =
            ["--online", &place, "--transport", transport, "--key-file", "host-key.txt"];
        enrol(&site, &arguments).expect(6).says("did not sign").says("own vendor");
        assert_eq!(certificate(&site), held);
    }
    // A key of another vendor: the authority stays silent.
    let stranger = headcount::trust::MasterKey::from_bytes([0x77; 32]);
    let text = stranger.product_key(KeyKind::Host, KEY).to_text();
    let arguments = ["--online", &authorities.place(), "--key", text.as_str()];
    enrol(&site, &arguments).expect(5).says("another vendor's host key");
    assert_eq!(certificate(&site), held);
}

#[test]
fn a_key_is_installed_once_and_serves_from_then_on() {
    let (site, authorities) = (new_host(), Authorities::listen());
    let place = authorities.place();
    enrol(&site, &["--online", &place]).expect(2).says("none is installed");
    let install = |arguments: &[&str]| {
        site.run(&[&["host", "install-key", "--config", "host"][..], arguments].concat())
    };
    let installed = install(&["--key-file", "host-key.txt"]).expect(0).says("Host key 900");
    let key = key_text(KeyKind::Host, KEY);
    assert!(!installed.stdout.contains(&key[10..]), "{installed:?}");
    enrol(&site, &["--online", &place]).expect(0);
    enrol(&site, &["--request", "request.bin"]).expect(0);

    let path = site.join("host/state/enrolment-key.toml");
    assert!(!fs::read_to_string(&path).unwrap().contains(&key[10..]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    install(&["--remove"]).expect(0).says("keeps its certificate");
    enrol(&site, &["--request", "request.bin"]).expect(2).says("none is installed");
    assert_eq!(certificate(&site)["valid_now"], true);
}

#[test]
fn keys_of_other_kinds_are_refused_by_name_and_not_shown() {
    let site = new_host();
    for (kind, name, advice) in [
        (KeyKind::MultipleActivation, "multiple activation key", "client install-key"),
        (KeyKind::ClientSetup, "setup key", "in product files"),
    ] {
        let key = key_text(kind, KeyId(5));
        for run in [
            site.run(&["host", "install-key", "--config", "host", &key]),
            site.run(&["host", "enrol", "--config", "host", "--request", "r", "--key", &key]),
        ] {
            let run = run.expect(2).says(name).says(advice);
            assert!(!run.stderr.contains(&key[10..]) && !run.stdout.contains(&key[10..]));
        }
    }
    assert!(!site.join("r").exists() && !site.join("host/state/enrolment-key.toml").exists());
    site.run(&["host", "install-key", "--config", "host"]).expect(2);
}

#[test]
fn the_authority_is_named_by_the_host_or_by_a_product() {
    let (site, authorities) = (new_host(), Authorities::listen());
    let ask = || enrol(&site, &["--online", "--key-file", "host-key.txt"]);
    ask().expect(2).says("nobody says where").says("[enrolment]");
    let product = site.join("host/router.product.toml");
    let text = fs::read_to_string(&product).unwrap();
    let place = authorities.place();
    fs::write(&product, format!("authority = \"{place}\"\n{text}")).unwrap();
    ask().expect(0);
    // The host's own word prevails: nothing listens there.
    configure(&site, "[enrolment]\nauthority = \"127.0.0.1:1\"\ntransport = \"tcp\"\n");
    ask().expect(5).says("127.0.0.1:1").says("firewall");
    configure(&site, "authority = 7\n");
    ask().expect(2);
}

#[test]
fn files_are_taken_as_bytes_or_as_digits() {
    let (site, authorities) = (new_host(), Authorities::listen());
    let request = ["--request", "request.bin", "--qr", "--key-file", "host-key.txt"];
    let document = enrol(&site, &request).expect(0).json();
    let frame = fs::read(site.join("request.bin")).unwrap();
    assert_eq!(document["hexadecimal"], json!(files::to_hex(&frame).to_uppercase()));
    let answer = answer_by_hand(&authorities, &frame);
    site.file("answer.txt", format!("{}\n", files::to_hex(&answer)));
    enrol(&site, &["--response", "answer.txt"]).expect(0);
    site.file("answer.bin", &answer);
    enrol(&site, &["--response", "answer.bin"]).expect(0);
    // On line goes its own way: what is under way by file is still good.
    online(&site, &authorities).expect(0);
    enrol(&site, &["--response", "answer.bin"]).expect(0);
    site.file("cut.bin", &answer[..249]);
    enrol(&site, &["--response", "cut.bin"]).expect(6).says("sent as it is");
    enrol(&site, &request).expect(0);
    enrol(&site, &["--response", "answer.bin"]).expect(6).says("another enrolment request");
    for wrong in [
        &["--request", "r", "--response", "a"][..],
        &["--online", "--response", "a"],
        &["--online", "--qr"],
        &["--response", "a", "--key", "x"],
        &["--request", "r", "--transport", "udp"],
        &[],
    ] {
        enrol(&site, wrong).expect(2);
    }
}

#[test]
fn a_qr_code_is_drawn_for_who_has_no_file() {
    let site = new_host();
    let arguments = ["host", "enrol", "--config", "host", "--qr", "--key-file", "host-key.txt"];
    let drawn = site.run(&arguments).expect(0).says("This is the request of host");
    assert!(drawn.stdout.lines().filter(|line| line.contains('\u{2588}')).count() > 20);
}

/// Reads the installation id out, and returns what the vendor reads back.
fn call(site: &Folder, authorities: &Authorities) -> String {
    let asked = enrol(site, &["--phone", "--key-file", "host-key.txt"]).expect(0).json();
    let id = asked["installation_id"].as_str().unwrap();
    assert_eq!(asked["groups"].as_array().unwrap().len(), 17);
    authorities.vendor().answer_by_phone(id).to_string()
}

#[test]
fn a_host_is_enrolled_by_phone() {
    let (site, authorities) = (new_host(), Authorities::listen());
    let shown = ["host", "enrol", "--config", "host", "--phone", "--key-file", "host-key.txt"];
    site.run(&shown).expect(0).says("Read this installation id").says("17: ");
    let confirmation = call(&site, &authorities);
    let groups: Vec<_> = confirmation.split('-').collect();
    let confirm = [&["--phone", "--confirm"][..], &groups].concat();
    let enrolled = enrol(&site, &confirm).expect(0).json();
    assert_eq!(enrolled["serial"], certificate(&site)["serial"]);
    assert_eq!(certificate(&site)["valid_now"], true);
    // The same as lines of another program.
    let typed = ["host", "enrol", "--config", "host", "--phone", "--confirm"];
    site.run_with(&typed, groups.join("\n").as_bytes()).expect(0).says("Enrolled: certificate");
}

#[test]
fn a_wrong_group_is_pointed_at_and_changes_nothing() {
    let (site, authorities) = (new_host(), Authorities::listen());
    let confirmation = call(&site, &authorities);
    let mut groups: Vec<_> = confirmation.split('-').map(str::to_owned).collect();
    let typed = ["host", "enrol", "--config", "host", "--phone", "--confirm"];
    let confirm = |groups: &[String]| site.run_with(&typed, groups.join("\n").as_bytes());
    groups.swap(4, 5);
    confirm(&groups).expect(2).says("group 5 is not right").says("read out again");
    groups.swap(4, 5);
    let last = groups[31].pop().unwrap();
    confirm(&groups).expect(2).says("group 32 has 6 digits");
    groups[31].push(last);
    confirm(&groups[..31]).expect(2).says("only 31 groups");
    assert!(certificate(&site).is_null());

    // Another host's is none for this one.
    let other = new_host();
    online(&other, &authorities).expect(0);
    let held = certificate(&other);
    other.run_with(&typed, groups.join("\n").as_bytes()).expect(6).says("does not enrol this host");
    assert_eq!(certificate(&other), held);
    for wrong in [
        &["--confirm", "1234567"][..],
        &["--phone", "--confirm", "--key", "x"],
        &["--phone", "--response", "a"],
        &["--phone", "--online"],
    ] {
        enrol(&site, wrong).expect(2);
    }
}

/// Carries a request to the authority.
fn answer_by_hand(authorities: &Authorities, frame: &[u8]) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(authorities.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(frame).unwrap();
    let mut answer = vec![0; 250];
    stream.read_exact(&mut answer).unwrap();
    answer
}
