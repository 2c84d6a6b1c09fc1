//! `headcount proxy` cut off in the middle, two at once, and the whole way from a machine's request to
//! its activation.
#![cfg(all(feature = "cli", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "proxy/lab.rs"]
mod lab;
#[path = "common/program.rs"]
mod program;
#[path = "authority/support.rs"]
mod support;

use std::collections::HashSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use headcount::wire::KeyKind;
use lab::{Act, Lab, key_text};
use serde_json::Value;
use support::MAK;

/// A proxy at work, which is ended when the test fails.
struct Proxy(Option<Child>);

impl Proxy {
    fn start(lab: &Lab, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
        command.args(["proxy", "activate", "--store", "store", "--json", "--authority"]);
        command.arg(&lab.authority.tcp).args(more).current_dir(lab.folder.path());
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()))
    }

    fn kill(&mut self) {
        let child = self.0.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Presses Ctrl-C, and returns how it ended and what it said.
    fn interrupt(mut self) -> (Option<i32>, Value) {
        let child = self.0.take().unwrap();
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let ended = child.wait_with_output().unwrap();
        (ended.status.code(), serde_json::from_slice(&ended.stdout).unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until something is so; a test in which it never is fails.
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let ended = (0..6_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        is_so()
    });
    assert!(ended, "it never was");
}

/// A proxy that has six answers of thirty, and waits for four whose activation is recorded.
fn in_the_middle(lab: &Lab) -> Proxy {
    let mut left = 6;
    lab.authority.behave(move |_| {
        left -= 1;
        if left >= 0 { Act::Answer } else { Act::AnswerNobody }
    });
    let proxy = Proxy::start(lab, &["--parallel", "4", "--tries", "100"]);
    wait_until(|| lab.activated().len() == 6 && lab.authority.used() == 10);
    proxy
}

#[test]
fn a_proxy_that_is_killed_goes_on_where_it_was() {
    let lab = Lab::new(30);
    lab.collected(30);
    let mut proxy = in_the_middle(&lab);
    proxy.kill();
    assert_eq!(lab.activated().len(), 6);
    let first: HashSet<_> = lab.authority.take_asked().into_iter().collect();
    lab.authority.behave(|_| Act::Answer);
    let done = lab.activate(&[]).expect(0).json();
    assert_eq!((&done["activated"], &done["waiting"]), (&24.into(), &0.into()));
    let second: HashSet<_> = lab.authority.take_asked().into_iter().collect();
    assert_eq!(second.len(), 24, "answers that are kept are not asked for again");
    assert_eq!(
        first.intersection(&second).count(),
        4,
        "those that were under way are, as they were"
    );
    assert_eq!(lab.authority.used(), 30, "and no machine counts twice");
}

#[test]
fn a_proxy_may_be_killed_at_any_moment() {
    let lab = Lab::new(60);
    lab.collected(60);
    lab.authority.behave(|_| Act::AnswerLate(Duration::from_millis(1)));
    let mut before = HashSet::new();
    for round in 0..12_u64 {
        let mut proxy = Proxy::start(&lab, &["--parallel", "3"]);
        std::thread::sleep(Duration::from_millis(8 * round));
        proxy.kill();
        // The list ends with 7 where a file is damaged.
        let listed = lab.proxy(&["list", "--json"]).expect(0).json();
        assert_eq!(listed["machines"].as_array().unwrap().len(), 60);
        let now = lab.activated();
        assert!(now.is_superset(&before), "an answer is lost");
        before = now;
    }
    lab.activate(&[]).expect(0);
    assert_eq!((lab.authority.used(), lab.activated().len()), (60, 60));
}

#[test]
fn ctrl_c_keeps_what_came_and_says_so() {
    let lab = Lab::new(30);
    lab.collected(30);
    let (code, document) = in_the_middle(&lab).interrupt();
    assert_eq!(code, Some(130));
    assert_eq!((&document["activated"], &document["waiting"]), (&6.into(), &24.into()));
    assert_eq!(document["error"]["name"], "interrupted");
    lab.authority.behave(|_| Act::Answer);
    lab.activate(&[]).expect(0);
    assert_eq!(lab.authority.used(), 30);
}

#[test]
fn one_command_changes_the_store_at_a_time_and_others_may_look() {
    let lab = Lab::new(30);
    lab.collected(30);
    let mut proxy = in_the_middle(&lab);
    lab.proxy(&["activate"]).expect(2).says("another command is at work");
    lab.collect().expect(2).says("another command is at work");
    lab.proxy(&["list"]).expect(0).says("6 of 30 machines");
    lab.proxy(&["deliver", "--to", "out"]).expect(0).says("6 answers written");
    proxy.kill();
    lab.collect().expect(0);
}

/// Sets a machine up, as its disk is at first, and has it write its request.
fn installed(lab: &Lab, name: &str) {
    let folder = &lab.folder;
    let _ = std::fs::remove_dir_all(folder.join(name));
    folder.run(&["client", "init", name, "--product", "router.product.toml"]).expect(0);
    let config = format!(
        "product = \"router.product.toml\"\ndomains = []\n[machine]\nname = \"{name}\"\n\
         components = [\"board {name}\", \"disk {name}\", \"card {name}\"]\n"
    );
    folder.file(&format!("{name}/client.toml"), config);
    let out = format!("in/{name}.request");
    let request = ["client", "request", "--key-file", "mak.txt", "--out", &out, "--config", name];
    folder.run(&request).expect(0);
}

fn apply(lab: &Lab, machine: &str, answer: &str, code: i32) {
    let answer = format!("out/{answer}.answer");
    lab.folder.run(&["client", "apply", &answer, "--config", machine]).expect(code);
}

#[test]
fn the_whole_way_and_again_after_the_disk_was_written_anew() {
    let lab = Lab::new(2);
    lab.folder.file("mak.txt", key_text(KeyKind::MultipleActivation, MAK));
    for name in ["alpha", "beta"] {
        installed(&lab, name);
    }
    let activate = ["--product", "router.product.toml"];
    lab.collect().expect(0);
    lab.activate(&activate).expect(0);
    lab.proxy(&["deliver", "--to", "out"]).expect(0);
    apply(&lab, "alpha", "beta", 6);
    for name in ["alpha", "beta"] {
        apply(&lab, name, name, 0);
    }
    let status = |name: &str| {
        lab.folder.run(&["client", "status", "--config", name, "--json"]).expect(0).json()
    };
    assert_eq!(status("alpha")["activated"], true);
    let cmid = status("alpha")["cmid"].clone();

    // The key is used up now, and the authority is not asked.
    lab.authority.take_asked();
    installed(&lab, "alpha");
    assert_eq!(status("alpha")["activated"], false);
    lab.collect().expect(0).says("alpha was activated before");
    lab.activate(&activate).expect(0);
    lab.proxy(&["deliver", "--to", "out"]).expect(0);
    apply(&lab, "alpha", "alpha", 0);
    let status = status("alpha");
    assert_eq!((&status["activated"], &status["cmid"]), (&true.into(), &cmid));
    assert_eq!((lab.authority.take_asked().len(), lab.authority.used()), (0, 2));
}
