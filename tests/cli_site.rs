//! A whole site with the real program: vendor, host and machines, over real sockets.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/program.rs"]
mod program;
#[path = "common/site.rs"]
mod site;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use program::Folder;
use site::{Host, activate, count, enrolled_site, host_command, machine};

#[test]
fn machines_are_activated_and_the_count_survives_a_restart() {
    let site = enrolled_site("3");
    assert_eq!(count(&site), -1, "nobody has asked");
    for name in ["a", "b", "c"] {
        machine(&site, name);
    }
    let host = Host::run(&site);
    let below = activate(&site, "a", &host.tcp, "tcp").expect(3);
    assert_eq!(below.json()["error"]["cause"], "the host counts 1 machine, this product needs 3");
    assert_eq!(below.json()["activated"], false);
    activate(&site, "b", &host.udp, "udp").expect(3);
    host.stop();
    assert_eq!(count(&site), 2);

    let host = Host::run(&site);
    let activated = activate(&site, "c", &host.udp, "udp").expect(0).json();
    assert_eq!(activated["activated"], true);
    assert_eq!(activated["activation"]["count"], 3);
    activate(&site, "a", &host.tcp, "tcp").expect(0);
    // The same machine again is no other machine.
    assert_eq!(activate(&site, "a", &host.tcp, "tcp").expect(0).json()["activation"]["count"], 3);
    host.stop();
    assert_eq!(count(&site), 3);
    let status = site.run(&["client", "status", "--config", "a", "--json"]).expect(0).json();
    assert_eq!(status["status"], "licensed");
    site.run(&["client", "status", "--config", "a"]).expect(0).says("activated").says("180 days");
}

#[test]
fn a_copied_state_activates_no_other_machine() {
    let site = enrolled_site("1");
    machine(&site, "a");
    machine(&site, "b");
    let host = Host::run(&site);
    activate(&site, "a", &host.tcp, "tcp").expect(0);
    site.run(&["client", "status", "--config", "b"]).expect(0);
    for copy in ["client.a", "client.b"] {
        let from = site.join("a/state").join(copy);
        if from.exists() {
            std::fs::copy(from, site.join("b/state").join(copy)).unwrap();
        }
    }
    let status = site.run(&["client", "status", "--config", "b", "--json"]).expect(0).json();
    assert_eq!(status["status"], "out_of_tolerance_grace");
    assert_eq!(status["activated"], false);
    // The host tells the copy, which takes an id of its own and is counted.
    let activated = activate(&site, "b", &host.tcp, "tcp").expect(0).json();
    let original = site.run(&["client", "status", "--config", "a", "--json"]).expect(0).json();
    assert_ne!(activated["cmid"], original["cmid"]);
    host.stop();
}

#[test]
fn every_failure_has_its_exit_code_and_names_its_cause() {
    let site = enrolled_site("1");
    machine(&site, "a");
    // A port of 127.0.0.1 that nobody gets while this end of a connection holds it, and that
    // nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let deaf = held.local_addr().unwrap().to_string();
    activate(&site, "a", &deaf, "tcp").expect(5).says("nobody answered");
    site.run(&["client", "activate", "--config", "a"]).expect(2).says("no host to ask");
    site.run(&["client", "activate", "--config", "nowhere"]).expect(1).says("nowhere");
    site.run(&["client", "activate", "--config", "a", "--transport", "pigeon"]).expect(2);

    // A host of another vendor: the setup key is unknown to it, so it is silent.
    let other = enrolled_site("1");
    let host = Host::run(&other);
    activate(&site, "a", &host.tcp, "tcp").expect(5).says("another setup key");
    host.stop();

    // Rearming ends at the product's limit.
    for left in ["2", "1", "0"] {
        site.run(&["client", "rearm", "--config", "a"]).expect(0).says(&format!("{left} more"));
    }
    site.run(&["client", "rearm", "--config", "a"]).expect(4).says("3 times");

    // State that is no state.
    for copy in ["client.a", "client.b"] {
        site.file(&format!("a/state/{copy}"), "not a state image");
    }
    site.run(&["client", "status", "--config", "a"]).expect(7).says("damaged").says("Move");
    for copy in ["host.a", "host.b"] {
        site.file(&format!("host/state/{copy}"), "not a state image");
    }
    site.run(&["host", "status", "--config", "host"]).expect(7).says("damaged");
    site.run(&["host", "run", "--config", "host"]).expect(7).says("damaged");
}

#[test]
fn an_answer_signed_by_a_stranger_is_not_trusted() {
    let site = enrolled_site("1");
    machine(&site, "a");
    let host = Host::run(&site);
    // The machine's product file names another root key: of another vendor, say.
    let stranger = enrolled_site("1");
    let root = |site: &Folder| {
        let text =
            std::fs::read_to_string(site.join("vendor/products/router.product.toml")).unwrap();
        let line = text.lines().find(|line| line.starts_with("public_key")).unwrap();
        line.to_owned()
    };
    let path = site.join("a/router.product.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&root(&site), &root(&stranger))).unwrap();
    activate(&site, "a", &host.tcp, "tcp").expect(6).says("root key did not sign");
    host.stop();
}

/// Waits for the other end to close, without a byte.
fn expect_closed(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(length) => assert_eq!(length, 0, "junk is answered by closing"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn junk_and_slow_peers_do_not_stop_a_host() {
    let site = enrolled_site("1");
    machine(&site, "a");
    let host = Host::run(&site);
    let mut slow = TcpStream::connect(&host.tcp).unwrap();
    slow.write_all(&[0x48]).unwrap();
    let mut junk = TcpStream::connect(&host.tcp).unwrap();
    junk.write_all(&[0; 250]).unwrap();
    expect_closed(&mut junk);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for junk in [&[][..], &[0; 249], &[0; 250], &[0; 251], &[0; 1_400]] {
        socket.send_to(junk, &host.udp).unwrap();
    }
    activate(&site, "a", &host.tcp, "tcp").expect(0);
    activate(&site, "a", &host.udp, "udp").expect(0);
    host.stop();
    let status = site.run(&["host", "status", "--config", "host", "--json"]).expect(0).json();
    // A client that waits too long for its datagram's answer sends it again.
    let granted = status["granted"].as_u64().unwrap();
    assert!(granted >= 2, "{granted}");
    assert_eq!(status["silent"]["malformed"], 6);
    assert_eq!(status["frames"], granted + 6);
}

/// The parts of a text that is written in groups, each long enough to be nothing else by chance.
fn groups(text: &str) -> impl Iterator<Item = String> {
    text.split('-').filter(|group| group.len() >= 5).map(str::to_lowercase)
}

#[test]
fn a_host_that_logs_every_frame_names_no_machine_and_no_secret() {
    let site = enrolled_site("1");
    let log = std::fs::File::create(site.join("log.txt")).unwrap();
    let host = Host::start(host_command(&site).arg("--verbose").stderr(Stdio::from(log)));
    let mut hidden = Vec::new();
    for (name, transport) in [("a", "tcp"), ("b", "udp")] {
        machine(&site, name);
        let address = if transport == "tcp" { &host.tcp } else { &host.udp };
        let activated = activate(&site, name, address, transport).expect(0).json();
        hidden.extend(groups(activated["cmid"].as_str().unwrap()));
    }
    // What else a host has something to say of: a machine that rearmed, junk, a peer that is lost.
    site.run(&["client", "rearm", "--config", "b"]).expect(0);
    let rearmed = activate(&site, "b", &host.tcp, "tcp").expect(0).json();
    hidden.extend(groups(rearmed["cmid"].as_str().unwrap()));
    let mut junk = TcpStream::connect(&host.tcp).unwrap();
    junk.write_all(&[0; 250]).unwrap();
    expect_closed(&mut junk);
    TcpStream::connect(&host.tcp).unwrap().write_all(&[0x48; 9]).unwrap();
    host.stop();

    let product =
        std::fs::read_to_string(site.join("vendor/products/router.product.toml")).unwrap();
    let setup_key = product.lines().find_map(|line| line.strip_prefix("setup_key = "));
    hidden.extend(groups(setup_key.unwrap().trim_matches('"')));
    let host_key = std::fs::read_to_string(site.join("host-key.txt")).unwrap();
    hidden.extend(groups(host_key.trim()));
    let seed = std::fs::read_to_string(site.join("host/state/host.key")).unwrap();
    hidden.extend(
        seed.trim().as_bytes().chunks(8).map(|part| String::from_utf8_lossy(part).into_owned()),
    );
    // Two groups of each machine id, five of each key, eight parts of the seed.
    assert_eq!(hidden.len(), 3 * 2 + 2 * 5 + 8);

    let log = std::fs::read_to_string(site.join("log.txt")).unwrap().to_lowercase();
    assert!(log.matches("counted").count() >= 3, "{log}");
    assert!(log.contains("no answer"), "{log}");
    for part in hidden {
        assert!(!log.contains(&part), "{part} is in the log: {log}");
    }
}

#[test]
fn the_demo_activates_all_and_says_so() {
    let folder = Folder::new();
    for transport in ["tcp", "udp"] {
        let ended = folder.run(&[
            "demo",
            "--clients",
            "6",
            "--threshold",
            "5",
            "--transport",
            transport,
            "--json",
        ]);
        let report = ended.expect(0).json();
        assert_eq!(report["clients"], 6);
        assert_eq!(report["activated"], 6);
        assert_eq!(report["count"], 6);
        // Four machines came before the fifth, and ask again. A slow answer may cost more.
        let exchanges = report["exchanges"].as_u64().unwrap();
        assert!(exchanges >= 10, "{exchanges}");
        assert!(report["elapsed_ms"].is_u64());
    }
    folder.run(&["demo", "--clients", "2", "--threshold", "3"]).expect(3).says("needs 3");
}
