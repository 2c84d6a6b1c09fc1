//! What a host remembers of a renewal that failed, so that `host status` can tell.

use std::path::{Path, PathBuf};
use std::string::String;

use serde::{Deserialize, Serialize};

use crate::daemon::files::{self, FileError, Secrecy};

const HEADER: &str = "\
# Why this host has not enrolled again yet. The program writes and removes this file.

";

/// The last try, which failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedRenewal {
    /// When it was, in UTC.
    pub tried: String,
    /// Why it failed, for people.
    pub reason: String,
    /// When the next one is, as long as the host runs.
    pub again: String,
}

impl FailedRenewal {
    /// The last try, from a host's state folder; `None` when it went well, or none was due.
    pub fn read(state: &Path) -> Result<Option<Self>, FileError> {
        let path = path(state);
        if path.exists() { files::read_toml(&path).map(Some) } else { Ok(None) }
    }

    pub(super) fn write(&self, state: &Path) -> Result<(), FileError> {
        files::write_toml(&path(state), HEADER, self, Secrecy::Public)
    }

    pub(super) fn forget(state: &Path) -> Result<(), FileError> {
        files::remove(&path(state))
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("renewal.toml")
}
