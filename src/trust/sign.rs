//! Ed25519 keys: signing behind a trait, verifying strictly (RFC 8032, PROTOCOL 1).

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

/// The bytes are no usable public key: no point of the curve, not its canonical encoding, or a
/// point of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WeakKey;

impl fmt::Display for WeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a usable Ed25519 public key")
    }
}

impl core::error::Error for WeakKey {}

/// One of the vendor's root keys, as it is compiled into or fused into a product. It must never
/// come from anything that the licensee can change.
#[derive(Clone, Copy)]
pub struct Root {
    id: u16,
    key: Verifier,
}

impl Root {
    /// A root key with the id by which certificates name it.
    pub fn new(id: u16, key: &PublicKey) -> Result<Self, WeakKey> {
        Ok(Self { id, key: Verifier::new(key)? })
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// The root of an id.
    pub(super) fn find(roots: &[Self], id: u16) -> Option<&Verifier> {
        roots.iter().find(|root| root.id == id).map(|root| &root.key)
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({}, {:?})", self.id, PublicKey(self.key.0.to_bytes()))
    }
}

/// A public key checked and unpacked, ready to verify with.
#[derive(Clone, Copy)]
pub(super) struct Verifier(VerifyingKey);

impl Verifier {
    pub(super) fn new(key: &PublicKey) -> Result<Self, WeakKey> {
        if !is_canonical(&key.0) {
            return Err(WeakKey);
        }
        match VerifyingKey::from_bytes(&key.0) {
            Ok(verifying) if !verifying.is_weak() => Ok(Self(verifying)),
            _ => Err(WeakKey),
        }
    }

    /// Strict verification: also `S` and `R` must be canonical and `R` not of small order.
    pub(super) fn verify<const N: usize>(
        &self,
        label: Label,
        message: &[u8; N],
        signature: &Signature,
    ) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(&label.with(message), &signature).is_ok()
    }
}

/// Whether the y coordinate is below 2^255 - 19. The library reduces it silently, so two encodings
/// of one key would pass. (The other non-canonical form, a sign bit on x = 0, is only possible
/// for points of small order, which are refused anyway.)
fn is_canonical(key: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = key;
    let largest = last & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    !(largest && *first >= 0xed)
}
