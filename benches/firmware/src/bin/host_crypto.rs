//! What a host takes from the crypto crates, called directly: a signature, a digest, and a tag.
#![no_std]
#![no_main]

use core::hint::black_box;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use headcount_firmware::{board, exchange, vendor};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};

#[cortex_m_rt::entry]
fn main() -> ! {
    let request = black_box(&exchange::REQUEST);
    let digest: [u8; 32] =
        Sha256::new_with_prefix(b"headcount/1/digest\0").chain_update(request).finalize().into();
    let mut mac = Hmac::<Sha256>::new(black_box(&[3; 64].into()));
    mac.update(request);
    let tag: [u8; 32] = mac.finalize().into_bytes().into();
    let secret = ExpandedSecretKey::from(black_box(&vendor::HOST_SEED));
    let public = VerifyingKey::from(&secret);
    let first = raw_sign::<Sha512>(&secret, &digest, &public).to_bytes();
    let second = raw_sign::<Sha512>(&secret, &tag, &public).to_bytes();
    board::exit(first != second)
}
