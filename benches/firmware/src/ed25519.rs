//! The implementation of Ed25519 that the images are built with.

#[cfg(not(feature = "salty"))]
pub use headcount::trust::VerifyingKey as Key;
#[cfg(feature = "salty")]
pub use salty_backend::SaltyKey as Key;

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
