//! The hash behind tables whose entries strangers choose.

use siphasher::sip::SipHasher13;

/// SipHash-1-3 of sixteen bytes. Whoever does not know the key cannot choose bytes that collide.
///
/// Not inlined: it is 700 bytes of code on a 32-bit processor, and called in many places.
#[inline(never)]
pub(crate) fn keyed_hash(key: &[u8; 16], bytes: &[u8; 16]) -> u64 {
    SipHasher13::new_with_key(key).hash(bytes)
}
