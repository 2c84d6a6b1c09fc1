//! Getting a command done, whoever has the folder.

use core::time::Duration;
use std::boxed::Box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::command::{Command, Failure, Reply};
use super::office::Office;
use crate::daemon::authority_files::AuthorityFiles;
use crate::daemon::files::FileError;
use crate::time::UnixTime;

/// How long a command waits for another one that works in the folder.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// Who does what is asked.
#[derive(Debug)]
pub enum Access {
    /// This process, which has the folder until this value is dropped.
    Here(Box<Office>),
    /// The service that has the folder.
    Service(PathBuf),
}

impl Access {
    /// Takes the folder, or finds the service that has it. Another command that works in it is
    /// waited for, some seconds at most.
    pub fn to(folder: &Path) -> Result<Self, FileError> {
        let start = Instant::now();
        loop {
            if let Some(files) = AuthorityFiles::try_open(folder)? {
                return Ok(Self::Here(Box::new(Office::new(files))));
            }
            if let Some(service) = running_service(folder) {
                return Ok(Self::Service(service));
            }
            wait(folder, start, "another command works in this folder; try again")?;
        }
    }

    /// Takes the folder for this process alone, for what a service cannot be asked. A service that
    /// is about to end is waited for, like another command.
    pub fn alone(folder: &Path) -> Result<AuthorityFiles, FileError> {
        let start = Instant::now();
        loop {
            if let Some(files) = AuthorityFiles::try_open(folder)? {
                return Ok(files);
            }
            let reason = match running_service(folder) {
                Some(_) => "the authority's service runs in this folder; stop it first",
                None => "another command works in this folder; try again",
            };
            wait(folder, start, reason)?;
        }
    }

    /// Has a command done, and hands on what is told, but for the end.
    ///
    /// `now` is this process's clock; a service goes by its own.
    pub fn run(
        &self,
        command: &Command,
        now: UnixTime,
        tell: &mut dyn FnMut(Reply),
    ) -> Result<(), Failure> {
        let mut end = None;
        let mut hear = |reply| match reply {
            Reply::Done => end = Some(Ok(())),
            Reply::Failed(failure) => end = Some(Err(failure)),
            other => tell(other),
        };
        match self {
            Self::Here(office) => office.handle(command, now, &mut |reply| {
                hear(reply);
                true
            }),
            Self::Service(socket) => ask_service(socket, command, &mut hear)?,
        }
        end.unwrap_or_else(|| Err(Failure::failed("the service broke off its reply")))
    }
}

/// Waits a moment, unless patience has ended.
fn wait(folder: &Path, start: Instant, reason: &'static str) -> Result<(), FileError> {
    if start.elapsed() >= PATIENCE {
        return Err(FileError::new(folder, "cannot lock", reason));
    }
    std::thread::sleep(POLL);
    Ok(())
}

#[cfg(unix)]
use super::socket::{ask as ask_service, running as running_service};

#[cfg(not(unix))]
fn running_service(_: &Path) -> Option<PathBuf> {
    None
}

#[cfg(not(unix))]
fn ask_service(_: &Path, _: &Command, _: &mut dyn FnMut(Reply)) -> Result<(), Failure> {
    Err(Failure::failed("this system has no sockets to reach the service by"))
}
