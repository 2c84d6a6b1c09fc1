//! `client.toml`: what a machine's administrator says of a client.

use core::num::NonZeroU16;
use std::borrow::ToOwned;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::exchange::Transport;
use super::files::{self, FileError};
use super::machine::MachineFacts;
use super::product_file::ProductFile;
use crate::policy::PORT;

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
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How to ask.
    #[serde(default = "default_transport")]
    pub transport: Transport,
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
            transport: default_transport(),
            machine: Machine::default(),
            folder: PathBuf::new(),
        }
    }

    /// Reads the file, or the one in a folder.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let path = if path.is_dir() { path.join(Self::FILE) } else { path.to_owned() };
        let mut config: Self = files::read_toml(&path)?;
        config.folder = path.parent().map(Path::to_owned).unwrap_or_default();
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

/// A host's name with its port: 1688 where none is given. IPv6 addresses stand in brackets or, with
/// no port, alone.
///
/// # Errors
///
/// It is no name or address, or the port is none from 1 to 65535. The text says so.
pub fn with_port(host: &str) -> Result<String, String> {
    let is_ipv6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    if is_ipv6(host) {
        return Ok(std::format!("[{host}]:{PORT}"));
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_name = !name.is_empty() && !name.contains([':', '[', ']', '/']);
    if !(in_brackets.is_some_and(is_ipv6) || is_name) || name.contains(char::is_whitespace) {
        return Err(std::format!("\"{host}\" is no host: NAME, NAME:PORT or an address, please"));
    }
    match port.map(str::parse::<NonZeroU16>) {
        None => Ok(std::format!("{name}:{PORT}")),
        Some(Ok(port)) => Ok(std::format!("{name}:{port}")),
        Some(Err(_)) => Err(std::format!("\"{host}\": the port is a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn port_is_added_only_where_there_is_none() {
        for (given, full) in [
            ("kms", "kms:1688"),
            ("kms:99", "kms:99"),
            ("192.0.2.1", "192.0.2.1:1688"),
            ("192.0.2.1:99", "192.0.2.1:99"),
            ("::1", "[::1]:1688"),
            ("2001:db8::5", "[2001:db8::5]:1688"),
            ("[::1]", "[::1]:1688"),
            ("[::1]:99", "[::1]:99"),
        ] {
            assert_eq!(with_port(given).as_deref(), Ok(full));
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for given in
            ["", ":99", "kms:", "kms:0", "kms:65536", "kms:x", "a b", "a:b:1", "[::1", "[kms]:1"]
        {
            assert!(with_port(given).is_err(), "{given}");
        }
    }
}
