//! `headcount client` by key: on line, by file and QR code, against a small authority in this process.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "common/program.rs"]
mod program;
#[path = "authority/support.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use headcount::authority::ActivationOutcome;
use headcount::client::IMAGE_LEN;
use headcount::daemon::{Clock, ProductFile, RootKey, SystemClock};
use headcount::phone::InstallationId;
use headcount::storage::{FileStore, Found, Kind, Slots, image_len};
use headcount::time::EpochMinute;
use headcount::trust::Signer;
use headcount::wire::{CountedId, Frame, KeyId, KeyKind, Request};
use program::{Ended, Folder};
use serde_json::Value;
use support::{Ledger, MAK, PRODUCT, ROOT_ID, Service, certify, mak, master, root};

const SETUP: KeyId = KeyId(76);

/// A site of one product, whose machines the vendor's authority activates by key.
struct Site {
    folder: Folder,
    authority: Authority,
}

/// The vendor's authority, which answers one connection after the other until the test ends.
#[derive(Clone)]
struct Authority {
    address: String,
    vendor: Arc<Mutex<(Service, Ledger)>>,
    outcomes: Arc<Mutex<Vec<ActivationOutcome>>>,
}

impl Authority {
    fn run(limit: u32) -> Self {
        let mut service = Service::new();
        let (not_before, not_after) = (EpochMinute(0), EpochMinute(u32::MAX));
        let claims = Service::claims(service.signer.public_key());
        // Whenever the test is run.
        service.certificates =
            vec![certify(headcount::wire::Claims { not_before, not_after, ..claims })];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = Self {
            address: listener.local_addr().unwrap().to_string(),
            vendor: Arc::new(Mutex::new((service, Ledger::with_mak(mak(limit))))),
            outcomes: Arc::default(),
        };
        let answering = authority.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut frame = [0; 250];
                if stream.read_exact(&mut frame).is_ok()
                    && let Some(answer) = answering.answer(&frame)
                {
                    stream.write_all(&answer).unwrap();
                }
            }
        });
        authority
    }

    fn answer(&self, frame: &Frame) -> Option<Frame> {
        let (service, ledger) = &mut *self.vendor.lock().unwrap();
        let now = SystemClock::start().now().clock.unwrap();
        let answer = service.rules().answer_activation(frame, now, ledger).ok()?;
        self.outcomes.lock().unwrap().push(answer.outcome);
        Some(answer.frame)
    }

    fn change_key(&self, change: impl Fn(&mut headcount::authority::MultipleActivationKeyRecord)) {
        self.vendor.lock().unwrap().1.maks.iter_mut().for_each(change);
    }

    /// How many activations have been used up.
    fn used(&self) -> u32 {
        use headcount::authority::Ledger as _;
        self.vendor.lock().unwrap().1.machines(MAK).unwrap()
    }

    fn last(&self) -> ActivationOutcome {
        *self.outcomes.lock().unwrap().last().unwrap()
    }
}

fn product_file(authority: Option<String>) -> ProductFile {
    ProductFile {
        name: "router".into(),
        application_id: PRODUCT.application_id.to_string(),
        activation_id: PRODUCT.activation_id.to_string(),
        counted_id: CountedId([0xa3; 16]).to_string(),
        family: PRODUCT.coverage.family,
        rank: PRODUCT.coverage.rank,
        generation: PRODUCT.coverage.generation,
        threshold: NonZeroU32::new(25).unwrap(),
        setup_key: key_text(KeyKind::ClientSetup, SETUP),
        weights: [1; 8],
        tolerance: 2,
        rearms: 3,
        maximum_validity_minutes: 259_200,
        initial_grace_minutes: 43_200,
        authority,
        roots: vec![RootKey::new(ROOT_ID, &root().public_key())],
    }
}

fn key_text(kind: KeyKind, key_id: KeyId) -> String {
    master().product_key(kind, key_id).to_text().as_str().to_owned()
}

impl Site {
    fn new(limit: u32) -> Self {
        let (folder, authority) = (Folder::new(), Authority::run(limit));
        let file = product_file(Some(authority.address.clone()));
        file.write(&folder.join("router.product.toml")).unwrap();
        folder.file(
            "mak.txt",
            format!("# the MAK\n{}\n", key_text(KeyKind::MultipleActivation, MAK)),
        );
        let site = Self { folder, authority };
        site.machine("a", "a");
        site
    }

    /// Makes a machine's folder; its hardware is told by a name.
    fn machine(&self, name: &str, hardware: &str) {
        let init = ["client", "init", name, "--product", "router.product.toml"];
        self.folder.run(&init).expect(0);
        let config = format!(
            "product = \"router.product.toml\"\ndomains = []\n[machine]\nname = \"{name}\"\n\
             components = [\"board {hardware}\", \"disk {hardware}\", \"card {hardware}\"]\n"
        );
        self.folder.file(&format!("{name}/client.toml"), config);
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Ended {
        let config = ["--config", name, "--json"];
        self.folder.run(&[&["client"], arguments, &config[..]].concat())
    }

    fn text(&self, name: &str, arguments: &[&str]) -> Ended {
        self.folder.run(&[&["client"], arguments, &["--config", name][..]].concat())
    }

    fn status(&self, name: &str) -> Value {
        self.run(name, &["status"]).expect(0).json()
    }

    /// A machine whose key is installed and whose request is in this file.
    fn request(&self, name: &str, file: &str) -> Frame {
        self.run(name, &["request", "--key-file", "mak.txt", "--out", file]).expect(0);
        std::fs::read(self.folder.join(file)).unwrap().try_into().unwrap()
    }
}

#[test]
fn a_key_activates_a_machine_for_ever_and_a_restart_keeps_it() {
    let site = Site::new(5);
    let installed = site.run("a", &["install-key", "--key-file", "mak.txt"]).expect(0).json();
    assert_eq!(
        (installed["method"].as_str(), installed["key_id"].as_u64()),
        (Some("key"), Some(77))
    );
    assert_eq!(installed["authority"], site.authority.address.as_str());
    let before = site.status("a");
    assert_eq!(
        (before["activated"].as_bool(), before["installed_key"].as_u64()),
        (Some(false), Some(77))
    );

    let activated = site.run("a", &["activate"]).expect(0).json();
    assert_eq!(activated["hosts"][0]["by"], "key", "{activated}");
    let status = site.status("a");
    assert_eq!(status["activated"], true);
    assert_eq!((&status["seconds_left"], &status["until"]), (&Value::Null, &Value::Null));
    let activation = &status["activation"];
    assert_eq!((activation["by"].as_str(), activation["key_id"].as_u64()), (Some("key"), Some(77)));
    assert_eq!(activation["count"], 4, "activations left");
    site.text("a", &["status"]).expect(0).says("by key 77, with 4 activations left on it");
    site.text("a", &["activate"])
        .expect(0)
        .says("Activated for ever. 4 activations are left on key 77.");
    assert_eq!(site.authority.used(), 1, "the same machine counts once");
}

#[test]
fn key_and_authority_can_be_given_at_once_by_whatever_way() {
    let site = Site::new(5);
    product_file(None).write(&site.folder.join("a/router.product.toml")).unwrap();
    let mak = key_text(KeyKind::MultipleActivation, MAK);
    let nobody_knows = site.run("a", &["activate", "--key", &mak]).expect(2).json();
    assert!(nobody_knows["error"]["cause"].as_str().unwrap().contains("where the authority is"));
    // The key is installed all the same.
    let place = site.authority.address.clone();
    site.run("a", &["activate", "--authority", &place]).expect(0);
    let authority = format!("authority = \"{place}\"\n");
    let config = std::fs::read_to_string(site.folder.join("a/client.toml")).unwrap();
    site.folder.file("a/client.toml", authority + &config);
    site.run("a", &["activate"]).expect(0);
    let input = site.folder.run_with(
        &["client", "install-key", "--key-file", "-", "--config", "a"],
        format!("{}\n", mak.to_lowercase()).as_bytes(),
    );
    input.expect(0);
    site.folder.file("a/client.toml", format!("authority = \"a b\"\n{config}"));
    site.run("a", &["activate"]).expect(2);
}

#[test]
fn the_key_itself_is_neither_kept_nor_shown() {
    let site = Site::new(5);
    let mak = key_text(KeyKind::MultipleActivation, MAK);
    let mut shown = Vec::new();
    for arguments in
        [&["install-key", mak.as_str()][..], &["activate"], &["status"], &["request", "--qr"]]
    {
        for ended in [site.run("a", arguments), site.text("a", arguments)] {
            shown.extend([ended.stdout, ended.stderr]);
        }
    }
    let state = site.folder.join("a/state");
    for entry in std::fs::read_dir(&state).unwrap() {
        shown.push(String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into());
    }
    let secrets = [mak.clone(), mak.replace('-', ""), mak[6..].to_owned()];
    for text in &shown {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    let tag_key = headcount::daemon::files::to_hex(
        master().product_key(KeyKind::MultipleActivation, MAK).tag_key().expose(),
    );
    let files = shown.iter().filter(|text| text.contains(&tag_key)).count();
    assert_eq!(files, 1, "the tag key is in its file, and nowhere else");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(state.join("key.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn what_is_no_key_for_this_client_is_refused_with_the_reason() {
    let site = Site::new(5);
    for (kind, number, reason) in [
        (KeyKind::Host, KeyId(5), "this is a host key"),
        (KeyKind::ClientSetup, KeyId(5), "setup key of another product"),
    ] {
        let key = key_text(kind, number);
        for verb in [&["install-key", key.as_str()][..], &["activate", "--key", &key]] {
            site.text("a", verb).expect(2).says(reason);
        }
        site.text("a", &["request", "--qr", "--key", &key]).expect(2).says(reason);
    }
    let typo = key_text(KeyKind::MultipleActivation, MAK).replacen('0', "1", 1);
    site.text("a", &["install-key", &typo]).expect(2).says("typing error");
    site.text("a", &["install-key"]).expect(2).says("<KEY|--key-file <FILE>|--setup>");
    site.text("a", &["request"]).expect(2).says("<--out <FILE>|--qr>");
    assert!(!site.folder.join("a/state/key.toml").exists());
    site.text("a", &["request", "--out", "x"]).expect(2).says("no key is installed");
    let place = site.authority.address.clone();
    site.text("a", &["activate", "--authority", &place]).expect(2).says("no key is installed");
    // A key asks the authority, not a host that is named.
    site.run("a", &["install-key", "--key-file", "mak.txt"]).expect(0);
    site.text("a", &["activate", "--host", &place]).expect(2).says("install-key --setup");
}

#[test]
fn a_setup_key_where_a_mak_belongs_is_refused_and_takes_no_key_out() {
    let site = Site::new(5);
    site.run("a", &["install-key", "--key-file", "mak.txt"]).expect(0);
    let setup = key_text(KeyKind::ClientSetup, SETUP);
    for verb in [
        &["activate"][..],
        &["activate", "--authority", &site.authority.address],
        &["request", "--qr"],
        &["phone"],
    ] {
        let ended = site.text("a", &[verb, &["--key", &setup]].concat()).expect(2);
        ended
            .says("the product's own setup key, and a multiple activation key belongs here")
            .says("install-key --setup");
        assert_eq!(site.status("a")["installed_key"], MAK.0);
    }
}

#[test]
fn a_damaged_key_file_is_told_with_the_way_out() {
    let site = Site::new(5);
    site.run("a", &["install-key", "--key-file", "mak.txt"]).expect(0);
    site.folder.file("a/state/key.toml", "key_id = ");
    let way_out = "Remove this file, then install the key again";
    site.text("a", &["status"]).says("key.toml").says(way_out);
    std::fs::remove_file(site.folder.join("a/state/key.toml")).unwrap();
    site.run("a", &["install-key", "--key-file", "mak.txt"]).expect(0);
    assert_eq!(site.status("a")["installed_key"], MAK.0);
}

#[test]
fn a_host_and_a_key_together_install_nothing() {
    let site = Site::new(5);
    let asked = ["activate", "--host", "127.0.0.1:9", "--key-file", "mak.txt"];
    site.text("a", &asked).expect(2).says("cannot be used with");
    assert_eq!(site.status("a")["installed_key"], Value::Null);
}

#[test]
fn a_refusal_is_told_by_its_name() {
    let site = Site::new(0);
    site.run("a", &["install-key", "--key-file", "mak.txt"]).expect(0);
    let refused = |code: u64, cause: &str| {
        let ended = site.run("a", &["activate"]).expect(4).json();
        assert_eq!(ended["hosts"][0]["status"], code, "{ended}");
        assert!(ended["error"]["cause"].as_str().unwrap().contains(cause), "{ended}");
        let request = site.request("a", "request");
        site.folder.file("answer", site.authority.answer(&request).unwrap());
        let carried = site.run("a", &["apply", "answer"]).expect(4).json();
        assert_eq!(carried["status"], code, "{carried}");
        assert!(carried["error"]["cause"].as_str().unwrap().contains(cause), "{carried}");
    };
    refused(6, "the authority refused: the key is used up (status 6)");
    site.authority.change_key(|key| key.blocked = true);
    refused(7, "the authority refused: the key is blocked (status 7)");
    site.authority.change_key(|key| (key.blocked, key.coverage.rank) = (false, 0));
    refused(2, "the key does not cover this product (status 2)");
    site.authority.change_key(|key| key.key_id = KeyId(78));
    refused(5, "the authority refused: the key is unknown (status 5)");
    assert_eq!(site.authority.used(), 0);
    for name in ["unknown_key", "key_exhausted", "key_blocked", "busy"] {
        site.folder.run(&["explain", name]).expect(0).says("headcount client");
    }
    // An authority that has not issued the key is silent, and one that is not there as well.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let silent = site.text("a", &["activate", "--authority", &nobody]).expect(5);
    silent.says("Can the vendor's authority be reached from here?");
}

#[test]
fn back_to_counting_and_nothing_lost() {
    let site = Site::new(5);
    site.run("a", &["activate", "--key-file", "mak.txt"]).expect(0);
    let back = site.run("a", &["install-key", &key_text(KeyKind::ClientSetup, SETUP)]).expect(0);
    assert_eq!(back.json()["method"], "count");
    assert!(!site.folder.join("a/state/key.toml").exists());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let asked = site.run("a", &["activate", "--host", &nobody]).expect(5).json();
    assert_eq!(asked["hosts"][0]["by"], "count", "{asked}");
    let status = site.status("a");
    assert_eq!((&status["activated"], &status["activation"]["by"]), (&true.into(), &"key".into()));
    site.run("a", &["install-key", "--key-file", "mak.txt"]).expect(0);
    site.run("a", &["install-key", "--setup"]).expect(0);
    assert_eq!(site.status("a")["installed_key"], Value::Null);
}

#[test]
fn a_request_travels_as_a_file_and_its_answer_back() {
    let site = Site::new(5);
    let request = site.request("a", "a.request");
    assert_eq!(site.request("a", "again.request"), request, "until it is answered");
    let text = String::from_utf8_lossy(&request);
    assert!(!text.contains("a\0\0\0"), "no name unless asked");
    let parsed = headcount::trust::ParsedRequest::parse(&request).unwrap().unverified();
    let Request { workstation_name, client_time, .. } = parsed;
    assert_eq!((workstation_name.as_str(), client_time), ("", None));
    let named = ["request", "--out", "named.request", "--with-name"];
    site.run("a", &named).expect(0);
    let named: Frame =
        std::fs::read(site.folder.join("named.request")).unwrap().try_into().unwrap();
    let parsed = headcount::trust::ParsedRequest::parse(&named).unwrap().unverified();
    assert_eq!(parsed.workstation_name.as_str(), "a");

    let answer = site.authority.answer(&named).unwrap();
    site.folder.file("answer", answer);
    let hex = headcount::daemon::files::to_hex(&answer);
    site.folder.file("answer.hex", format!("{}\n{}\n", &hex[..250], &hex[250..]));
    // An answer to another request, one cut short, and one that somebody has changed.
    site.folder.file("other", site.authority.answer(&request).unwrap());
    site.text("a", &["apply", "other"]).expect(6).says("another request");
    site.folder.file("short", &answer[..249]);
    site.text("a", &["apply", "short"]).expect(6).says("249 bytes");
    let mut changed = answer;
    changed[11] ^= 1;
    site.folder.file("changed", changed);
    site.text("a", &["apply", "changed"]).expect(6).says("did not sign the answer");
    assert_eq!(site.status("a")["activated"], false);

    let applied = site.run("a", &["apply", "answer.hex"]).expect(0).json();
    assert_eq!(
        (&applied["activated"], &applied["activation"]["by"]),
        (&true.into(), &"key".into())
    );
    site.text("a", &["apply", "answer"]).expect(2).says("no request waits");
    assert_eq!(site.status("a")["activated"], true);
    assert_eq!(site.authority.used(), 1);
}

#[test]
fn a_pair_makes_an_imaged_machine_what_it_was_and_no_other() {
    let site = Site::new(5);
    let request = site.request("a", "request");
    let answer = site.authority.answer(&request).unwrap();
    site.folder.file("answer", answer);
    site.run("a", &["apply", "answer"]).expect(0);
    let pair = [request, answer].concat();
    site.folder.file("pair", &pair);
    site.folder.file("pair.hex", headcount::daemon::files::to_hex(&pair));

    site.machine("imaged", "a");
    let cmid = site.status("a")["cmid"].clone();
    assert_ne!(site.status("imaged")["cmid"], cmid);
    site.text("imaged", &["apply", "pair"]).expect(0).says("No key is installed here");
    let status = site.status("imaged");
    assert_eq!((&status["activated"], &status["cmid"]), (&true.into(), &cmid));
    // And by standard input.
    site.machine("again", "a");
    let hex = std::fs::read(site.folder.join("pair.hex")).unwrap();
    let piped = ["client", "apply", "-", "--config", "again"];
    site.folder.run_with(&piped, &hex).expect(0).says("Activated for ever.");
    assert_eq!(site.authority.used(), 1);

    site.machine("b", "b");
    site.text("b", &["apply", "pair"]).expect(6).says("a machine with other hardware");
    assert_eq!(site.status("b")["activated"], false);
    // Asked on line, the imaged machine is the one that the authority knows.
    site.run("imaged", &["activate", "--key-file", "mak.txt"]).expect(0);
    let known = ActivationOutcome::Granted { counted: false, left: 4 };
    assert_eq!(site.authority.last(), known);
}

#[test]
fn a_request_is_shown_as_a_code_that_a_camera_reads() {
    let site = Site::new(5);
    let request = site.request("a", "request");
    let told = site.run("a", &["request", "--qr"]).expect(0).json();
    let hex = headcount::daemon::files::to_hex(&request).to_uppercase();
    assert_eq!(told["hexadecimal"], hex.as_str());
    let shown = site.text("a", &["request", "--qr"]).expect(0).stdout;
    let lines: Vec<Vec<char>> = shown
        .lines()
        .filter(|line| line.chars().all(|square| " ▀▄█".contains(square)) && !line.is_empty())
        .map(|line| line.chars().collect())
        .collect();
    assert!(lines[0].len() <= 80, "it fits on a terminal: {}", lines[0].len());
    // Each character is a light or dark square above another one.
    let (width, height) = (lines[0].len(), lines.len() * 2);
    let dark = |x: usize, y: usize| match lines[y / 2][x] {
        '█' => true,
        '▀' => y.is_multiple_of(2),
        '▄' => !y.is_multiple_of(2),
        _ => false,
    };
    let scale = 4;
    let mut picture =
        rqrr::PreparedImage::prepare_from_greyscale(width * scale, height * scale, |x, y| {
            if dark(x / scale, y / scale) { 0 } else { 255 }
        });
    let (_, content) = picture.detect_grids()[0].decode().unwrap();
    assert_eq!(content, hex);
    // What a camera read is answered as the file is.
    site.folder.file("read", &content);
    let read: Vec<u8> = headcount::daemon::files::from_hex(&content).unwrap();
    let answer = site.authority.answer(read.as_slice().try_into().unwrap()).unwrap();
    site.folder.file("answer", answer);
    site.run("a", &["apply", "answer"]).expect(0);
}

impl Site {
    /// What the vendor reads back to who reads this out.
    fn confirmation(&self, id: &str) -> String {
        let id: InstallationId = id.parse().unwrap();
        let (service, ledger) = &mut *self.authority.vendor.lock().unwrap();
        let now = SystemClock::start().now().clock.unwrap();
        let root = root();
        let vendor = headcount::authority::Authority {
            master: &service.master,
            root_id: ROOT_ID,
            root: &root,
            certificate_validity: headcount::time::Minutes::from_days(365),
            max_skew: None,
        };
        let answer = vendor.answer_installation(&id, &service.products, now, ledger).unwrap();
        answer.confirmation.to_string()
    }

    /// Edits a machine's stored state behind its back; what it was then is returned.
    fn edit_state(&self, name: &str, edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let store = FileStore::open(self.folder.join(name).join("state"), "client").unwrap();
        let mut buffer = [0; image_len(IMAGE_LEN)];
        let (mut slots, found) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
        let Found::Whole { payload, .. } = found else { panic!("no state") };
        let before = payload.to_vec();
        let mut edited = before.clone();
        edit(&mut edited);
        slots.save(&edited, &mut buffer).unwrap();
        before
    }

    fn installation_id(&self, name: &str) -> String {
        let shown = self.run(name, &["phone", "--key-file", "mak.txt"]).expect(0).json();
        let groups: Vec<_> = shown["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group.as_str().unwrap())
            .collect();
        assert_eq!(groups.join("-"), shown["installation_id"].as_str().unwrap());
        groups.join("-")
    }
}

#[test]
fn a_voice_activates_a_machine() {
    let site = Site::new(5);
    site.text("a", &["phone"]).expect(2).says("no key is installed");
    site.text("a", &["phone", "--confirm", "0"]).expect(2).says("no key is installed");
    let id = site.installation_id("a");
    assert_eq!(site.installation_id("a"), id, "until it is answered");
    let shown = site.text("a", &["phone"]).expect(0).stdout;
    for (place, group) in (1..).zip(id.split('-')) {
        assert!(shown.contains(&format!("{place:>4}: {group}")), "{shown}");
    }
    let confirmation = site.confirmation(&id);

    // A group that was misheard is told by its place.
    let groups: Vec<String> = confirmation.split('-').map(str::to_owned).collect();
    for place in [1, 14, 26] {
        let mut typed = groups.clone();
        let digits = &mut typed[place - 1];
        let wrong = if digits.starts_with('1') { "2" } else { "1" };
        digits.replace_range(0..1, wrong);
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let ended = site.text("a", &[&["phone", "--confirm"], &typed[..]].concat()).expect(2);
        ended.says(&format!("group {place} is not right"));
    }
    let some: Vec<&str> = groups.iter().map(String::as_str).take(25).collect();
    let ended = site.text("a", &[&["phone", "--confirm"], &some[..]].concat());
    ended.expect(2).says("only 25 groups of digits, there are 26");
    site.text("a", &["phone", "--confirm", &id]).expect(2).says("only 13 groups");
    assert_eq!(site.status("a")["activated"], false);

    // By standard input, in lines of whatever length, and without hyphens.
    let lines: Vec<String> = groups.chunks(5).map(<[String]>::concat).collect();
    let arguments = ["client", "phone", "--confirm", "--config", "a"];
    let typed = site.folder.run_with(&arguments, lines.join("\n").as_bytes());
    typed.expect(0).says("Activated for ever. It was by phone, with key 77.");
    let status = site.status("a");
    let activation = &status["activation"];
    assert_eq!((&status["activated"], &activation["by"]), (&true.into(), &"phone".into()));
    assert_eq!((&activation["host_id"], &activation["host_time"]), (&Value::Null, &Value::Null));
    site.text("a", &["status"]).expect(0).says("activated by phone, with key 77");
    // The state is in one copy of two, so it is written into both.
    site.edit_state("a", |_| {});
    let whole = site.edit_state("a", |_| {});
    let inspect = ["inspect", "a/state/client.a", "--product", "a/router.product.toml"];
    site.folder.run(&inspect).expect(0).says("the vendor has confirmed it by phone");
    // Somebody changes a bit of the signature, who knows how to make the checksum fit.
    site.edit_state("a", |payload| payload[payload.len() - 10] ^= 1);
    let edited = site.status("a");
    assert_eq!(edited["activated"], false, "{edited}");
    assert!(edited["rejection"].as_str().unwrap().contains("not for this installation id"));
    site.edit_state("a", |payload| payload.copy_from_slice(&whole));
    assert_eq!(site.status("a")["activated"], true);
    // The authority knows the machine when it asks on line.
    site.run("a", &["activate"]).expect(0);
    assert_eq!(site.authority.last(), ActivationOutcome::Granted { counted: false, left: 4 });
    assert_eq!(site.status("a")["activation"]["by"], "key");
}

#[test]
fn a_confirmation_is_for_one_machine() {
    let site = Site::new(5);
    site.machine("b", "b");
    let (a, b) = (site.installation_id("a"), site.installation_id("b"));
    assert_ne!(a, b);
    let ended = site.text("b", &["phone", "--confirm", &site.confirmation(&a)]).expect(6);
    ended.says("the confirmation id is not for this installation id");
    assert_eq!(site.status("b")["activated"], false);
    site.run("b", &["phone", "--confirm", &site.confirmation(&b)]).expect(0);
    // The hardware has changed a little since the id was read out.
    let path = site.folder.join("a/client.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("card a", "card z")).unwrap();
    site.run("a", &["phone", "--confirm", &site.confirmation(&a)]).expect(0);
    assert_eq!(site.authority.used(), 2);
    // And then altogether.
    std::fs::write(&path, config.replace(" a\"", " zz\"")).unwrap();
    assert_eq!(site.status("a")["status"], "out_of_tolerance_grace");
}
