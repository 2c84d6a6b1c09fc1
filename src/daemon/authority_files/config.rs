//! `authority.toml`: what a vendor decides once.

use std::string::String;

use serde::{Deserialize, Serialize};

/// `authority.toml`: what a vendor decides once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityConfig {
    /// The id by which certificates and products name the root key.
    pub root_id: u16,
    /// The root key's public half, hexadecimal.
    pub root_public_key: String,
    /// How long a host's certificate lasts.
    #[serde(default = "default_validity_days")]
    pub certificate_validity_days: u32,
    /// How far a host's clock may be from the authority's when it enrols. Leave it out where
    /// requests are carried by hand: the time in them is as old as their journey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_clock_skew_minutes: Option<u32>,
}

impl AuthorityConfig {
    /// Ten years: a host that is never looked after again serves its site's life.
    pub const DEFAULT_VALIDITY_DAYS: u32 = 3_650;
}

const fn default_validity_days() -> u32 {
    AuthorityConfig::DEFAULT_VALIDITY_DAYS
}
