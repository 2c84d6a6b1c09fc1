//! The `headcount` program.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::Process;
use crate::repository;

/// The program: what `HEADCOUNT` names, or what `cargo test --all-features` has built.
pub fn path() -> PathBuf {
    let path = std::env::var_os("HEADCOUNT").map(PathBuf::from);
    let path = path.unwrap_or_else(|| repository("target/debug/headcount"));
    path.canonicalize().unwrap_or_else(|error| {
        panic!("{}: {error}; build it with: cargo build --all-features", path.display())
    })
}

/// Runs the program to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let output =
        Command::new(path()).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap();
    Ended {
        code: output.status.code().expect("an exit status"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// How the program ended and what it printed.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Fails the test unless the program ended like this.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Its one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A host that runs.
#[derive(Debug)]
pub struct RunningHost {
    process: Process,
    /// Its ports on this machine.
    pub tcp: u16,
    pub udp: u16,
}

impl RunningHost {
    pub(crate) fn start(folder: &Path, config: &str) -> Self {
        let mut process = Process::start(
            Command::new(path())
                .args(["host", "run", "--config", config])
                .current_dir(folder)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let mut lines = BufReader::new(process.child().stdout.take().unwrap()).lines();
        let mut port = |transport: &str| {
            let line = lines.next().expect("the host says where it listens").unwrap();
            let address = line.strip_suffix(&format!(" {transport}.")).expect(&line);
            address.rsplit_once(':').unwrap().1.parse().expect(&line)
        };
        let (tcp, udp) = (port("tcp"), port("udp"));
        Self { process, tcp, udp }
    }

    /// Ends it as a service manager does: cleanly.
    pub fn stop(mut self) {
        self.process.terminate();
        assert_eq!(self.process.ended(), 0);
    }
}
