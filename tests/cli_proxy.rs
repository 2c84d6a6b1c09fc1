//! `headcount proxy`, the real program, with the vendor's authority in this process.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "proxy/lab.rs"]
mod lab;
#[path = "common/program.rs"]
mod program;
#[path = "authority/support.rs"]
mod support;

use std::collections::HashSet;

use headcount::wire::{Method, Name};
use lab::{Act, Lab, machine, reinstalled};
use support::MAK;

#[test]
fn many_machines_are_activated_listed_and_given_their_answers() {
    let lab = Lab::new(50);
    let machines = lab.collected(40);
    let product = ["--product", "router.product.toml"];
    let done = lab.activate(&product).expect(0).json();
    assert_eq!((&done["activated"], &done["waiting"]), (&40.into(), &0.into()));
    assert_eq!(lab.authority.used(), 40);
    for (number, machine) in machines.iter().enumerate().step_by(13) {
        lab.believes(&format!("m{number:03}"), machine);
    }
    let listed = lab.listed("m007");
    assert_eq!(listed["how"], "by key");
    assert_eq!(listed["until"], "for ever");
    assert_eq!(listed["key_id"], MAK.0);
    lab.proxy(&["list", product[0], product[1]]).expect(0).says("40 of 40 machines").says("router");
    // There is nothing left to do, so nobody is asked.
    lab.authority.take_asked();
    lab.activate(&[]).expect(0);
    assert_eq!(lab.authority.take_asked().len(), 0);
    lab.proxy(&["deliver", "--to", "out"]).expect(0).says("40 there already");
}

#[test]
fn udp_does_as_well_and_the_authority_may_be_named_by_the_product_file() {
    let lab = Lab::new(5);
    let machines = lab.collected(3);
    let mut file = lab::product_file();
    file.authority = Some(lab.authority.udp.clone());
    file.write(&lab.folder.join("named.toml")).unwrap();
    let ask = ["activate", "--product", "named.toml", "--transport", "udp"];
    lab.proxy(&ask).expect(0).says("m002: activated, ").says("left on key 77");
    lab.believes("m002", &machines[2]);
}

#[test]
fn a_refusal_is_kept_with_its_reason_and_asked_again_on_demand_alone() {
    let lab = Lab::new(2);
    lab.collected(3);
    let ended = lab.activate(&["--parallel", "1"]).expect(4);
    assert_eq!(ended.json()["activated"], 2, "the others go on");
    let refused = lab.listed("m002");
    assert_eq!((&refused["status"], &refused["outcome"]), (&6.into(), &"refused".into()));
    assert_eq!(refused["error"], "refused: the key is used up (status 6)");
    lab.authority.change_key(|key| key.activations_limit = 3);
    lab.authority.take_asked();
    lab.activate(&[]).expect(4).says("--again");
    assert_eq!(lab.authority.take_asked().len(), 0, "a refusal stands");
    assert_eq!(lab.activate(&["--again"]).expect(0).json()["waiting"], 0);
    assert!(lab.listed("m002")["error"].is_null());
}

#[test]
fn a_machine_for_which_nobody_answers_does_not_keep_the_others() {
    let lab = Lab::new(9);
    let mut machines = [machine(0), machine(1), machine(2)];
    // Its request is by a key that the vendor never made: an authority is silent to that.
    let mut forged = lab.request("m001", &mut machines[1]);
    forged[249] ^= 1;
    lab.folder.file("in/m001.request", forged);
    lab.request("m000", &mut machines[0]);
    lab.request("m002", &mut machines[2]);
    lab.collect().expect(0);
    lab.activate(&["--tries", "1"]).expect(5);
    assert_eq!(lab.activated(), HashSet::from(["m000".to_owned(), "m002".to_owned()]));
    let silent = lab.listed("m001");
    assert_eq!((&silent["outcome"], &silent["runs"]), (&"nobody_answered".into(), &1.into()));
    // It is asked for again each time, and a new request of the machine takes the old one's place.
    lab.activate(&["--tries", "1"]).expect(5);
    assert_eq!(lab.listed("m001")["runs"], 2);
    lab.request("m001", &mut machines[1]);
    lab.collect().expect(0).says("m001's earlier request");
    lab.activate(&["--tries", "1"]).expect(0);
    lab.believes("m001", &machines[1]);
}

#[test]
fn a_frame_that_got_no_answer_is_sent_again_and_counted_once() {
    let lab = Lab::new(9);
    lab.collected(4);
    let mut seen = HashSet::new();
    lab.authority.behave(move |frame| {
        // The activation is recorded, and the answer lost.
        if seen.insert(*frame) { Act::AnswerNobody } else { Act::Answer }
    });
    lab.activate(&["--tries", "2"]).expect(0);
    assert_eq!(lab.authority.used(), 4);
    let asked = lab.authority.take_asked();
    assert_eq!((asked.len(), asked.iter().collect::<HashSet<_>>().len()), (8, 4));
}

#[test]
fn an_authority_that_dies_and_comes_back_is_asked_for_the_rest() {
    let lab = Lab::new(60);
    lab.collected(40);
    let mut left = 9;
    lab.authority.behave(move |_| {
        left -= 1;
        if left >= 0 { Act::Answer } else { Act::BeSilent }
    });
    lab.activate(&["--tries", "1", "--parallel", "1"]).expect(5).says("seems to be away");
    assert_eq!(lab.activated().len(), 9);
    let asked: HashSet<_> = lab.authority.take_asked().into_iter().collect();
    assert_eq!(asked.len(), 9 + 16, "it is not asked for all when it is away");
    lab.authority.behave(|_| Act::Answer);
    lab.activate(&[]).expect(0);
    assert_eq!((lab.authority.used(), lab.activated().len()), (40, 40));
    assert_eq!(lab.authority.take_asked().len(), 31, "what is kept is not asked for again");
}

#[test]
fn hardware_decides_which_machine_a_disk_written_anew_is_of() {
    let lab = Lab::new(2);
    let machines = lab.collected(2);
    lab.activate(&[]).expect(0);
    let (earlier, _) = lab.delivered("m000");
    lab.authority.take_asked();
    // Under its old name, under a new one, and with a part replaced.
    let mut anew = reinstalled(&machines[0]);
    lab.request("m000", &mut anew);
    lab.collect().expect(0).says("m000 was activated before");
    lab.request("renamed", &mut anew);
    let mut repaired = reinstalled(&machines[1]);
    let mut parts = *repaired.request.fingerprint.components();
    parts[3] = 999;
    repaired.request.fingerprint = headcount::fingerprint::Fingerprint::new(parts);
    lab.request("repaired", &mut repaired);
    lab.collect().expect(0);
    lab.activate(&["--product", "router.product.toml"]).expect(0);
    assert_eq!(lab.authority.take_asked().len(), 0, "the authority is not asked");
    assert_eq!(lab.authority.used(), 2);
    for name in ["m000", "renamed"] {
        assert_eq!(lab.listed(name)["how"], "earlier answer");
        let (request, answer) = lab.delivered(name);
        assert_eq!(request, earlier, "the request that the answer is to");
        anew.judge(&answer, &request).unwrap();
    }
    assert_eq!(lab.listed("repaired")["how"], "earlier answer");
}

#[test]
fn without_the_products_rule_only_the_same_hardware_is_the_same_machine() {
    let lab = Lab::new(9);
    let machines = lab.collected(1);
    lab.activate(&[]).expect(0);
    let mut repaired = reinstalled(&machines[0]);
    let mut parts = *repaired.request.fingerprint.components();
    parts[3] = 999;
    repaired.request.fingerprint = headcount::fingerprint::Fingerprint::new(parts);
    lab.request("repaired", &mut repaired);
    lab.collect().expect(0);
    lab.activate(&[]).expect(0);
    assert_eq!(lab.authority.used(), 2);
}

#[test]
fn two_requests_of_one_machine_are_asked_for_once() {
    let lab = Lab::new(9);
    let mut twin = machine(0);
    let first = lab.request("a", &mut twin);
    let mut anew = reinstalled(&twin);
    lab.request("b", &mut anew);
    lab.collect().expect(0);
    lab.activate(&[]).expect(0);
    assert_eq!(lab.authority.take_asked(), [first]);
    assert_eq!(lab.delivered("b").0, first);
}

#[test]
fn junk_is_said_by_name_and_the_rest_is_collected() {
    let lab = Lab::new(9);
    let mut good = machine(0);
    let frame = lab.request("good", &mut good);
    lab.folder.file("in/copy.bin", frame);
    lab.folder.file("in/empty.bin", "");
    lab.folder.file("in/notes.txt", "call the vendor\n");
    lab.folder.file("in/\u{1b}[2J.bin", "clears the screen");
    lab.folder.file("in/cut.request", &frame[..200]);
    lab.folder.file("in/answer.bin", lab.authority.answer(&frame).unwrap());
    std::fs::create_dir(lab.folder.join("in/folder")).unwrap();
    #[cfg(unix)]
    // Nobody writes into it: whoever reads it waits for ever.
    let made = std::process::Command::new("mkfifo").arg(lab.folder.join("in/pipe")).status();
    #[cfg(unix)]
    assert!(made.unwrap().success());
    let mut by_count = machine(1);
    by_count.request.method = Method::Count;
    lab.request("by-count", &mut by_count);
    let ended = lab.collect().expect(1);
    for line in [
        "in/good.request: in the store already, as copy",
        "in/empty.bin: not a request",
        "in/notes.txt: not a request",
        "in/cut.request: not a request",
        "in/answer.bin: an answer, not a request",
        "in/by-count.request: not a request: this request asks a host by count",
        "in/folder: ",
        "in/\u{fffd}[2J.bin: not a request",
        "1 new; the store has 1 machine",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {ended:?}");
    }
    // Hexadecimal digits, as a QR code holds them, and a list; both may be mixed with files.
    let mut more = [machine(2), machine(3)];
    let hex = headcount::daemon::files::to_hex(&more[0].ask()).to_uppercase();
    lab.folder.file("scanned.txt", hex);
    lab.request("listed", &mut more[1]);
    let list =
        lab.folder.file("list.txt", "# the lab\n\nin/listed.request\nscanned.txt\nmissing.bin\n");
    lab.proxy(&["collect", "--list", list.to_str().unwrap()]).expect(1).says("missing.bin: ");
    let names: HashSet<_> = lab.list().iter().map(|it| it["machine"].to_string()).collect();
    assert_eq!(names.len(), 3);
    assert!(names.contains("\"scanned\"") && names.contains("\"listed\""), "{names:?}");
}

#[test]
fn another_machine_does_not_take_a_name_that_is_taken() {
    let lab = Lab::new(9);
    lab.request("request", &mut machine(0));
    lab.collect().expect(0);
    lab.request("request", &mut machine(1));
    lab.collect().expect(0).says("collected as request-2");
    // One that waits keeps its request: the answer to it will do for a later one.
    let mut waiting = machine(1);
    let first = lab.request("request", &mut waiting);
    lab.collect().expect(0).says("in the store already, as request-2");
    lab.request("request-2", &mut waiting);
    lab.collect().expect(0).says("request-2 waits with an earlier request");
    lab.activate(&[]).expect(0);
    assert_eq!(lab.delivered("request-2").0, first);
}

#[test]
fn names_of_machines_are_shown_and_exported_on_demand_alone() {
    let lab = Lab::new(9);
    let mut named = machine(0);
    named.request.workstation_name = Name::new("=ICU,bed \"3\"").unwrap();
    lab.request("icu", &mut named);
    lab.request("ward", &mut machine(1));
    lab.collect().expect(0);
    let hidden = lab.proxy(&["list"]).expect(0).stdout
        + &lab.proxy(&["list", "--csv"]).expect(0).stdout
        + &lab.proxy(&["list", "--json"]).expect(0).stdout;
    assert!(!hidden.contains("ICU"), "{hidden}");
    lab.proxy(&["list", "--names"]).expect(0).says("=ICU,bed \"3\"");
    lab.proxy(&["list", "--names", "--json"]).expect(0).says("=ICU,bed");
    // A spreadsheet reads text, whatever a machine calls itself.
    let csv = lab.proxy(&["list", "--csv", "--names"]).expect(0).stdout;
    assert!(csv.starts_with("machine,id,product,key,activated,until,error,name\n"), "{csv}");
    assert!(csv.contains(",not asked,,,\"'=ICU,bed \"\"3\"\"\"\n"), "{csv}");

    lab.proxy(&["list", "--csv", "--json"]).expect(2);
    lab.proxy(&["activate", "--export", "plain"]).expect(2).says("icu: not exported");
    let files: Vec<_> = std::fs::read_dir(lab.folder.join("plain")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let name = files[0].as_ref().unwrap().file_name().into_string().unwrap();
    assert!(name.len() == 24 && !name.contains("ward"), "{name}");
    lab.proxy(&["activate", "--export", "named", "--names"]).expect(0);
    assert!(lab.folder.join("named/icu.request").exists());
}

#[test]
fn requests_and_answers_travel_by_files() {
    let lab = Lab::new(2);
    let machines = lab.collected(3);
    lab.proxy(&["activate", "--export", "usb"]).expect(0).says("3 requests in usb");
    // What the vendor does, and whatever he calls the answers.
    for (number, file) in std::fs::read_dir(lab.folder.join("usb")).unwrap().enumerate() {
        let frame = std::fs::read(file.unwrap().path()).unwrap();
        let answer = lab.authority.answer(&frame.try_into().unwrap()).unwrap();
        lab.folder.file(&format!("in/answer-{number}.bin"), answer);
    }
    lab.folder.file("in/readme.txt", "answers");
    let other = lab.authority.answer(&machine(40).ask()).unwrap();
    lab.folder.file("in/other.bin", other);
    let product = ["--product", "router.product.toml"];
    let import = [&["activate", "--import", "in"], &product[..]].concat();
    let ended = lab.proxy(&import).expect(1);
    let ended = ended.says("other.bin: an answer to no request").says("readme.txt: not an answer");
    ended.says("refused: the key is used up (status 6)").says("2 machines activated now");
    assert_eq!((lab.activated().len(), lab.authority.used()), (2, 2));
    for name in lab.activated() {
        let number: usize = name[1..].parse().unwrap();
        lab.believes(&name, &machines[number]);
    }
    lab.proxy(&import).expect(1).says("has its answer already");
    assert_eq!(lab.authority.take_asked().len(), 4, "the proxy asked nobody");
}

#[test]
fn an_answer_that_no_machine_would_believe_is_not_kept() {
    let lab = Lab::new(9);
    lab.collected(2);
    lab.authority.forge();
    let product = ["--product", "router.product.toml"];
    let ended = lab.activate(&product).expect(6);
    assert!(ended.json()["results"][0]["reason"].as_str().unwrap().contains("root key"));
    assert_eq!(lab.activated().len(), 0);
    // The same by file. Without a product file nobody can tell.
    let frame = lab.authority.take_asked()[0];
    lab.folder.file("forged.answer", lab.authority.answer(&frame).unwrap());
    let import = ["activate", "--import", "forged.answer"];
    lab.proxy(&[&import[..], &product].concat()).expect(6);
    assert_eq!(lab.activated().len(), 0);
    lab.proxy(&import).expect(0);
    assert_eq!(lab.activated().len(), 1);
}

#[test]
fn a_machine_of_another_product_is_not_asked_for_with_the_wrong_file() {
    let lab = Lab::new(9);
    let mut other = machine(0);
    other.request.activation_id.0 = [0x77; 16];
    lab.request("other", &mut other);
    lab.request("router", &mut machine(1));
    lab.collect().expect(0);
    lab.activate(&["--product", "router.product.toml"]).expect(2).says("none of the product files");
    assert_eq!(lab.authority.take_asked().len(), 1);
    // Without the file it is asked for, and the authority refuses: its catalogue does not have it.
    lab.activate(&[]).expect(4).says("status 2");
}

#[test]
fn a_damaged_file_is_said_and_an_answer_is_fetched_again() {
    let lab = Lab::new(2);
    let machines = lab.collected(2);
    lab.activate(&[]).expect(0);
    let path = lab.folder.join("store/m001.answer");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..300]).unwrap();
    lab.proxy(&["list"]).expect(7).says("m001.answer: damaged").says("1 of 2 machines");
    lab.activate(&[]).expect(7);
    assert_eq!(std::fs::read(&path).unwrap(), whole, "the same answer again");
    assert_eq!(lab.authority.used(), 2);
    // An answer has its request in it.
    std::fs::write(lab.folder.join("store/m001.request"), "").unwrap();
    lab.proxy(&["list"]).expect(7).says("m001.request: damaged").says("2 of 2 machines");
    std::fs::remove_file(lab.folder.join("store/m001.request")).unwrap();
    lab.proxy(&["list"]).expect(0);
    lab.believes("m001", &machines[1]);
}

#[test]
fn a_folder_that_is_no_store_is_left_alone() {
    let lab = Lab::new(2);
    lab.request("a", &mut machine(0));
    lab.folder.run(&["proxy", "collect", "in", "--store", "in"]).expect(2);
    lab.folder.run(&["proxy", "collect", "in"]).expect(2).says("not a proxy's store");
    lab.folder.run(&["proxy", "list", "--store", "missing"]).expect(2).says("collect");
    lab.collect().expect(0);
    for arguments in [
        &["deliver", "--to", "store"][..],
        &["activate", "--export", "store"],
        &["activate", "--import", "store"],
        &["deliver", "--to", "out", "nobody"],
        &["activate"],
    ] {
        lab.proxy(arguments).expect(2);
    }
    lab.proxy(&["deliver", "--to", "out", "a"]).expect(4).says("has no answer yet");
}

#[test]
fn a_busy_authority_is_asked_again_by_itself() {
    let lab = Lab::new(9);
    lab.collected(1);
    let mut first = true;
    lab.authority.behave(
        move |_| {
            if std::mem::take(&mut first) { Act::SayBusy } else { Act::Answer }
        },
    );
    lab.activate(&["--tries", "2"]).expect(0);
    assert_eq!(lab.authority.take_asked().len(), 2);
}
