//! Product keys, what is derived from them, and what they are derived from (PROTOCOL 7).

use core::fmt;

use hmac::Mac;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::label;
use crate::wire::{InvalidKeyText, KeyId, KeyKind, KeyText, UncheckedKey};

/// A product key whose check bits fit. Secrets are compared in constant time.
#[derive(Clone)]
pub struct ProductKey(UncheckedKey);

impl ProductKey {
    /// Reads a text: case is ignored, `I` and `L` are read as 1 and `O` as 0, hyphens and spaces
    /// are skipped.
    pub fn from_text(text: &str) -> Result<Self, InvalidKeyText> {
        let key = UncheckedKey::from_text(text)?;
        if key.check == check(&key) { Ok(Self(key)) } else { Err(InvalidKeyText::Check) }
    }

    /// Writes the text, in upper case with hyphens.
    #[must_use]
    pub fn to_text(&self) -> KeyText {
        self.0.to_text()
    }

    /// What the key is for.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// Its number, which requests name.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.0.key_id
    }

    /// The key that tags requests made with this product key.
    #[must_use]
    pub fn tag_key(&self) -> TagKey {
        let Self(UncheckedKey { kind, key_id, secret, .. }) = self;
        TagKey(label::TAG_KEY.hash(&[&[*kind as u8], &key_id.0.to_be_bytes(), secret]))
    }
}

fn check(key: &UncheckedKey) -> u32 {
    let input = Zeroizing::new(key.check_input());
    UncheckedKey::check_from_digest(&label::PRODUCT_KEY.hash(&[&*input]))
}

/// The check bits follow from the rest.
impl PartialEq for ProductKey {
    fn eq(&self, other: &Self) -> bool {
        let same_name = self.kind() == other.kind() && self.key_id() == other.key_id();
        same_name && bool::from(self.0.secret.ct_eq(&other.0.secret))
    }
}

impl Eq for ProductKey {}

impl fmt::Debug for ProductKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The secret that keys the tags of requests. A host holds this, not the product key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TagKey([u8; 32]);

impl TagKey {
    /// From its 32 bytes, as a host's configuration or an enrolled store holds them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 secret bytes, to be stored where only the host reads.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In constant time.
impl PartialEq for TagKey {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.0.ct_eq(&other.0))
    }
}

impl Eq for TagKey {}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

/// The authority's master key, from which the secrets of all product keys are derived, so that
/// none is stored.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// From its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The product key of a kind and number. The same call always gives the same key.
    #[must_use]
    pub fn product_key(&self, kind: KeyKind, key_id: KeyId) -> ProductKey {
        let mut mac = label::KEY_SECRET.keyed(&self.0);
        mac.update(&[kind as u8]);
        mac.update(&key_id.0.to_be_bytes());
        let digest = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        let (secret, _) = digest.split_first_chunk::<9>().unwrap_or((&[0; 9], &[]));
        let mut key = UncheckedKey { kind, key_id, secret: *secret, check: 0 };
        key.check = check(&key);
        ProductKey(key)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}
