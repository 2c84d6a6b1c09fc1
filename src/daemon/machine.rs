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

/// A machine's name with its domain, where it is short and `/etc/hosts` knows the whole one, as on
/// Debian (`127.0.1.1 lic1.corp.example lic1`); else as it is.
#[must_use]
pub fn whole_name(name: &str) -> String {
    let hosts = super::files::read(Path::new("/etc/hosts")).unwrap_or_default();
    let whole = whole_name_in(&String::from_utf8_lossy(&hosts), name);
    whole.unwrap_or_else(|| name.to_string())
}

/// The whole name of a short one, by the lines of such a file: the first name of the first line that
/// has it and begins with a whole one.
fn whole_name_in(hosts: &str, short: &str) -> Option<String> {
    if short.contains('.') {
        return None;
    }
    hosts.lines().find_map(|line| {
        let mut names = line.split('#').next()?.split_whitespace().skip(1);
        let first = names.next().filter(|first| first.contains('.'))?;
        names.any(|name| name.eq_ignore_ascii_case(short)).then(|| first.to_string())
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::Resolver;

    #[test]
    fn a_short_name_gets_its_domain_from_hosts() {
        let hosts = "127.0.0.1 localhost\n# 192.0.2.1 no.example kms\n127.0.0.1 lic1 lic1.local\n\
                     127.0.1.1\tlic1.corp.example\tlic1\n192.0.2.7  KMS.corp.example Kms x # y\n";
        for (short, whole) in [
            ("lic1", Some("lic1.corp.example")),
            ("kms", Some("KMS.corp.example")),
            ("localhost", None),
            ("y", None),
            ("kms.example.net", None),
            ("", None),
        ] {
            assert_eq!(whole_name_in(hosts, short).as_deref(), whole, "{short}");
        }
        // A client looks for hosts in its domain.
        let machine = whole_name_in(hosts, "lic1").unwrap();
        let domains = Resolver::of_resolv_conf(b"").domains(&machine);
        assert_eq!(domains, ["corp.example".parse().unwrap()]);
    }
}
