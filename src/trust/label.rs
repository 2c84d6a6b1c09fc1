//! Labels: everything hashed, authenticated or signed begins with one and a zero byte (PROTOCOL 1), so
//! that bytes made for one purpose mean nothing for another.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

/// A label with its zero byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(&'static [u8]);

pub(super) const DIGEST: Label = Label(b"headcount/1/digest\0");
pub(super) const REQUEST: Label = Label(b"headcount/1/request\0");
pub(super) const RESPONSE: Label = Label(b"headcount/1/response\0");
pub(super) const CERTIFICATE: Label = Label(b"headcount/1/certificate\0");
pub(super) const ENROL_REQUEST: Label = Label(b"headcount/1/enrol-request\0");
pub(super) const ENROL_TAG: Label = Label(b"headcount/1/enrol-tag\0");
pub(super) const ENROL_RESPONSE: Label = Label(b"headcount/1/enrol-response\0");
pub(super) const PRODUCT_KEY: Label = Label(b"headcount/1/product-key\0");
pub(super) const KEY_SECRET: Label = Label(b"headcount/1/key-secret\0");
pub(super) const TAG_KEY: Label = Label(b"headcount/1/tag-key\0");
pub(super) const HOST_ID: Label = Label(b"headcount/1/host-id\0");
pub(super) const PRODUCT: Label = Label(b"headcount/1/product\0");
pub(super) const INSTALLATION: Label = Label(b"headcount/1/installation\0");
pub(super) const INSTALLATION_DIGEST: Label = Label(b"headcount/1/installation-digest\0");
pub(super) const CONFIRMATION: Label = Label(b"headcount/1/confirmation\0");
pub(super) const MACHINE: Label = Label(b"headcount/1/machine\0");
pub(super) const FINGERPRINT: Label = Label(b"headcount/1/fingerprint\0");

/// A label and a message in one piece, as signing and verifying need them.
pub(super) type Labelled = heapless::Vec<u8, LABELLED_LEN>;

/// The longest label (27 bytes) and the longest signed message (186 bytes).
const LABELLED_LEN: usize = 27 + crate::wire::SIGNED_LEN;
const _: () = assert!(ENROL_RESPONSE.0.len() + crate::wire::SIGNED_LEN == LABELLED_LEN);
const _: () = assert!(ENROL_REQUEST.0.len() + crate::wire::POSSESSION_LEN <= LABELLED_LEN);

impl Label {
    /// `H(label, parts in a row)`.
    pub(super) fn hash(self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        absorb(&mut hash, self.0);
        for part in parts {
            absorb(&mut hash, part);
        }
        hash.finalize().into()
    }

    /// The state of `MAC(key, label, ..)` before the message.
    pub(super) fn keyed(self, key: &[u8; 32]) -> Hmac<Sha256> {
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        // A key shorter than a block is padded with zeros (RFC 2104), so this is the same key,
        // and its length is in the type: no error to handle.
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        zeroize::Zeroize::zeroize(&mut block);
        mac.update(self.0);
        mac
    }

    /// `label || message` in one piece; `message` has at most 186 bytes.
    pub(super) fn with<const N: usize>(self, message: &[u8; N]) -> Labelled {
        const { assert!(N <= crate::wire::SIGNED_LEN) };
        let mut whole = Labelled::new();
        let fits = whole.extend_from_slice(self.0).and_then(|()| whole.extend_from_slice(message));
        debug_assert!(fits.is_ok(), "the capacity is that of the longest label and message");
        whole
    }
}

/// Not inlined: it is 100 bytes of code.
#[inline(never)]
fn absorb(hash: &mut Sha256, part: &[u8]) {
    hash.update(part);
}
