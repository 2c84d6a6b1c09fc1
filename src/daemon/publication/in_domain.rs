//! A host's publication in one domain: look what is there, plan, change, and remember.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use domain::base::iana::Rtype;
use tokio::net::lookup_host;

use super::addresses;
use super::config;
use super::configured::Configured;
use super::dialogue::NameServer;
use super::error::{PublicationError, PublishError};
use super::finding;
use super::key_file::TsigKey;
use super::message;
use super::name::Named as _;
use super::plan::{Plan, Wanted};
use super::records::{Own, OwnAddress, Seen, ServiceRecord, TRANSPORTS, Target};
use super::zone_file;
use crate::daemon::files::FileError;

/// The publication of a host in one domain, with all that it needs.
#[derive(Clone, Debug)]
pub struct Publication {
    pub(super) configured: Configured,
    pub(super) target: Target,
    pub(super) key: Option<TsigKey>,
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

impl Publication {
    /// The domain.
    #[must_use]
    pub fn domain(&self) -> String {
        self.configured.domain()
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

    /// What is there now, and the address of the server that says so. Each address of the server is
    /// tried until one says something.
    pub async fn look(&self) -> Result<(SocketAddr, Seen), PublicationError> {
        let server = match &self.configured.settings.server {
            Some(server) => config::with_port(server).unwrap_or_else(|_| server.clone()),
            None => {
                finding::primary(
                    &finding::resolvers(),
                    &self.configured.domain,
                    &*self.configured.clock,
                )
                .await?
            }
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
        let addresses = addresses::listened_on(&self.configured.listen, &machine);
        zone_file::write(
            &self.configured.domain,
            &self.configured.owners,
            &self.services(),
            &self.target,
            &addresses,
            &self.configured.settings,
        )
    }

    async fn change(
        &self,
        services: &[ServiceRecord],
        addresses: &BTreeSet<IpAddr>,
    ) -> Result<Changed, PublishError> {
        // Whoever else changes these records would find them, and leave them, in between.
        let _lock = self.configured.memory.lock(&self.configured.domain()).await?;
        let (server, seen) = self.look().await?;
        let zone = &seen.zone.0;
        if !addresses.is_empty() && !self.target.0.is_within(zone) {
            let (target, zone) = (self.target.to_string(), zone.to_string());
            return Err(PublicationError::Outside { target, zone }.into());
        }
        let remembered = self.configured.memory.own(&self.configured.domain());
        let wanted =
            Wanted { target: &self.target, services, addresses, ttl: self.configured.settings.ttl };
        let plan = Plan::new(&self.configured.owners, &seen, &remembered, &wanted);
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
        let (memory, domain) = (self.configured.memory.clone(), self.configured.domain());
        let task = tokio::task::spawn_blocking(move || memory.remember(&domain, &own));
        task.await.unwrap_or_else(|error| Err(FileError::new(Path::new(""), "cannot write", error)))
    }

    /// The service records that it should have.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceRecord> {
        let of = |transport| {
            self.configured.ports.of(transport).iter().map(move |port| ServiceRecord {
                transport,
                priority: self.configured.settings.priority,
                weight: self.configured.settings.weight,
                port: *port,
                target: self.target.clone(),
                ttl: self.configured.settings.ttl,
            })
        };
        TRANSPORTS.into_iter().flat_map(of).collect()
    }

    fn wanted_addresses(&self, machine: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        if self.configured.settings.addresses {
            addresses::listened_on(&self.configured.listen, machine)
        } else {
            BTreeSet::new()
        }
    }

    async fn look_at(&self, address: SocketAddr) -> Result<Seen, PublicationError> {
        let server = &self.server(address);
        let zone = match &self.configured.zone {
            Some(zone) => zone.clone(),
            None => finding::zone(server, &self.configured.domain).await?,
        };
        let remembered = self.configured.memory.own(&self.configured.domain());
        let is_own = |record: &ServiceRecord| {
            let has_port = self.configured.ports.of(record.transport).contains(&record.port);
            (has_port && record.target == self.target)
                || remembered.services.contains(&record.owned())
        };
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for transport in TRANSPORTS {
            let owner = self.configured.owners.of(transport);
            let answer = server.query(owner, Rtype::SRV).await?;
            for record in message::services(&answer, owner, transport) {
                if is_own(&record) { &mut own } else { &mut others }.push(record);
            }
        }
        let mut addresses = Vec::new();
        let has_addresses = self.configured.settings.addresses || !remembered.addresses.is_empty();
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
        NameServer {
            address,
            key: self.key.as_ref(),
            clock: &*self.configured.clock,
            recursion: false,
        }
    }
}
