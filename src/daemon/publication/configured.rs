//! What a host's configuration says of its publication in one domain, and the step from there to one
//! that can be made: the rest depends on the machine, and may come later than the host.

use std::path::PathBuf;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use super::config::PublishIn;
use super::error::{PublicationError, PublishError};
use super::finding;
use super::in_domain::Publication;
use super::key_file::TsigKey;
use super::memory::Memory;
use super::name::DnsName;
use super::records::{Own, Owners, Ports, Target};
use crate::daemon::Listen;
use crate::os::Clock;

/// A publication in one domain as it is configured.
#[derive(Clone)]
pub struct Configured {
    pub(super) domain: DnsName,
    pub(super) owners: Owners,
    pub(super) zone: Option<DnsName>,
    pub(super) settings: PublishIn,
    /// The host's name; the machine's own when absent.
    pub(super) target: Option<Target>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) ports: Ports,
    pub(super) listen: Vec<Listen>,
    pub(super) memory: Memory,
    pub(super) clock: Arc<dyn Clock>,
}

impl core::fmt::Debug for Configured {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Configured")
            .field("settings", &self.settings)
            .field("target", &self.target)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

impl Configured {
    /// The domain.
    #[must_use]
    pub fn domain(&self) -> String {
        self.domain.to_string()
    }

    /// Whether this host has, or may have, records there.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.memory.own(&self.domain()) != Own::default()
    }

    /// Reads the key file and, where the configuration names no target, the machine's name: as they are
    /// now, so that what was missing or wrong can be mended while the host runs.
    ///
    /// # Errors
    ///
    /// The key file cannot be read or used, or the machine has no whole name.
    pub fn ready(&self) -> Result<Publication, PublishError> {
        let target = self.target.clone().or_else(|| finding::machine_name().map(Target));
        let target = target.ok_or(PublicationError::NoName)?;
        let key = self.key_file.as_deref().map(TsigKey::read).transpose();
        let key = key.map_err(PublishError::Key)?;
        Ok(Publication { configured: self.clone(), target, key })
    }
}
