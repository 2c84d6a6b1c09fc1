//! The vendor's root keys, wherever they are.

use core::fmt;

use super::signer_process::{SignerError, SignerProcess};
use crate::trust::{Signer, SigningKey};
use crate::wire::{PublicKey, Signature};

/// A root key with the id by which products know it.
#[derive(Debug)]
pub struct AuthorityRoot {
    /// The id.
    pub id: u16,
    /// The key.
    pub signer: RootSigner,
}

/// Where a root key is.
pub enum RootSigner {
    /// In this process, read from a file.
    Key(SigningKey),
    /// In a process of its own.
    Process(SignerProcess),
}

impl RootSigner {
    /// Whether it can sign, as far as can be known without signing: a process runs and has the
    /// right key.
    pub fn check(&self) -> Result<(), SignerError> {
        match self {
            Self::Key(_) => Ok(()),
            Self::Process(process) => process.check(),
        }
    }
}

impl RootSigner {
    /// Whether it signs without waiting for anybody.
    pub(super) const fn is_here(&self) -> bool {
        matches!(self, Self::Key(_))
    }
}

impl Signer for RootSigner {
    type Error = SignerError;

    fn public_key(&self) -> PublicKey {
        match self {
            Self::Key(key) => key.public_key(),
            Self::Process(process) => process.public_key(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        match self {
            Self::Key(key) => key.sign(message).map_err(|never| match never {}),
            Self::Process(process) => process.sign(message),
        }
    }
}

impl fmt::Debug for RootSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Process(process) => process.fmt(f),
        }
    }
}
