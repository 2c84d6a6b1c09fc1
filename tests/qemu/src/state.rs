//! What is in the firmware's flash.

use std::path::Path;

use headcount::client::{ImageSummary, describe_image};
use headcount::host::{SnapshotSummary, describe_snapshot};
use headcount::storage::{Image, Kind};

/// Bytes of a slot.
pub const SLOT_LEN: usize = 4_096;

/// A copy of the two slots of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flash(Vec<u8>);

impl Flash {
    /// What the flash of a client or host has of its state. Without such a file: erased.
    pub fn read(path: &Path) -> Self {
        Self(halves(path).0)
    }

    /// What a client's flash has of the host that it asks first.
    pub fn read_remembered(path: &Path) -> Self {
        Self(halves(path).1)
    }

    fn slots(&self) -> impl Iterator<Item = &[u8]> {
        self.0.chunks(SLOT_LEN)
    }

    /// The newest whole image.
    pub fn newest(&self) -> Option<Image<'_>> {
        let images = self.slots().filter_map(|slot| Image::parse(slot).ok());
        images.max_by_key(|image| image.sequence)
    }

    /// Its number; 0 without one.
    pub fn sequence(&self) -> u64 {
        self.newest().map_or(0, |image| image.sequence)
    }

    /// Whether one of the two saves that it had at least was cut, or one since: a slot is not whole.
    pub fn has_a_cut_save(&self) -> bool {
        let whole = self.slots().filter(|slot| Image::parse(slot).is_ok()).count();
        self.sequence() >= 2 && whole < 2
    }

    /// What the newest image says, when it is a host's.
    pub fn snapshot(&self) -> Option<SnapshotSummary> {
        let image = self.newest()?;
        Some(describe_snapshot(image.payload, |_, _| {}).expect("a host's snapshot"))
    }

    /// The machines that it counts.
    pub fn machines(&self) -> u32 {
        let mut machines = 0;
        if let Some(image) = self.newest() {
            let counted = describe_snapshot(image.payload, |_, pool| machines += pool.records);
            counted.expect("a host's snapshot");
        }
        machines
    }

    /// The host that the newest image names, in its first line; addresses follow.
    pub fn remembered(&self) -> Option<String> {
        let image = self.newest()?;
        assert_eq!(image.kind, Kind::RememberedHost);
        let text = String::from_utf8(image.payload.to_vec()).unwrap();
        text.lines().next().map(str::to_owned)
    }

    /// What the newest image says, when it is a client's.
    pub fn client(&self) -> Option<ImageSummary> {
        Some(describe_image(self.newest()?.payload).expect("a client's state"))
    }
}

/// The two slots of the state, and the two of the host to ask first.
fn halves(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = std::fs::read(path).unwrap_or_default();
    assert!(bytes.len() <= 4 * SLOT_LEN, "{}", path.display());
    bytes.resize(4 * SLOT_LEN, 0xff);
    let rest = bytes.split_off(2 * SLOT_LEN);
    (bytes, rest)
}
