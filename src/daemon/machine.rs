//! The machine a program runs on: its name and its hardware.

use std::fs;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::fingerprint::COMPONENTS;
use crate::trust;
use crate::wire::ApplicationId;

/// Name and hardware components of a machine.
#[derive(Clone, Default)]
pub struct MachineFacts {
    /// Its name.
    pub name: String,
    /// Bytes of each component; `None` where the machine has none.
    pub components: [Option<Vec<u8>>; COMPONENTS],
}

/// Components identify a machine, so only which there are is shown.
impl core::fmt::Debug for MachineFacts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let present = self.components.iter().filter(|component| component.is_some()).count();
        write!(f, "MachineFacts({:?}, {present} of {COMPONENTS} components)", self.name)
    }
}

impl MachineFacts {
    /// What Linux tells of this machine: mainboard serial, product UUID, machine id, MAC address of
    /// the first real network card, processor model, disk serial. What cannot be read is absent;
    /// in a container that may be all, so give components by hand there.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let dmi = |name: &str| read(&Path::new("/sys/class/dmi/id").join(name));
        Self {
            name: read(Path::new("/proc/sys/kernel/hostname"))
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .unwrap_or_default(),
            components: [
                dmi("board_serial"),
                dmi("product_uuid"),
                read(Path::new("/etc/machine-id")),
                first_mac(),
                processor(),
                first_disk(),
                None,
                None,
            ],
        }
    }

    /// The fingerprint for a product.
    #[must_use]
    pub fn fingerprint(&self, application_id: ApplicationId) -> crate::fingerprint::Fingerprint {
        trust::fingerprint(application_id, &self.components.each_ref().map(Option::as_deref))
    }
}

/// A file's content without white space around it; `None` when there is nothing.
fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(path).ok()?;
    let trimmed = bytes.trim_ascii();
    (!trimmed.is_empty()).then(|| trimmed.to_vec())
}

/// Entries of a folder of the kernel's, by name, so that the first is always the same.
fn sorted_entries(folder: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn first_mac() -> Option<Vec<u8>> {
    let cards = sorted_entries("/sys/class/net");
    cards
        .iter()
        .filter(|card| card.join("device").exists())
        .find_map(|card| read(&card.join("address")))
}

fn first_disk() -> Option<Vec<u8>> {
    let disks = sorted_entries("/sys/block");
    disks
        .iter()
        .find_map(|disk| read(&disk.join("device/serial")).or_else(|| read(&disk.join("serial"))))
}

fn processor() -> Option<Vec<u8>> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.to_string().into_bytes())
}
