//! Verifying with Ed25519: strictly (RFC 8032, PROTOCOL 1), behind a trait.
//!
//! What strictness adds to the bare equation is checked here, on the encodings, before an
//! implementation is asked. So it holds for every implementation, and the equation is all that one
//! has to bring.

use core::fmt;

use super::encoding;
use super::label::Label;
use crate::wire::{self, PublicKey, Signature};

/// An Ed25519 public key made ready to verify with, by some implementation: [`VerifyingKey`] unless
/// another one is named, or a smaller library, an accelerator, a secure element that is reached
/// through a global.
///
/// Whatever has a type parameter for it (roots, product, client) is used without naming the
/// parameter where [`VerifyingKey`] will do. Another implementation comes in with
/// [`Root::with_verifier`]; the rest follows from the type of the roots, and then
/// [`VerifyingKey`] is not linked.
///
/// An implementation that prepares nothing keeps the 32 bytes of the public key. What it must do
/// is little:
///
/// - It may take for granted, whenever this crate calls it, that the public key and `R` are
///   canonical encodings, not of small order, and that `S` is below the group order.
/// - It must refuse bytes that are no point of the curve: by returning `None`, or from every call
///   of [`verify`](Self::verify).
/// - It must check the equation without the cofactor, as RFC 8032 allows and most libraries do:
///   the encoding of `[S]B - [k]A` is compared with the bytes of `R`. With the cofactor,
///   signatures would pass that others refuse.
///
/// [`check_verifier`](super::check_verifier) tells whether it does.
pub trait Verifier: Clone + fmt::Debug {
    /// Unpacks a public key; `None` when it is no point of the curve.
    fn from_public_key(key: &PublicKey) -> Option<Self>;

    /// Whether the key's owner signed `message` as it is (at most 213 bytes; labels are already in
    /// it).
    fn verify(&self, message: &[u8], signature: &Signature) -> bool;
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

/// A public key that passed the strict checks. The only way to an implementation's `verify`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StrictKey<V>(V);

impl<V: Verifier> StrictKey<V> {
    pub(super) fn new(key: &PublicKey) -> Result<Self, WeakKey> {
        if !encoding::is_strict_point(&key.0) {
            return Err(WeakKey);
        }
        V::from_public_key(key).map(Self).ok_or(WeakKey)
    }

    /// Strict verification of what was signed under a label.
    pub(super) fn verify<const N: usize>(
        &self,
        label: Label,
        message: &[u8; N],
        signature: &Signature,
    ) -> bool {
        self.verify_whole(&label.with(message), signature)
    }

    pub(super) fn verify_whole(&self, message: &[u8], signature: &Signature) -> bool {
        let (r, s): (&[u8; 32], &[u8; 32]) = wire::split(&signature.0);
        encoding::is_strict_point(r)
            && encoding::is_canonical_scalar(s)
            && self.0.verify(message, signature)
    }
}

/// One of the vendor's root keys, as it is compiled into or fused into a product. It must never
/// come from anything that the licensee can change.
#[derive(Clone, Copy, Debug)]
pub struct Root<V = VerifyingKey> {
    id: u16,
    key: StrictKey<V>,
}

impl Root {
    /// A root key with the id by which certificates name it.
    pub fn new(id: u16, key: &PublicKey) -> Result<Self, WeakKey> {
        Self::with_verifier(id, key)
    }
}

impl<V: Verifier> Root<V> {
    /// The same with another implementation of Ed25519, which is then used for all that this root
    /// vouches for.
    pub fn with_verifier(id: u16, key: &PublicKey) -> Result<Self, WeakKey> {
        Ok(Self { id, key: StrictKey::new(key)? })
    }
}

impl<V> Root<V> {
    /// The id.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Whether this root key signed a message under a label.
    pub(super) fn verify<const N: usize>(
        &self,
        label: Label,
        message: &[u8; N],
        signature: &Signature,
    ) -> bool
    where
        V: Verifier,
    {
        self.key.verify(label, message, signature)
    }

    /// The root of an id.
    pub(super) fn find(roots: &[Self], id: u16) -> Option<&StrictKey<V>> {
        roots.iter().find(|root| root.id == id).map(|root| &root.key)
    }
}

/// A public key unpacked by ed25519-dalek, the default implementation.
#[derive(Clone, Copy)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl Verifier for VerifyingKey {
    fn from_public_key(key: &PublicKey) -> Option<Self> {
        ed25519_dalek::VerifyingKey::from_bytes(&key.0).ok().map(Self)
    }

    /// The library's `verify_strict` would do again what is checked before, and decode `R` for it.
    fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        ed25519_dalek::Verifier::verify(&self.0, message, &signature).is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:?})", PublicKey(self.0.to_bytes()))
    }
}
