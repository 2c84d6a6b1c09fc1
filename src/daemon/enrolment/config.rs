//! The `[enrolment]` of `host.toml`: who enrols this host on line, and whether by itself.

use std::string::String;

use serde::{Deserialize, Serialize};

use crate::daemon::{ProductFile, Transport, parse_host};
use crate::discovery::Host;

/// Enrolment on line (PROTOCOL 6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnrolmentConfig {
    /// The vendor's authority, `NAME` or `NAME:PORT`; when absent, the one that a product file names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// How it is asked.
    pub transport: Transport,
    /// Whether a host that runs enrols again by itself before its certificate ends; when absent, it
    /// does if `authority` is there. So nothing is sent to anybody whom this file does not name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew: Option<bool>,
}

impl Default for EnrolmentConfig {
    fn default() -> Self {
        Self { authority: None, transport: Transport::Tcp, renew: None }
    }
}

impl EnrolmentConfig {
    /// Whether nothing was configured.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the host enrols again by itself.
    #[must_use]
    pub fn renews(&self) -> bool {
        self.renew.unwrap_or(self.authority.is_some())
    }

    /// Where the authority is: as this file says, else the first product file that says it.
    ///
    /// # Errors
    ///
    /// What is named is no host. The text says so.
    pub fn place(&self, products: &[ProductFile]) -> Result<Option<Host>, String> {
        let named = products.iter().find_map(|product| product.authority.as_deref());
        self.authority.as_deref().or(named).map(parse_host).transpose()
    }

    /// What is wrong, with the key's name.
    pub(in crate::daemon) fn check(&self) -> Result<(), String> {
        let place = self.authority.as_deref().map(parse_host).transpose();
        place.map_err(|reason| std::format!("enrolment.authority: {reason}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_an_authority_wants_to_be_renewed() {
        let read = |text| toml::from_str::<EnrolmentConfig>(text).unwrap();
        assert!(!read("").renews());
        assert!(read("authority = \"vendor.example\"").renews());
        assert!(!read("authority = \"vendor.example\"\nrenew = false").renews());
        assert!(read("renew = true").renews());
        assert_eq!(read(""), EnrolmentConfig::default());
    }

    #[test]
    fn a_place_that_is_none_is_named() {
        let config = EnrolmentConfig { authority: Some("a b:9".into()), ..Default::default() };
        assert!(config.check().unwrap_err().contains("enrolment.authority"));
    }
}
