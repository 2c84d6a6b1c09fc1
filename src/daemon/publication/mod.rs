//! Hosts publish themselves in DNS (PROTOCOL 12), by UPDATE (RFC 2136) that TSIG signs (RFC 8945).
//!
//! A [`Publication`] is one domain's: it finds server and zone, asks for what is there, and changes in
//! one message what is this host's own, never a record of another host. A record is this host's own
//! when it has its name and port, or when this host remembers that it published it. A [`Publisher`]
//! keeps all of a running host's publications up to date, beside the host: whatever becomes of them,
//! the host serves.

mod addresses;
mod config;
mod dialogue;
mod error;
mod finding;
mod in_domain;
mod key_file;
mod memory;
mod message;
mod name;
mod plan;
mod publisher;
mod records;
mod zone_file;

use std::path::Path;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

pub use self::config::{DnsConfig, PublishIn};
pub use self::error::{PublicationError, PublishError};
pub use self::in_domain::{Changed, Publication};
pub use self::memory::Remembered;
pub use self::publisher::Publisher;
pub use self::records::{Ports, Seen, ServiceRecord, Target};

use self::key_file::TsigKey;
use self::memory::Memory;
use self::name::DnsName;
use self::records::Owners;
use super::files::FileError;
use super::host_config::HostConfig;
use crate::os::Clock;

/// All publications of a host, as it is configured.
#[derive(Debug)]
pub struct Publications {
    /// One for each domain.
    pub each: Vec<Publication>,
    /// The name that is published.
    pub target: Target,
    enabled: bool,
    memory: Memory,
}

impl Publications {
    /// Reads key files and what the host remembers. `ports` are those that the host really has: its
    /// configuration may leave the choice to the system.
    ///
    /// # Errors
    ///
    /// A file cannot be read or used, or the machine has no whole name and none is configured.
    pub fn new(
        config: &HostConfig,
        ports: &Ports,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, FileError> {
        let dns = &config.dns;
        let fail = |reason: &str| {
            FileError::new(&config.in_folder(Path::new(HostConfig::FILE)), "cannot use", reason)
        };
        let target = match &*dns.target {
            "" if dns.publish.is_empty() => Some(DnsName::root_vec()),
            "" => finding::machine_name(),
            target => name::parse(target).ok(),
        };
        let target = target.map(Target).ok_or_else(|| {
            fail("dns.target: this machine has no name with a domain, so set one to publish")
        })?;
        let memory = Memory::read(&config.state_folder())?;
        let publication = |publish: &PublishIn| {
            let key = publish.key_file.as_ref();
            let key = key.map(|path| TsigKey::read(&config.in_folder(path))).transpose()?;
            let parse = |text: &String| name::parse(text).map_err(|reason| fail(&reason));
            let domain = parse(&publish.domain)?;
            let owners = Owners::new(&dns.service, &domain);
            Ok(Publication {
                owners: owners.ok_or_else(|| fail("dns.publish: a domain is too long"))?,
                domain,
                zone: publish.zone.as_ref().map(parse).transpose()?,
                settings: publish.clone(),
                target: target.clone(),
                key,
                ports: ports.clone(),
                listen: config.listen.clone(),
                memory: memory.clone(),
                clock: clock.clone(),
            })
        };
        let each = dns.publish.iter().map(publication).collect::<Result<_, _>>()?;
        Ok(Self { each, target, enabled: dns.enabled, memory })
    }

    /// Whether the host publishes: it is configured to, and not switched off.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.enabled && !self.memory.is_off()
    }

    /// Switches publication off or on, for good. A running host follows within seconds.
    pub fn switch(&self, on: bool) -> Result<(), FileError> {
        self.memory.switch(on)
    }

    /// Whether the configuration allows publication.
    #[must_use]
    pub const fn are_enabled(&self) -> bool {
        self.enabled
    }

    /// Domains in which this host may still have records, though it is no longer to publish there.
    #[must_use]
    pub fn forgotten(&self) -> Vec<String> {
        let mut domains = self.memory.domains();
        domains.retain(|domain| self.each.iter().all(|each| each.domain() != *domain));
        domains
    }
}
