//! Hosts publish themselves in DNS (PROTOCOL 12): the real program and real name servers on loopback.
#![cfg(all(feature = "cli", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/named.rs"]
mod named;
#[path = "common/program.rs"]
mod program;
#[path = "common/site.rs"]
mod site;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;

use headcount::daemon::publication::{Ports, Publications, PublishError};
use headcount::daemon::{Clock, HostConfig, SystemClock};
use headcount::time::{Now, UnixTime};
use named::{NameServer, Zone, can_run, eventually, free_port, has_ipv6, key_file, write_secret};
use program::Folder;
use site::{Host, activate, enrolled_site, host_command, machine};

const BIND: [&str; 3] = ["named", "dig", "tsig-keygen"];
const TCP: &str = "_headcount._tcp.example.org";
const UDP: &str = "_headcount._udp.example.org";

/// The administrator's guide.
const GUIDE: &str = include_str!("../docs/dns.md");
const OTHER_POLICY: &str = "update-policy { grant \"hosts\" zonesub SRV A AAAA; };";

/// The zone of the guide, with the policy that it says to write.
fn zone(records: &str) -> Zone<'_> {
    let start = GUIDE.find("update-policy {").unwrap();
    let (policy, _) = GUIDE[start..].split_once("    };").unwrap();
    let updates = Box::leak(format!("{policy}}};").into_boxed_str());
    Zone { name: "example.org", records, updates }
}

fn two_zones() -> NameServer {
    let other = Zone { name: "example.net", records: "", updates: OTHER_POLICY };
    NameServer::bind(&["hosts", "nobody"], &[zone(""), other])
}

/// Adds to a host's configuration.
fn configure(site: &Folder, dns: &str) {
    let path = site.join("host/host.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    // Tables come after everything else.
    std::fs::write(&path, format!("{text}\n{dns}")).unwrap();
}

/// One domain, at this server with its key.
fn publish(server: &NameServer, domain: &str, more: &str) -> String {
    let (address, key) = (server.address(), server.key("hosts"));
    let key = key.display();
    format!(
        "[[dns.publish]]\ndomain = \"{domain}\"\nserver = \"{address}\"\nkey_file = \"{key}\"\n{more}\n"
    )
}

/// A host that is to publish itself.
fn site_of(target: &str, domains: &[String]) -> Folder {
    let site = enrolled_site("1");
    configure(&site, &format!("[dns]\ntarget = \"{target}\"\n{}", domains.concat()));
    site
}

/// Lets the host listen at a port that is known before it runs.
fn fix_port(site: &Folder) -> u16 {
    let (path, port) = (site.join("host/host.toml"), free_port());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))).unwrap();
    port
}

/// Runs a host whose log goes to a file.
fn run(site: &Folder) -> Host {
    let log = std::fs::File::create(site.join("log")).unwrap();
    Host::start(host_command(site).stderr(log))
}

fn log(site: &Folder) -> String {
    std::fs::read_to_string(site.join("log")).unwrap()
}

fn port(address: &str) -> u16 {
    address.parse::<SocketAddr>().unwrap().port()
}

#[track_caller]
fn expect_records(server: &NameServer, name: &str, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut found = Vec::new();
    eventually(&format!("{name}: {expected:?}"), || {
        found = server.dig("SRV", name);
        (found == expected).then_some(())
    });
}

fn dns(site: &Folder, verb: &str, more: &[&str]) -> program::Ended {
    site.run(&[&["host", "dns", verb, "--config", "host"], more].concat())
}

#[test]
fn two_hosts_publish_in_two_zones_and_each_removes_its_own() {
    if !can_run(&BIND) {
        return;
    }
    let server = two_zones();
    let site = |target: &str, weight: u16| {
        let more = format!("priority = 1\nweight = {weight}");
        let both = ["example.org", "example.net"].map(|domain| publish(&server, domain, &more));
        site_of(target, &both)
    };
    let (site_a, site_b) = (site("a.example.org", 10), site("b.example.org", 30));
    let (a, b) = (run(&site_a), run(&site_b));
    let record_a = format!("1 10 {} a.example.org.", port(&a.tcp));
    let record_b = format!("1 30 {} b.example.org.", port(&b.tcp));
    for domain in ["example.org", "example.net"] {
        for transport in ["tcp", "udp"] {
            let name = format!("_headcount._{transport}.{domain}");
            expect_records(&server, &name, &[&record_a, &record_b]);
            if has_ipv6() {
                let by_v6 = server.dig_at("::1", &["+short", "SRV", &name]);
                assert_eq!(by_v6, server.dig("SRV", &name));
            }
        }
    }
    eventually("it says so", || log(&site_a).contains("published in DNS").then_some(()));
    // A clean stop takes away what is the host's own.
    a.stop();
    for domain in ["example.org", "example.net"] {
        for transport in ["tcp", "udp"] {
            let name = format!("_headcount._{transport}.{domain}");
            assert_eq!(server.dig("SRV", &name), [record_b.as_str()]);
        }
    }
    assert!(log(&site_a).contains("withdrawn from DNS"), "{}", log(&site_a));
    // One that is killed leaves its records, and replaces them when it is back, at another port.
    drop(b);
    expect_records(&server, TCP, &[&record_b]);
    let b = run(&site_b);
    assert_ne!(record_b, format!("1 30 {} b.example.org.", port(&b.tcp)));
    expect_records(&server, TCP, &[&format!("1 30 {} b.example.org.", port(&b.tcp))]);
    expect_records(&server, UDP, &[&format!("1 30 {} b.example.org.", port(&b.udp))]);
    b.stop();
    assert!(server.dig("SRV", TCP).is_empty() && server.dig("SRV", UDP).is_empty());
}

#[test]
fn a_server_is_reached_by_ipv6_and_its_zone_may_be_above_the_domain() {
    if !can_run(&BIND) {
        return;
    }
    let server = two_zones();
    let key = server.key("hosts").display().to_string();
    let domain = |server: &str, more: &str| {
        format!("[[dns.publish]]\nserver = \"{server}\"\nkey_file = {key:?}\n{more}\n")
    };
    let ip = if has_ipv6() { "[::1]" } else { "127.0.0.1" };
    let v6 = format!("{ip}:{}", server.port);
    let by_name = format!("localhost:{}", server.port);
    let domains = [
        domain(&v6, "domain = \"lab.example.net\""),
        domain(&by_name, "domain = \"site.example.net\"\nzone = \"Example.NET.\""),
    ];
    let service = "service = \"_counting\"\n".to_owned();
    let site = site_of("a.example.org", &[&[service][..], &domains].concat());
    let port = fix_port(&site);
    dns(&site, "publish", &[])
        .expect(0)
        .says(&format!("published in the zone example.net at {ip}:"));
    for domain in ["lab", "site"] {
        let name = format!("_counting._tcp.{domain}.example.net");
        assert_eq!(server.dig("SRV", &name), [format!("0 10 {port} a.example.org.")]);
    }
}

#[test]
fn records_that_are_there_already_are_taken_over_and_others_left_alone() {
    if !can_run(&BIND) {
        return;
    }
    let port = free_port();
    let other = format!("{TCP}. 77 SRV 0 5 {port} other.example.org.\n");
    let own =
        format!("{TCP}. 77 SRV 3 9 {port} a.example.org.\n{UDP}. SRV 0 0 {port} a.example.org.");
    let server = NameServer::bind(&["hosts"], &[zone(&(other + &own))]);
    let site = site_of("A.Example.org.", &[publish(&server, "example.org", "weight = 20")]);
    let config = site.join("host/host.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))).unwrap();
    let host = run(&site);
    let neighbour = format!("0 5 {port} other.example.org.");
    let record = format!("0 20 {port} a.example.org.");
    expect_records(&server, TCP, &[&record, &neighbour]);
    expect_records(&server, UDP, &[&record]);
    // All records of a name live equally long, so the neighbour's time is taken over.
    let lines = server.dig_at("127.0.0.1", &["+noall", "+answer", "SRV", TCP]);
    let lives = lines.iter().map(|line| line.split_whitespace().nth(1).unwrap());
    assert_eq!(lives.collect::<Vec<_>>(), ["77", "77"], "{lines:?}");
    // To publish what is there changes nothing.
    dns(&site, "publish", &[]).expect(0);
    dns(&site, "publish", &[]).expect(0);
    host.stop();
    expect_records(&server, TCP, &[&neighbour]);
    expect_records(&server, UDP, &[]);
}

#[test]
fn whatever_a_name_server_does_the_host_serves_and_says_why() {
    if !can_run(&BIND) {
        return;
    }
    let server = NameServer::bind(
        &["hosts", "nobody"],
        &[
            zone(""),
            Zone { name: "closed.example", records: "", updates: "" },
            Zone {
                name: "alias.example",
                records: "_headcount._tcp CNAME ns",
                updates: "update-policy { grant \"hosts\" zonesub ANY; };",
            },
        ],
    );
    let keys = tempfile::tempdir().unwrap();
    key_file(keys.path(), "unknown");
    // The right name with a secret of somebody else's making.
    let stranger = key_file(keys.path(), "hosts");
    let (silent, garbage) = (UdpSocket::bind("127.0.0.1:0").unwrap(), garbage_server());
    let silent_address = silent.local_addr().unwrap().to_string();
    let closed = format!("127.0.0.1:{}", free_port());
    let (address, hosts, nobody) = (server.address(), server.key("hosts"), server.key("nobody"));
    let wrong = keys.path().join("hosts.key");
    let unknown = keys.path().join("unknown.key");
    let faults = [
        ("1.example.org", &address, Some(&wrong), "another secret for the key hosts (BADSIG)"),
        ("2.example.org", &address, Some(&unknown), "does not know the key unknown (BADKEY)"),
        ("3.example.org", &address, Some(&nobody), "with the key nobody: REFUSED"),
        ("4.example.org", &address, None, "without a key: REFUSED. Set 'key_file'"),
        (
            "closed.example",
            &address,
            Some(&hosts),
            "of the zone closed.example with the key hosts: ",
        ),
        ("elsewhere.example", &address, Some(&hosts), "with the key hosts: REFUSED"),
        ("alias.example", &address, Some(&hosts), "an alias (CNAME) in the zone alias.example"),
        ("silent.example", &silent_address, Some(&hosts), "does not answer"),
        ("garbage.example", &garbage, None, "is of no use: "),
        ("nothing.example", &closed, Some(&hosts), "cannot be reached: "),
    ];
    let mut domains = vec![publish(&server, "example.org", "")];
    for (domain, server, key, _) in &faults {
        let key = key.map(|key| format!("key_file = \"{}\"\n", key.display())).unwrap_or_default();
        let lines = format!("domain = \"{domain}\"\nserver = \"{server}\"\n{key}");
        domains.push(format!("[[dns.publish]]\n{lines}"));
    }
    let site = site_of("a.example.org", &domains);
    machine(&site, "m");
    let host = run(&site);
    // While some of it is still being tried.
    activate(&site, "m", &host.tcp, "tcp").expect(0);
    for (domain, _, _, message) in &faults {
        let start = format!("domain=\"{domain}\"");
        eventually(&format!("{domain}: {message}"), || {
            let log = log(&site);
            let lines = log.lines().filter(|line| line.contains("not published in DNS"));
            let mut lines = lines.filter(|line| line.contains(&start));
            lines.any(|line| line.contains(message) && line.contains("retry_in_s")).then_some(())
        });
    }
    // One domain's trouble is no other's.
    expect_records(&server, TCP, &[&format!("0 10 {} a.example.org.", port(&host.tcp))]);
    activate(&site, "m", &host.udp, "udp").expect(0);
    let log = log(&site);
    let secret = stranger.split('"').nth(3).unwrap();
    assert!(!log.contains(secret) && !log.contains("panicked"), "{log}");
    host.stop();
    assert!(server.dig("SRV", TCP).is_empty());
}

/// A server that answers every datagram with something else that is no answer. It ends with the test.
fn garbage_server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 1_024];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..length];
            // Too short; the question itself; an answer with another id; one with names that loop.
            let mut other_id = question.to_vec();
            other_id[0] ^= 1;
            other_id[2] |= 0x80;
            let mut looping = question.to_vec();
            looping[2] |= 0x80;
            looping[12..].fill(0xC0);
            for message in [b"?".to_vec(), question.to_vec(), other_id, looping] {
                let _ = socket.send_to(&message, from);
            }
        }
    });
    address
}

#[test]
fn the_end_of_a_host_waits_a_bounded_time_for_its_records_to_go() {
    if !can_run(&BIND) {
        return;
    }
    let server = two_zones();
    let site = site_of("a.example.org", &[publish(&server, "example.org", "")]);
    let host = run(&site);
    expect_records(&server, TCP, &[&format!("0 10 {} a.example.org.", port(&host.tcp))]);
    eventually("published", || log(&site).contains("published in DNS").then_some(()));
    // Somebody holds the server's port, and says nothing.
    let address = server.address();
    drop(server);
    let _silent = UdpSocket::bind(address).unwrap();
    host.stop();
    assert!(log(&site).contains("not withdrawn from DNS in time"), "{}", log(&site));
}

#[test]
fn a_host_that_would_be_silent_is_not_published() {
    if !can_run(&BIND) {
        return;
    }
    let server = two_zones();
    let site = site_of("a.example.org", &[publish(&server, "example.org", "")]);
    std::fs::remove_file(site.join("host/state/host.certificate")).unwrap();
    let host = run(&site);
    eventually("it says so", || log(&site).contains("not enrolled").then_some(()));
    eventually("it says so", || log(&site).contains("not published in DNS").then_some(()));
    host.stop();
    assert!(server.dig("SRV", TCP).is_empty());
    assert!(!log(&site).contains(": published in DNS"));
}

#[test]
fn publication_by_hand() {
    if !can_run(&BIND) {
        return;
    }
    let server = two_zones();
    let both = ["example.org", "example.net"].map(|domain| publish(&server, domain, ""));
    let site = site_of("a.example.org", &both);
    dns(&site, "publish", &[]).expect(2).says("(port 0)");
    let port = fix_port(&site);
    let record = format!("0 10 {port} a.example.org.");
    dns(&site, "status", &[]).expect(0).says("NOT PUBLISHED").says("Publication is on");
    let published = dns(&site, "publish", &["--json"]).expect(0).json();
    assert_eq!(published["domains"][1]["own"][0]["port"], port);
    assert_eq!(server.dig("SRV", TCP), [record.as_str()]);
    let status = dns(&site, "status", &["--json"]).expect(0).json();
    assert_eq!(status["domains"][0]["as_configured"], true);
    assert_eq!(status["domains"][0]["zone"], "example.org");
    dns(&site, "withdraw", &[]).expect(0).says("2 records removed");
    assert!(server.dig("SRV", TCP).is_empty());
    dns(&site, "withdraw", &[]).expect(0).says("nothing of this host");
    // Off is off for a host that runs, too, and for one that starts.
    let host = run(&site);
    expect_records(&server, TCP, &[&record]);
    let host_status = || site.run(&["host", "status", "--config", "host"]).expect(0);
    host_status().says("DNS example.org: published");
    dns(&site, "off", &[]).expect(0).says("also after a restart");
    host_status().says("DNS example.org: switched off");
    expect_records(&server, TCP, &[]);
    host.stop();
    let host = run(&site);
    dns(&site, "publish", &[]).expect(2).says("switched off");
    dns(&site, "status", &[]).expect(0).says("switched off");
    assert!(server.dig("SRV", TCP).is_empty());
    dns(&site, "on", &[]).expect(0);
    expect_records(&server, TCP, &[&record]);
    host.stop();
    // What fails has its exit code and its cause, and the other domain is done all the same.
    let config = site.join("host/host.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let (first, rest) = text.split_once(&server.address()).unwrap();
    std::fs::write(&config, format!("{first}127.0.0.1:{}{rest}", free_port())).unwrap();
    let failed = dns(&site, "publish", &["--json"]).expect(5).json();
    assert_eq!(failed["error"]["name"], "nobody_answered");
    assert!(failed["domains"][0]["error"].as_str().unwrap().contains("cannot be reached"));
    assert_eq!(failed["domains"][1]["own"][0]["port"], port);
    // A domain that is taken away is not forgotten.
    let (before, _) = text.rsplit_once("[[dns.publish]]").unwrap();
    std::fs::write(&config, before).unwrap();
    dns(&site, "status", &[])
        .expect(0)
        .says("example.net: records of this host may still be there");
}

#[test]
fn a_key_that_everybody_may_read_or_that_is_none_is_refused() {
    let site = site_of("a.example.org", &["[[dns.publish]]\ndomain = \"example.org\"\nserver = \"127.0.0.1:9\"\nkey_file = \"dns.key\"\n".into()]);
    fix_port(&site);
    dns(&site, "publish", &[]).expect(1).says("cannot read");
    let secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=";
    let key = |algorithm: &str| {
        format!("key \"hosts\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n")
    };
    write_secret(&site.join("host/dns.key"), &key("hmac-md5"));
    let ended = dns(&site, "publish", &[]).expect(2).says("must be hmac-sha256");
    assert!(!format!("{ended:?}").contains(secret));
    site.file("host/dns.key", key("hmac-sha256"));
    Command::new("chmod").arg("0644").arg(site.join("host/dns.key")).status().unwrap();
    let ended =
        dns(&site, "publish", &[]).expect(2).says("every user of this machine may read this key");
    assert!(!format!("{ended:?}").contains(secret));
}

#[test]
fn a_host_whose_key_file_is_missing_serves_and_publishes_when_it_comes() {
    if !can_run(&BIND) {
        return;
    }
    let server = two_zones();
    let (address, key) = (server.address(), "host/dns.key");
    let domain = format!(
        "[[dns.publish]]\ndomain = \"example.org\"\nserver = \"{address}\"\nkey_file = \"dns.key\"\n"
    );
    let site = site_of("a.example.org", &[domain]);
    machine(&site, "m");
    let host = run(&site);
    activate(&site, "m", &host.tcp, "tcp").expect(0);
    let says = |text: &str| {
        eventually(text, || {
            let log = log(&site);
            log.lines().any(|l| l.contains("retry_in_s") && l.contains(text)).then_some(())
        });
    };
    says("not published in DNS: cannot read ");
    // Switched off and on, it tries at once and not in its time.
    let again = || {
        dns(&site, "off", &[]).expect(0);
        // Longer than the second after which a host looks at the switch.
        std::thread::sleep(std::time::Duration::from_secs(3));
        dns(&site, "on", &[]).expect(0);
    };
    site.file(key, std::fs::read_to_string(server.key("hosts")).unwrap());
    Command::new("chmod").arg("0644").arg(site.join(key)).status().unwrap();
    again();
    says("every user of this machine may read this key");
    activate(&site, "m", &host.udp, "udp").expect(0);
    Command::new("chmod").arg("0600").arg(site.join(key)).status().unwrap();
    again();
    expect_records(&server, TCP, &[&format!("0 10 {} a.example.org.", port(&host.tcp))]);
    host.stop();
    assert!(server.dig("SRV", TCP).is_empty());
}

/// The command that runs a site's host on a machine with a short name and this `/etc/resolv.conf`; `None`
/// where the system does not let a test make one.
fn elsewhere(site: &Folder, resolv_conf: &str) -> Option<Command> {
    let made = Command::new("unshare").args(["-rmu", "true"]).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("!!! SKIPPED: no namespaces here");
        return None;
    }
    site.file("resolv.conf", resolv_conf);
    let script = "echo lonely > /proc/sys/kernel/hostname && \
                  mount --bind resolv.conf /etc/resolv.conf && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-rmu", "sh", "-c", script, env!("CARGO_BIN_EXE_headcount")]);
    command.args(["host", "run", "--config", "host"]).current_dir(site.path());
    command.stderr(std::fs::File::create(site.join("log")).unwrap());
    Some(command)
}

#[test]
fn a_host_on_a_machine_without_a_domain_serves() {
    let domain = "[[dns.publish]]\ndomain = \"example.org\"\n";
    let site = site_of("", &[domain.into()]);
    machine(&site, "m");
    let Some(mut command) = elsewhere(&site, "") else { return };
    let host = Host::start(&mut command);
    activate(&site, "m", &host.tcp, "tcp").expect(0);
    eventually("it says why", || {
        log(&site).contains("this machine has no name with a domain").then_some(())
    });
    host.stop();
}

#[test]
fn a_look_up_without_an_answer_does_not_hold_up_the_end() {
    let Ok(resolver) = UdpSocket::bind("127.0.0.77:53") else {
        eprintln!("!!! SKIPPED: port 53 is not for this user");
        return;
    };
    let domain = "[[dns.publish]]\ndomain = \"example.org\"\nserver = \"ns.example.net\"\n";
    let site = site_of("a.example.org", &[domain.into()]);
    let silent = "nameserver 127.0.0.77\noptions timeout:30 attempts:2\n";
    let Some(mut command) = elsewhere(&site, silent) else { return };
    let host = Host::start(&mut command);
    let mut buffer = [0; 512];
    resolver.recv(&mut buffer).unwrap();
    host.stop();
    assert!(log(&site).contains("stopped"), "{}", log(&site));
    // It was over before the question, for addresses of two kinds, was repeated.
    resolver.set_nonblocking(true).unwrap();
    let more = std::iter::from_fn(|| resolver.recv(&mut buffer).ok()).count();
    assert!(more <= 1, "{more}");
}

#[test]
fn the_way_without_updates_needs_no_name_server() {
    let site = site_of(
        "licences.example.org",
        &["[[dns.publish]]\ndomain = \"example.org\"\nweight = 30\n".into()],
    );
    let config = site.join("host/host.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("127.0.0.1:0", "127.0.0.1:1688")).unwrap();
    let off = dns(&site, "off", &["--json"]).expect(0).json();
    assert_eq!((&off["on"], &off["domains"]), (&false.into(), &serde_json::json!([])));
    let printed = dns(&site, "print", &[]).expect(0).stdout;
    assert_eq!(printed.matches(" SRV 0 30 1688 ").count(), 2, "{printed}");
    assert!(GUIDE.contains(printed.trim()), "{printed}");
}

#[test]
fn printed_records_work_in_a_zone_file() {
    if !can_run(&BIND) {
        return;
    }
    let site = site_of(
        "a.example.org",
        &["[[dns.publish]]\ndomain = \"example.org\"\nweight = 25\n".into()],
    );
    dns(&site, "print", &[]).expect(2).says("(port 0)");
    let port = fix_port(&site);
    let printed = dns(&site, "print", &[]).expect(0).stdout;
    assert!(printed.starts_with("; How clients in example.org find this host"), "{printed}");
    let json = dns(&site, "print", &["--json"]).expect(0).json();
    assert_eq!(json["domains"][0]["records"].as_str().unwrap().trim(), printed.trim());
    let server = NameServer::bind(&["hosts"], &[zone(&printed)]);
    for name in [TCP, UDP] {
        assert_eq!(server.dig("SRV", name), [format!("0 25 {port} a.example.org.")]);
    }
}

#[test]
fn many_records_go_by_tcp() {
    if !can_run(&BIND) {
        return;
    }
    let server = two_zones();
    let site = site_of("a.example.org", &[publish(&server, "example.org", "")]);
    let first = fix_port(&site);
    let ports: Vec<_> = (1..40).map(|offset| 20_000 + offset).collect();
    let listen = ports.iter().map(|port| format!("[[listen]]\naddress = \"127.0.0.1:{port}\"\n"));
    configure(&site, &listen.collect::<String>());
    dns(&site, "publish", &[]).expect(0);
    // The answer to the question what is there does not fit into a datagram, either.
    assert_eq!(server.dig_at("127.0.0.1", &["+tcp", "+short", "SRV", TCP]).len(), ports.len() + 1);
    dns(&site, "status", &["--json"]).expect(0).says("\"as_configured\":true");
    dns(&site, "withdraw", &[]).expect(0).says("80 records removed");
    assert!(server.dig("SRV", TCP).is_empty(), "{first}");
}

#[test]
fn addresses_are_published_under_the_hosts_name_and_only_added_ones_removed() {
    if !can_run(&BIND) {
        return;
    }
    let manual = "licences.example.org. A 192.0.2.200";
    let server = NameServer::bind(&["hosts"], &[zone(manual)]);
    let site =
        site_of("licences.example.org", &[publish(&server, "example.org", "addresses = true")]);
    let config = site.join("host/host.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let port = free_port();
    std::fs::write(&config, text.replace("127.0.0.1:0", &format!("0.0.0.0:{port}"))).unwrap();
    let published = dns(&site, "publish", &["--json"]).expect(0).json();
    let own = published["domains"][0]["addresses"].as_array().unwrap();
    let mut expected: Vec<_> = own.iter().map(|ip| ip.as_str().unwrap().to_owned()).collect();
    expected.push("192.0.2.200".into());
    expected.sort();
    assert_eq!(server.dig("A", "licences.example.org"), expected);
    let printed = dns(&site, "print", &[]).expect(0).stdout;
    let lines = printed.lines().filter(|line| line.starts_with("licences.example.org. 3600 IN A "));
    assert_eq!(lines.count(), own.len());
    dns(&site, "withdraw", &[]).expect(0);
    assert_eq!(server.dig("A", "licences.example.org"), ["192.0.2.200"]);
    // Elsewhere they cannot be.
    std::fs::write(
        &config,
        std::fs::read_to_string(&config)
            .unwrap()
            .replace("licences.example.org", "a.elsewhere.example"),
    )
    .unwrap();
    let elsewhere = dns(&site, "publish", &[]);
    if own.is_empty() {
        elsewhere.expect(0);
    } else {
        elsewhere.expect(2).says("a.elsewhere.example is not in the zone example.org");
    }
}

#[test]
fn knot_takes_the_same_updates() {
    if !can_run(&["knotd", "dig", "tsig-keygen"]) {
        return;
    }
    let server = NameServer::knot("example.org");
    let site = site_of("a.example.org", &[publish(&server, "example.org", "")]);
    let port = fix_port(&site);
    let host = run(&site);
    expect_records(&server, TCP, &[&format!("0 10 {port} a.example.org.")]);
    expect_records(&server, UDP, &[&format!("0 10 {port} a.example.org.")]);
    dns(&site, "status", &["--json"]).expect(0).says("\"as_configured\":true");
    host.stop();
    assert!(server.dig("SRV", TCP).is_empty() && server.dig("SRV", UDP).is_empty());
    let wrong = key_file(site.path(), "hosts");
    write_secret(&server.key("hosts"), &wrong);
    dns(&site, "publish", &[]).expect(4).says("(BADSIG)");
}

/// A clock that is wrong.
struct Off(SystemClock, u64);

impl Clock for Off {
    fn now(&self) -> Now {
        let now = self.0.now();
        Now::new(
            now.monotonic,
            now.clock.map(|clock| UnixTime::from_secs(clock.as_secs() + self.1)),
        )
    }
}

#[tokio::test]
async fn a_wrong_clock_is_told_with_its_error() {
    if !can_run(&BIND) {
        return;
    }
    let server = two_zones();
    let site = site_of("a.example.org", &[publish(&server, "example.org", "")]);
    let config = HostConfig::read(&site.join("host")).unwrap();
    let ports = Ports { tcp: [1_688].into(), udp: [].into() };
    let clock: Arc<dyn Clock> = Arc::new(Off(SystemClock::start(), 1_000));
    let publications = Publications::new(&config, &ports, &clock).unwrap();
    let error = publications.ready().unwrap()[0].publish().await.unwrap_err();
    let PublishError::Dns(error) = error else { panic!("{error}") };
    let text = error.to_string();
    assert!(text.contains("this machine's clock is ") && text.contains(" s ahead of"), "{text}");
    let seconds: u64 = text.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!((990..=1_010).contains(&seconds), "{text}");
    assert!(server.dig("SRV", TCP).is_empty());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let publications = Publications::new(&config, &ports, &clock).unwrap();
    publications.ready().unwrap()[0].publish().await.unwrap();
    assert_eq!(server.dig("SRV", TCP), ["0 10 1688 a.example.org."]);
}
