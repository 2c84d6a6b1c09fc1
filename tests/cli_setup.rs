//! Setting up: the folders that hosts and clients live in, and the way to a certificate.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/program.rs"]
mod program;

use std::fs;

use program::Folder;

const PRODUCT: &str = "vendor/products/router.product.toml";

/// A vendor with one product.
fn vendor() -> Folder {
    let folder = Folder::new();
    folder.run(&["authority", "init", "vendor"]).expect(0);
    add_product(&folder, "router");
    folder
}

fn add_product(folder: &Folder, name: &str) {
    let arguments = ["authority", "product", "add", "--dir", "vendor", "--name", name];
    let rest = ["--family", "7", "--rank", "1", "--generation", "3", "--threshold", "3"];
    folder.run(&[&arguments[..], &rest].concat()).expect(0);
}

/// Issues a host key, and returns all that is printed.
fn host_key(folder: &Folder) -> String {
    let arguments = ["authority", "key", "new", "--dir", "vendor", "--kind", "host"];
    folder.run(&[&arguments[..], &["--product", "router"]].concat()).expect(0).stdout
}

/// Runs the program with arguments that may be no text.
#[cfg(target_os = "linux")]
fn run_bytes(folder: &Folder, arguments: &[&[u8]]) -> std::process::Output {
    use std::os::unix::ffi::OsStrExt;
    std::process::Command::new(env!("CARGO_BIN_EXE_headcount"))
        .args(arguments.iter().map(|argument| std::ffi::OsStr::from_bytes(argument)))
        .current_dir(folder.path())
        .output()
        .unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn paths_need_not_be_text() {
    let folder = vendor();
    folder.file("key", host_key(&folder));
    folder.run(&["host", "init", "host", "--product", PRODUCT]).expect(0);
    let product = PRODUCT.as_bytes();
    let new = [&b"--family=1"[..], b"--rank=1", b"--generation=1", b"--threshold=2"];
    for arguments in [
        &[&b"authority"[..], b"init", b"vendor\xff"][..],
        &[&[&b"authority"[..], b"product", b"add", b"--name=x", b"--dir=vendor\xff"], &new[..]]
            .concat(),
        &[b"host", b"init", b"host\xff", b"--product", product],
        &[b"client", b"init", b"client\xff", b"--product", product],
        &[b"host", b"enrol", b"--config=host", b"--key-file=key", b"--out=request\xff"],
        &[b"authority", b"enrol", b"request\xff", b"--out=answer\xff", b"--dir=vendor"],
        &[b"host", b"enrol", b"--config=host", b"--apply=answer\xff"],
        &[b"client", b"status", b"--config=client\xff"],
    ] {
        let output = run_bytes(&folder, &[arguments, &[b"--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_product_file_whose_name_cannot_be_written_down_is_refused() {
    let folder = vendor();
    fs::copy(
        folder.join(PRODUCT),
        folder.path().join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"p\xff")),
    )
    .unwrap();
    for side in [&b"host"[..], b"client"] {
        let output = run_bytes(&folder, &[side, b"init", b"new", b"--product", b"p\xff"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("not UTF-8"), "{output:?}");
        assert!(!folder.join("new").exists());
    }
}

#[test]
fn no_product_file_takes_the_place_of_another_file() {
    let folder = vendor();
    for place in ["a", "b"] {
        fs::create_dir(folder.join(place)).unwrap();
        fs::copy(folder.join(PRODUCT), folder.join(place).join("product.toml")).unwrap();
    }
    let arguments = ["host", "init", "h", "--product", "a/product.toml", "--product"];
    let twice = |second: &str| folder.run(&[&arguments[..], &[second]].concat());
    twice("b/product.toml").expect(2).says("two product files are named product.toml");
    assert!(!folder.join("h").exists(), "nothing is written before all is read");
    for (side, name) in
        [("client", "client.toml"), ("client", "state"), ("host", "host.toml"), ("host", "state")]
    {
        fs::copy(folder.join(PRODUCT), folder.join(name)).unwrap();
        let run = folder.run(&[side, "init", "new", "--product", name]);
        run.expect(2).says("the folder's own");
        assert!(!folder.join("new").exists());
    }
    add_product(&folder, "switch");
    twice("vendor/products/switch.product.toml").expect(0);
    let config = fs::read_to_string(folder.join("h/host.toml")).unwrap();
    assert!(config.contains("product.toml") && config.contains("switch.product.toml"), "{config}");
}

#[test]
fn a_host_is_set_up_before_it_has_a_product() {
    let folder = vendor();
    folder.run(&["host", "init", "host"]).expect(0).says("no product yet");
    for verb in ["run", "status"] {
        let run = folder.run(&["host", verb, "--config", "host"]);
        run.expect(2).says("no product to serve yet").says("host.toml");
    }
    // It can be enrolled for what it will serve, by what 'key new' printed, as it is.
    let printed = host_key(&folder);
    assert!(printed.lines().count() > 1, "{printed}");
    folder.file("host-key.txt", format!("# Example Ltd\n\n{printed}"));
    let enrol = ["host", "enrol", "--config", "host", "--key-file", "host-key.txt", "--out", "q"];
    folder.run(&enrol).expect(0);
    folder.run(&["authority", "enrol", "q", "--out", "a", "--dir", "vendor"]).expect(0);
    let apply = ["host", "enrol", "--config", "host", "--apply", "a"];
    folder.run(&apply).expect(2).says("no product to serve yet");

    fs::copy(folder.join(PRODUCT), folder.join("host/router.product.toml")).unwrap();
    let config = fs::read_to_string(folder.join("host/host.toml")).unwrap();
    let listed = config.replace("products = []", "products = [\"router.product.toml\"]");
    assert_ne!(listed, config);
    folder.file("host/host.toml", listed);
    folder.run(&apply).expect(0);
    let status = folder.run(&["host", "status", "--config", "host", "--json"]).expect(0).json();
    assert_eq!(status["pools"].as_array().unwrap().len(), 1, "{status}");
}

#[test]
fn setting_up_a_host_can_be_repeated_when_it_was_broken_off() {
    let folder = vendor();
    let init = || folder.run(&["host", "init", "host", "--product", PRODUCT, "--json"]);
    let first = init().expect(0).json();
    let key = fs::read(folder.join("host/state/host.key")).unwrap();
    init().expect(2).says("holds a host");
    // The configuration is written last.
    fs::remove_file(folder.join("host/host.toml")).unwrap();
    assert_eq!(init().expect(0).json()["host_id"], first["host_id"]);
    assert_eq!(fs::read(folder.join("host/state/host.key")).unwrap(), key);
}

#[test]
fn no_error_shows_a_setup_key() {
    let folder = vendor();
    let text = fs::read_to_string(folder.join(PRODUCT)).unwrap();
    let line = text.lines().find(|line| line.starts_with("setup_key")).unwrap();
    let key = line.split('"').nth(1).unwrap();
    for broken in [
        text.replace(line, &format!("setup_key = {key}")),
        text.replace(line, &format!("setup_key = \"{key}")),
        text.replace(line, &format!("setup_kye = \"{key}\"")),
        text.replace("threshold = 3", &format!("threshold = \"{key}\"")),
        text.replace(line, &format!("setup_key = \"{key}{key}\"")),
    ] {
        assert_ne!(broken, text);
        folder.file("product.toml", broken);
        for verb in [["client", "init"], ["host", "init"]] {
            let run = folder.run(&[verb[0], verb[1], "new", "--product", "product.toml"]);
            let run = run.expect(2).says("product.toml");
            assert!(!run.stderr.contains(&key[6..]), "{run:?}");
        }
    }
    let product = headcount::daemon::ProductFile::read(&folder.join(PRODUCT)).unwrap();
    assert!(!format!("{product:?}").contains(&key[6..]), "{product:?}");
}

#[test]
fn a_request_does_not_take_the_place_of_the_key() {
    let folder = vendor();
    let key = host_key(&folder);
    folder.file("key", &key);
    folder.run(&["host", "init", "host", "--product", PRODUCT]).expect(0);
    let enrol = ["host", "enrol", "--config", "host", "--key-file", "key", "--out", "./key"];
    folder.run(&enrol).expect(2).says("would overwrite key");
    assert_eq!(fs::read_to_string(folder.join("key")).unwrap(), key);
}

#[test]
fn weights_are_given_as_the_guide_has_them() {
    let folder = Folder::new();
    folder.run(&["authority", "init", "vendor"]).expect(0);
    let arguments = ["authority", "product", "add", "--dir", "vendor", "--name", "router-vm"];
    let rest = ["--family", "7", "--rank", "1", "--generation", "3", "--threshold", "25"];
    let add = |weights| {
        let more = ["--weights", weights, "--tolerance", "2"];
        folder.run(&[&arguments[..], &rest, &more].concat())
    };
    add("1,3,3").expect(2).says("eight numbers");
    add("1,3,3,1,1,1,1,1").expect(0);
    let path = folder.join("vendor/products/router-vm.product.toml");
    let product = headcount::daemon::ProductFile::read(&path).unwrap();
    assert_eq!((product.weights, product.tolerance), ([1, 3, 3, 1, 1, 1, 1, 1], 2));
}
