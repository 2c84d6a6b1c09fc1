//! What makes the numbers that are told by phone believable (PROTOCOL 14). What they look like is
//! [`phone`](crate::phone)'s business.

use hmac::Mac;
use subtle::ConstantTimeEq;

use super::sign::{Signer, sign_labelled};
use super::verify::{Root, Verifier};
use super::{TagKey, label};
use crate::cursor::part;
use crate::wire::{ActivationId, ApplicationId, Digest, Signature};

/// The first bits of it are the tag of an installation id.
pub(crate) fn installation_tag(key: &TagKey, tagged: &[u8]) -> [u8; 32] {
    let mut mac = label::INSTALLATION.keyed(key.expose());
    mac.update(tagged);
    mac.finalize().into_bytes().into()
}

/// Compares two installation ids, which differ in their tags at most, in constant time.
pub(crate) fn is_same_installation(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// By which the authority's records know an installation id again.
pub(crate) fn installation_digest(id: &[u8]) -> Digest {
    Digest(label::INSTALLATION_DIGEST.hash(&[id]))
}

/// By which an installation id names the product.
pub(crate) fn product_digest(
    application_id: ApplicationId,
    activation_id: ActivationId,
) -> [u8; 3] {
    *part::<0, _, _>(&label::PRODUCT.hash(&[&application_id.0, &activation_id.0]))
}

/// The root key confirms a machine's installation id.
pub(crate) fn sign_confirmation<S: Signer>(id: &[u8; 33], root: &S) -> Result<Signature, S::Error> {
    sign_labelled(label::CONFIRMATION, id, root)
}

/// The id of the root key that has confirmed an installation id, if one has.
pub(crate) fn confirming_root<V: Verifier>(
    id: &[u8; 33],
    signature: &Signature,
    roots: &[Root<V>],
) -> Option<u16> {
    let confirms = |root: &&Root<V>| root.verify(label::CONFIRMATION, id, signature);
    roots.iter().find(confirms).map(Root::id)
}
