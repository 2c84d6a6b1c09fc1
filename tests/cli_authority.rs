//! `headcount authority`, as a vendor runs it, with a host at the other end.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use headcount::daemon::files::to_hex;
use program::{Ended, Folder};
use serde_json::{Value, json};

const ROUTER: &str = "product add --name router --family 7 --rank 2 --generation 3 --threshold 25";

/// A verb of the authority in the folder "vendor".
fn vendor(folder: &Folder, arguments: &str) -> Ended {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    folder.run(&[&["--json", "authority"], &arguments[..], &["--dir", "vendor"]].concat())
}

/// A vendor with one product and one host key, whose text is returned.
fn new_vendor(folder: &Folder) -> String {
    folder.run(&["authority", "init", "vendor"]).expect(0);
    vendor(folder, ROUTER).expect(0);
    let key = vendor(folder, "key new --kind host --product router --hosts 2 --activations 2");
    let key = key.expect(0).json()["key"].as_str().unwrap().to_owned();
    folder.file("key.txt", &key);
    key
}

/// A request of the host in a folder, which is set up when it does not exist yet.
fn request(folder: &Folder, host: &str, file: &str) {
    if !folder.join(host).exists() {
        let product = "vendor/products/router.product.toml";
        folder.run(&["host", "init", host, "--product", product]).expect(0);
    }
    let arguments = ["host", "enrol", "--config", host, "--key-file", "key.txt", "--out", file];
    folder.run(&arguments).expect(0);
}

fn enrol(folder: &Folder, request: &str, response: &str) -> Ended {
    vendor(folder, &format!("enrol {request} --out {response}"))
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_anything() {
    let folder = Folder::new();
    // A folder that exists and is open to all is closed.
    fs::create_dir(folder.join("vendor")).unwrap();
    new_vendor(&folder);
    request(&folder, "host", "request");
    enrol(&folder, "request", "response").expect(0);
    for entry in ["", "products"] {
        assert_eq!(mode(&folder.join("vendor").join(entry)), 0o700, "{entry}");
    }
    let files = ["root.key", "master.key", "authority.toml", "authority.redb", "lock"];
    for file in files.into_iter().chain(["products/router.product.toml"]) {
        assert_eq!(mode(&folder.join("vendor").join(file)), 0o600, "{file}");
    }
}

#[test]
fn init_overwrites_nothing() {
    let folder = Folder::new();
    let made = folder.run(&["--json", "authority", "init", "vendor", "--root-id", "9"]).expect(0);
    let root = made.json()["root_public_key"].as_str().unwrap().to_owned();
    assert_eq!(root.len(), 64);
    assert_eq!(made.json()["root_id"], 9);
    let secrets =
        || ["root.key", "master.key"].map(|key| fs::read(folder.join("vendor").join(key)));
    let [a, b] = secrets().map(Result::unwrap);
    assert!(a != b && a.len() == 65 && b.len() == 65);
    folder.run(&["authority", "init", "vendor"]).expect(1).says("not empty");
    assert_eq!(secrets().map(Result::unwrap), [a, b]);
    vendor(&folder, ROUTER).expect(0);
    let product = fs::read_to_string(folder.join("vendor/products/router.product.toml")).unwrap();
    assert!(product.contains(&root) && product.contains("id = 9"), "{product}");
}

#[test]
fn products_are_checked() {
    let folder = Folder::new();
    folder.run(&["authority", "init", "vendor"]).expect(0);
    let router = vendor(&folder, ROUTER).expect(0).json();
    assert_eq!(router["setup_key_id"], 1);
    vendor(&folder, ROUTER).expect(2).says("there is a product router already");

    let fellow = "product add --name pro --family 7 --rank 3 --generation 3 --threshold 5";
    let pro = vendor(&folder, &format!("{fellow} --counted-with router")).expect(0).json();
    assert_eq!(pro["counted_id"], router["counted_id"]);
    assert_ne!(pro["activation_id"], router["activation_id"]);
    let other = fellow.replace("pro ", "max ");
    let run = vendor(&folder, &format!("{other} --counted-with router --tolerance 4"));
    run.expect(2).says("their weights or tolerance differ");
    vendor(&folder, &format!("{other} --counted-with rooter")).expect(2).says("product list");
    let ids = ["application_id", "activation_id"].map(|id| router[id].as_str().unwrap().to_owned());
    let run =
        vendor(&folder, &format!("{other} --application-id {} --activation-id {}", ids[0], ids[1]));
    run.expect(2).says("router has the same application id");
    for name in ["../evil", ".hidden", "-x", "a/b", "", "né"] {
        let arguments = ["authority", "product", "add", "--dir", "vendor", "--family=1"];
        let name = format!("--name={name}");
        let rest = ["--rank=1", "--generation=1", "--threshold=2", &name];
        folder.run(&[&arguments[..], &rest].concat()).expect(2).says("product's name");
    }
    vendor(&folder, &fellow.replace("threshold 5", "threshold 0")).expect(2);
    let weighted =
        "product add --name x --family 7 --rank 1 --generation 1 --threshold 5 --weights";
    vendor(&folder, &format!("{weighted} 1,2,3")).expect(2).says("eight numbers");

    // What failed allotted no key.
    let keys = vendor(&folder, "key list").expect(0).json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    let products = vendor(&folder, "product list").expect(0).json();
    assert_eq!(products["products"].as_array().unwrap().len(), 2);
    assert!(!products.to_string().contains("setup_key\""), "{products}");
}

#[test]
fn weights_are_those_that_were_given() {
    let folder = Folder::new();
    new_vendor(&folder);
    let product = "product add --name x --family 7 --rank 1 --generation 1 --threshold 5";
    vendor(&folder, &format!("{product} --weights 2,2,1,0,0,0,0,0 --tolerance 3")).expect(0);
    let file = fs::read_to_string(folder.join("vendor/products/x.product.toml")).unwrap();
    assert!(file.contains("weights = [2, 2, 1, 0, 0, 0, 0, 0]\ntolerance = 3\n"), "{file}");
}

#[test]
fn keys_are_shown_again_and_listed_without_secrets() {
    let folder = Folder::new();
    let key = new_vendor(&folder);
    let shown = vendor(&folder, "key show 2").expect(0).json();
    assert_eq!((&shown["key"], &shown["kind"]), (&json!(key), &json!("host")));
    assert_eq!(
        (&shown["family"], &shown["rank"], &shown["generation"]),
        (&json!(7), &json!(2), &json!(3))
    );
    let inspected = folder.run_with(&["--json", "inspect", "-"], key.as_bytes()).expect(0).json();
    assert_eq!(
        (&inspected["fields"][0]["value"], &inspected["fields"][1]["value"]),
        (&json!("host"), &json!(2))
    );

    vendor(&folder, "key new --kind mak --product router").expect(2).says("a MAK needs a limit");
    let mak = vendor(&folder, "key new --kind mak --product router --activations 500").expect(0);
    assert_eq!((&mak.json()["key_id"], &mak.json()["activations"]), (&json!(3), &json!(500)));
    vendor(&folder, "key new --kind setup --product router --hosts 3").expect(2);
    vendor(&folder, "key new --kind setup --family 7 --rank 1 --generation 1").expect(2);
    vendor(&folder, "key new --kind setup --product router").expect(0);
    vendor(&folder, "key new --kind host --family 7 --rank 1").expect(2);
    let wide = vendor(&folder, "key new --kind host --family 7 --rank 9 --generation 9").expect(0);
    assert_eq!((&wide.json()["hosts"], &wide.json()["activations"]), (&json!(6), &json!(10)));

    let list = vendor(&folder, "key list").expect(0).json().to_string();
    let register = fs::read(folder.join("vendor/authority.redb")).unwrap();
    let register = String::from_utf8_lossy(&register).into_owned();
    for text in [&list, &register] {
        assert!(!text.contains(&key) && !text.contains(&key[6..11]), "{text}");
    }
    vendor(&folder, "key show 77").expect(2).says("no key 77");
}

#[test]
fn a_host_is_enrolled_and_takes_the_answer() {
    let folder = Folder::new();
    new_vendor(&folder);
    request(&folder, "host", "request");
    let run = enrol(&folder, "request", "response").expect(0).json();
    assert_eq!(
        (&run["key_id"], &run["hosts_left"], &run["activations_left"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!((&run["certificate"]["serial"], &run["repeated"]), (&json!(1), &json!(false)));
    assert_eq!(run["certificate"]["rank"], 2);
    let arguments = ["inspect", "response", "--json", "--request", "request", "--product"];
    let inspected =
        folder.run(&[&arguments[..], &["vendor/products/router.product.toml"]].concat());
    inspected.expect(0).says("the host that asked would believe it");
    folder.run(&["host", "enrol", "--config", "host", "--apply", "response"]).expect(0);

    // The same request, now as hexadecimal digits: the same bytes, nothing counted.
    let hex = |path: &str| -> String {
        let bytes = fs::read(folder.join(path)).unwrap();
        bytes.chunks(16).map(|line| to_hex(line) + "\n").collect()
    };
    folder.file("request.hex", hex("request"));
    let again = enrol(&folder, "request.hex", "response2").expect(0).json();
    assert_eq!((&again["repeated"], &again["activations_left"]), (&json!(true), &json!(1)));
    assert_eq!(hex("response"), hex("response2"));
    let key = vendor(&folder, "key show 2").expect(0).json();
    assert_eq!(
        (&key["hosts_enrolled"], key["enrolments"].as_array().unwrap().len()),
        (&json!(1), 1)
    );
    assert_eq!(key["enrolments"][0]["host_id"], run["host_id"]);
}

#[test]
fn limits_are_kept_and_refusals_are_answers() {
    let folder = Folder::new();
    new_vendor(&folder);
    let granted = |host: &str| {
        request(&folder, host, "request");
        enrol(&folder, "request", "response")
    };
    assert_eq!(granted("one").expect(0).json()["certificate"]["serial"], 1);
    assert_eq!(granted("one").expect(0).json()["activations_left"], 0);
    let run = granted("one").expect(4).says("this host has used its 2 activations of key 2").json();
    assert_eq!((&run["status"], &run["error"]["name"]), (&json!(6), &json!("refused")));
    assert_eq!(granted("two").expect(0).json()["hosts_left"], 0);
    let _ = fs::remove_file(folder.join("response"));
    granted("three").expect(4).says("the 2 hosts of key 2 are used");
    let applied = folder.run(&["host", "enrol", "--config", "three", "--apply", "response"]);
    applied.expect(4).says("key_exhausted");

    vendor(&folder, "key block 2").expect(0);
    granted("two").expect(4).says("key 2 is blocked");
    vendor(&folder, "key unblock 2").expect(0);
    assert_eq!(granted("two").expect(0).json()["certificate"]["serial"], 4);
    assert_eq!(vendor(&folder, "key show 2").json()["enrolments"].as_array().unwrap().len(), 4);
    vendor(&folder, "key block 9").expect(2).says("no key 9");
}

#[test]
fn strangers_get_no_answer() {
    let folder = Folder::new();
    new_vendor(&folder);
    request(&folder, "host", "request");
    fs::rename(folder.join("vendor"), folder.join("ours")).unwrap();
    new_vendor(&folder);
    let run = enrol(&folder, "request", "response").expect(6);
    run.says("the tag does not verify").says("not issued by this authority");
    let mut frame = fs::read(folder.join("request")).unwrap();
    frame[60] ^= 1;
    folder.file("request", &frame);
    enrol(&folder, "request", "response").expect(6).says("the tag does not verify");
    frame[2] = 7;
    folder.file("request", &frame);
    enrol(&folder, "request", "response").expect(6).says("at byte 2");
    folder.file("request", &frame[..100]);
    enrol(&folder, "request", "response").expect(6).says("100 bytes long");
    enrol(&folder, "missing", "response").expect(1).says("cannot read missing");
    for (request, same) in [("request", "request"), ("./request", "request"), ("request", "link")] {
        #[cfg(unix)]
        let _ = std::os::unix::fs::symlink("request", folder.join("link"));
        if folder.join(same).exists() {
            enrol(&folder, request, same).expect(2).says("would overwrite");
        }
    }
    assert_eq!(fs::read(folder.join("request")).unwrap(), &frame[..100]);
    assert!(!folder.join("response").exists());
    vendor(&folder, "key list").expect(0);
    folder.run(&["authority", "key", "list"]).expect(1).says("--dir DIR");
}

#[test]
fn a_root_key_that_products_do_not_know_signs_nothing() {
    let folder = Folder::new();
    new_vendor(&folder);
    request(&folder, "host", "request");
    folder.file("vendor/root.key", "ab".repeat(32));
    enrol(&folder, "request", "response")
        .expect(2)
        .says("not the root key that authority.toml names");
    assert!(!folder.join("response").exists());
}

#[test]
fn commands_at_once_wait_for_each_other() {
    let folder = Folder::new();
    new_vendor(&folder);
    let new = || {
        vendor(&folder, "key new --kind host --product router").expect(0).json()["key_id"].as_u64()
    };
    let mut ids: Vec<_> = thread::scope(|scope| {
        let started: Vec<_> = (0..6).map(|_| scope.spawn(new)).collect();
        started.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
    });
    ids.sort_unstable();
    assert_eq!(ids, [3, 4, 5, 6, 7, 8]);

    let lock = fs::File::open(folder.join("vendor/lock")).unwrap();
    lock.lock().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(new);
        thread::sleep(Duration::from_millis(200));
        assert!(!waiting.is_finished());
        lock.unlock().unwrap();
        assert_eq!(waiting.join().unwrap(), Some(9));
    });
    lock.lock().unwrap();
    vendor(&folder, "key list").expect(1).says("another command works in this folder");
}

#[test]
fn every_verb_has_help_with_an_example() {
    let folder = Folder::new();
    for verb in [
        "",
        "init",
        "product",
        "product add",
        "product list",
        "product show",
        "key",
        "key new",
        "key show",
        "key block",
        "key unblock",
        "key limit",
        "key list",
        "answer",
        "phone",
        "hosts",
        "activations",
        "enrol",
    ] {
        let words = verb.split(' ').filter(|word| !word.is_empty());
        let arguments: Vec<&str> =
            ["authority"].into_iter().chain(words).chain(["--help"]).collect();
        folder.run(&arguments).expect(0).says("xample");
    }
    let text = folder.run(&["authority", "init", "vendor"]).expect(0).says("Back up root.key");
    assert!(serde_json::from_str::<Value>(&text.stdout).is_err());
}
