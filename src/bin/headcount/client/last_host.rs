//! The file `last-host` in a client's state: which host answered last, and where it was.
//!
//! A line for the host, then one for each of its addresses. It is a convenience, so what cannot be read
//! counts as nothing.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use headcount::daemon::files::{self, FileError, Secrecy};
use headcount::discovery::Host;

/// The host that answered last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LastHost {
    pub(super) host: Host,
    /// Where it was: its name may find nothing when DNS is out.
    pub(super) addresses: Vec<IpAddr>,
}

impl LastHost {
    pub(super) fn read(state: &Path) -> Option<Self> {
        let text = String::from_utf8(files::read(&path(state)).ok()?).ok()?;
        let mut lines = text.lines().map(str::trim);
        let host = lines.next()?.parse().ok()?;
        Some(Self { host, addresses: lines.filter_map(|line| line.parse().ok()).collect() })
    }

    /// Writes the file, unless it says the same already.
    pub(super) fn write(&self, state: &Path) -> Result<(), FileError> {
        if Self::read(state).as_ref() == Some(self) {
            return Ok(());
        }
        let addresses = self.addresses.iter().map(|address| format!("{address}\n"));
        let text = format!("{}\n{}", self.host, addresses.collect::<String>());
        files::write(&path(state), text.as_bytes(), Secrecy::Public)
    }

    /// Removes the file, where there is one.
    pub(super) fn forget(state: &Path) -> Result<(), FileError> {
        let path = path(state);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::new(&path, "cannot remove", error))
            }
            _ => Ok(()),
        }
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("last-host")
}
