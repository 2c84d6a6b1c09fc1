//! The implementation of Ed25519 that the images are built with.

use core::convert::Infallible;

use headcount::trust::Signer;
use headcount::wire::{PublicKey, Signature};

#[cfg(not(any(feature = "salty", feature = "no-panic")))]
pub use headcount::trust::VerifyingKey as Key;

#[cfg(feature = "no-panic")]
pub use stand_in::Key;

/// The appliance's own, which only its own crate can name.
#[cfg(feature = "salty")]
#[derive(Clone, Debug)]
pub struct Key(salty_backend::SaltyKey);

#[cfg(feature = "salty")]
impl headcount::trust::Verifier for Key {
    fn from_public_key(key: &PublicKey) -> Option<Self> {
        salty_backend::SaltyKey::from_public_key(key).map(Self)
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        self.0.verify(message, signature)
    }
}

#[cfg(feature = "salty")]
#[path = "../../../examples/appliance/src/salty_backend.rs"]
mod salty_backend;

/// A bare verification by that implementation, as strict as its plain call is.
pub struct Bare(
    #[cfg(not(feature = "salty"))] ed25519_dalek::VerifyingKey,
    #[cfg(feature = "salty")] salty::PublicKey,
);

impl Bare {
    /// Decodes a public key.
    pub fn new(key: &[u8; 32]) -> Option<Self> {
        #[cfg(not(feature = "salty"))]
        let key = ed25519_dalek::VerifyingKey::from_bytes(key);
        #[cfg(feature = "salty")]
        let key = salty::PublicKey::try_from(key);
        key.ok().map(Self)
    }

    /// Verifies a signature.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Option<()> {
        #[cfg(not(feature = "salty"))]
        let verified =
            self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature));
        #[cfg(feature = "salty")]
        let verified = self.0.verify(message, &salty::Signature::from(signature));
        verified.ok()
    }
}

/// Signs by writing the same signature under everything.
pub struct NoSigner;

impl Signer for NoSigner {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        PublicKey([7; 32])
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, Infallible> {
        Ok(Signature([7; 64]))
    }
}

#[cfg(feature = "no-panic")]
mod stand_in {
    use headcount::trust::Verifier;
    use headcount::wire::{PublicKey, Signature};

    /// Believes every signature.
    #[derive(Clone, Debug)]
    pub struct Key;

    impl Verifier for Key {
        fn from_public_key(_: &PublicKey) -> Option<Self> {
            Some(Self)
        }

        fn verify(&self, message: &[u8], _: &Signature) -> bool {
            !core::hint::black_box(message).is_empty()
        }
    }
}
