//! Product files: what a vendor says of a product, for hosts and clients alike.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::files::{self, FileError, Secrecy};
use super::host_search::parse_host;
use crate::authority::CatalogueProduct;
use crate::fingerprint::Matching;
use crate::time::Minutes;
use crate::trust::{ProductKey, Root};
use crate::wire::{
    ActivationId, ApplicationId, CountedId, Coverage, InvalidId, KeyKind, PublicKey, Validity,
};
use crate::{client, host};

/// Comment at the start of every product file.
pub const PRODUCT_FILE_HEADER: &str = "\
# A product, as its vendor defines it. Hosts and clients read the same file.
# The setup key keeps other vendors' requests out of the count: hand this file to hosts and ship it
# in the product, and do not publish it. A shipped product compiles it in: whoever can change the
# root keys below can make the client believe any host.

";

/// A product file (TOML).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductFile {
    /// Name, for people.
    pub name: String,
    /// The product.
    pub application_id: String,
    /// Its edition.
    pub activation_id: String,
    /// The pool it is counted in.
    pub counted_id: String,
    /// Product family.
    pub family: u16,
    /// Product group.
    pub rank: u8,
    /// Product generation.
    pub generation: u8,
    /// The count from which it is activated.
    pub threshold: NonZeroU32,
    /// Client setup key, the same in every unit.
    pub setup_key: String,
    /// Weights of the eight hardware components.
    #[serde(default = "default_weights")]
    pub weights: [u8; 8],
    /// Sum of the weights of components that may differ.
    #[serde(default = "default_tolerance")]
    pub tolerance: u16,
    /// How often the product may be rearmed by hand.
    #[serde(default = "default_rearms")]
    pub rearms: u8,
    /// The longest activation that is used, in minutes.
    #[serde(default = "default_validity")]
    pub maximum_validity_minutes: u32,
    /// Grace after the first start, in minutes.
    #[serde(default = "default_grace")]
    pub initial_grace_minutes: u32,
    /// Where the vendor's authority activates by key, `NAME` or `NAME:PORT`; a client's own
    /// configuration prevails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The vendor's root keys.
    pub roots: Vec<RootKey>,
}

/// A root key in a product file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootKey {
    /// The id by which certificates name it.
    pub id: u16,
    /// 32 bytes, hexadecimal.
    pub public_key: String,
}

const fn default_weights() -> [u8; 8] {
    Matching::DEFAULT.weights
}

const fn default_tolerance() -> u16 {
    Matching::DEFAULT.tolerance
}

const fn default_rearms() -> u8 {
    client::Limits::DEFAULT.rearms
}

const fn default_validity() -> u32 {
    crate::policy::VALIDITY.0
}

const fn default_grace() -> u32 {
    crate::policy::INITIAL_GRACE.0
}

/// The setup key is a secret, and so nobody's `Debug` shows it.
impl fmt::Debug for ProductFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProductFile")
            .field("name", &self.name)
            .field("application_id", &self.application_id)
            .field("activation_id", &self.activation_id)
            .field("counted_id", &self.counted_id)
            .finish_non_exhaustive()
    }
}

/// A product file whose fields have been understood.
struct Parsed {
    ids: (ApplicationId, ActivationId, CountedId),
    setup_key: ProductKey,
}

impl ProductFile {
    /// Reads a file and checks every field.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let file: Self = files::read_toml(path)?;
        let understood = file.parsed().and_then(|_| file.roots().map(|_| ()));
        understood.map_err(|reason| FileError::new(path, "cannot understand", reason))?;
        Ok(file)
    }

    /// Writes the file, readable by its owner alone: it holds the setup key.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        files::write_toml(path, PRODUCT_FILE_HEADER, self, Secrecy::Secret)
    }

    /// The root keys, ready to verify with.
    pub fn roots(&self) -> Result<Vec<Root>, String> {
        if self.roots.is_empty() {
            return Err("no root key: nothing could be believed".into());
        }
        self.roots.iter().map(RootKey::root).collect()
    }

    /// Its place in the vendor's catalogue.
    #[must_use]
    pub const fn coverage(&self) -> Coverage {
        Coverage { family: self.family, rank: self.rank, generation: self.generation }
    }

    /// The rule of which fingerprints are of one machine.
    #[must_use]
    pub const fn matching(&self) -> Matching {
        Matching { weights: self.weights, tolerance: self.tolerance }
    }

    /// The product as a client knows it.
    pub fn for_client<'a>(&self, roots: &'a [Root]) -> Result<client::Product<'a>, String> {
        let Parsed { ids, setup_key } = self.parsed()?;
        Ok(client::Product {
            application_id: ids.0,
            activation_id: ids.1,
            counted_id: ids.2,
            coverage: self.coverage(),
            required_count: self.threshold,
            matching: self.matching(),
            key_id: setup_key.key_id(),
            tag_key: setup_key.tag_key(),
            roots,
            limits: client::Limits {
                maximum_validity: Validity::For(Minutes(self.maximum_validity_minutes)),
                initial_grace: Minutes(self.initial_grace_minutes),
                rearms: self.rearms,
                ..client::Limits::DEFAULT
            },
        })
    }

    /// The product as a host knows it, the pool it belongs to, and its setup key.
    pub fn for_host(&self) -> Result<(CountedId, host::Product, ProductKey), String> {
        let Parsed { ids, setup_key } = self.parsed()?;
        let product = host::Product {
            application_id: ids.0,
            activation_id: ids.1,
            coverage: self.coverage(),
        };
        Ok((ids.2, product, setup_key))
    }

    /// The product as the authority knows it.
    pub fn for_authority(&self) -> Result<CatalogueProduct, String> {
        let Parsed { ids, .. } = self.parsed()?;
        Ok(CatalogueProduct {
            application_id: ids.0,
            activation_id: ids.1,
            coverage: self.coverage(),
            matching: self.matching(),
        })
    }

    fn parsed(&self) -> Result<Parsed, String> {
        let ids = (
            parse_id("application_id", &self.application_id)?,
            parse_id("activation_id", &self.activation_id)?,
            parse_id("counted_id", &self.counted_id)?,
        );
        let setup_key = ProductKey::from_text(&self.setup_key)
            .map_err(|error| std::format!("setup_key: {error}"))?;
        if setup_key.kind() != KeyKind::ClientSetup {
            return Err("setup_key: this is another kind of product key".into());
        }
        if let Some(authority) = &self.authority {
            parse_host(authority).map_err(|error| std::format!("authority: {error}"))?;
        }
        if self.maximum_validity_minutes == u32::MAX {
            return Err("maximum_validity_minutes: too large".to_string());
        }
        Ok(Parsed { ids, setup_key })
    }
}

fn parse_id<T: FromStr<Err = InvalidId>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| std::format!("{name} \"{text}\": {error}"))
}

impl RootKey {
    /// A root key as a product file holds it.
    #[must_use]
    pub fn new(id: u16, key: &PublicKey) -> Self {
        Self { id, public_key: files::to_hex(&key.0) }
    }

    fn root(&self) -> Result<Root, String> {
        let bytes = files::from_hex(&self.public_key).and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or("root public_key: not 64 hexadecimal digits")?;
        Root::new(self.id, &PublicKey(bytes))
            .map_err(|error| std::format!("root {}: {error}", self.id))
    }
}
