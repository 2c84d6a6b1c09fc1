//! Clients find their hosts in DNS (PROTOCOL 12): the real program, real hosts that publish themselves,
//! and a real BIND on loopback; and name servers that lie.
#![cfg(all(feature = "cli", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing)]

#[path = "common/named.rs"]
mod named;
#[path = "common/program.rs"]
mod program;
#[path = "common/site.rs"]
mod site;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};

use named::{NameServer, Zone, can_run, eventually, free_port};
use program::{Ended, Folder};
use site::{Host, enrolled_site, machine};

const BIND: [&str; 3] = ["named", "dig", "tsig-keygen"];
const SERVICE: &str = "_headcount._tcp.example.org";

fn zone(records: &str) -> Zone<'_> {
    let updates = "update-policy { grant \"hosts\" zonesub SRV A AAAA; };";
    Zone { name: "example.org", records, updates }
}

/// A site with hosts "a" and "b" that publish themselves with these weights.
fn site_of_two(server: &NameServer, weights: [u16; 2]) -> Folder {
    let site = enrolled_site("1");
    for (name, weight) in ["a", "b"].into_iter().zip(weights) {
        let product = "vendor/products/router.product.toml";
        let listen = format!("127.0.0.1:{}", free_port());
        site.run(&["host", "init", name, "--product", product, "--listen", &listen]).expect(0);
        let enrol = ["host", "enrol", "--config", name];
        let request = ["--key-file", "host-key.txt", "--out", "request"];
        site.run(&[&enrol[..], &request].concat()).expect(0);
        let answer = ["authority", "enrol", "request", "--out", "answer", "--dir", "vendor"];
        site.run(&answer).expect(0);
        site.run(&[&enrol[..], &["--apply", "answer"]].concat()).expect(0);
        for file in ["request", "answer"] {
            std::fs::remove_file(site.join(file)).unwrap();
        }
        let (address, key) = (server.address(), server.key("hosts"));
        add(
            &site,
            &format!("{name}/host.toml"),
            &format!(
                "[dns]\ntarget = \"{name}.example.org\"\n[[dns.publish]]\ndomain = \"example.org\"\n\
                 server = \"{address}\"\nkey_file = \"{}\"\nweight = {weight}\n",
                key.display()
            ),
        );
    }
    site
}

fn add(site: &Folder, file: &str, text: &str) {
    let path = site.join(file);
    let whole = std::fs::read_to_string(&path).unwrap() + text;
    std::fs::write(path, whole).unwrap();
}

fn run(site: &Folder, name: &str) -> Host {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
    command.args(["host", "run", "--config", name]).current_dir(site.path());
    Host::start(command.stderr(Stdio::null()))
}

/// A machine that asks this name server about `example.org`.
fn finding_machine(site: &Folder, name: &str, server: &str) {
    machine(site, name);
    let config = site.join(&format!("{name}/client.toml"));
    let text = std::fs::read_to_string(&config).unwrap();
    let how = format!("dns_server = \"{server}\"\ndomains = [\"example.org\"]\n");
    std::fs::write(config, how + &text).unwrap();
}

fn activate(site: &Folder, name: &str) -> Ended {
    site.run(&["client", "activate", "--config", name, "--json"])
}

/// The host that activates a machine.
fn host_of(site: &Folder, name: &str) -> String {
    let told = activate(site, name).expect(0).json();
    let hosts = told["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["outcome"] == "activated").unwrap();
    host["host"].as_str().unwrap().split('.').next().unwrap().to_owned()
}

fn discover(site: &Folder, name: &str, more: &[&str]) -> Ended {
    site.run(&[&["client", "discover", "--config", name][..], more].concat())
}

fn expect_published(server: &NameServer, hosts: usize) {
    eventually(&format!("{hosts} hosts are published"), || {
        (server.dig("SRV", SERVICE).len() == hosts).then_some(())
    });
}

#[test]
fn machines_spread_over_published_hosts_and_survive_the_death_of_one() {
    if !can_run(&BIND) {
        return;
    }
    let server = NameServer::bind(&["hosts"], &[zone("a A 127.0.0.1\nb A 127.0.0.1")]);
    let site = site_of_two(&server, [1, 40]);
    let (a, b) = (run(&site, "a"), run(&site, "b"));
    expect_published(&server, 2);
    let names: Vec<_> = (0..16).map(|n| format!("m{n}")).collect();
    let mut first = std::collections::BTreeMap::new();
    for name in &names {
        finding_machine(&site, name, &server.address());
        *first.entry(host_of(&site, name)).or_insert(0) += 1;
    }
    // By weight: that half of them ask the light one first happens once in ten million times.
    assert!(first.values().sum::<i32>() == 16 && first.get("b") > first.get("a"), "{first:?}");

    // The remembered host dies without a word: its record stays, and the machines move.
    let moved: Vec<_> = names.iter().take(3).collect();
    for name in &moved {
        site.file(&format!("{name}/state/last-host"), format!("b.example.org:{}\n", port(&b.tcp)));
    }
    drop(b);
    for name in &moved {
        let told = activate(&site, name).expect(0).json();
        let outcomes: Vec<_> =
            told["hosts"].as_array().unwrap().iter().map(|host| &host["outcome"]).collect();
        assert_eq!(outcomes, ["nobody_answered", "activated"], "{told}");
        assert_eq!(host_of(&site, name), "a", "and stays there");
    }
    assert_eq!(server.dig("SRV", SERVICE).len(), 2, "nobody could take the dead host's record out");

    // It comes back, the other one stops and says so: machines come back, and only one record stays.
    let b = run(&site, "b");
    a.stop();
    expect_published(&server, 1);
    assert_eq!(server.dig("SRV", SERVICE), [format!("0 40 {} b.example.org.", port(&b.tcp))]);
    for name in &moved {
        assert_eq!(host_of(&site, name), "b");
    }
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

#[test]
fn discover_shows_what_dns_says_and_what_becomes_of_it() {
    if !can_run(&BIND) {
        return;
    }
    let dead = free_port();
    let records = format!(
        "a A 127.0.0.1\nb A 127.0.0.1\n_headcount._tcp SRV 5 0 {dead} a\n\
         _headcount._tcp SRV 6 0 9 old\n_headcount._tcp SRV 7 0 9 gone\n_vlmcs._tcp SRV 0 0 1688 a"
    );
    let server = NameServer::bind(&["hosts"], &[zone(&records)]);
    let site = site_of_two(&server, [1, 3]);
    let b = run(&site, "b");
    expect_published(&server, 4);
    finding_machine(&site, "m", &server.address());
    add(&site, "m/client.toml", "[redirect]\n\"old.example.org\" = \"b.example.org\"\n");
    let told = discover(&site, "m", &["--json"]).expect(0).json();
    let hosts = told["domains"][0]["hosts"].as_array().unwrap();
    let named = |index: usize| hosts[index]["host"].as_str().unwrap();
    assert_eq!(named(0), format!("b.example.org:{}", port(&b.tcp)));
    assert_eq!(named(1), format!("a.example.org:{dead}"));
    assert_eq!(hosts[2]["redirected_to"], "b.example.org");
    assert!(hosts[3]["not_asked"].as_str().unwrap().contains("has no address"), "{told}");
    assert_eq!(told["other_services"][0], "_vlmcs._tcp.example.org");

    let text = discover(&site, "m", &["--check"]).expect(0);
    let text = text.says("4 hosts, to be tried in this order").says("Also seen: _vlmcs._tcp.");
    text.says("serves this product").says("WARNING: 3 of 4 gave no answer that counts");
    let told = discover(&site, "m", &["--check", "--json"]).expect(0).json();
    let checked = told["checked"].as_array().unwrap();
    assert_eq!(checked[0]["count"], 1, "{told}");
    assert_eq!(checked[0]["host_id"].as_str().unwrap().len(), 41, "{told}");
    assert!(checked[0]["milliseconds"].is_number() && checked[1]["answered"] == false, "{told}");

    // Trusted hosts only: the rest is shown, and not asked.
    let id = checked[0]["host_id"].as_str().unwrap();
    add(
        &site,
        "m/client.toml",
        &format!("[trusted]\nnames = [\"a.example.org\"]\nids = [\"{id}\"]\n"),
    );
    discover(&site, "m", &[]).expect(0).says("NOT ASKED: is none of the trusted hosts");
    let ended = activate(&site, "m").expect(5).json();
    assert_eq!(ended["hosts"].as_array().unwrap().len(), 1, "{ended}");
    let config = std::fs::read_to_string(site.join("m/client.toml")).unwrap();
    let other = id.replace(id.chars().next().unwrap(), "0");
    let config = config.replace("names = [\"a.example.org\"]\n", "").replace(id, &other);
    site.file("m/client.toml", config);
    let ended = activate(&site, "m");
    assert!(ended.stdout.contains("its host is none of the trusted ones"), "{ended:?}");
    ended.expect(6);
}

#[test]
fn a_long_list_comes_by_tcp_and_by_ipv6() {
    if !can_run(&BIND) {
        return;
    }
    let mut records = String::from("b AAAA ::1\n");
    for n in 0..90 {
        writeln!(records, "_headcount._tcp SRV 9 0 9 a-host-with-a-long-name-{n}").unwrap();
    }
    let site = enrolled_site("1");
    let (port, path) = (free_port(), site.join("host/host.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("127.0.0.1:0", &format!("[::1]:{port}"))).unwrap();
    writeln!(records, "_headcount._tcp SRV 1 0 {port} b").unwrap();
    let server = NameServer::bind(&["hosts"], &[zone(&records)]);
    let _host = run(&site, "host");
    finding_machine(&site, "m", &format!("[::1]:{}", server.port));
    let told = activate(&site, "m").expect(0).json();
    assert_eq!(told["dns"][0]["hosts"], 91, "{told}");
    assert_eq!(told["hosts"][0]["host"], format!("b.example.org:{port}"), "{told}");
}

#[test]
fn settings_of_hosts_are_changed_and_comments_stay() {
    let site = enrolled_site("1");
    machine(&site, "m");
    let toml = || std::fs::read_to_string(site.join("m/client.toml")).unwrap();
    site.file("m/client.toml", format!("# Ours.\n{}# The end.\n", toml()));
    let set = |words: &[&str]| site.run(&[&["client"], words, &["--config", "m"]].concat());
    set(&["set-host", "counting.example", "[::1]:99"]).expect(0).says("[::1]:99");
    assert!(toml().contains("hosts = [\"counting.example\", \"[::1]:99\"]"), "{}", toml());
    set(&["set-domain", "lab.example", "example"]).expect(0).says("hosts are set by hand");
    set(&["clear-host"]).expect(0);
    assert!(toml().contains("domains = [\"lab.example\", \"example\"]"), "{}", toml());
    set(&["clear-domain"]).expect(0);
    let text = toml();
    assert!(!text.contains("hosts") && !text.contains("domains"), "{text}");
    assert!(text.starts_with("# Ours.\n") && text.ends_with("# The end.\n"), "{text}");

    // What is wrong is refused, and changes nothing.
    set(&["set-host", "a b"]).expect(2).says("is no host");
    set(&["set-domain", "a..b"]).expect(2).says("is no domain");
    assert_eq!(toml(), text);
    for (wrong, reason) in [
        ("[redirect]\n\"a\" = \"b\"\n\"b\" = \"a\"\n", "lead back to where they began"),
        ("[trusted]\nids = [\"12\"]\n", "is no host id"),
    ] {
        site.file("m/client.toml", format!("{text}{wrong}"));
        activate(&site, "m").expect(2);
        site.run(&["client", "status", "--config", "m"]).expect(2).says(reason);
    }
}

/// Answers queries by UDP as `answer` says, none or several datagrams each.
fn lying_server(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        // Ends with the test's process.
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            for message in answer(&query[..length]) {
                let _ = socket.send_to(&message, from);
            }
        }
    });
    address
}

/// An answer with one record whose bytes are given from its owner on.
fn answer_of(query: &[u8], flags: [u8; 2], record: &[u8]) -> Vec<u8> {
    let question = &query[12..query.len() - 11];
    [&query[..2], &flags, &[0, 1, 0, 1, 0, 0, 0, 0], question, record].concat()
}

/// What a server answers to a query.
type Lie = Box<dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send>;

/// The record of a host at a port of loopback, owned by the name that was asked for.
fn good_record(port: u16) -> Vec<u8> {
    let target = b"\x09127-0-0-1\x07invalid\0";
    let length = 6 + target.len() as u8;
    let head = [0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, length, 0, 0, 0, 0];
    [&head[..], &port.to_be_bytes(), target].concat()
}

#[test]
fn a_name_server_that_lies_harms_nobody() {
    let site = enrolled_site("1");
    let host = run(&site, "host");
    let port: u16 = port(&host.tcp).parse().unwrap();
    let good = move |query: &[u8]| answer_of(query, [0x81, 0x80], &good_record(port));
    // An owner that points at itself: after the header and the question, of 29 and 4 bytes.
    let loops = [0xC0, 12 + 29 + 4, 0, 33];
    let lies: [(&str, Lie); 6] = [
        ("does not answer", Box::new(|_| Vec::new())),
        // Another id, then another question: neither is heeded.
        (
            "does not answer",
            Box::new(move |query| {
                let (mut other, mut case) = (good(query), good(query));
                other[0] ^= 0x55;
                case[14] ^= 0x20;
                vec![other, case, query.to_vec()]
            }),
        ),
        ("compression pointer", Box::new(move |q| vec![answer_of(q, [0x81, 0x80], &loops)])),
        ("ends too early", Box::new(move |q| vec![answer_of(q, [0x81, 0x80], &[])])),
        ("SERVFAIL", Box::new(move |q| vec![answer_of(q, [0x81, 0x82], &good_record(port))])),
        // A record of another name is passed over.
        (
            "no host has published itself",
            Box::new(move |query| {
                let record = good_record(port);
                let other = [&b"\x05other\x07example\0"[..], &record[2..]].concat();
                vec![answer_of(query, [0x81, 0x80], &other)]
            }),
        ),
    ];
    for (index, (reason, lie)) in lies.into_iter().enumerate() {
        let name = format!("m{index}");
        finding_machine(&site, &name, &lying_server(lie));
        let ended = activate(&site, &name).expect(5).json();
        let cause = ended["error"]["cause"].as_str().unwrap();
        assert!(cause.contains(reason), "{reason}: {ended}");
    }
    // Wrong ones first, the right one last: it is waited for. Its host has no address, and that is
    // said.
    let patient = lying_server(move |query| {
        let mut other = good(query);
        other[1] ^= 1;
        vec![other, vec![0; 1_232], good(query)]
    });
    finding_machine(&site, "patient", &patient);
    let ended = activate(&site, "patient").expect(5).json();
    assert_eq!(ended["dns"][0]["hosts"], 1, "{ended}");
}

#[test]
fn the_longest_answer_there_can_be_harms_nobody() {
    let site = enrolled_site("1");
    let host = run(&site, "host");
    let port: u16 = port(&host.tcp).parse().unwrap();
    let (tcp, udp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            break (tcp, udp);
        }
    };
    let address = tcp.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut query) {
            // Truncated: there is more by TCP.
            let short = answer_of(&query[..length], [0x83, 0x80], &[]);
            let _ = udp.send_to(&short, from);
        }
    });
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = tcp.accept() {
            let mut query = [0; 512];
            let length = stream.read(&mut query).unwrap();
            // As many records as there is room for.
            let query = &query[2..length];
            let mut message = answer_of(query, [0x81, 0x80], &[]);
            let record = good_record(port);
            let room = usize::from(u16::MAX) - message.len();
            let count = room / record.len();
            message[6..8].copy_from_slice(&(count as u16).to_be_bytes());
            (0..count).for_each(|_| message.extend(&record));
            message.resize(usize::from(u16::MAX), 0);
            stream.write_all(&u16::MAX.to_be_bytes()).unwrap();
            stream.write_all(&message).unwrap();
        }
    });
    finding_machine(&site, "m", &address);
    // Each record is one and the same host, whose name has no address.
    let ended = activate(&site, "m").expect(5).json();
    assert!(ended["dns"][0]["hosts"].as_u64().unwrap() > 1_500, "{ended}");
    assert_eq!(ended["hosts"].as_array().unwrap().len(), 1, "{ended}");
}

#[test]
fn an_outage_of_dns_stops_nobody_who_has_found_a_host() {
    if !can_run(&BIND) {
        return;
    }
    let site = enrolled_site("1");
    let host = run(&site, "host");
    let records = format!("b A 127.0.0.1\n_headcount._tcp SRV 0 0 {} b", port(&host.tcp));
    let server = NameServer::bind(&["hosts"], &[zone(&records)]);
    finding_machine(&site, "m", &server.address());
    activate(&site, "m").expect(0);
    let last = site.join("m/state/last-host");
    let kept = format!("b.example.org:{}\n127.0.0.1\n", port(&host.tcp));
    assert_eq!(std::fs::read_to_string(&last).unwrap(), kept);
    drop(server);
    activate(&site, "m").expect(0);

    // Without the addresses, as an older file is, the name alone is of no use now.
    std::fs::write(&last, kept.lines().next().unwrap()).unwrap();
    activate(&site, "m").expect(5);
    std::fs::write(&last, kept).unwrap();

    // What is set by hand has no past: neither does it become one.
    site.run(&["client", "set-domain", "Example.ORG.", "--config", "m", "--json"])
        .expect(0)
        .says("[\"example.org\"]");
    assert!(!last.exists());
    site.run(&["client", "activate", "--config", "m", "--host", &host.tcp]).expect(0);
    assert!(!last.exists());
}

#[test]
fn a_file_that_is_changed_keeps_its_mode_and_the_link_to_it() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let site = enrolled_site("1");
    machine(&site, "m");
    let (link, real) = (site.join("m/client.toml"), site.join("m/real.toml"));
    std::fs::rename(&link, &real).unwrap();
    symlink("real.toml", &link).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o660)).unwrap();
    site.run(&["client", "set-host", "a", "--config", "m"]).expect(0);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(mode(&real), 0o660);
    assert!(std::fs::read_to_string(&real).unwrap().contains("hosts = [\"a\"]"));
}

#[test]
fn only_what_may_be_asked_is_counted_and_asked() {
    if !can_run(&BIND) {
        return;
    }
    let site = enrolled_site("1");
    let host = run(&site, "host");
    let port = port(&host.tcp);
    let records = format!(
        "b A 127.0.0.1\nc A 127.0.0.1\n_headcount._tcp SRV 0 0 {port} b\n\
         _headcount._tcp SRV 1 0 9 c\n_headcount._udp SRV 0 0 0 ."
    );
    let server = NameServer::bind(&["hosts"], &[zone(&records)]);
    finding_machine(&site, "m", &server.address());
    let none = "says that the service is not offered here";
    let udp = ["--transport", "udp"];
    discover(&site, "m", &udp).expect(5).says(&format!("NOT ASKED: {none}"));
    let asked = [&["client", "activate", "--config", "m"][..], &udp].concat();
    site.run(&asked).expect(5).says(none);

    let config = std::fs::read_to_string(site.join("m/client.toml")).unwrap();
    let trusting = |names: &str| {
        site.file("m/client.toml", format!("{config}[trusted]\nnames = [{names}]\n"));
    };
    trusting("\"c.example.org\"");
    let told = discover(&site, "m", &["--check", "--json"]).expect(5).json();
    let checked = told["checked"].as_array().unwrap();
    assert_eq!(checked.len(), 1, "the other host is not asked: {told}");
    assert_eq!(checked[0]["host"], "c.example.org:9", "{told}");
    discover(&site, "m", &[]).expect(0).says("1 host, and 1 that may not be asked");
    trusting("\"d.example.org\"");
    discover(&site, "m", &[]).expect(5).says("2 hosts, none of them trusted");
    activate(&site, "m").expect(5).says("2 hosts, none of them trusted");
    trusting("");
    activate(&site, "m").expect(2).says("[trusted] needs names or ids");
}

#[test]
fn hosts_by_hand_are_looked_up_by_the_system_and_checked() {
    let site = enrolled_site("1");
    let host = run(&site, "host");
    let port = port(&host.tcp);
    machine(&site, "m");
    let config = std::fs::read_to_string(site.join("m/client.toml")).unwrap();
    // A name server that knows nothing; no domains.
    let silent = lying_server(|query| vec![answer_of(query, [0x81, 0x83], &[])]);
    let by_hand = |hosts: &str, more: &str| {
        let how = format!("dns_server = \"{silent}\"\ndomains = []\nhosts = [{hosts}]\n");
        site.file("m/client.toml", format!("{how}{config}{more}"));
    };
    let local = format!("\"localhost:{port}\"");
    by_hand(&format!("{local}, \"nowhere.invalid:9\""), "");
    activate(&site, "m").expect(0);
    let told = discover(&site, "m", &["--check", "--json"]).expect(0).json();
    let checked = told["checked"].as_array().unwrap();
    assert!(checked.iter().any(|one| one["answered"] == true), "{told}");
    let nowhere = checked.iter().find(|one| one["host"] == "nowhere.invalid:9").unwrap();
    assert!(nowhere["error"].as_str().unwrap().contains("has no address"), "{told}");
    discover(&site, "m", &["--check"]).expect(0).says("WARNING: ");
    by_hand("\"nowhere.invalid:9\"", "");
    discover(&site, "m", &["--check"]).expect(5).says("no host gave an answer that counts");
    by_hand(&local, "[trusted]\nnames = [\"c.example.org\"]\n");
    let told = discover(&site, "m", &["--check", "--json"]).expect(5).json();
    assert!(!told.to_string().contains("\"answered\":true"), "{told}");
    drop(host);
}

#[test]
fn a_family_that_fails_does_not_hide_the_other() {
    let site = enrolled_site("1");
    let host = run(&site, "host");
    let number: u16 = port(&host.tcp).parse().unwrap();
    let server = lying_server(move |query| {
        let kind = query[query.len() - 14];
        vec![match kind {
            33 => answer_of(query, [0x81, 0x80], &good_record(number)),
            1 => {
                let record = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];
                answer_of(query, [0x81, 0x80], &record)
            }
            _ => answer_of(query, [0x81, 0x82], &[]),
        }]
    });
    finding_machine(&site, "m", &server);
    activate(&site, "m").expect(0);
}

#[test]
fn a_long_list_is_cut_before_anything_is_looked_up() {
    let site = enrolled_site("1");
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let lookups = std::sync::Arc::clone(&asked);
    // 40 hosts without addresses, in one message.
    let server = lying_server(move |query| {
        if query[query.len() - 14] != 33 || query[13..19].eq_ignore_ascii_case(b"_vlmcs") {
            lookups.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut none = answer_of(query, [0x81, 0x83], &[]);
            none[7] = 0;
            return vec![none];
        }
        let mut message = answer_of(query, [0x81, 0x80], &[]);
        message[7] = 40;
        for n in 0..40_u8 {
            message.extend([0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10, 0, n, 0, 0, 0, 9]);
            message.extend([2, b'a' + n / 10, b'0' + n % 10, 0]);
        }
        vec![message]
    });
    finding_machine(&site, "m", &server);
    let told = discover(&site, "m", &["--json"]).expect(5).json();
    assert_eq!(told["domains"][0]["hosts"].as_array().unwrap().len(), 32, "{told}");
    assert_eq!(told["domains"][0]["not_tried"], 8, "{told}");
    // Two families each, and the other service.
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 65);
}
