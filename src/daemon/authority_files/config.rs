//! `authority.toml`: what a vendor decides.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::string::String;
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::daemon::files;
use crate::daemon::host_config::{Limits, Listen, ServerLimits};
use crate::daemon::product_file::RootKey;
use crate::host::RateLimit;
use crate::policy;
use crate::wire::PublicKey;

/// `authority.toml`: what a vendor decides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityConfig {
    /// The id of the root key that issues certificates, one of [`roots`](Self::roots).
    pub use_root: u16,
    /// How long a host's certificate lasts.
    #[serde(default = "default_validity_days")]
    pub certificate_validity_days: u32,
    /// How far a sender's clock may be from the authority's. Where it is left out, no request that
    /// is answered off line is refused for its time, nor one for an activation by key: both may
    /// have been carried by hand, and the time in them is as old as their journey. A host that
    /// enrols on line may be 240 minutes off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_clock_skew_minutes: Option<u32>,
    /// The service.
    #[serde(default, skip_serializing_if = "ServiceConfig::is_default")]
    pub service: ServiceConfig,
    /// Root keys: the one in use, and others that products know.
    #[serde(rename = "root")]
    pub roots: Vec<RootConfig>,
}

/// `[service]`: how `headcount authority run` serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceConfig {
    /// Days that a certificate of the service's own key lasts. It is renewed by itself when a third
    /// is left.
    pub own_certificate_days: u32,
    /// Requests that may wait to be decided. Beyond, the answer is status 8: come again later.
    pub queue: usize,
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Limits for each source and for connections.
    pub limits: Limits,
}

/// `[[root]]`: a root key, in a file or in a process that signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootConfig {
    /// The id by which certificates and products name it.
    pub id: u16,
    /// Its public half, hexadecimal.
    pub public_key: String,
    /// The file of its secret half, which its owner alone may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The command that signs with it: a program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Vec<String>>,
}

impl AuthorityConfig {
    /// Ten years: a host that is never looked after again serves its site's life.
    pub const DEFAULT_VALIDITY_DAYS: u32 = 3_650;

    /// The root key that issues certificates.
    #[must_use]
    pub fn root_in_use(&self) -> Option<&RootConfig> {
        self.roots.iter().find(|root| root.id == self.use_root)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for (index, root) in self.roots.iter().enumerate() {
            if self.roots.iter().skip(index.saturating_add(1)).any(|other| other.id == root.id) {
                return Err(std::format!("two root keys have the id {}", root.id));
            }
            root.check().map_err(|reason| std::format!("root {}: {reason}", root.id))?;
        }
        if self.root_in_use().is_none() {
            return Err(std::format!("use_root = {}: no [[root]] has this id", self.use_root));
        }
        for (name, days) in [
            ("certificate_validity_days", self.certificate_validity_days),
            ("service.own_certificate_days", self.service.own_certificate_days),
        ] {
            if days == 0 {
                return Err(std::format!("{name} = 0: at least 1, please"));
            }
        }
        let ServiceConfig { queue, listen, limits, .. } = &self.service;
        if listen.iter().all(|listen| !listen.tcp && !listen.udp) {
            return Err("service.listen: no address with tcp or udp".into());
        }
        for (name, is_zero) in [
            ("service.queue", *queue == 0),
            ("service.limits.connections", limits.connections == 0),
            ("service.limits.connections_per_source", limits.connections_per_source == 0),
        ] {
            if is_zero {
                return Err(std::format!("{name} = 0: at least 1, please"));
            }
        }
        Ok(())
    }
}

impl ServiceConfig {
    /// What the server is told.
    #[must_use]
    pub const fn server_limits(&self) -> ServerLimits {
        ServerLimits {
            connections: self.limits.connections,
            connections_per_source: self.limits.connections_per_source,
        }
    }

    /// How often one sender may ask.
    #[must_use]
    pub const fn rate_limit(&self) -> RateLimit {
        RateLimit {
            burst: self.limits.request_burst,
            interval: core::time::Duration::from_millis(self.limits.request_interval_ms),
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for ServiceConfig {
    fn default() -> Self {
        let any = [
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, policy::PORT)),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, policy::PORT)),
        ];
        Self {
            own_certificate_days: 90,
            queue: 4_096,
            listen: any.map(|address| Listen { address, tcp: true, udp: true }).into(),
            limits: Limits::default(),
        }
    }
}

impl RootConfig {
    /// As a product file names it.
    #[must_use]
    pub fn root_key(&self) -> RootKey {
        RootKey { id: self.id, public_key: self.public_key.clone() }
    }

    pub(super) fn public_key(&self) -> Option<PublicKey> {
        files::from_hex(&self.public_key)?.try_into().ok().map(PublicKey)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.public_key().is_none() {
            return Err("public_key has 64 hexadecimal digits");
        }
        match (&self.file, &self.signer) {
            (Some(_), None) => Ok(()),
            (None, Some(command)) if !command.is_empty() => Ok(()),
            (None, Some(_)) => Err("signer has a program and its arguments"),
            _ => Err("either file or signer, please"),
        }
    }
}

const fn default_validity_days() -> u32 {
    AuthorityConfig::DEFAULT_VALIDITY_DAYS
}
