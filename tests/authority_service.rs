//! The authority's service as a process: what it answers, what it keeps, and how it fails.
#![cfg(all(feature = "cli", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/program.rs"]
mod program;
#[path = "common/vendor.rs"]
mod vendor;

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use headcount::wire::{Refusal, Validity, Verdict};
use vendor::{PATIENCE, Vendor, ask_tcp, ask_udp, enrolled, enrolment, judge, request, wait};

/// Tries until something is there that comes by itself.
fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "it never came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn machines_are_activated_over_tcp_and_udp_and_counted_once() {
    let vendor = Vendor::new("");
    let (product, key) = (vendor.product(), vendor.mak(3));
    let service = vendor.start();
    let first = request(&product, &key, 1, 0);
    let answer = service.answer(&first);
    let response = judge(&product, &first, &answer).unwrap();
    let granted = Verdict::Granted { count: 2, validity: Validity::Perpetual };
    assert_eq!(response.body.verdict, granted);
    assert_eq!(ask_udp(service.udp, &first), Some(answer), "the same frame, the same answer");

    // The same machine anew: answered, not counted.
    let again = request(&product, &key, 1, 1);
    let body = judge(&product, &again, &ask_udp(service.udp, &again).unwrap()).unwrap().body;
    assert_eq!(body.verdict, granted);
    for (machine, left) in [(2, 1), (3, 0)] {
        let frame = request(&product, &key, machine, 0);
        let body = judge(&product, &frame, &service.answer(&frame)).unwrap().body;
        let granted = Verdict::Granted { count: left, validity: Validity::Perpetual };
        assert_eq!(body.verdict, granted);
    }
    let frame = request(&product, &key, 4, 0);
    let body = judge(&product, &frame, &service.answer(&frame)).unwrap().body;
    assert_eq!(body.verdict, Verdict::Refused(Refusal::KeyExhausted));

    // Not tagged with the key: silence.
    let mut forged = request(&product, &key, 5, 0);
    forged[249] ^= 1;
    assert_eq!(service.ask(&forged), None);
    assert!(service.stop().success());
    assert_eq!(vendor.machines_activated(key.key_id()), 3);
}

#[test]
fn the_same_frame_gets_the_same_answer_after_a_stop_and_after_a_crash() {
    let vendor = Vendor::new("");
    let (product, key) = (vendor.product(), vendor.mak(50));
    let host_key = vendor.key(&["host"]);
    let host = enrolment(&host_key, 1, 0);
    let frames: Vec<_> = (0..10).map(|machine| request(&product, &key, machine, 0)).collect();
    let service = vendor.start();
    let answers: Vec<_> = frames.iter().map(|frame| service.answer(frame)).collect();
    let certificate = service.answer(&host.1);
    assert_eq!(enrolled(&product, &host, &certificate), Some(1));
    service.kill();
    let service = vendor.start();
    let again: Vec<_> = frames.iter().map(|frame| service.answer(frame)).collect();
    assert!(again == answers);
    assert_eq!(service.answer(&host.1), certificate);
    assert!(service.stop().success());
    let service = vendor.start();
    let again: Vec<_> = frames.iter().map(|frame| service.answer(frame)).collect();
    assert!(again == answers);
    assert!(service.stop().success());
    assert_eq!(vendor.machines_activated(key.key_id()), 10);
}

#[test]
fn what_was_committed_and_not_answered_is_answered_later() {
    let vendor = Vendor::new("");
    let (product, key) = (vendor.product(), vendor.mak(50));
    let frames: Vec<_> = (0..40).map(|machine| request(&product, &key, machine, 0)).collect();
    let service = vendor.start();
    // Asked by who does not wait for the answer.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for frame in &frames {
        socket.send_to(frame, service.udp).unwrap();
    }
    drop(socket);
    service.kill();
    let service = vendor.start();
    for frame in &frames {
        let response = judge(&product, frame, &service.answer(frame)).unwrap();
        assert!(matches!(response.body.verdict, Verdict::Granted { .. }));
    }
    assert!(service.stop().success());
    assert_eq!(vendor.machines_activated(key.key_id()), 40);
}

#[test]
fn one_key_under_load_grants_its_limit_and_no_more() {
    let vendor = Vendor::new("");
    let (product, key) = (vendor.product(), vendor.mak(50));
    let service = vendor.start();
    let (tcp, udp) = (service.tcp, service.udp);
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u64)
            .map(|thread| {
                let (product, key) = (&product, &key);
                scope.spawn(move || {
                    let machines = (thread * 10)..(thread * 10 + 10);
                    machines
                        .map(|machine| {
                            let frame = request(product, key, machine, 0);
                            let answer = match machine % 2 {
                                0 => ask_tcp(tcp, &frame),
                                _ => ask_udp(udp, &frame),
                            };
                            judge(product, &frame, &answer.unwrap()).unwrap().body.verdict
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let left: Vec<_> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Granted { count, .. } => Some(*count),
            Verdict::Refused(refusal) => {
                assert_eq!(*refusal, Refusal::KeyExhausted);
                None
            }
        })
        .collect();
    assert_eq!(left.len(), 50);
    let distinct: HashSet<_> = left.into_iter().collect();
    assert_eq!(distinct, (0..50).collect(), "each grant used up one activation");
}

#[test]
fn a_full_queue_is_said_and_signed() {
    let vendor = Vendor::new("queue = 1");
    let (product, key) = (vendor.product(), vendor.mak(2_000));
    let service = vendor.start();
    let udp = service.udp;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let frames: Vec<_> = (0..400).map(|machine| request(&product, &key, machine, 0)).collect();
    for frame in &frames {
        socket.send_to(frame, udp).unwrap();
    }
    let mut answer = [0; 250];
    let (mut busy, mut granted) = (0, 0);
    while socket.recv(&mut answer).is_ok() {
        let response = frames.iter().find_map(|frame| judge(&product, frame, &answer).ok());
        match response.expect("an answer that one of them believes").body.verdict {
            Verdict::Refused(refusal) => {
                assert_eq!(refusal, Refusal::Busy);
                busy += 1;
            }
            Verdict::Granted { .. } => granted += 1,
        }
    }
    assert!(busy > 0 && granted > 0, "{busy} {granted}");
    // Who was told so comes again and is served.
    for frame in &frames {
        let verdict = judge(&product, frame, &service.answer(frame)).unwrap().body.verdict;
        assert!(matches!(verdict, Verdict::Granted { .. }), "{verdict:?}");
    }
}

#[test]
fn a_sender_that_asks_too_often_hears_nothing() {
    let vendor = Vendor::new("");
    vendor.configure("request_interval_ms = 0", "request_interval_ms = 3600000\nrequest_burst = 3");
    let (product, key) = (vendor.product(), vendor.mak(50));
    let service = vendor.start();
    for machine in 0..3 {
        service.answer(&request(&product, &key, machine, 0));
    }
    assert_eq!(service.ask(&request(&product, &key, 3, 0)), None);
    assert!(service.stop().success());
    assert_eq!(vendor.machines_activated(key.key_id()), 3);
}

#[test]
fn a_product_that_is_added_while_it_runs_is_known_soon() {
    let vendor = Vendor::new("");
    let key = vendor.mak(50);
    let service = vendor.start();
    // As another machine's folder would bring it: a file.
    let product = vendor.product();
    let other = vendor.folder.join("vendor/products/other.product.toml");
    let mut file = product.clone();
    file.name = "other".into();
    file.application_id = "6d1b8a0e-1d6b-4f5e-9a55-0c2f5d1b7e01".into();
    file.write(&other).unwrap();
    let turn = std::cell::Cell::new(0);
    let verdict = || {
        turn.set(turn.get() + 1);
        let frame = request(&file, &key, 1, turn.get());
        judge(&file, &frame, &service.answer(&frame)).unwrap().body.verdict
    };
    assert_eq!(verdict(), Verdict::Refused(Refusal::NotCovered));
    until(|| matches!(verdict(), Verdict::Granted { .. }).then_some(()));
}

#[test]
fn a_key_that_is_blocked_while_it_runs_is_refused_at_once() {
    let vendor = Vendor::new("");
    let (product, key) = (vendor.product(), vendor.mak(50));
    vendor.run(&["status"]).expect(1).says("no service runs");
    let service = vendor.start();
    let frame = request(&product, &key, 1, 0);
    let answer = service.answer(&frame);
    let id = key.key_id().0.to_string();
    vendor.run(&["key", "block", &id]).expect(0);
    let verdict = |frame| judge(&product, frame, &service.answer(frame)).unwrap().body.verdict;
    assert_eq!(verdict(&frame), Verdict::Refused(Refusal::KeyBlocked), "nor is it repeated");
    let other = request(&product, &key, 2, 0);
    assert_eq!(verdict(&other), Verdict::Refused(Refusal::KeyBlocked));
    vendor.run(&["key", "unblock", &id]).expect(0);
    assert_eq!(service.answer(&frame), answer);
    assert_eq!(vendor.machines_activated(key.key_id()), 1);
    let status = vendor.run(&["status", "--json"]).expect(0).json();
    assert_eq!((&status["products"], &status["certificates"]), (&1.into(), &1.into()), "{status}");
    let requests = &status["requests"];
    assert_eq!((&requests["counted"], &requests["refused"]), (&1.into(), &2.into()), "{status}");
    assert!(service.stop().success());
    vendor.run(&["status"]).expect(1).says("no service runs");
}

#[test]
fn a_second_service_on_the_folder_is_refused() {
    let vendor = Vendor::new("");
    let (product, key) = (vendor.product(), vendor.mak(50));
    let service = vendor.start();
    let mut second = vendor.command();
    let mut second = second.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(wait(&mut second).code(), Some(1));
    let output = second.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("the authority's service runs in this folder"), "{stderr}");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("READY"));
    service.answer(&request(&product, &key, 1, 0));

    // Root keys are not changed under it, and can be seen.
    vendor.run(&["root", "add", "2"]).expect(1).says("service runs in this folder; stop it first");
    vendor.run(&["root", "list"]).expect(0).says("in use");
}

#[test]
fn keys_that_others_can_read_are_not_used() {
    for name in ["root.key", "master.key", "authority.key"] {
        let vendor = Vendor::new("");
        vendor.start().kill();
        let path = vendor.folder.join("vendor").join(name);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let mut command = vendor.command();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert_eq!(wait(&mut child).code(), Some(1), "{name}");
        let stderr = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
        assert!(stderr.contains(name) && stderr.contains("chmod 600"), "{stderr}");
    }
}

#[test]
fn another_root_key_takes_over() {
    let vendor = Vendor::new("");
    let (old, key) = (vendor.product(), vendor.mak(50));
    let host_key = vendor.key(&["host"]);
    vendor.run(&["root", "add", "2"]).expect(0).says("root key 2");
    vendor.run(&["root", "add", "2"]).expect(1).says("two root keys");
    vendor.run(&["root", "use", "3"]).expect(1).says("no [[root]]");
    // A product whose units know both keys, in a family of its own.
    vendor.add_product("switch", "8");
    let new = vendor.product_named("switch");
    assert_eq!(new.roots.len(), 2);
    vendor.run(&["root", "use", "2"]).expect(0).says("not in the files of router");
    let listed = vendor.run(&["root", "list", "--json"]).expect(0).json();
    assert_eq!(listed[1]["in_use"], true, "{listed}");

    let service = vendor.start();
    // Units that know only the old key are served on by it.
    let frame = request(&old, &key, 1, 0);
    let response = judge(&old, &frame, &service.answer(&frame)).unwrap();
    assert_eq!(response.body.certificate.claims.root_id, 1);
    let host = enrolment(&host_key, 1, 0);
    assert_eq!(enrolled(&old, &host, &service.answer(&host.1)), Some(1));
    // Those that know both are served by the new one, and it is not for the others.
    let new_host_key = vendor.key_of("switch", &["host"]);
    let host = enrolment(&new_host_key, 2, 0);
    let answer = service.answer(&host.1);
    assert_eq!(enrolled(&new, &host, &answer), Some(2));
    assert_eq!(enrolled(&old, &host, &answer), None, "it does not know the new key");
    service.stop();
    // The same without a service, where the old key's files are all that says so.
    let host = enrolment(&host_key, 3, 0);
    vendor.folder.file("request", host.1);
    vendor.run(&["enrol", "request", "--out", "response"]).expect(0);
    let answer = std::fs::read(vendor.folder.join("response")).unwrap().try_into().unwrap();
    assert_eq!(enrolled(&old, &host, &answer), Some(1));
}

#[test]
fn a_root_key_may_be_in_another_process_that_dies_and_comes_back() {
    let vendor = Vendor::new("");
    let (product, key) = (vendor.product(), vendor.mak(50));
    let host_key = vendor.key(&["host"]);
    // A signer that runs only while a file is there.
    std::fs::rename(vendor.folder.join("vendor/root.key"), vendor.folder.join("root.key")).unwrap();
    let script = vendor.folder.file(
        "signer",
        format!(
            "#!/bin/sh\necho $$ >>{0}/pids\n[ -e {0}/root.key ] || exit 1\n\
             exec {1} authority signer --key {0}/root.key\n",
            vendor.folder.path().display(),
            env!("CARGO_BIN_EXE_headcount"),
        ),
    );
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let signer = format!("signer = [\"{}\"]", script.display());
    vendor.configure("file = \"root.key\"", &signer);
    let service = vendor.start();
    let frame = request(&product, &key, 1, 0);
    judge(&product, &frame, &service.answer(&frame)).unwrap();
    let first = enrolment(&host_key, 1, 0);
    assert_eq!(enrolled(&product, &first, &service.answer(&first.1)), Some(1));

    // It dies, and cannot be started again.
    let away = vendor.folder.join("root.key.away");
    std::fs::rename(vendor.folder.join("root.key"), &away).unwrap();
    let pids = std::fs::read_to_string(vendor.folder.join("pids")).unwrap();
    let pid = pids.lines().last().unwrap();
    let killed = std::process::Command::new("kill").args(["-KILL", pid]).status().unwrap();
    assert!(killed.success());
    let second = enrolment(&host_key, 2, 0);
    assert_eq!(service.ask(&second.1), None, "no signature, no answer");
    let frame = request(&product, &key, 2, 0);
    judge(&product, &frame, &service.answer(&frame)).unwrap();

    // Nothing was recorded of what could not be answered: it is the host's first activation.
    std::fs::rename(&away, vendor.folder.join("root.key")).unwrap();
    let answer = until(|| service.ask(&second.1));
    assert_eq!(enrolled(&product, &second, &answer), Some(1));
    assert!(service.stop().success());
    let shown = vendor.run(&["key", "show", &host_key.key_id().0.to_string(), "--json"]);
    assert_eq!(shown.expect(0).json()["hosts_enrolled"], 2);
}

#[test]
fn a_signer_with_another_key_is_not_used() {
    let vendor = Vendor::new("");
    let host_key = vendor.key(&["host"]);
    vendor.folder.run(&["authority", "init", "other"]).expect(0);
    let signer = format!(
        "signer = [\"{}\", \"authority\", \"signer\", \"--key\", \"{}\"]",
        env!("CARGO_BIN_EXE_headcount"),
        vendor.folder.join("other/root.key").display(),
    );
    vendor.configure("file = \"root.key\"", &signer);
    let service = vendor.start();
    let host = enrolment(&host_key, 1, 0);
    assert_eq!(service.ask(&host.1), None);
    let (product, key) = (vendor.product(), &host_key);
    // Nor is there a certificate to answer activations with.
    assert_eq!(service.ask(&request(&product, key, 1, 0)), None);
}

#[test]
fn logs_name_no_machine_and_no_secret() {
    let vendor = Vendor::new("");
    let (product, key) = (vendor.product(), vendor.mak(50));
    let log = std::fs::File::create(vendor.folder.join("log")).unwrap();
    let service = vendor::Service::start(vendor.command().arg("--verbose").stderr(log));
    service.answer(&request(&product, &key, 1, 0));
    let mut forged = request(&product, &key, 2, 0);
    forged[249] ^= 1;
    assert_eq!(service.ask(&forged), None);
    assert!(service.stop().success());
    let log = std::fs::read_to_string(vendor.folder.join("log")).unwrap();
    assert!(log.contains("activation by key") && log.contains("no answer"), "{log}");
    let key = key.to_text();
    for secret in ["machine-1", "c0c0c0c0", "C0C0C0C0", key.as_str()] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
