//! Verification by the crate `salty`: less than half the flash and stack of the default
//! implementation, for two and a half times the work. The roots choose it:
//!
//! ```ignore
//! let roots = [Root::<SaltyKey>::with_verifier(1, &ROOT_KEY)?];
//! let product = Product { roots: &roots, .. };
//! ```

use headcount::trust::Verifier;
use headcount::wire::{PublicKey, Signature};

/// A public key unpacked by `salty`. It brings the equation only; what makes verification strict
/// is checked by headcount before it asks.
#[derive(Clone, Debug)]
pub(crate) struct SaltyKey(salty::PublicKey);

impl Verifier for SaltyKey {
    fn from_public_key(key: &PublicKey) -> Option<Self> {
        salty::PublicKey::try_from(&key.0).ok().map(Self)
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        self.0.verify(message, &salty::Signature::from(&signature.0)).is_ok()
    }
}
