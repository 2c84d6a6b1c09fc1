//! What a client's administrator says of its hosts, as the core's discovery takes it.

use std::borrow::ToOwned;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::exchange::Transport;
use crate::discovery::{
    Barred, DomainName, Host, HostName, Proto, Redirect, Settings, Trusted, redirected,
};
use crate::wire::HostId;

/// The `[trusted]` of a client: with it, hosts that are not named here are neither asked nor believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustedHosts {
    /// Names or addresses, as they are after redirections; empty for any.
    pub names: Vec<String>,
    /// Host ids of 35 digits; empty for any.
    pub ids: Vec<String>,
}

/// The hosts of a client and where to look for them, checked.
#[derive(Clone, Debug)]
pub struct HostSearch {
    /// Hosts set by hand, which switch the rest off.
    pub hosts: Vec<Host>,
    /// Domains to look in.
    pub domains: Vec<DomainName>,
    /// The label of the service.
    pub service: String,
    /// How hosts are asked.
    pub transport: Transport,
    /// Whether to keep what was found.
    pub caching: bool,
    redirects: Vec<Redirect>,
    trusted_names: Vec<HostName>,
    trusted_ids: Vec<HostId>,
}

impl HostSearch {
    /// Nothing set, as in a configuration that says nothing.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self {
            hosts: Vec::new(),
            domains: Vec::new(),
            service: crate::discovery::SERVICE.into(),
            transport,
            caching: true,
            redirects: Vec::new(),
            trusted_names: Vec::new(),
            trusted_ids: Vec::new(),
        }
    }

    /// Sets the redirections.
    ///
    /// # Errors
    ///
    /// What is no name, or which of them leads nowhere, for people.
    pub fn set_redirects(&mut self, redirects: &BTreeMap<String, String>) -> Result<(), String> {
        let redirects = redirects
            .iter()
            .map(|(from, to)| Ok(Redirect { from: host_name(from)?, to: host_name(to)? }));
        self.redirects = redirects.collect::<Result<_, String>>()?;
        for Redirect { from, .. } in &self.redirects {
            redirected(from, &self.redirects)
                .map_err(|error| std::format!("the redirection of {from}: {error}"))?;
        }
        Ok(())
    }

    /// Sets the trusted hosts.
    ///
    /// # Errors
    ///
    /// What is no name and no host id, or that there is neither, for people.
    pub fn set_trusted(&mut self, trusted: &TrustedHosts) -> Result<(), String> {
        let TrustedHosts { names, ids } = trusted;
        // It would read as "nobody" and mean "everybody".
        if names.is_empty() && ids.is_empty() {
            return Err("[trusted] needs names or ids; without both, leave it out".into());
        }
        self.trusted_names = names.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?;
        let id = |text: &String| {
            text.parse().map_err(|error| std::format!("\"{text}\" is no host id: {error}"))
        };
        self.trusted_ids = ids.iter().map(id).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The name at which a host is asked: its own, or what its redirections lead to.
    ///
    /// # Errors
    ///
    /// It may not be asked.
    pub fn asked_as<'n>(&'n self, name: &'n HostName) -> Result<&'n HostName, Barred> {
        self.settings().name_to_ask(name)
    }

    /// The same as a [`Finder`](crate::discovery::Finder) takes it.
    #[must_use]
    pub fn settings(&self) -> Settings<'_> {
        Settings {
            hosts: &self.hosts,
            domains: &self.domains,
            service: &self.service,
            proto: self.transport.into(),
            redirects: &self.redirects,
            trusted: Trusted { names: &self.trusted_names, ids: &self.trusted_ids },
            caching: self.caching,
        }
    }
}

impl From<Transport> for Proto {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self::Tcp,
            Transport::Udp => Self::Udp,
        }
    }
}

/// A host as people name it.
///
/// # Errors
///
/// It is none. The text says so.
pub fn parse_host(text: &str) -> Result<Host, String> {
    text.parse().map_err(|invalid| std::format!("\"{text}\" is no host: {invalid}"))
}

/// A domain as people name it.
///
/// # Errors
///
/// It is none. The text says so.
pub fn parse_domain(text: &str) -> Result<DomainName, String> {
    match text.parse::<DomainName>() {
        Ok(domain) if domain.is_root() => Err("\".\" is no domain with hosts".to_owned()),
        Ok(domain) => Ok(domain),
        Err(invalid) => Err(std::format!("\"{text}\" is no domain: {invalid}")),
    }
}

fn host_name(text: &str) -> Result<HostName, String> {
    text.parse().map_err(|invalid: crate::discovery::InvalidDomainName| {
        std::format!("\"{text}\" is no name or address: {invalid}")
    })
}
