//! Hosts publish themselves in DNS (PROTOCOL 12), by UPDATE (RFC 2136) that TSIG signs (RFC 8945).
//!
//! A [`Publication`] is one domain's: it finds server and zone, asks for what is there, and changes in
//! one message what is this host's own, never a record of another host. A record is this host's own
//! when it has its name and port, or when this host remembers that it published it. A [`Publisher`]
//! keeps all of a running host's publications up to date, beside the host: whatever becomes of them,
//! the host serves.

mod addresses;
mod config;
mod configured;
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
pub use self::configured::Configured;
pub use self::error::{PublicationError, PublishError};
pub use self::in_domain::{Changed, Publication};
pub use self::memory::Remembered;
pub use self::publisher::Publisher;
pub use self::records::{Ports, Seen, ServiceRecord, Target};

use self::memory::Memory;
use self::records::Owners;
use super::files::FileError;
use super::host_config::HostConfig;
use crate::os::Clock;

/// All publications of a host, as it is configured.
#[derive(Debug)]
pub struct Publications {
    /// One for each domain.
    pub each: Vec<Configured>,
    enabled: bool,
    memory: Memory,
}

impl Publications {
    /// From the configuration alone: what else a publication needs is read by [`Configured::ready`].
    /// `ports` are those that the host really has: its configuration may leave the choice to the system.
    ///
    /// # Errors
    ///
    /// The configuration says what cannot be.
    pub fn new(
        config: &HostConfig,
        ports: &Ports,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, FileError> {
        let dns = &config.dns;
        let fail = |reason: String| {
            FileError::new(&config.in_folder(Path::new(HostConfig::FILE)), "cannot use", reason)
        };
        let parse = |text: &String| name::parse(text).map_err(fail);
        let target = Some(&dns.target).filter(|target| !target.is_empty());
        let target = target.map(parse).transpose()?.map(Target);
        let memory = Memory::new(&config.state_folder());
        let configured = |publish: &PublishIn| {
            let domain = parse(&publish.domain)?;
            let owners = Owners::new(&dns.service, &domain);
            Ok(Configured {
                owners: owners.ok_or_else(|| fail("dns.publish: a domain is too long".into()))?,
                domain,
                zone: publish.zone.as_ref().map(parse).transpose()?,
                settings: publish.clone(),
                target: target.clone(),
                key_file: publish.key_file.as_ref().map(|path| config.in_folder(path)),
                ports: ports.clone(),
                listen: config.listen.clone(),
                memory: memory.clone(),
                clock: clock.clone(),
            })
        };
        let each = dns.publish.iter().map(configured).collect::<Result<_, _>>()?;
        Ok(Self { each, enabled: dns.enabled, memory })
    }

    /// All of them, with what they need of the machine.
    ///
    /// # Errors
    ///
    /// The first of them that is not [ready](Configured::ready).
    pub fn ready(&self) -> Result<Vec<Publication>, PublishError> {
        self.each.iter().map(Configured::ready).collect()
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
