//! How many files and sockets a process may have open.

/// Raises this process's limit as far as it may be raised, and says where it is then. `None` where
/// the system knows no such limit.
///
/// The usual limit, 1024 on many systems, is for programs that wait with `select`. This crate's
/// do not.
#[must_use]
pub fn raise_open_files() -> Option<u64> {
    imp::raise()
}

#[cfg(unix)]
mod imp {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    pub(super) fn raise() -> Option<u64> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        Some(if raised { hard } else { soft })
    }
}

#[cfg(not(unix))]
mod imp {
    pub(super) fn raise() -> Option<u64> {
        None
    }
}
