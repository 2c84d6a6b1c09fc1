//! A site: the demonstration vendor's host, as a firmware or as a program, and machines.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::firmware::{Firmware, Kind};
use crate::process::Process;
use crate::program::{self, Ended, RunningHost};
use crate::repository;

/// In the firmware's network, the machine that QEMU runs on.
pub const THIS_MACHINE: &str = "10.0.2.2";

/// A site with an enrolled host that nobody has asked yet.
#[derive(Debug)]
pub struct Site(TempDir);

impl Site {
    /// By `run factory`.
    pub fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        let report = site.join("factory.log");
        let mut factory = Process::start(
            Command::new(repository("examples/appliance/run"))
                .arg("factory")
                .env("SITE", site.path())
                .env("HEADCOUNT", program::path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&report).unwrap()),
        );
        assert_eq!(factory.ended(), 0, "{}", std::fs::read_to_string(report).unwrap());
        // The program listens where the firmware reaches it, on a port that is free.
        site.configure_program("0.0.0.0:1688", "127.0.0.1:0");
        site.configure_program(LISTEN_IPV6, "");
        site
    }

    /// Changes the configuration of the host that is a program.
    #[track_caller]
    pub fn configure_program(&self, from: &str, to: &str) {
        let path = self.join("factory/host.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Starts the host's firmware and waits until its ports are open.
    #[track_caller]
    pub fn host(&self, arguments: &[&str]) -> Host {
        self.captured_host(arguments, None)
    }

    /// The same, with all its frames in a file.
    #[track_caller]
    pub fn captured_host(&self, arguments: &[&str], capture: Option<&str>) -> Host {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        // Somebody else may take the port that was free a moment ago.
        for _ in 0..5 {
            let mut firmware = Firmware::start(Kind::Host, self.path(), &arguments, capture);
            if firmware.says_or_ends("INFO ready").is_none() {
                let errors = firmware.errors();
                let ended = firmware.ended();
                assert!(errors.contains("forwarding rule"), "{ended:#?} {errors}");
                continue;
            }
            let port = std::fs::read_to_string(self.join("port")).unwrap().trim().parse().unwrap();
            return Host { firmware, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        }
        panic!("no port for the host");
    }

    /// Starts the client's firmware. `hosts` are addresses that it can reach.
    pub fn client(&self, serial: &str, hosts: &str, arguments: &[&str]) -> Firmware {
        self.captured_client(serial, hosts, arguments, None)
    }

    /// The same, with all its frames in a file.
    pub fn captured_client(
        &self,
        serial: &str,
        hosts: &str,
        arguments: &[&str],
        capture: Option<&str>,
    ) -> Firmware {
        let hosts = format!("hosts={hosts}");
        self.searching_client(serial, &[&[hosts.as_str()], arguments].concat(), capture)
    }

    /// The same with hosts that it finds by itself: where, is among the arguments.
    pub fn searching_client(
        &self,
        serial: &str,
        arguments: &[&str],
        capture: Option<&str>,
    ) -> Firmware {
        let mut all = vec![format!("serial={serial}")];
        all.extend(arguments.iter().map(ToString::to_string));
        Firmware::start(Kind::Client, self.path(), &all, capture)
    }

    /// Starts the host as a program, after so many machines have asked it by TCP.
    #[track_caller]
    pub fn host_that_counted(&self, machines: i64) -> RunningHost {
        let host = self.program_host();
        for number in 1..=machines {
            let name = format!("machine-{number}");
            self.machine(&name, "appliance");
            self.activate(&name, ([127, 0, 0, 1], host.tcp).into(), "tcp").expect(3);
        }
        host
    }

    /// Starts the host as a program.
    pub fn program_host(&self) -> RunningHost {
        RunningHost::start(self.path(), "factory")
    }

    /// Makes a machine for the program, of one of the vendor's products.
    pub fn machine(&self, name: &str, product: &str) {
        let file = format!("vendor/products/{product}.product.toml");
        program::run(self.path(), &["client", "init", name, "--product", &file]).expect(0);
        // In more parts than the product tolerates to differ.
        let config = format!(
            "product = \"{product}.product.toml\"\n[machine]\nname = \"{name}\"\n\
             components = [\"board {name}\", \"card {name}\", \"processor {name}\"]\n"
        );
        std::fs::write(self.join(name).join("client.toml"), config).unwrap();
    }

    /// Has a machine ask a host, and returns how that ended.
    pub fn activate(&self, name: &str, host: SocketAddr, transport: &str) -> Ended {
        let host = host.to_string();
        program::run(
            self.path(),
            &[
                "client",
                "activate",
                "--json",
                "--config",
                name,
                "--host",
                &host,
                "--transport",
                transport,
            ],
        )
    }

    /// What a machine says of itself, without asking anybody.
    pub fn status(&self, name: &str) -> Value {
        program::run(self.path(), &["client", "status", "--json", "--config", name])
            .expect(0)
            .json()
    }

    /// How many machines the host counts that is a program.
    pub fn program_count(&self) -> i64 {
        let arguments = ["host", "status", "--json", "--config", "factory"];
        let status = program::run(self.path(), &arguments).expect(0).json();
        status["pools"][0]["count"].as_i64().unwrap()
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// What `headcount host init` writes besides IPv4.
const LISTEN_IPV6: &str = "[[listen]]\naddress = \"[::]:1688\"\ntcp = true\nudp = true\n";

/// The host's firmware, ready.
#[derive(Debug)]
pub struct Host {
    pub firmware: Firmware,
    /// Where this machine reaches it, by TCP and UDP.
    pub address: SocketAddr,
}

/// An address where nobody listens, nor ever will while this lives.
#[derive(Debug)]
pub struct Deaf {
    held: TcpStream,
    _listener: TcpListener,
}

impl Deaf {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let held = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self { held, _listener: listener }
    }

    pub fn port(&self) -> u16 {
        self.held.local_addr().unwrap().port()
    }

    /// As the firmware reaches it.
    pub fn address(&self) -> String {
        format!("{THIS_MACHINE}:{}", self.port())
    }
}

impl Default for Deaf {
    fn default() -> Self {
        Self::new()
    }
}
