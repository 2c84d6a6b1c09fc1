//! The `headcount` program.

use std::io::Seek;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::Process;
use crate::{eventually, repository};

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
    let [mut stdout, mut stderr] = [(); 2].map(|()| tempfile::tempfile().unwrap());
    let mut process = Process::start(
        Command::new(path())
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap()),
    );
    let code = process.ended();
    let [stdout, stderr] = [&mut stdout, &mut stderr].map(|file| {
        file.rewind().unwrap();
        std::io::read_to_string(file).unwrap()
    });
    Ended { code, stdout, stderr }
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
        let mut output = tempfile::NamedTempFile::new_in(folder).unwrap();
        let process = Process::start(
            Command::new(path())
                .args(["host", "run", "--config", config])
                .current_dir(folder)
                .stdin(Stdio::null())
                .stdout(output.reopen().unwrap())
                .stderr(Stdio::null()),
        );
        // "Host 123... listens on 127.0.0.1:4711 tcp.", for each transport.
        let mut port = |transport: &str| {
            let end = format!(" {transport}.");
            eventually("where the host listens", || {
                output.rewind().unwrap();
                let text = std::io::read_to_string(&mut output).unwrap();
                let address = text.lines().find_map(|line| line.strip_suffix(&end))?;
                address.rsplit_once(':')?.1.parse().ok()
            })
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
