//! What a host remembers of its publication: whether it is switched off, and its own records.
//!
//! A record is remembered before it is sent. So a host that was cut off, or that has got another name
//! or port meanwhile, still knows which records are its own. A host that runs and commands by hand share
//! the files, so nothing of them is kept here, and locks order who changes what.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::name;
use super::records::Own;
use crate::daemon::HostConfig;
use crate::daemon::files::{self, FileError, Secrecy};

/// Records by domain.
type Domains = BTreeMap<String, Own>;

/// How long a lock is waited for. Somebody else's change of a domain waits for a name server.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is tried.
const TRY_AGAIN: Duration = Duration::from_millis(20);
const BUSY: &str = "another 'headcount' has been changing these records for 30 s";

/// Two files in a host's state folder, and their locks.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    state: PathBuf,
    switch: PathBuf,
    records: PathBuf,
}

impl Memory {
    /// What is, or will be, in this state folder.
    pub(super) fn new(state: &Path) -> Self {
        Self {
            state: state.to_path_buf(),
            switch: state.join("dns-off"),
            records: state.join("dns-published.toml"),
        }
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
        self.read_or_forget().remove(domain).unwrap_or_default()
    }

    /// The domains in which this host has records.
    pub(super) fn domains(&self) -> Vec<String> {
        self.read_or_forget().into_keys().collect()
    }

    /// The right to change a domain's records, in DNS and here, for as long as the file lives. Without
    /// it, one who withdraws could forget what one who publishes has just remembered.
    pub(super) async fn lock(&self, domain: &str) -> Result<File, FileError> {
        // With the labels of the service such a name is one of DNS, so it is not too long for a file's.
        let path = self.state.join(std::format!("dns-{domain}.lock"));
        let start = Instant::now();
        loop {
            if let Some(lock) = files::try_lock_file(&path)? {
                return Ok(lock);
            }
            if start.elapsed() > PATIENCE {
                return Err(FileError::new(&path, "cannot lock", BUSY));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Remembers these records of a domain, and no others of it.
    pub(super) fn remember(&self, domain: &str, own: &Own) -> Result<(), FileError> {
        let _lock = self.lock_file()?;
        let mut domains = self.read()?;
        let before = if *own == Own::default() {
            domains.remove(domain)
        } else {
            domains.insert(domain.to_string(), own.clone())
        };
        if before.unwrap_or_default() == *own {
            return Ok(());
        }
        let header = "# Records in DNS that are this host's own. The program writes this file.\n\n";
        files::write_toml(&self.records, header, &domains, Secrecy::Public)
    }

    /// The right to change the file of all domains, which takes no longer than the disk does.
    fn lock_file(&self) -> Result<File, FileError> {
        let path = self.state.join("dns-published.lock");
        let start = Instant::now();
        loop {
            if let Some(lock) = files::try_lock_file(&path)? {
                return Ok(lock);
            }
            if start.elapsed() > PATIENCE {
                return Err(FileError::new(&path, "cannot lock", BUSY));
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }

    /// A file that cannot be understood is passed over, with a warning: the host knows its records by
    /// name and port as well. One that cannot be read is an error, and is not written over.
    fn read(&self) -> Result<Domains, FileError> {
        let path = &self.records;
        let exists = path.try_exists();
        if !exists.map_err(|error| FileError::new(path, "cannot read", error))? {
            return Ok(Domains::new());
        }
        match files::read_toml(path) {
            Err(error) if error.action == "cannot understand" => {
                tracing::warn!(%error, "what this host published in DNS is forgotten");
                Ok(Domains::new())
            }
            read => read,
        }
    }

    fn read_or_forget(&self) -> Domains {
        self.read().unwrap_or_else(|error| {
            tracing::warn!(%error, "what this host published in DNS is not known");
            Domains::new()
        })
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
        let memory = Memory::new(&config.state_folder());
        let known = memory.read()?;
        let domains = config.dns.publish.iter().map(|publish| {
            let domain = name::parse(&publish.domain);
            let domain = domain.map_or_else(|_| publish.domain.clone(), |name| name.to_string());
            let has_records = known.contains_key(&domain);
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
        let memory = Memory::new(&folder);
        memory.remember("example.org", &own).unwrap();
        memory.remember("b.example", &own).unwrap();
        memory.remember("b.example", &Own::default()).unwrap();
        memory.switch(false).unwrap();
        let again = Memory::new(&folder);
        assert_eq!(again.own("example.org"), own);
        assert_eq!(again.domains(), ["example.org"]);
        assert!(again.is_off());
        again.switch(true).unwrap();
        again.switch(true).unwrap();
        assert!(!memory.is_off());
        fs::write(folder.join("dns-published.toml"), "nonsense").unwrap();
        assert!(Memory::new(&folder).domains().is_empty());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn those_who_share_the_files_forget_nothing_of_each_other() {
        let folder =
            std::env::temp_dir().join(std::format!("headcount-share-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let target = Target(name::parse("a.example.org").unwrap());
        let service = OwnService { transport: Transport::Tcp, port: 1688, target };
        let own = Own { services: [service].into(), addresses: [].into() };
        // Each with a view of its own, as in processes of their own.
        let domains: Vec<_> = (0..8).map(|number| std::format!("{number}.example.org")).collect();
        std::thread::scope(|scope| {
            for domain in &domains {
                let memory = Memory::new(&folder);
                let own = &own;
                scope.spawn(move || {
                    for _ in 0..10 {
                        memory.remember(domain, &Own::default()).unwrap();
                        memory.remember(domain, own).unwrap();
                    }
                });
            }
        });
        let (host, by_hand) = (Memory::new(&folder), Memory::new(&folder));
        assert_eq!(host.domains(), domains);
        // What was withdrawn by hand is written again by the host that publishes it.
        by_hand.remember(&domains[0], &Own::default()).unwrap();
        host.remember(&domains[0], &own).unwrap();
        assert_eq!(by_hand.own(&domains[0]), own);
        // One changes a domain at a time, and no domain waits for another.
        let lock = host.lock(&domains[0]).await.unwrap();
        by_hand.lock(&domains[1]).await.unwrap();
        let waiting = tokio::spawn(async move { by_hand.lock("0.example.org").await.map(drop) });
        tokio::time::sleep(TRY_AGAIN * 3).await;
        assert!(!waiting.is_finished());
        drop(lock);
        waiting.await.unwrap().unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
