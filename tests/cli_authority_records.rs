//! What a vendor has the authority do by hand: answers to requests that were carried, by phone,
//! lists and limits; in the folder itself, and by the service that runs there.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "common/program.rs"]
mod program;

use std::fs;

use headcount::daemon::ProductFile;
use headcount::daemon::files::to_hex;
use headcount::fingerprint::Fingerprint;
use headcount::phone::{
    Confirmation, HostConfirmation, HostInstallationId, InstallationId, Machine,
};
use headcount::trust::{ProductKey, Signer as _, SigningKey};
use headcount::wire::Cmid;
use program::{Ended, Folder};
use serde_json::{Value, json};

const ROUTER: &str = "product add --name router --family 7 --rank 2 --generation 3 --threshold 25 \
                      --authority license.example:1689";

/// A verb of the authority in the folder "vendor".
fn vendor(folder: &Folder, arguments: &str) -> Ended {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    folder.run(&[&["--json", "authority"], &arguments[..], &["--dir", "vendor"]].concat())
}

/// The same in words.
fn in_words(folder: &Folder, arguments: &str) -> Ended {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    folder.run(&[&["authority"], &arguments[..], &["--dir", "vendor"]].concat())
}

/// A vendor with a product, a MAK (2) of two activations and a host key (3) of one host.
fn new_vendor(folder: &Folder) {
    folder.run(&["authority", "init", "vendor"]).expect(0);
    vendor(folder, ROUTER).expect(0);
    let new = |arguments: &str, file: &str| {
        let key = vendor(folder, &format!("key new --product router {arguments}")).expect(0);
        folder.file(file, key.json()["key"].as_str().unwrap());
    };
    new("--kind mak --activations 2", "mak.txt");
    new("--kind host --hosts 1", "host.txt");
}

const PRODUCT: &str = "vendor/products/router.product.toml";

/// The request of a machine that is activated by key.
fn machine(folder: &Folder, name: &str) {
    folder.run(&["client", "init", name, "--product", PRODUCT]).expect(0);
    let request = format!("{name}.request");
    let arguments = ["client", "request", "--with-name", "--config", name, "--out", &request];
    folder.run(&[&arguments[..], &["--key-file", "mak.txt"]].concat()).expect(0);
}

/// The request of a host.
fn host(folder: &Folder, name: &str) {
    folder.run(&["host", "init", name, "--product", PRODUCT]).expect(0);
    let request = format!("{name}.request");
    let arguments = ["host", "enrol", "--config", name, "--out", &request];
    folder.run(&[&arguments[..], &["--key-file", "host.txt"]].concat()).expect(0);
}

fn key(folder: &Folder, file: &str) -> ProductKey {
    ProductKey::from_text(&fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

#[test]
fn requests_that_were_carried_are_answered_many_at_once() {
    let folder = Folder::new();
    new_vendor(&folder);
    for name in ["a", "b", "c"] {
        machine(&folder, name);
    }
    host(&folder, "site");
    folder.file("hex.request", to_hex(&fs::read(folder.join("b.request")).unwrap()).to_uppercase());

    let run = in_words(&folder, "answer a.request b.request site.request").expect(0);
    run.says("b.request: machine activated with key 2; 0 activations left").says("3 granted");
    folder.run(&["client", "apply", "a.answer", "--config", "a"]).expect(0);
    folder.run(&["host", "enrol", "--config", "site", "--apply", "site.answer"]).expect(0);

    // Again, now with one too many, one that nobody made, and digits in the place of bytes.
    folder.file("torn.request", &fs::read(folder.join("c.request")).unwrap()[..100]);
    let mut forged = fs::read(folder.join("c.request")).unwrap();
    forged[100] ^= 1;
    folder.file("forged.request", forged);
    let all = "a.request hex.request c.request site.request torn.request forged.request";
    let run = vendor(&folder, &format!("answer {all} --out-dir answers")).expect(6).json();
    let tally = ["granted", "refused", "not_trusted", "failed"].map(|name| run[name].clone());
    assert_eq!(tally, [3, 1, 2, 0].map(Value::from));
    let answers = run["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 6);
    assert_eq!(
        (&answers[0]["repeated"], &answers[0]["activations_left"], &answers[0]["kind"]),
        (&json!(true), &json!(1), &json!("activation"))
    );
    assert_eq!((&answers[2]["status"], &answers[3]["kind"]), (&json!(6), &json!("enrolment")));
    assert!(answers[4]["cause"].as_str().unwrap().contains("100 bytes long"), "{run}");
    for (before, again) in
        [("a.answer", "a.answer"), ("b.answer", "hex.answer"), ("site.answer", "site.answer")]
    {
        let again = fs::read(folder.join("answers").join(again)).unwrap();
        assert_eq!(fs::read(folder.join(before)).unwrap(), again, "{before}");
    }
    assert!(!folder.join("answers/torn.answer").exists());
    let applied = folder.run(&["client", "apply", "answers/c.answer", "--config", "c"]);
    applied.expect(4).says("used up");

    in_words(&folder, "answer c.request").expect(4).says("the 2 activations of key 2 are used");
    vendor(&folder, "key limit 2 --activations 3").expect(0);
    in_words(&folder, "answer c.request").expect(0).says("0 activations left");
    vendor(&folder, "key block 2").expect(0);
    in_words(&folder, "answer a.request").expect(4).says("key 2 is blocked");

    in_words(&folder, "answer missing.request").expect(1).says("cannot read");
    in_words(&folder, "answer a.answer").expect(2).says("would overwrite");
    fs::create_dir(folder.join("other")).unwrap();
    fs::copy(folder.join("a.request"), folder.join("other/a.request")).unwrap();
    let run = in_words(&folder, "answer a.request other/a.request --out-dir answers");
    run.expect(2).says("would both be answered");
    fs::copy(folder.join("site.answer"), folder.join("answer.request")).unwrap();
    in_words(&folder, "answer answer.request").expect(6).says("this is no request");
    vendor(&folder, "enrol a.request --out x").expect(6).says("authority answer");
}

#[test]
fn what_was_granted_is_listed() {
    let folder = Folder::new();
    new_vendor(&folder);
    in_words(&folder, "hosts").expect(0).says("No hosts yet");
    in_words(&folder, "activations").expect(0).says("No machines yet");
    machine(&folder, "a");
    machine(&folder, "b");
    host(&folder, "site");
    vendor(&folder, "answer b.request a.request site.request").expect(0);

    let list = vendor(&folder, "activations").expect(0).json();
    let machines = list["activations"].as_array().unwrap();
    let cmid = |name: &str| {
        folder.run(&["client", "status", "--config", name, "--json"]).json()["cmid"].clone()
    };
    assert_eq!([&machines[0]["cmid"], &machines[1]["cmid"]], [&cmid("b"), &cmid("a")]);
    assert_eq!(
        (&machines[0]["product"], &machines[0]["activations"], &machines[0]["key_id"]),
        (&json!("router"), &json!(1), &json!(2))
    );
    assert_eq!(vendor(&folder, "activations --key 2").json(), list);
    assert_eq!(vendor(&folder, "activations --key 3").json()["activations"], json!([]));
    vendor(&folder, "activations --key 9").expect(2).says("no key 9");
    vendor(&folder, "activations --csv").expect(2).says("either --csv or --json");
    vendor(&folder, "hosts --csv").expect(2);
    let csv = in_words(&folder, "activations --csv").expect(0).stdout;
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 3, "{csv}");
    assert_eq!(rows[0].split(',').count(), rows[1].split(',').count());
    assert!(rows[1].contains(cmid("b").as_str().unwrap()), "{csv}");

    let hosts = vendor(&folder, "hosts").expect(0).json();
    let hosts = hosts["hosts"].as_array().unwrap();
    // Serial 1 is that of the certificate by which machines believe the authority.
    assert_eq!((hosts.len(), &hosts[0]["serial"]), (1, &json!(2)));
    let id = hosts[0]["host_id"].as_str().unwrap();
    let csv = in_words(&folder, "hosts --csv --key 3").expect(0).says(id).stdout;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    in_words(&folder, "key list").expect(0).says("2 activations, 2 used").says(", 1 enrolled");
    in_words(&folder, "key show 2").expect(0).says("activations --key 2");
    vendor(&folder, "product show router").expect(0).says("license.example:1689");
    assert!(fs::read_to_string(folder.join(PRODUCT)).unwrap().contains("license.example:1689"));
    vendor(&folder, "product show rooter").expect(2).says("no product rooter");
    let product = ROUTER.replace("router", "other").replace("license.example:1689", "a:b:c");
    vendor(&folder, &product).expect(2).says("--authority");
}

#[test]
fn limits_are_changed_where_there_are_some() {
    let folder = Folder::new();
    new_vendor(&folder);
    let changed = vendor(&folder, "key limit 3 --hosts 12").expect(0).json();
    assert_eq!((&changed["hosts"], &changed["activations"]), (&json!(12), &json!(10)));
    let changed = vendor(&folder, "key limit 3 --activations 4").expect(0).json();
    assert_eq!((&changed["hosts"], &changed["activations"]), (&json!(12), &json!(4)));
    vendor(&folder, "key limit 2 --hosts 3").expect(2).says("host keys only");
    vendor(&folder, "key limit 1 --activations 3").expect(2).says("no limits");
    vendor(&folder, "key limit 2").expect(2);
    vendor(&folder, "key limit 2 --activations 0").expect(2);
    vendor(&folder, "key limit 9 --activations 3").expect(2).says("no key 9");
    assert_eq!(vendor(&folder, "key show 3").json()["hosts"], 12);
}

/// The installation id of a machine, and what it believes.
fn caller(folder: &Folder, number: u8) -> (InstallationId, Vec<headcount::trust::Root>) {
    let product = ProductFile::read(&folder.join(PRODUCT)).unwrap();
    let mak = key(folder, "mak.txt");
    let known = product.for_authority().unwrap();
    let machine = Machine {
        key_id: mak.key_id(),
        application_id: known.application_id,
        activation_id: known.activation_id,
        cmid: Cmid::new([number; 16]).unwrap(),
        fingerprint: Fingerprint::new([number.into(); 8]),
    };
    (InstallationId::for_machine(&machine, &mak.tag_key()), product.roots().unwrap())
}

/// A group with one digit that is not what was read out.
fn wrong(group: &str) -> String {
    let (head, last) = group.split_at(6);
    let last: u32 = last.parse().unwrap();
    format!("{head}{}", (last + 1) % 10)
}

#[test]
fn a_machine_by_phone_is_confirmed_by_a_root_key_that_its_product_knows() {
    let folder = Folder::new();
    new_vendor(&folder);
    in_words(&folder, "root add 2").expect(0);
    in_words(&folder, "root use 2").expect(0).says("not in the files of router");
    let (id, roots) = caller(&folder, 1);
    assert_eq!(roots.len(), 1);
    let run = vendor(&folder, &format!("phone {id}")).expect(0).json();
    let confirmation: Confirmation = run["confirmation_id"].as_str().unwrap().parse().unwrap();
    confirmation.verify(&id, &roots).unwrap();

    // Once its file lists the new one, too, that one confirms.
    let listed = vendor(&folder, "root list").expect(0).json();
    let new = listed[1]["public_key"].as_str().unwrap();
    let product = fs::read_to_string(folder.join(PRODUCT)).unwrap();
    folder.file(PRODUCT, product + &format!("\n[[roots]]\nid = 2\npublic_key = \"{new}\"\n"));
    let (id, both) = caller(&folder, 2);
    let run = vendor(&folder, &format!("phone {id}")).expect(0).json();
    let confirmation: Confirmation = run["confirmation_id"].as_str().unwrap().parse().unwrap();
    confirmation.verify(&id, &both).unwrap();
    confirmation.verify(&id, &roots).unwrap_err();
}

#[test]
fn a_machine_is_activated_by_phone() {
    let folder = Folder::new();
    new_vendor(&folder);
    let (id, roots) = caller(&folder, 1);
    let run = vendor(&folder, &format!("phone {id}")).expect(0).json();
    let confirmation: Confirmation = run["confirmation_id"].as_str().unwrap().parse().unwrap();
    confirmation.verify(&id, &roots).unwrap();
    assert_eq!((&run["kind"], &run["activations_left"]), (&json!("machine"), &json!(1)));
    assert_eq!(run["groups"].as_array().unwrap().len(), 26);

    // Typed group by group, some in one line.
    let groups = id.groups().map(|group| group.to_string());
    let lines = groups[..5].join("\n") + "\n" + &groups[5..].join(" ") + "\n\n";
    let arguments = ["authority", "phone", "--dir", "vendor"];
    let run = folder.run_with(&arguments, lines.as_bytes()).expect(0);
    let run = run.says("It was before, too").says("1: ").says("26: ");
    let last = confirmation.groups()[25].to_string();
    run.says(&last);
    let mistyped = lines.replace(&groups[2], &wrong(&groups[2]));
    folder.run_with(&arguments, mistyped.as_bytes()).expect(2).says("group 3 is not right");

    let mistyped = id.to_string().replace(&groups[6], &wrong(&groups[6]));
    vendor(&folder, &format!("phone {mistyped}")).expect(2).says("group 7");
    let short = groups[..12].join(" ");
    vendor(&folder, &format!("phone {short}")).expect(2);
    folder.run_with(&arguments, short.as_bytes()).expect(2).says("ended after 12 groups");

    let (other, _) = caller(&folder, 2);
    vendor(&folder, &format!("phone {other}")).expect(0);
    let (third, _) = caller(&folder, 3);
    let refused = vendor(&folder, &format!("phone {third}")).expect(4).says("used up").json();
    assert_eq!(refused["status"], 6);
    vendor(&folder, "key block 2").expect(0);
    vendor(&folder, &format!("phone {id}")).expect(4).says("key 2 is blocked");
    let list = vendor(&folder, "activations").expect(0).json();
    assert_eq!(
        (list["activations"].as_array().unwrap().len(), &list["activations"][0]["by_phone"]),
        (2, &json!(true))
    );
    assert_eq!(list["activations"][0]["cmid"], Value::Null);

    let stranger = ProductKey::from_text(&fs::read_to_string(folder.join("host.txt")).unwrap());
    let machine = Machine {
        key_id: id.key_id(),
        application_id: roots_product(&folder).0,
        activation_id: roots_product(&folder).1,
        cmid: Cmid::new([1; 16]).unwrap(),
        fingerprint: Fingerprint::EMPTY,
    };
    let forged = InstallationId::for_machine(&machine, &stranger.unwrap().tag_key());
    vendor(&folder, &format!("phone {forged}")).expect(6);
}

fn roots_product(
    folder: &Folder,
) -> (headcount::wire::ApplicationId, headcount::wire::ActivationId) {
    let product = ProductFile::read(&folder.join(PRODUCT)).unwrap().for_authority().unwrap();
    (product.application_id, product.activation_id)
}

#[test]
fn a_host_is_enrolled_by_phone() {
    let folder = Folder::new();
    new_vendor(&folder);
    let host_key = key(&folder, "host.txt");
    let public = |number: u8| SigningKey::from_seed(&[number; 32]).public_key();
    let ask = |number: u8| {
        HostInstallationId::for_host(host_key.key_id(), 1, &public(number), &host_key.tag_key())
    };
    let run = vendor(&folder, &format!("phone {}", ask(1))).expect(0).json();
    let confirmation: HostConfirmation = run["confirmation_id"].as_str().unwrap().parse().unwrap();
    let roots = ProductFile::read(&folder.join(PRODUCT)).unwrap().roots().unwrap();
    confirmation.verify(&public(1), &roots).unwrap();
    let claims = confirmation.certificate(&public(1)).claims;
    assert_eq!((claims.coverage.rank, claims.serial), (1, 1));
    assert_eq!((&run["kind"], &run["hosts_left"]), (&json!("host"), &json!(0)));

    let lines = ask(1).groups().map(|group| group.to_string()).join("\n");
    let arguments = ["authority", "phone", "--dir", "vendor"];
    folder.run_with(&arguments, lines.as_bytes()).expect(0).says("It was before, too");
    vendor(&folder, &format!("phone {}", ask(2))).expect(4);
    let hosts = vendor(&folder, "hosts").expect(0).json();
    assert_eq!(hosts["hosts"].as_array().unwrap().len(), 1);
    assert_eq!(hosts["hosts"][0]["rank"], 1);
}

#[cfg(unix)]
mod service {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A service in the folder "vendor", killed in the end.
    struct Service(Child);

    impl Service {
        fn start(folder: &Folder) -> Self {
            let config = folder.join("vendor/authority.toml");
            let text = fs::read_to_string(&config).unwrap();
            if !text.contains("[service]") {
                let listen = "[[service.listen]]\naddress = \"127.0.0.1:0\"\n";
                let text = text.replace("[[root]]", &format!("{listen}\n[[root]]"));
                fs::write(&config, text).unwrap();
            }
            let mut child = Command::new(env!("CARGO_BIN_EXE_headcount"))
                .args(["authority", "run", "--config", "vendor"])
                .current_dir(folder.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap() == "READY"), "it never became ready");
            Self(child)
        }
    }

    impl Drop for Service {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_running_service_does_what_is_asked() {
        let folder = Folder::new();
        new_vendor(&folder);
        machine(&folder, "a");
        machine(&folder, "b");
        host(&folder, "site");
        vendor(&folder, "answer a.request").expect(0);
        let before = fs::read(folder.join("a.answer")).unwrap();
        let service = Service::start(&folder);
        let socket = folder.join("vendor/authority.sock");
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        in_words(&folder, "answer a.request b.request site.request")
            .expect(0)
            .says("the same answer as before");
        // The service has a certificate of its own, but what was answered stays so.
        assert_eq!(fs::read(folder.join("a.answer")).unwrap(), before);
        folder.run(&["client", "apply", "b.answer", "--config", "b"]).expect(0);
        let list = vendor(&folder, "activations").expect(0).json();
        assert_eq!(list["activations"].as_array().unwrap().len(), 2);
        assert_eq!(vendor(&folder, "hosts").json()["hosts"].as_array().unwrap().len(), 1);
        in_words(&folder, "key list").expect(0).says("2 activations, 2 used");
        vendor(&folder, "key block 2").expect(0);
        in_words(&folder, "answer b.request").expect(4).says("key 2 is blocked");
        let (id, roots) = caller(&folder, 1);
        vendor(&folder, &format!("phone {id}")).expect(4);
        vendor(&folder, "key unblock 2").expect(0);
        vendor(&folder, "key limit 2 --activations 3").expect(0);
        let run = vendor(&folder, &format!("phone {id}")).expect(0).json();
        let confirmed: Confirmation = run["confirmation_id"].as_str().unwrap().parse().unwrap();
        confirmed.verify(&id, &roots).unwrap();
        let pro = "product add --name pro --family 8 --rank 3 --generation 3 --threshold 5";
        let made = vendor(&folder, pro).expect(0).json();
        assert_eq!(made["file"], "vendor/products/pro.product.toml");
        vendor(&folder, "key new --kind mak --product pro --activations 50").expect(0);
        vendor(&folder, "key new --kind mak --product rooter --activations 50").expect(2);
        vendor(&folder, "key show 77").expect(2).says("no key 77");
        vendor(&folder, "activations --key 77").expect(2).says("no key 77");

        // Stopped by force, it leaves its socket behind, which is in nobody's way.
        drop(service);
        assert!(socket.exists());
        in_words(&folder, "answer b.request").expect(0).says("the same answer as before");
        assert_eq!(vendor(&folder, "key list").json()["keys"].as_array().unwrap().len(), 5);
        let service = Service::start(&folder);
        vendor(&folder, "key list").expect(0);
        drop(service);
    }

    #[test]
    fn who_is_stuck_or_talks_nonsense_stops_nobody() {
        let folder = Folder::new();
        new_vendor(&folder);
        let _service = Service::start(&folder);
        let socket = folder.join("vendor/authority.sock");
        let connect = || UnixStream::connect(&socket).unwrap();
        let silent: Vec<_> = (0..5).map(|_| connect()).collect();
        let mut half = connect();
        half.write_all(b"\"Ke").unwrap();
        let mut deaf = connect();
        deaf.write_all(b"\"Keys\"\n").unwrap();

        let said = |line: &[u8]| {
            let mut stream = connect();
            // It may be refused before all of it is written.
            let _ = stream.write_all(line);
            let mut reply = String::new();
            let _ = stream.read_to_string(&mut reply);
            reply
        };
        for nonsense in [&b"hello\n"[..], b"{\"Key\":\"x\"}\n", b"{\"Sing\":1}\n", b"\n"] {
            assert!(said(nonsense).contains("does not understand"), "{nonsense:?}");
        }
        let long = [vec![b' '; 70_000], b"\"Keys\"\n".to_vec()].concat();
        assert!(!said(&long).contains("\"Key\""));
        let keys = said(b"\"Keys\"\n");
        assert_eq!(keys.lines().count(), 4, "{keys}");
        assert!(keys.ends_with("\"Done\"\n") && !keys.contains("C0000"), "{keys}");
        vendor(&folder, "key list").expect(0);
        drop((silent, half, deaf));
        vendor(&folder, "key list").expect(0);
    }

    #[test]
    fn a_list_of_many_pages_is_whole() {
        let folder = Folder::new();
        new_vendor(&folder);
        // Keys are the cheapest rows to make.
        let service = Service::start(&folder);
        let mut ids = Vec::new();
        let socket = folder.join("vendor/authority.sock");
        let key = json!({ "NewKey": {
            "terms": "Setup", "product": "router", "family": 7, "rank": 1, "generation": 1,
            "note": "many",
        } });
        for _ in 0..600 {
            let mut stream = UnixStream::connect(&socket).unwrap();
            stream.write_all(format!("{key}\n").as_bytes()).unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            let first: Value = serde_json::from_str(reply.lines().next().unwrap()).unwrap();
            ids.push(first["Key"]["record"]["id"].as_u64().unwrap());
        }
        let listed = |list: Value| -> Vec<u64> {
            list["keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key["key_id"].as_u64().unwrap())
                .collect()
        };
        let all: Vec<u64> = (1..=3).chain(ids).collect();
        assert_eq!(listed(vendor(&folder, "key list").expect(0).json()), all);
        drop(service);
        assert_eq!(listed(vendor(&folder, "key list").expect(0).json()), all);
    }
}
