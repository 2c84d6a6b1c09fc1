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
mod key_file;
mod memory;
mod message;
mod name;
mod plan;
mod publisher;
mod records;
mod zone_file;

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;
use std::path::Path;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use domain::base::iana::Rtype;
use tokio::net::lookup_host;

pub use self::config::{DnsConfig, PublishIn};
pub use self::error::PublicationError;
pub use self::publisher::Publisher;
pub use self::records::{Ports, Seen, ServiceRecord, Target};

use self::dialogue::NameServer;
use self::key_file::TsigKey;
use self::memory::Memory;
use self::name::{DnsName, Named as _};
use self::plan::{Plan, Wanted};
use self::records::{Own, OwnAddress, TRANSPORTS};
use super::files::FileError;
use super::host_config::{HostConfig, Listen};
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
            Ok(Publication {
                domain: parse(&publish.domain)?,
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

/// The publication of a host in one domain.
#[derive(Clone)]
pub struct Publication {
    domain: DnsName,
    zone: Option<DnsName>,
    settings: PublishIn,
    target: Target,
    key: Option<TsigKey>,
    ports: Ports,
    listen: Vec<Listen>,
    memory: Memory,
    clock: Arc<dyn Clock>,
}

impl core::fmt::Debug for Publication {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Publication")
            .field("settings", &self.settings)
            .field("target", &self.target)
            .field("key", &self.key)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

/// What a publication, or its withdrawal, came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The server that did it.
    pub server: SocketAddr,
    /// The zone.
    pub zone: String,
    /// This host's service records that are there now.
    pub published: Vec<ServiceRecord>,
    /// Its address records.
    pub addresses: Vec<IpAddr>,
    /// How many records were taken away.
    pub removed: usize,
}

/// Why a publication could not be made or withdrawn.
#[derive(Debug)]
pub enum PublishError {
    /// The name server.
    Dns(PublicationError),
    /// What the host has to remember of it.
    File(FileError),
}

impl From<PublicationError> for PublishError {
    fn from(error: PublicationError) -> Self {
        Self::Dns(error)
    }
}

impl From<FileError> for PublishError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl core::fmt::Display for PublishError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Dns(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PublishError {}

impl PublishError {
    /// What its reader can do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Dns(error) => error.advice(),
            Self::File(_) => "Is the state folder this user's, and the disk not full?",
        }
    }
}

impl Publication {
    /// The domain.
    #[must_use]
    pub fn domain(&self) -> String {
        self.domain.to_string()
    }

    /// The host's name that is published.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Adds this host's records, and takes away those that it has no more. When they are there
    /// already this repeats them, so that servers that drop what is old keep them.
    pub async fn publish(&self) -> Result<Changed, PublishError> {
        let machine = addresses::of_this_machine();
        self.change(&self.services(), &self.wanted_addresses(&machine)).await
    }

    /// Takes away all records of this host.
    pub async fn withdraw(&self) -> Result<Changed, PublishError> {
        self.change(&[], &BTreeSet::new()).await
    }

    /// Whether this host has, or may have, records there.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.memory.own(&self.domain()) != Own::default()
    }

    /// What is there now, and the address of the server that says so. Each address of the server is
    /// tried until one says something.
    pub async fn look(&self) -> Result<(SocketAddr, Seen), PublicationError> {
        let server = match &self.settings.server {
            Some(server) => config::with_port(server).unwrap_or_else(|_| server.clone()),
            None => finding::primary(&finding::resolvers(), &self.domain, &*self.clock).await?,
        };
        let unknown = |reason: String| {
            let server = server.clone();
            PublicationError::UnknownServer { server, reason }
        };
        let addresses = lookup_host(&server).await.map_err(|error| unknown(error.to_string()))?;
        let mut result = Err(unknown("none was found".to_string()));
        for address in addresses {
            result = self.look_at(address).await.map(|seen| (address, seen));
            let is_unreachable = matches!(
                result,
                Err(PublicationError::Socket { .. } | PublicationError::Silent { .. })
            );
            if !is_unreachable {
                break;
            }
        }
        result
    }

    /// The records as lines of a zone file, with comments.
    #[must_use]
    pub fn zone_file(&self) -> String {
        let machine = addresses::of_this_machine();
        let addresses = addresses::listened_on(&self.listen, &machine);
        zone_file::write(&self.domain, &self.services(), &self.target, &addresses, &self.settings)
    }

    async fn change(
        &self,
        services: &[ServiceRecord],
        addresses: &BTreeSet<IpAddr>,
    ) -> Result<Changed, PublishError> {
        let (server, seen) = self.look().await?;
        let zone = &seen.zone.0;
        if !addresses.is_empty() && !self.target.0.is_within(zone) {
            let (target, zone) = (self.target.to_string(), zone.to_string());
            return Err(PublicationError::Outside { target, zone }.into());
        }
        let remembered = self.memory.own(&self.domain());
        let wanted = Wanted { target: &self.target, services, addresses, ttl: self.settings.ttl };
        let plan = Plan::new(&self.domain, &seen, &remembered, &wanted);
        if !plan.changes.is_empty() {
            self.remember(remembered.and(plan.after.clone())).await?;
            self.server(server).update(zone, &plan.changes).await?;
        }
        self.remember(plan.after.clone()).await?;
        Ok(Changed {
            server,
            zone: zone.to_string(),
            published: services.to_vec(),
            addresses: plan.after.addresses.into_iter().map(|own| own.address).collect(),
            removed: plan.removed,
        })
    }

    /// The disk may be slow; the runtime's threads are for sockets.
    async fn remember(&self, own: Own) -> Result<(), FileError> {
        let (memory, domain) = (self.memory.clone(), self.domain());
        let task = tokio::task::spawn_blocking(move || memory.remember(&domain, &own));
        task.await.unwrap_or_else(|error| Err(FileError::new(Path::new(""), "cannot write", error)))
    }

    /// The service records that it should have.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceRecord> {
        let of = |transport| {
            self.ports.of(transport).iter().map(move |port| ServiceRecord {
                transport,
                priority: self.settings.priority,
                weight: self.settings.weight,
                port: *port,
                target: self.target.clone(),
                ttl: self.settings.ttl,
            })
        };
        TRANSPORTS.into_iter().flat_map(of).collect()
    }

    fn wanted_addresses(&self, machine: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        if self.settings.addresses {
            addresses::listened_on(&self.listen, machine)
        } else {
            BTreeSet::new()
        }
    }

    async fn look_at(&self, address: SocketAddr) -> Result<Seen, PublicationError> {
        let server = &self.server(address);
        let zone = match &self.zone {
            Some(zone) => zone.clone(),
            None => finding::zone(server, &self.domain).await?,
        };
        let remembered = self.memory.own(&self.domain());
        let is_own = |record: &ServiceRecord| {
            let has_port = self.ports.of(record.transport).contains(&record.port);
            (has_port && record.target == self.target)
                || remembered.services.contains(&record.owned())
        };
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for transport in TRANSPORTS {
            let owner = plan::service_name(&self.domain, transport)?;
            let answer = server.query(&owner, Rtype::SRV).await?;
            for record in message::services(&answer, &owner, transport) {
                if is_own(&record) { &mut own } else { &mut others }.push(record);
            }
        }
        let mut addresses = Vec::new();
        let has_addresses = self.settings.addresses || !remembered.addresses.is_empty();
        let names = remembered.addresses.iter().map(|own| &own.name.0);
        let names: BTreeSet<_> = names.chain([&self.target.0]).collect();
        for name in names.into_iter().filter(|name| has_addresses && name.is_within(&zone)) {
            for rtype in [Rtype::A, Rtype::AAAA] {
                let answer = server.query(name, rtype).await?;
                let found = message::addresses(&answer, name).into_iter();
                let name = Target(name.clone());
                addresses.extend(found.map(|address| OwnAddress { name: name.clone(), address }));
            }
        }
        Ok(Seen { zone: Target(zone), own, others, addresses })
    }

    fn server(&self, address: SocketAddr) -> NameServer<'_> {
        NameServer { address, key: self.key.as_ref(), clock: &*self.clock, recursion: false }
    }
}
