//! `host.toml`: what an administrator says of a host.

use core::time::Duration;
use std::borrow::ToOwned;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::enrolment::EnrolmentConfig;
use super::files::{self, FileError};
use super::product_file::ProductFile;
use super::publication::DnsConfig;
use crate::host::{RateLimit, Settings};
use crate::policy;
use crate::time::Minutes;

/// A host's configuration (TOML). Paths are relative to the file's own folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// Name that the vendor sees at enrolment; the machine's own when empty.
    pub name: String,
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Product files of what is served.
    pub products: Vec<PathBuf>,
    /// Folder of key, certificate and state.
    pub state: PathBuf,
    /// Highest product group that this platform may serve, for the enrolment.
    pub platform_rank: u8,
    /// Wait before the next try of a client that is not activated.
    pub activation_interval_minutes: u32,
    /// Wait before the renewal of a client that is activated.
    pub renewal_interval_minutes: u32,
    /// How long an activation lasts.
    pub validity_minutes: u32,
    /// How often the state is saved while requests come.
    pub save_interval_seconds: u32,
    /// Limits for each source and for connections.
    pub limits: Limits,
    /// Enrolment on line.
    #[serde(skip_serializing_if = "EnrolmentConfig::is_default")]
    pub enrolment: EnrolmentConfig,
    /// Publication in DNS.
    #[serde(skip_serializing_if = "DnsConfig::is_default")]
    pub dns: DnsConfig,
    /// Folder of the file; not in it.
    #[serde(skip)]
    folder: PathBuf,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Whether to accept connections.
    #[serde(default = "yes")]
    pub tcp: bool,
    /// Whether to receive datagrams.
    #[serde(default = "yes")]
    pub udp: bool,
}

const fn yes() -> bool {
    true
}

/// The `[limits]` of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections open at once, in all.
    pub connections: usize,
    /// Connections open at once from one source.
    pub connections_per_source: usize,
    /// Requests of one source at once after a quiet time.
    pub request_burst: u32,
    /// Milliseconds in which a source earns one more request; 0 switches this limit off.
    pub request_interval_ms: u64,
}

/// Limits that the server keeps itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections open at once, in all.
    pub connections: usize,
    /// Connections open at once from one source.
    pub connections_per_source: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let RateLimit { burst, interval } = RateLimit::DEFAULT;
        let ServerLimits { connections, connections_per_source } = ServerLimits::default();
        Self {
            connections,
            connections_per_source,
            request_burst: burst,
            request_interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 4_096, connections_per_source: 128 }
    }
}

impl ServerLimits {
    /// Files and sockets that are no connections: listeners, state, log, what the runtime needs.
    const RESERVE: u64 = 64;

    /// These limits, or lower ones for a process that may open this many files and sockets: when
    /// connections used up all of them, the state could not be saved.
    #[must_use]
    pub fn within(self, open_files: u64) -> Self {
        let most = open_files.saturating_sub(Self::RESERVE).max(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { connections: self.connections.min(most), ..self }
    }
}

impl Default for HostConfig {
    fn default() -> Self {
        let listen =
            |ip| Listen { address: SocketAddr::new(ip, policy::PORT), tcp: true, udp: true };
        Self {
            name: String::new(),
            listen: Vec::from([
                listen(Ipv4Addr::UNSPECIFIED.into()),
                listen(Ipv6Addr::UNSPECIFIED.into()),
            ]),
            products: Vec::new(),
            state: "state".into(),
            platform_rank: u8::MAX,
            activation_interval_minutes: policy::ACTIVATION_INTERVAL.0,
            renewal_interval_minutes: policy::RENEWAL_INTERVAL.0,
            validity_minutes: policy::VALIDITY.0,
            save_interval_seconds: 2,
            limits: Limits::default(),
            enrolment: EnrolmentConfig::default(),
            dns: DnsConfig::default(),
            folder: PathBuf::new(),
        }
    }
}

impl HostConfig {
    /// Name of the file in a host's folder.
    pub const FILE: &'static str = "host.toml";

    /// Reads the file, or the one in a folder, and checks what can be checked.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let path = if path.is_dir() { path.join(Self::FILE) } else { path.to_owned() };
        let mut config: Self = files::read_toml(&path)?;
        config.folder = path.parent().map(Path::to_owned).unwrap_or_default();
        config.check().map_err(|reason| FileError::new(&path, "cannot use", reason))?;
        Ok(config)
    }

    /// The folder of key, certificate and state.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        self.folder.join(&self.state)
    }

    /// Where a path of the configuration is.
    pub(super) fn in_folder(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The products, read from their files.
    pub fn read_products(&self) -> Result<Vec<ProductFile>, FileError> {
        self.products.iter().map(|path| ProductFile::read(&self.folder.join(path))).collect()
    }

    /// What the core is told.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        Settings {
            activation_interval: Minutes(self.activation_interval_minutes),
            renewal_interval: Minutes(self.renewal_interval_minutes),
            validity: Minutes(self.validity_minutes),
            rate_limit: RateLimit {
                burst: self.limits.request_burst,
                interval: Duration::from_millis(self.limits.request_interval_ms),
            },
        }
    }

    /// What the server is told.
    #[must_use]
    pub const fn server_limits(&self) -> ServerLimits {
        ServerLimits {
            connections: self.limits.connections,
            connections_per_source: self.limits.connections_per_source,
        }
    }

    fn check(&self) -> Result<(), String> {
        let bounds = policy::SHORTEST_INTERVAL..=policy::LONGEST_INTERVAL;
        for (name, minutes) in [
            ("activation_interval_minutes", self.activation_interval_minutes),
            ("renewal_interval_minutes", self.renewal_interval_minutes),
        ] {
            if !bounds.contains(&Minutes(minutes)) {
                return Err(std::format!("{name} = {minutes}: between 15 and 43200, please"));
            }
        }
        if matches!(self.validity_minutes, 0 | u32::MAX) {
            return Err("validity_minutes: between 1 and 4294967294, please".to_string());
        }
        if self.listen.iter().all(|listen| !listen.tcp && !listen.udp) {
            return Err("listen: no address with tcp or udp".to_string());
        }
        let Limits { connections, connections_per_source, .. } = self.limits;
        for (name, is_zero) in [
            ("save_interval_seconds", self.save_interval_seconds == 0),
            ("limits.connections", connections == 0),
            ("limits.connections_per_source", connections_per_source == 0),
        ] {
            if is_zero {
                return Err(std::format!("{name} = 0: at least 1, please"));
            }
        }
        self.enrolment.check()?;
        self.dns.check()
    }
}
