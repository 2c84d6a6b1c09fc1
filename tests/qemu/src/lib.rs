//! The appliance's firmware in QEMU, the `headcount` program, and a site of both: what the tests in
//! `tests/` are made of. The tests use what users use: `examples/appliance/run`, the program, and
//! the log that the firmware writes.
//!
//! Nothing here waits without a bound, and every process ends with the value that stands for it.
//!
//! `scripts/test qemu` builds what is needed and runs them. The environment may say:
//!
//! - `HEADCOUNT`, the program; `target/debug/headcount` otherwise
//! - `FIRMWARE`, the folder of the two ELF files; where the example's release build puts them otherwise
//! - `SEED`, a number that a run printed, to repeat what it chose at random (the moments of power cuts
//!   are fractions of measured times, so they come near but not again)
//! - `CUTS`, power cuts for each firmware, 50 otherwise; `JUNK_SECONDS`, 60 otherwise

pub mod capture;
pub mod firmware;
mod log;
pub mod machine;
mod process;
pub mod program;
pub mod seed;
pub mod site;
pub mod state;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longer than anything takes on the slowest machine; only a test that fails waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// Calls `attempt` until it has something, for as long as the patience lasts.
#[track_caller]
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
