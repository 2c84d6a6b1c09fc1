//! Signing with Ed25519, behind a trait (RFC 8032).

use core::convert::Infallible;
use core::fmt;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use sha2::Sha512;
use zeroize::Zeroizing;

use super::label::{self, Label};
use crate::wire::{Certificate, Claims, PublicKey, Signature};

/// Something that signs with an Ed25519 key: this crate's [`SigningKey`], a secure element, an HSM
/// or a faster library.
pub trait Signer {
    /// Why signing failed; [`Infallible`] for a key in memory.
    type Error: fmt::Debug;

    /// The public key that verifies what [`sign`](Self::sign) makes.
    fn public_key(&self) -> PublicKey;

    /// Signs `message` as it is (at most 213 bytes; labels are already in it).
    fn sign(&self, message: &[u8]) -> Result<Signature, Self::Error>;
}

impl<S: Signer> Signer for &S {
    type Error = S::Error;

    fn public_key(&self) -> PublicKey {
        S::public_key(self)
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Self::Error> {
        S::sign(self, message)
    }
}

/// An Ed25519 key in memory, expanded once so that signatures do not repeat it. Wiped when dropped.
pub struct SigningKey {
    expanded: ExpandedSecretKey,
    public: VerifyingKey,
}

impl SigningKey {
    /// From the 32 secret bytes of RFC 8032, which must be random and kept secret.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let expanded = ExpandedSecretKey::from(seed);
        let public = VerifyingKey::from(&expanded);
        Self { expanded, public }
    }

    /// A new key, and its seed to be stored where only the owner reads.
    pub fn generate(rng: &mut impl rand_core::CryptoRng) -> (Self, Zeroizing<[u8; 32]>) {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        (Self::from_seed(&seed), seed)
    }
}

impl Signer for SigningKey {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        PublicKey(self.public.to_bytes())
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Infallible> {
        Ok(Signature(raw_sign::<Sha512>(&self.expanded, message, &self.public).to_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, secret hidden)", self.public_key())
    }
}

/// Makes a certificate: the root key signs the claims (PROTOCOL 4).
pub fn sign_certificate<S: Signer>(claims: &Claims, root: &S) -> Result<Certificate, S::Error> {
    let signature = sign_labelled(label::CERTIFICATE, &claims.emit(), root)?;
    Ok(Certificate { claims: *claims, signature })
}

pub(super) fn sign_labelled<S: Signer, const N: usize>(
    label: Label,
    message: &[u8; N],
    signer: &S,
) -> Result<Signature, S::Error> {
    signer.sign(&label.with(message))
}
