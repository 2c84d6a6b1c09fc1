//! The firmware in QEMU.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::log::Log;
use crate::process::Process;
use crate::{eventually, repository};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Host,
    Client,
}

/// A firmware that runs, in the folder of a site.
#[derive(Debug)]
pub struct Firmware {
    process: Process,
    log: Log,
    errors: PathBuf,
}

/// How a firmware ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit status; `None` when its power was cut.
    pub code: Option<i32>,
    pub log: Vec<String>,
}

impl Firmware {
    /// Starts it in QEMU. `capture` gets all frames of its network.
    pub fn start(kind: Kind, site: &Path, arguments: &[String], capture: Option<&str>) -> Self {
        let elf = elf(kind);
        let errors = tempfile::Builder::new().prefix("qemu-").suffix(".err").tempfile_in(site);
        let (file, errors) = errors.unwrap().keep().unwrap();
        let mut command = Command::new(repository("examples/appliance/run"));
        command.arg(&elf).args(arguments).current_dir(site);
        command.env("SITE", site).env("LOG", "raw").env_remove("PORT").env_remove("MAC");
        command.env_remove("CAPTURE").envs(capture.map(|file| ("CAPTURE", file)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(file));
        let mut process = Process::start(&mut command);
        let log = Log::read(&elf, process.child().stdout.take().unwrap());
        Self { process, log, errors }
    }

    /// Waits for a line of the log that has this text; `None` when the firmware ends without it.
    #[track_caller]
    pub(crate) fn says_or_ends(&mut self, text: &str) -> Option<String> {
        let find = |lines: Vec<String>| lines.into_iter().find(|line| line.contains(text));
        eventually(text, || {
            let running = self.process.is_running();
            let lines = if running { self.log.lines() } else { self.log.whole() };
            let found = find(lines);
            (found.is_some() || !running).then_some(found)
        })
    }

    /// The log so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// What QEMU and `run` complain of.
    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap()
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        let code = self.process.ended();
        Ended { code: Some(code), log: self.log.whole() }
    }

    /// Waits until it has ended by itself, with this exit status.
    #[track_caller]
    pub fn expect(self, code: i32) -> Ended {
        let errors = self.errors.clone();
        let ended = self.ended();
        let errors = std::fs::read_to_string(errors).unwrap();
        assert_eq!(ended.code, Some(code), "{:#?} {errors}", ended.log);
        ended
    }

    /// Cuts its power.
    pub fn cut(mut self) -> Ended {
        self.process.kill();
        Ended { code: None, log: self.log.whole() }
    }
}

impl Ended {
    /// The first line of the log that has this text.
    #[track_caller]
    pub fn line(&self, text: &str) -> &str {
        let line = self.log.iter().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("no '{text}': {:#?}", self.log))
    }

    /// How many lines of the log have this text.
    pub fn lines(&self, text: &str) -> usize {
        self.log.iter().filter(|line| line.contains(text)).count()
    }

    /// The numbers of a line such as `Counters { granted: 3, refused: [0, 1], .. }` after `name`.
    #[track_caller]
    pub fn numbers(&self, counters: &str, name: &str) -> Vec<u32> {
        let line = self.line(counters);
        let (_, rest) = line.split_once(&format!("{name}: ")).unwrap_or_else(|| panic!("{line}"));
        let list = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let text = list.map_or_else(|| rest.split([',', ' ', '}']).next().unwrap(), |list| list.0);
        text.split(", ").map(|number| number.parse().unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    /// The one number of such a line.
    #[track_caller]
    pub fn number(&self, counters: &str, name: &str) -> u32 {
        self.numbers(counters, name).into_iter().sum()
    }
}

/// What `FIRMWARE` names, a folder, or where `cargo build --release` in the example puts it.
fn elf(kind: Kind) -> PathBuf {
    let folder = std::env::var_os("FIRMWARE").map_or_else(
        || repository("examples/appliance/target/thumbv7em-none-eabihf/release"),
        PathBuf::from,
    );
    let path = folder.join(match kind {
        Kind::Host => "host",
        Kind::Client => "client",
    });
    assert!(File::open(&path).is_ok(), "no firmware {}: build it", path.display());
    path.canonicalize().unwrap()
}
