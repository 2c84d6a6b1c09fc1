//! `headcount inspect` and `headcount explain`, as they are run.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;
#[path = "common/program.rs"]
mod program;

use headcount::client::Client;
use headcount::daemon::{ProductFile, RootKey, files};
use headcount::storage::{Kind, MemoryStore, Slots, Store as _};
use headcount::trust::{MasterKey, Signer as _};
use headcount::wire::{KeyKind, PublicKey};
use program::Folder;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/protocol-v1.json")).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// The field of a report by its name.
fn field<'a>(report: &'a Value, name: &str) -> &'a Value {
    let named = |field: &&Value| field["name"] == name;
    &list(&report["fields"]).iter().find(named).unwrap_or_else(|| panic!("{name}: {report}"))["value"]
}

fn check<'a>(report: &'a Value, name: &str) -> &'a str {
    let named = |check: &&Value| check["name"] == name;
    let found = list(&report["checks"]).iter().find(named);
    text(&found.unwrap_or_else(|| panic!("{name}: {report}"))["result"])
}

/// The product of the vectors, as a file in the folder.
fn write_product(folder: &Folder) {
    let vectors = vectors();
    let product = &vectors["product"];
    let roots = ["1", "2"].map(|id| {
        let key = files::from_hex(text(&vectors["roots"][id]["public"])).unwrap();
        RootKey::new(id.parse().unwrap(), &PublicKey(key.try_into().unwrap()))
    });
    let root = |root: &RootKey| {
        format!("[[roots]]\nid = {}\npublic_key = \"{}\"\n", root.id, root.public_key)
    };
    let file = format!(
        "name = \"switch\"\napplication_id = {}\nactivation_id = {}\ncounted_id = {}\nfamily = {}\n\
         rank = {}\ngeneration = {}\nthreshold = {}\nsetup_key = {}\n{}{}",
        product["application_id"],
        product["activation_id"],
        product["counted_id"],
        product["family"],
        product["rank"],
        product["generation"],
        product["threshold"],
        product["setup_key"],
        root(&roots[0]),
        root(&roots[1]),
    );
    folder.file("switch.product.toml", file);
}

#[test]
fn every_field_of_a_request_is_shown() {
    let folder = Folder::new();
    for case in list(&vectors()["requests"]) {
        let run = folder.run_with(&["inspect", "-", "--json"], text(&case["frame"]).as_bytes());
        let report = run.expect(0).json();
        assert_eq!(report["what"], "activation_request");
        assert_eq!(report["encoding"], "hexadecimal");
        assert_eq!(report["fault"], Value::Null);
        for (name, expected) in case["fields"].as_object().unwrap() {
            let name = if name == "minutes_left" { "time_left" } else { name };
            let plain = match field(&report, name) {
                Value::Null => Value::from("0".repeat(32)),
                Value::Array(components) => {
                    let components = components.iter();
                    components
                        .map(|part| part.as_str().unwrap_or("0000"))
                        .collect::<String>()
                        .into()
                }
                Value::String(text) if name.ends_with("id") => text.replace('-', "").into(),
                other => other.clone(),
            };
            assert_eq!(plain, *expected, "{name}: {report}");
        }
    }
}

#[test]
fn malformed_frames_name_the_byte() {
    let folder = Folder::new();
    for case in list(&vectors()["malformed_requests"]) {
        let (why, hex) = (text(&case["why"]), text(&case["frame"]));
        let bytes = files::from_hex(hex).unwrap();
        let expected: std::ops::RangeInclusive<u64> = match why {
            "magic" => 0..=0,
            "version" | "version 0" => 2..=2,
            "kind" => 3..=3,
            "unknown flag" => 4..=4,
            "licence status" => 6..=6,
            "method" => 7..=7,
            "required count 0" => 8..=8,
            "zero cmid" => 64..=64,
            "name: data after zero" | "name: not UTF-8" => 136..=199,
            "reserved" => 204..=217,
            // What has no two bytes of magic is not known to be a frame.
            "length 0" | "length 1" => {
                let report = folder.run_with(&["inspect", "-", "--json"], &bytes).expect(1).json();
                assert_eq!(report["fault"]["kind"], "unknown", "{why}");
                continue;
            }
            length => {
                let length: u64 = length.strip_prefix("length ").unwrap().parse().unwrap();
                length.min(250)..=length.min(250)
            }
        };
        for input in [hex.as_bytes(), bytes.as_slice()] {
            let report = folder.run_with(&["inspect", "-", "--json"], input).expect(1).json();
            assert_eq!(report["fault"]["kind"], "malformed", "{why}");
            let offset = report["fault"]["offset"].as_u64().unwrap();
            assert!(expected.contains(&offset), "{why}: {offset}");
            let wrong: Vec<&Value> =
                list(&report["fields"]).iter().filter(|field| field["wrong"] == true).collect();
            match wrong.as_slice() {
                [wrong] => {
                    let start = wrong["offset"].as_u64().unwrap();
                    let end = start + wrong["length"].as_u64().unwrap();
                    assert!((start..end).contains(&offset), "{why}: {wrong}");
                }
                [] => assert!(why.starts_with("length"), "{why}"),
                _ => panic!("{why}: {wrong:?}"),
            }
            let run = folder.run_with(&["inspect", "-"], input).expect(1);
            run.says("Malformed: ").says(&format!(" byte {offset}"));
        }
    }
}

#[test]
fn answers_are_believed_as_a_client_believes_them() {
    let folder = Folder::new();
    write_product(&folder);
    for case in list(&vectors()["exchanges"]) {
        folder.file("request", text(&case["request"]));
        folder.file("response", text(&case["response"]));
        let arguments = ["inspect", "response", "--product", "switch.product.toml", "--json"];
        let run = folder.run(&[&arguments[..], &["--request", "request"]].concat());
        let report = run.json();
        if text(&case["expect"]) == "rejected" {
            assert!([1, 6].contains(&run.code), "{case}: {run:?}");
        } else {
            assert_eq!(run.code, 0, "{case}: {run:?}");
            assert_eq!(check(&report, "response"), "good");
            assert_eq!(check(&report, "signatures"), "good");
        }
        let tag = folder.run(&["inspect", "request", "--json", "--product", "switch.product.toml"]);
        assert_eq!(check(&tag.expect(0).json(), "tag"), "good");
    }
    for frame in list(&vectors()["bad_tags"]) {
        let arguments = ["inspect", "-", "--json", "--product", "switch.product.toml"];
        let report = folder.run_with(&arguments, text(frame).as_bytes()).expect(6).json();
        assert_eq!(check(&report, "tag"), "bad");
    }
}

#[test]
fn signatures_are_not_checked_without_keys() {
    let folder = Folder::new();
    let vectors = vectors();
    let response = text(&vectors["exchanges"][0]["response"]);
    let run = folder.run_with(&["inspect", "-", "--json"], response.as_bytes()).expect(0);
    assert_eq!(check(&run.json(), "signatures"), "not_checked");
    let run = folder.run_with(&["inspect", "-"], response.as_bytes());
    run.expect(0).says("signatures: not checked: it takes the product's keys: --product FILE");
}

#[test]
fn enrolments_prove_possession_and_signatures() {
    let folder = Folder::new();
    write_product(&folder);
    for case in list(&vectors()["enrolments"]) {
        let mut request = files::from_hex(text(&case["request"])).unwrap();
        folder.file("request", &request);
        folder.file("response", text(&case["response"]));
        let report = folder.run(&["inspect", "request", "--json"]).expect(0).json();
        assert_eq!(report["encoding"], "binary");
        assert_eq!(check(&report, "signature"), "good");
        assert_eq!(check(&report, "tag"), "not_checked");
        let arguments = ["inspect", "response", "--json", "--product", "switch.product.toml"];
        let run = folder.run(&[&arguments[..], &["--request", "request"]].concat());
        let report = run.json();
        assert_eq!(check(&report, "signatures"), "good");
        assert_eq!(check(&report, "request"), "good");
        assert_eq!(check(&report, "response"), "good");
        request[60] ^= 1;
        folder.file("request", &request);
        let report = folder.run(&["inspect", "request", "--json"]).expect(6).json();
        assert_eq!(check(&report, "signature"), "bad");
    }
}

#[test]
fn product_keys_show_all_but_the_secret() {
    let folder = Folder::new();
    for case in list(&vectors()["product_keys"]) {
        let key = text(&case["text"]);
        let run = folder.run_with(&["inspect", "-", "--json"], key.to_lowercase().as_bytes());
        let report = run.expect(0).json();
        assert_eq!(field(&report, "key_id"), &case["key_id"]);
        let kind = ["host", "mak", "setup"][case["kind"].as_u64().unwrap() as usize - 1];
        assert_eq!(field(&report, "kind"), kind);
        let shown = report.to_string() + &folder.run_with(&["inspect", "-"], key.as_bytes()).stdout;
        for secret in [&case["secret"], &case["tag_key"]] {
            assert!(!shown.contains(text(secret)), "{shown}");
        }
        assert!(!shown.contains(&key[6..23]), "{shown}");
    }
    for key in list(&vectors()["bad_product_keys"]) {
        let run = folder.run_with(&["inspect", "-", "--json"], text(key).as_bytes()).expect(1);
        let kind = if text(key).is_empty() { "unknown" } else { "malformed" };
        assert_eq!(run.json()["fault"]["kind"], kind, "{key}");
    }
}

#[test]
fn host_ids_are_valid_or_not() {
    let folder = Folder::new();
    for host in list(&vectors()["hosts"]) {
        let id = text(&host["host_id"]);
        let run = folder.run_with(&["inspect", "-", "--json"], format!("{id}\n").as_bytes());
        assert_eq!(field(&run.expect(0).json(), "host_id"), id);
        let run = folder.run_with(&["inspect", "-"], id.replace('-', " ").as_bytes()).expect(0);
        run.says("Valid");
        folder.run_with(&["inspect", "-"], &id.as_bytes()[1..]).expect(1).says("34 digits");
    }
    let too_large = "99999-".repeat(7);
    folder.run_with(&["inspect", "-"], too_large.as_bytes()).expect(1).says("above any host id");
}

#[test]
fn certificates_are_checked_by_the_root_key() {
    let folder = Folder::new();
    write_product(&folder);
    let response = files::from_hex(text(&vectors()["exchanges"][0]["response"])).unwrap();
    let mut certificate = response[64..184].to_vec();
    folder.file("host.certificate", &certificate);
    let arguments = ["inspect", "host.certificate", "--json", "--product", "switch.product.toml"];
    let report = folder.run(&arguments).json();
    assert_eq!(report["what"], "certificate");
    assert_eq!((check(&report, "signature"), check(&report, "coverage")), ("good", "good"));
    certificate[34] ^= 1;
    folder.file("host.certificate", &certificate);
    assert_eq!(check(&folder.run(&arguments).expect(6).json(), "signature"), "bad");
    certificate[54] = 7;
    folder.file("host.certificate", &certificate);
    assert_eq!(folder.run(&arguments).expect(1).json()["fault"]["offset"], 54);
}

#[test]
fn unknown_input_is_described() {
    let folder = Folder::new();
    for (input, words) in [
        (&b""[..], "nothing in it"),
        (b"threshold = 25\n", "looks like TOML"),
        (b"hello, world", "looks like text of 1 line"),
        (b"{\"a\": 1}", "JSON"),
        (&[0; 32], "32 bytes: a key, secret or public, or a digest"),
        (&[1, 2, 3], "begins like none of them"),
        (b"a69bd5a30de14f7c574fb513e292d8a1dec8a6f01a2ec3be524b5d464de915fc", "32 bytes: a key"),
        (b"48430100000000000000000000000000000000000000x0", "no hexadecimal digit"),
    ] {
        folder.run_with(&["inspect", "-"], input).expect(1).says(words);
    }
    folder.run(&["inspect", "missing"]).expect(1).says("cannot read missing");
    folder.run_with(&["inspect", "-"], &[0xff; 64]).expect(0).says("empty slot");
}

/// Images of a client that is activated and of the host that did it, and the product's file.
fn write_images(folder: &Folder) -> (Vec<u8>, Vec<u8>) {
    common::bench!(vendor, bench);
    let mut rng = StdRng::seed_from_u64(5);
    let product = vendor.product(1);
    let now = common::now(0);
    let mut client = Client::new(&product, common::machine(1), common::ONE_HOST, now, &mut rng);
    let (frame, later) = (0..)
        .step_by(60)
        .find_map(|secs| {
            let now = common::now(secs);
            common::drive(&mut client, now, &mut rng, &mut Vec::new()).map(|frame| (frame, now))
        })
        .unwrap();
    let answer = bench.handle(later, &frame).unwrap();
    let _ = client.handle_response(later, &mut rng, &answer).unwrap();

    let mut snapshot = [0; 4_096];
    let length = bench.host.snapshot(later, &mut snapshot).unwrap();
    let ids = common::IDS;
    let setup_key =
        MasterKey::from_bytes([3; 32]).product_key(KeyKind::ClientSetup, common::KEY_ID);
    let root = vendor.root_key.public_key();
    folder.file("bench.product.toml", format!(
        "name = \"bench\"\napplication_id = \"{}\"\nactivation_id = \"{}\"\ncounted_id = \"{}\"\n\
         family = 7\nrank = 1\ngeneration = 3\nthreshold = 1\nsetup_key = \"{}\"\n\
         [[roots]]\nid = 1\npublic_key = \"{}\"\n",
        ids.0, ids.1, ids.2, setup_key.to_text().as_str(), files::to_hex(&root.0),
    ));
    ProductFile::read(&folder.join("bench.product.toml")).unwrap();
    (image(Kind::Client, &client.image(later)), image(Kind::Host, &snapshot[..length]))
}

fn image(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut store = MemoryStore::<4_096>::new();
    let mut buffer = [0; 4_096];
    let (mut slots, _) = Slots::open(&mut store, kind, &mut buffer).unwrap();
    slots.save(payload, &mut buffer).unwrap();
    let length = store.read(headcount::storage::Slot::A, &mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn an_image_names_the_host_to_ask_first() {
    let folder = Folder::new();
    folder.file("good", image(Kind::RememberedHost, b"one.example:99"));
    folder.file("bad", image(Kind::RememberedHost, b"one example"));
    let report = folder.run(&["inspect", "good", "--json"]).expect(0).json();
    assert_eq!(report["what"], "remembered_host");
    assert_eq!(field(&report, "host"), "one.example:99");
    let report = folder.run(&["inspect", "bad", "--json"]).expect(7).json();
    assert_eq!(report["fault"]["offset"], 20);
}

#[test]
fn state_images_tell_what_they_hold() {
    let folder = Folder::new();
    let (client, host) = write_images(&folder);
    folder.file("client.a", &client);
    folder.file("host.b", &host);

    let arguments = ["inspect", "client.a", "--json", "--product", "bench.product.toml"];
    let report = folder.run(&arguments).expect(0).json();
    assert_eq!(report["what"], "client_state");
    assert_eq!(field(&report, "sequence"), 1);
    assert_eq!(field(&report, "rearms_used"), 0);
    assert_eq!(field(&report, "cmid"), field(&report, "request.cmid"));
    assert_eq!(field(&report, "response.count"), 1);
    assert_eq!(field(&report, "latest_host_time"), field(&report, "response.host_time"));
    assert_eq!(check(&report, "activation"), "good");
    assert!(report["notes"].to_string().contains("Slot a"), "{report}");

    let report = folder.run(&["inspect", "host.b", "--json"]).expect(0).json();
    assert_eq!(report["what"], "host_state");
    assert_eq!((field(&report, "granted"), field(&report, "pools")), (&1.into(), &1.into()));
    assert_eq!(field(&report, "pool1.counted_id"), &common::IDS.2.to_string());
    assert_eq!(field(&report, "pool1.records"), 1);
    assert_eq!(field(&report, "pool1.by_licence_status")["initial_grace"], 1);
    folder.run(&["inspect", "host.b"]).expect(0).says("pool1.limit").says("checksum");
}

#[test]
fn damaged_images_say_where() {
    let folder = Folder::new();
    for image in <[Vec<u8>; 2]>::from(write_images(&folder)) {
        let inspect = |image: &[u8]| {
            let report = folder.run_with(&["inspect", "-", "--json"], image).expect(7).json();
            assert_eq!(report["fault"]["kind"], "damaged");
            (report["fault"]["offset"].as_u64().unwrap() as usize, report)
        };
        let end = image.len() - 4;
        let changed = |offset: usize| {
            let mut image = image.clone();
            image[offset] ^= 0x80;
            image
        };
        let (offset, report) = inspect(&changed(40));
        assert_eq!(offset, end, "the checksum");
        assert!(report["notes"].to_string().contains("may be wrong"), "{report}");
        assert_eq!(inspect(&image[..100]).0, 100, "cut");
        assert_eq!(inspect(&image[..10]).0, 10, "cut in the envelope");
        assert_eq!(inspect(&sealed(&image, 4, 2)).0, 4, "a newer version");
        assert_eq!(inspect(&sealed(&image, 5, 9)).0, 5, "an unknown kind");
        assert_eq!(inspect(&sealed(&image, 6, 1)).0, 6, "reserved");
        let other = 3 - image[5];
        assert!((20..=end).contains(&inspect(&sealed(&image, 5, other)).0), "the other kind");
    }
}

/// The image with one byte replaced and a checksum that fits.
fn sealed(image: &[u8], offset: usize, byte: u8) -> Vec<u8> {
    let mut image = image[..image.len() - 4].to_vec();
    image[offset] = byte;
    let crc = image.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xEDB8_8320 * (crc & 1)))
    });
    image.extend((!crc).to_be_bytes());
    image
}

#[test]
fn explain_knows_numbers_and_names() {
    let folder = Folder::new();
    let entries = |arguments: &[&str]| {
        let report = folder.run(&[&["--json", "explain"], arguments].concat()).expect(0).json();
        let entries = list(&report["entries"]).iter();
        entries.map(|entry| format!("{}:{}", text(&entry["topic"]), text(&entry["name"]))).collect()
    };
    let all: Vec<String> = entries(&[]);
    assert_eq!(all.len(), 9 + 9 + 7 + 7);
    assert_eq!(entries(&["3"]), ["status:clock_skew", "exit:below_threshold"]);
    assert_eq!(entries(&["exit:130"]), ["exit:interrupted"]);
    assert_eq!(entries(&["bad_tag"]), ["silence:bad_tag"]);
    folder.run(&["explain", "clock-skew"]).expect(0).says("Causes:").says("What to do:");
    folder.run(&["explain", "42"]).expect(2).says("no code or name \"42\"");
    for verb in ["explain", "inspect"] {
        folder.run(&[verb, "--help"]).expect(0).says("Examples:");
    }
}
