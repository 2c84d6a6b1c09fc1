//! `headcount bench` runs and prints what it documents. Nothing is said about times.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/program.rs"]
mod program;

use std::sync::Arc;

use common::{COVERAGE, IDS, KEY_ID, Vendor};
use headcount::daemon::{
    HostMemory, HostService, Listen, ProductFile, RootKey, Server, ServerLimits, SystemClock,
    system_rng,
};
use headcount::fingerprint::Matching;
use headcount::host::{RateLimit, Settings};
use headcount::trust::{MasterKey, Signer as _};
use headcount::wire::{KeyKind, PublicKey};
use program::Folder;
use serde_json::Value;
use tokio::runtime::Runtime;

/// A number at a path such as `/modes/0/goal`.
fn number(value: &Value, path: &str) -> f64 {
    let number = value.pointer(path).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no number at {path} in {value:#}"))
}

#[test]
fn a_comparison_tells_rates_latencies_and_ratios() {
    let arguments = ["--compare", "--seconds", "1", "--rounds", "1", "--transport", "udp"];
    let arguments = [&["bench"], &arguments[..], &["--clients", "50", "--json"]].concat();
    let value = Folder::new().run(&arguments).expect(0).json();
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

/// The product file of the shared vendor's product, with this root key.
fn product_file(root: &PublicKey) -> ProductFile {
    let key = MasterKey::from_bytes([3; 32]).product_key(KeyKind::ClientSetup, KEY_ID);
    let id = |bytes| uuid::Uuid::from_bytes(bytes).to_string();
    ProductFile {
        name: "product".into(),
        application_id: id(IDS.0.0),
        activation_id: id(IDS.1.0),
        counted_id: id(IDS.2.0),
        family: COVERAGE.family,
        rank: COVERAGE.rank,
        generation: COVERAGE.generation,
        threshold: 25.try_into().unwrap(),
        setup_key: key.to_text().as_str().into(),
        weights: Matching::DEFAULT.weights,
        tolerance: Matching::DEFAULT.tolerance,
        rearms: 3,
        maximum_validity_minutes: 259_200,
        initial_grace_minutes: 43_200,
        authority: None,
        roots: vec![RootKey::new(1, root)],
    }
}

/// Starts a host of the shared vendor and returns where it listens. It ends with the runtime.
fn start_host(runtime: &Runtime, vendor: Vendor) -> String {
    let product = product_file(&vendor.root_key.public_key());
    let memory = HostMemory::for_products(&[product]).unwrap();
    let settings = Settings { rate_limit: RateLimit::OFF, ..Settings::DEFAULT };
    let host = memory.into_host(Some(vendor.certificate), settings, &mut system_rng());
    let service = Arc::new(HostService::new(host, vendor.host_key, SystemClock::start()));
    let _context = runtime.enter();
    let listen = [Listen { address: "127.0.0.1:0".parse().unwrap(), tcp: true, udp: true }];
    let server = Server::bind(&listen, ServerLimits::default(), service).unwrap();
    let address = server.tcp_addresses()[0].to_string();
    runtime.spawn(server.run(std::future::pending()));
    address
}

#[test]
fn a_host_is_loaded_by_distinct_machines_and_its_signatures_are_verified() {
    let runtime = Runtime::new().unwrap();
    let vendor = Vendor::new();
    let folder = Folder::new();
    let root = vendor.root_key.public_key();
    product_file(&root).write(&folder.join("product.toml")).unwrap();
    let stranger = vendor.host_key.public_key();
    product_file(&stranger).write(&folder.join("stranger.toml")).unwrap();
    let host = start_host(&runtime, vendor);
    let load = |product: &str, more: &[&str]| {
        let arguments = ["bench", "--host", &host, "--product", product, "--seconds", "1"];
        folder.run(&[&arguments[..], &["--clients", "40", "--json"], more].concat())
    };
    for mode in [&["--transport", "tcp"][..], &["--persistent"], &["--transport", "udp"]] {
        let value = load("product.toml", mode).expect(0).json();
        assert!(number(&value, "/granted") >= 1.0, "{value:#}");
        assert!(number(&value, "/verified") >= 1.0, "{value:#}");
        // Each load is of machines of its own; the table keeps twice the threshold of them.
        assert!((1.0..=50.0).contains(&number(&value, "/count")), "{value:#}");
        assert_eq!((&value["wrong"], &value["not_trusted"]), (&0.into(), &0.into()));
    }
    let strange = load("stranger.toml", &[]).expect(6).says("root key").json();
    assert!(strange["not_trusted"].as_u64().unwrap() > 0, "the figures are there: {strange}");
    load("product.toml", &["--transport", "udp", "--persistent"]).expect(2);
}

#[test]
fn nobody_there_is_told_apart() {
    let folder = Folder::new();
    product_file(&Vendor::new().root_key.public_key()).write(&folder.join("product.toml")).unwrap();
    let load = ["bench", "--product", "product.toml", "--seconds", "1"];
    // Nothing listens on the port that only the superuser could have given away.
    let host = ["--host", "127.0.0.1:1", "--connections", "2"];
    folder.run(&[&load[..], &host].concat()).expect(5).says("no answer");
}

#[test]
fn what_cannot_be_measured_is_a_usage_error() {
    let folder = Folder::new();
    for arguments in [
        &[][..],
        &["--host", "localhost"],
        &["--compare", "--host", "localhost", "--product", "p.toml"],
    ] {
        folder.run(&[&["bench"], arguments].concat()).expect(2);
    }
}
