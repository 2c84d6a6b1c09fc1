//! What a host remembers of its publication: whether it is switched off, and its own records.
//!
//! A record is remembered before it is sent. So a host that was cut off, or that has got another name
//! or port meanwhile, still knows which records are its own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

use super::name;
use super::records::Own;
use crate::daemon::HostConfig;
use crate::daemon::files::{self, FileError, Secrecy};

/// Records by domain.
type Domains = BTreeMap<String, Own>;

/// Two files in a host's state folder. Clones share one view of them.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    switch: PathBuf,
    records: PathBuf,
    domains: Arc<Mutex<Domains>>,
}

impl Memory {
    /// A file that cannot be understood is passed over, with a warning: the host does not need it to
    /// serve, and knows its records by name and port as well.
    pub(super) fn read(state: &Path) -> Result<Self, FileError> {
        let records = state.join("dns-published.toml");
        let exists = records.try_exists();
        let exists = exists.map_err(|error| FileError::new(&records, "cannot read", error))?;
        let domains = if exists { files::read_toml(&records) } else { Ok(Domains::new()) };
        let domains = domains.unwrap_or_else(|error| {
            tracing::warn!(%error, "what this host published in DNS is forgotten");
            Domains::new()
        });
        let switch = state.join("dns-off");
        Ok(Self { switch, records, domains: Arc::new(Mutex::new(domains)) })
    }

    /// Whether publication is switched off.
    pub(super) fn is_off(&self) -> bool {
        self.switch.exists()
    }

    /// Switches publication off or on again, for good.
    pub(super) fn switch(&self, on: bool) -> Result<(), FileError> {
        const NOTE: &[u8] = b"'headcount host dns off' made this file, 'on' removes it.\n";
        if !on {
            return files::write(&self.switch, NOTE, Secrecy::Public);
        }
        match fs::remove_file(&self.switch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::new(&self.switch, "cannot remove", error))
            }
            _ => Ok(()),
        }
    }

    /// This host's records in a domain.
    pub(super) fn own(&self, domain: &str) -> Own {
        let domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        domains.get(domain).cloned().unwrap_or_default()
    }

    /// The domains in which this host has records.
    pub(super) fn domains(&self) -> Vec<String> {
        let domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        domains.keys().cloned().collect()
    }

    /// Remembers these records of a domain, and no others of it.
    pub(super) fn remember(&self, domain: &str, own: &Own) -> Result<(), FileError> {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if *own == Own::default() {
            domains.remove(domain)
        } else {
            domains.insert(domain.to_string(), own.clone())
        };
        if before.unwrap_or_default() == *own {
            return Ok(());
        }
        let header = "# Records in DNS that are this host's own. The program writes this file.\n\n";
        files::write_toml(&self.records, header, &*domains, Secrecy::Public)
    }
}

/// What a host knows of its publication without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Whether it publishes: it is configured to, and not switched off.
    pub is_on: bool,
    /// The domains that are configured, and whether it has, or may have, records there.
    pub domains: Vec<(String, bool)>,
}

impl Remembered {
    /// Reads it from the state folder.
    pub fn read(config: &HostConfig) -> Result<Self, FileError> {
        let memory = Memory::read(&config.state_folder())?;
        let domains = config.dns.publish.iter().map(|publish| {
            let domain = name::parse(&publish.domain);
            let domain = domain.map_or_else(|_| publish.domain.clone(), |name| name.to_string());
            let has_records = memory.own(&domain) != Own::default();
            (domain, has_records)
        });
        Ok(Self { is_on: config.dns.enabled && !memory.is_off(), domains: domains.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::{OwnAddress, OwnService, Target};
    use super::*;
    use crate::daemon::Transport;

    #[test]
    fn own_records_and_the_switch_outlive_the_process() {
        let folder =
            std::env::temp_dir().join(std::format!("headcount-dns-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let target = Target(name::parse("a.example.org").unwrap());
        let service = OwnService { transport: Transport::Tcp, port: 1688, target: target.clone() };
        let address = OwnAddress { name: target, address: "2001:db8::1".parse().unwrap() };
        let own = Own { services: [service].into(), addresses: [address].into() };
        let memory = Memory::read(&folder).unwrap();
        memory.remember("example.org", &own).unwrap();
        memory.remember("b.example", &own).unwrap();
        memory.remember("b.example", &Own::default()).unwrap();
        memory.switch(false).unwrap();
        let again = Memory::read(&folder).unwrap();
        assert_eq!(again.own("example.org"), own);
        assert_eq!(again.domains(), ["example.org"]);
        assert!(again.is_off());
        again.switch(true).unwrap();
        again.switch(true).unwrap();
        assert!(!memory.is_off());
        fs::write(folder.join("dns-published.toml"), "nonsense").unwrap();
        assert!(Memory::read(&folder).unwrap().domains().is_empty());
        fs::remove_dir_all(&folder).unwrap();
    }
}
