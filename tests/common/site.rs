//! A vendor, its host and machines with the real program.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use headcount::daemon::ProductFile;
use headcount::fingerprint::Fingerprint;
use headcount::time::{Minutes, UnixTime};
use headcount::trust::TagSchedule;
use headcount::wire::{Cmid, Frame, LicenceStatus, Method, Name, Nonce, Request};

use crate::program::{Ended, Folder};

/// A vendor with one product, and an enrolled host of it that has not run yet.
pub(crate) fn enrolled_site(threshold: &str) -> Folder {
    let site = Folder::new();
    site.run(&["authority", "init", "vendor"]).expect(0);
    site.run(&[
        "authority",
        "product",
        "add",
        "--dir",
        "vendor",
        "--name",
        "router",
        "--family",
        "7",
        "--rank",
        "1",
        "--generation",
        "3",
        "--threshold",
        threshold,
    ])
    .expect(0);
    let key = site
        .run(&[
            "authority",
            "key",
            "new",
            "--dir",
            "vendor",
            "--kind",
            "host",
            "--product",
            "router",
        ])
        .expect(0);
    site.file("host-key.txt", key.stdout.lines().next().unwrap());
    let product = "vendor/products/router.product.toml";
    site.run(&["host", "init", "host", "--product", product, "--listen", "127.0.0.1:0"]).expect(0);
    site.run(&[
        "host",
        "enrol",
        "--config",
        "host",
        "--key-file",
        "host-key.txt",
        "--out",
        "request.bin",
    ])
    .expect(0);
    assert_eq!(std::fs::read(site.join("request.bin")).unwrap().len(), 250);
    site.run(&["authority", "enrol", "request.bin", "--out", "response.bin", "--dir", "vendor"])
        .expect(0);
    site.run(&["host", "enrol", "--config", "host", "--apply", "response.bin"]).expect(0);
    site
}

/// A host that runs, and is killed when the test fails.
pub(crate) struct Host {
    child: Child,
    pub(crate) tcp: String,
    pub(crate) udp: String,
}

impl Host {
    pub(crate) fn run(site: &Folder) -> Self {
        Self::start(host_command(site).stderr(Stdio::null()))
    }

    /// Runs a command that becomes a host with one TCP and one UDP address.
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        // From here on the program is ended whatever it says.
        let mut host = Self { child, tcp: String::new(), udp: String::new() };
        let mut lines = BufReader::new(host.child.stdout.take().unwrap()).lines();
        let mut address = |transport: &str| {
            let line = lines.next().expect("the host says where it listens").unwrap();
            let (_, address) = line.split_once("listens on ").unwrap();
            address.strip_suffix(&format!(" {transport}.")).unwrap().to_owned()
        };
        (host.tcp, host.udp) = (address("tcp"), address("udp"));
        host
    }

    /// Asks it to end, as a service manager would.
    pub(crate) fn terminate(&self) {
        terminate(&self.child);
    }

    /// Ends it as a service manager would.
    pub(crate) fn stop(self) {
        self.terminate();
        self.stopped();
    }

    /// Waits for its end, which must be a clean one.
    pub(crate) fn stopped(mut self) {
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "a clean stop");
    }

    /// What it wrote to standard error, when that is a pipe, once it has ended.
    pub(crate) fn log(&mut self) -> String {
        std::io::read_to_string(self.child.stderr.take().unwrap()).unwrap()
    }
}

/// The command that runs a site's host.
pub(crate) fn host_command(site: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
    command.args(["host", "run", "--config", "host"]).current_dir(site.path());
    command
}

/// Sends SIGTERM.
pub(crate) fn terminate(child: &Child) {
    let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a machine whose hardware is its name, in more parts than the product tolerates to differ.
pub(crate) fn machine(site: &Folder, name: &str) {
    let product = "vendor/products/router.product.toml";
    site.run(&["client", "init", name, "--product", product]).expect(0);
    let config = format!(
        "product = \"router.product.toml\"\n[machine]\nname = \"{name}\"\n\
         components = [\"board {name}\", \"disk {name}\", \"card {name}\"]\n"
    );
    site.file(&format!("{name}/client.toml"), config);
}

pub(crate) fn activate(site: &Folder, name: &str, host: &str, transport: &str) -> Ended {
    site.run(&[
        "client",
        "activate",
        "--config",
        name,
        "--host",
        host,
        "--transport",
        transport,
        "--json",
    ])
}

pub(crate) fn count(site: &Folder) -> i64 {
    let status = site.run(&["host", "status", "--config", "host", "--json"]).expect(0).json();
    status["pools"][0]["count"].as_i64().unwrap()
}

/// A request of a machine of this site's product, whose clock shows this.
pub(crate) fn request(site: &Folder, client_time: UnixTime) -> Frame {
    let product = site.join("vendor/products/router.product.toml");
    let product = ProductFile::read(&product).unwrap();
    let product = product.for_client(&[]).unwrap();
    TagSchedule::new(&product.tag_key).seal(&Request {
        virtual_machine: false,
        renewal: false,
        licence_status: LicenceStatus::InitialGrace,
        method: Method::Count,
        required_count: product.required_count,
        time_left: Minutes(60),
        application_id: product.application_id,
        activation_id: product.activation_id,
        counted_id: product.counted_id,
        cmid: Cmid::new([7; 16]).unwrap(),
        previous_cmid: None,
        client_time: Some(client_time),
        nonce: Nonce([8; 16]),
        fingerprint: Fingerprint::new([9; 8]),
        workstation_name: Name::new("raw").unwrap(),
        key_id: product.key_id,
    })
}
