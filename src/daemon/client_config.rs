//! `client.toml`: what a machine's administrator says of a client.

use std::borrow::ToOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::exchange::Transport;
use super::files::{self, FileError};
use super::host_search::{HostSearch, TrustedHosts, parse_domain, parse_host};
use super::machine::{MachineFacts, whole_name};
use super::product_file::ProductFile;
use super::resolver::{Resolver, parse_dns_server};
use crate::discovery::{DomainName, SERVICE};

/// A client's configuration (TOML). Paths are relative to the file's own folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The product file.
    pub product: PathBuf,
    /// Folder of the client's state.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Hosts to ask, `NAME` or `NAME:PORT`, in this order; the one that answered last goes first.
    /// When there are any, no others are looked for.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The vendor's authority, which is asked in place of hosts while a key is installed, `NAME` or
    /// `NAME:PORT`; absent, the one that the product file names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Domains in which hosts publish themselves; absent, the machine's own domain and those of the
    /// system's search list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
    /// A name server to ask about hosts in place of the system's, `IP` or `IP:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_server: Option<String>,
    /// The label of the service in DNS.
    #[serde(default = "default_service", skip_serializing_if = "is_default_service")]
    pub service: String,
    /// How to ask.
    #[serde(default = "default_transport")]
    pub transport: Transport,
    /// Whether the host that answered last is remembered.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub caching: bool,
    /// Names of hosts that stand for others: old name = new name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redirect: BTreeMap<String, String>,
    /// Trusted hosts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<TrustedHosts>,
    /// The machine, where the system does not tell it right.
    #[serde(default)]
    pub machine: Machine,
    /// Folder of the file; not in it.
    #[serde(skip)]
    folder: PathBuf,
}

/// The `[machine]` of a client.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// Its name; the system's own when absent.
    pub name: Option<String>,
    /// Up to eight hardware components, an empty text for an absent one. When given, the system is
    /// not asked: for containers, and for machines that are fingerprinted by somebody else.
    pub components: Option<Vec<String>>,
    /// Whether it is a virtual machine.
    pub virtual_machine: bool,
}

fn default_state() -> PathBuf {
    "state".into()
}

const fn default_transport() -> Transport {
    Transport::Tcp
}

fn default_service() -> String {
    SERVICE.into()
}

fn is_default_service(service: &String) -> bool {
    service == SERVICE
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_yes(value: &bool) -> bool {
    *value
}

impl ClientConfig {
    /// Name of the file in a client's folder.
    pub const FILE: &'static str = "client.toml";

    /// A configuration for a product file, with the defaults.
    #[must_use]
    pub fn new(product: PathBuf, hosts: Vec<String>) -> Self {
        Self {
            product,
            state: default_state(),
            hosts,
            authority: None,
            domains: None,
            dns_server: None,
            service: default_service(),
            transport: default_transport(),
            caching: true,
            redirect: BTreeMap::new(),
            trusted: None,
            machine: Machine::default(),
            folder: PathBuf::new(),
        }
    }

    /// Reads the file, or the one in a folder.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let path = if path.is_dir() { path.join(Self::FILE) } else { path.to_owned() };
        let mut config: Self = files::read_toml(&path)?;
        config.folder = path.parent().map(Path::to_owned).unwrap_or_default();
        if let Some(authority) = &config.authority {
            parse_host(authority).map_err(|reason| {
                FileError::new(&path, "cannot use", std::format!("authority: {reason}"))
            })?;
        }
        let components = config.machine.components.as_ref().map_or(0, Vec::len);
        if components > crate::fingerprint::COMPONENTS {
            let reason = std::format!("{components} machine components, at most 8 count");
            return Err(FileError::new(&path, "cannot use", reason));
        }
        Ok(config)
    }

    /// The folder of the client's state.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        self.folder.join(&self.state)
    }

    /// The product, read from its file.
    pub fn read_product(&self) -> Result<ProductFile, FileError> {
        ProductFile::read(&self.folder.join(&self.product))
    }

    /// Where to find hosts, and the name servers to ask. The machine's own name tells its domain.
    ///
    /// # Errors
    ///
    /// What of it cannot be understood, for people.
    pub fn host_search(&self, machine: &str) -> Result<(HostSearch, Resolver), String> {
        let mut resolver = Resolver::of_system();
        let mut search = HostSearch::new(self.transport);
        search.hosts = self.hosts.iter().map(|host| parse_host(host)).collect::<Result<_, _>>()?;
        search.domains = match &self.domains {
            Some(domains) => {
                domains.iter().map(|name| parse_domain(name)).collect::<Result<_, _>>()?
            }
            None => resolver.domains(&whole_name(machine)),
        };
        if let Some(server) = &self.dns_server {
            resolver = resolver.with_server(parse_dns_server(server)?);
        }
        let label = DomainName::ROOT.child(&self.service);
        label.map_err(|invalid| std::format!("service = \"{}\": {invalid}", self.service))?;
        search.service.clone_from(&self.service);
        search.caching = self.caching;
        search.set_redirects(&self.redirect)?;
        if let Some(trusted) = &self.trusted {
            search.set_trusted(trusted)?;
        }
        Ok((search, resolver))
    }

    /// The machine: what is configured, and for the rest what the system tells.
    #[must_use]
    pub fn machine_facts(&self) -> MachineFacts {
        let mut facts = MachineFacts::of_this_machine();
        if let Some(name) = &self.machine.name {
            facts.name.clone_from(name);
        }
        if let Some(components) = &self.machine.components {
            facts.components = core::array::from_fn(|index| {
                let component = components.get(index).filter(|component| !component.is_empty());
                component.map(|component| component.clone().into_bytes())
            });
        }
        facts
    }
}
