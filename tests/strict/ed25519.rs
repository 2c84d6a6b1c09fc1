//! Ed25519 taken apart, to make what no honest signer makes.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::{Scalar, constants};
use ed25519_dalek::hazmat::ExpandedSecretKey;
use headcount::wire::{PublicKey, SIGNATURE_LEN, Signature};
use sha2::{Digest as _, Sha512};

/// The secret scalar of a seed.
pub(crate) fn secret(seed: [u8; 32]) -> Scalar {
    ExpandedSecretKey::from(&seed).scalar
}

/// `scalar · B`.
pub(crate) fn times_base(scalar: Scalar) -> EdwardsPoint {
    scalar * constants::ED25519_BASEPOINT_POINT
}

/// `H(R, A, M)`.
pub(crate) fn challenge(r: &[u8; 32], key: &PublicKey, message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key.0).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// A signature of these two halves.
pub(crate) fn join(r: [u8; 32], s: [u8; 32]) -> Signature {
    let mut signature = [0; SIGNATURE_LEN];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    Signature(signature)
}

/// With any encoding for `R`, and what its author says is its logarithm: `S = nonce + k · secret`.
pub(crate) fn sign_with(
    secret: Scalar,
    key: &PublicKey,
    nonce: Scalar,
    r: [u8; 32],
    message: &[u8],
) -> Signature {
    join(r, (nonce + challenge(&r, key, message) * secret).to_bytes())
}

/// The eight points of small order in every encoding: canonical, `y + p`, and with a sign bit that
/// `x = 0` cannot have.
pub(crate) fn small_order_encodings() -> Vec<[u8; 32]> {
    let canonical = EIGHT_TORSION.map(|point| point.compress().0);
    let mut all = canonical.to_vec();
    for encoding in canonical {
        let y_low = encoding[1..31].iter().all(|byte| *byte == 0) && encoding[31] << 1 == 0;
        if y_low {
            let mut shifted = [0xff; 32];
            shifted[0] = encoding[0] + 0xed;
            shifted[31] = encoding[31] | 0x7f;
            all.push(shifted);
        }
    }
    let flipped = all.clone().into_iter().map(|mut encoding| {
        encoding[31] ^= 0x80;
        encoding
    });
    all.extend(flipped);
    all
}

/// Adds the group order to the scalar that ends at the end of `bytes`: the same signature
/// mathematically, in other bytes.
pub(crate) fn add_order(bytes: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let start = bytes.len() - 32;
    let mut carry = 0;
    for (byte, order) in bytes[start..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
}
