//! What a client takes from the crypto crates, called directly: two strict verifications, the second
//! with a key that must be decoded first, a digest, and a tag.
#![no_std]
#![no_main]

use core::hint::black_box;

use headcount_firmware::ed25519::Bare;
use headcount_firmware::{board, exchange};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

#[cortex_m_rt::entry]
fn main() -> ! {
    let request = black_box(&exchange::REQUEST);
    let digest: [u8; 32] =
        Sha256::new_with_prefix(b"headcount/1/digest\0").chain_update(request).finalize().into();
    let mut mac = Hmac::<Sha256>::new(black_box(&[3; 64].into()));
    mac.update(request);
    let tag: [u8; 32] = mac.finalize().into_bytes().into();
    let genuine = verify(black_box(&exchange::ROOT_KEY), &digest)
        || verify(black_box(&exchange::HOST_KEY), &tag);
    // Nobody signed these.
    board::exit(!genuine)
}

#[inline(never)]
fn verify(key: &[u8; 32], message: &[u8; 32]) -> bool {
    Bare::new(key).is_some_and(|key| key.verify(message, black_box(&[7; 64])).is_some())
}
