//! `headcount client` with hosts that answer badly, slowly, late or not at all.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "common/program.rs"]
mod program;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use headcount::daemon::{
    Clock, HostFiles, HostMemory, HostService, Limits, Listen, ProductFile, Server, ServerLimits,
    SystemClock, system_rng,
};
use headcount::host::Settings;
use headcount::time::Now;
use program::{Ended, Folder};

/// A vendor with the products "router" and "switch", and a host that is enrolled for both but serves
/// only "router".
fn site() -> Folder {
    let site = Folder::new();
    site.run(&["authority", "init", "vendor"]).expect(0);
    for name in ["router", "switch"] {
        let add = ["authority", "product", "add", "--dir", "vendor", "--name", name];
        let rest = ["--family", "7", "--rank", "1", "--generation", "3", "--threshold", "1"];
        site.run(&[&add[..], &rest].concat()).expect(0);
    }
    let new = ["authority", "key", "new", "--dir", "vendor", "--kind", "host", "--product"];
    let key = site.run(&[&new[..], &["router"]].concat()).expect(0).stdout;
    site.file("key", key.lines().next().unwrap());
    site.run(&["host", "init", "host", "--product", &product("router")]).expect(0);
    site.run(&["host", "enrol", "--config", "host", "--key-file", "key", "--out", "request"])
        .expect(0);
    site.run(&["authority", "enrol", "request", "--out", "answer", "--dir", "vendor"]).expect(0);
    site.run(&["host", "enrol", "--config", "host", "--apply", "answer"]).expect(0);
    site
}

fn product(name: &str) -> String {
    format!("vendor/products/{name}.product.toml")
}

fn client(site: &Folder, folder: &str, name: &str) {
    site.run(&["client", "init", folder, "--product", &product(name)]).expect(0);
}

fn activate(site: &Folder, folder: &str, hosts: &[&str]) -> Ended {
    let hosts = hosts.iter().flat_map(|host| ["--host", host]);
    let arguments = ["client", "activate", "--json", "--config", folder];
    site.run(&arguments.into_iter().chain(hosts).collect::<Vec<_>>())
}

/// Nobody listens on a port that was just given back.
fn nobody() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The system's clock, put forward.
struct Ahead(SystemClock, Duration);

impl Clock for Ahead {
    fn now(&self) -> Now {
        let Now { monotonic, clock, .. } = self.0.now();
        Now::new(monotonic, clock.map(|clock| clock.after(self.1)))
    }
}

/// The site's host in this process, with a clock of its own, until the end of the test.
struct Host {
    address: String,
    _runtime: tokio::runtime::Runtime,
}

impl Host {
    /// A host that knows the products' setup keys, with a clock that is `ahead`.
    fn run(site: &Folder, products: &[&str], ahead: Duration) -> Self {
        let files = HostFiles::new(site.join("host/state"));
        let read = |name: &&str| ProductFile::read(&site.join(&product(name))).unwrap();
        let products: Vec<_> = products.iter().map(read).collect();
        let memory = HostMemory::for_products(&products).unwrap();
        let certificate = files.read_certificate().unwrap();
        let host = memory.into_host(certificate, Settings::DEFAULT, &mut system_rng());
        let clock = Ahead(SystemClock::start(), ahead);
        let service = Arc::new(HostService::new(host, files.read_key().unwrap(), clock));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let Limits { connections, connections_per_source, .. } = Limits::default();
        let address = runtime.block_on(async {
            let listen = Listen { address: ([127, 0, 0, 1], 0).into(), tcp: true, udp: false };
            let limits = ServerLimits { connections, connections_per_source };
            let server = Server::bind(&[listen], limits, service).unwrap();
            let address = server.tcp_addresses()[0].to_string();
            tokio::spawn(server.run(std::future::pending::<()>()));
            address
        });
        Self { address, _runtime: runtime }
    }
}

#[test]
fn the_most_telling_of_several_hosts_is_the_headline() {
    let site = site();
    client(&site, "a", "router");
    // A second product with the first one's setup key: known by its key, but served by nobody.
    let text = |name: &str| std::fs::read_to_string(site.join(&product(name))).unwrap();
    let line = |name: &str| {
        text(name).lines().find(|line| line.starts_with("setup_key")).unwrap().to_owned()
    };
    let other = text("switch").replace(&line("switch"), &line("router"));
    site.run(&["client", "init", "b", "--product", &product("switch")]).expect(0);
    site.file("b/switch.product.toml", other);
    let host = Host::run(&site, &["router"], Duration::ZERO);
    let down = nobody();

    for hosts in [[host.address.as_str(), &down], [&down, &host.address]] {
        let ended = activate(&site, "b", &hosts).expect(4).json();
        let cause = ended["error"]["cause"].as_str().unwrap();
        assert!(cause.contains("does not serve this product (status 1)"), "{ended}");
        let outcomes = ended["hosts"].as_array().unwrap();
        assert_eq!(outcomes.len(), 2, "{ended}");
        for outcome in outcomes {
            let refused = outcome["host"] == host.address.as_str();
            let (name, reason) = if refused {
                ("refused", "does not serve")
            } else {
                ("nobody_answered", "refused (os error")
            };
            assert_eq!(outcome["outcome"], name, "{ended}");
            assert!(outcome["reason"].as_str().unwrap().contains(reason), "{ended}");
            assert_eq!(outcome["status"], if refused { 1.into() } else { serde_json::Value::Null });
        }
        let advice = ended["error"]["advice"].as_str().unwrap();
        assert!(advice.contains(&down) && advice.contains(&host.address), "{advice}");
    }
    // Where nobody answers, the reasons are told.
    let ended = activate(&site, "a", &[&down, "no-such-host.invalid"]).expect(5).json();
    assert!(ended["hosts"][1]["reason"].as_str().unwrap().contains("no address"), "{ended}");
    // The first that activates ends the round.
    let ended = activate(&site, "a", &[&down, &host.address]).expect(0).json();
    assert_eq!(ended["hosts"][1]["outcome"], "activated", "{ended}");
}

#[test]
fn clocks_far_apart_are_a_refusal_with_its_status() {
    let site = site();
    client(&site, "a", "router");
    let host = Host::run(&site, &["router"], Duration::from_secs(5 * 3_600 + 60));
    let ended = activate(&site, "a", &[&host.address]).expect(4).json();
    assert_eq!(ended["error"]["cause"], "your clock is 5 h behind the host's (status 3)");
    assert_eq!(ended["hosts"][0]["status"], 3, "{ended}");
    site.run(&["explain", "exit:4"]).expect(0).says("more than 240 minutes apart");
}

#[test]
fn what_is_no_host_is_a_usage_error() {
    let site = site();
    client(&site, "a", "router");
    for host in ["host:99999", "", "a b", "host:"] {
        let ended = activate(&site, "a", &[host]).expect(2).json();
        assert_eq!(ended["error"]["name"], "usage", "{host}: {ended}");
        let init = ["client", "init", "b", "--product", &product("router"), "--host", host];
        site.run(&init).expect(2);
        assert!(!site.join("b").exists());
    }
}

#[test]
fn status_waits_for_another_command() {
    let site = site();
    client(&site, "a", "router");
    site.run(&["client", "status", "--config", "a"]).expect(0);
    let lock = std::fs::File::open(site.join("a/state/lock")).unwrap();
    lock.lock().unwrap();
    let status = || site.run(&["client", "status", "--config", "a"]);
    thread::scope(|scope| {
        let waiting = scope.spawn(status);
        thread::sleep(Duration::from_millis(200));
        assert!(!waiting.is_finished());
        lock.unlock().unwrap();
        waiting.join().unwrap().expect(0);
    });
    lock.lock().unwrap();
    status().expect(1).says("another headcount works on this client's state");
}

#[test]
fn status_says_why_a_stored_activation_does_not_count() {
    let site = site();
    client(&site, "a", "router");
    let host = Host::run(&site, &["router"], Duration::ZERO);
    activate(&site, "a", &[&host.address]).expect(0);
    let status = || site.run(&["client", "status", "--config", "a", "--json"]).expect(0).json();
    assert_eq!(status()["rejection"], serde_json::Value::Null);
    // The vendor has given up the root key that vouched for the host.
    let path = site.join("a/router.product.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let of_no_host = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let key = text.lines().find(|line| line.starts_with("public_key")).unwrap();
    std::fs::write(&path, text.replace(key, &format!("public_key = \"{of_no_host}\""))).unwrap();
    let rejected = status();
    assert_eq!(rejected["activated"], false, "{rejected}");
    assert!(rejected["rejection"].as_str().unwrap().contains("root key"), "{rejected}");
    let text = site.run(&["client", "status", "--config", "a"]).expect(0);
    text.says("the stored activation does not count");
}

#[cfg(unix)]
#[test]
fn an_interruption_is_told_in_json_too() {
    let site = site();
    client(&site, "a", "router");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let asking = std::process::Command::new(env!("CARGO_BIN_EXE_headcount"))
        .args(["client", "activate", "--config", "a", "--json", "--host", &host])
        .current_dir(site.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let _connection = silent.accept().unwrap();
    let id = asking.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ended = asking.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    let told: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(told["error"]["name"], "interrupted", "{told}");
}
