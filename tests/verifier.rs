//! The cases for implementations of Ed25519: that they are what they say, that the default passes
//! them, and that they find the faults that implementations have.

use curve25519_dalek::Scalar;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity;
use headcount::trust::{
    Misjudged, Signer, SigningKey, VERIFIER_CASES, Verifier, VerifyingKey, check_verifier,
};
use headcount::wire::{PublicKey, Signature};

use self::ed25519::{add_order, join, secret, sign_with, times_base};

#[path = "strict/ed25519.rs"]
mod ed25519;

const MESSAGE: &[u8] = b"headcount";

/// A case as it is made from its description: key, message, signature, valid.
type Made = (PublicKey, Vec<u8>, Signature, bool);

fn honest(seed: [u8; 32], message: &[u8]) -> Made {
    let key = SigningKey::from_seed(&seed);
    let Ok(signature) = key.sign(message);
    (key.public_key(), message.to_vec(), signature, true)
}

/// With secrets that are small numbers: a key and an `R` with components of small order, and a
/// nonce for which the components cancel or do not.
fn mixed(torsion_of_key: usize, torsion_of_r: usize, cancels: bool) -> Made {
    let secret = Scalar::from(12_345_u32);
    let of_key = EIGHT_TORSION[torsion_of_key];
    let key = PublicKey((times_base(secret) + of_key).compress().0);
    let of_r = EIGHT_TORSION[torsion_of_r];
    for nonce in 1_u32.. {
        let nonce = Scalar::from(nonce);
        let r = times_base(nonce) + of_r;
        let signature = sign_with(secret, &key, nonce, r.compress().0, MESSAGE);
        // [S]B - [k]A is R without its component, less k times the key's.
        let k = ed25519::challenge(&r.compress().0, &key, MESSAGE);
        let of_result = -(k * of_key);
        if (of_result == of_r) == cancels {
            return (key, MESSAGE.to_vec(), signature, cancels);
        }
    }
    unreachable!("one in eight does")
}

/// Every case, made anew.
fn made(name: &str) -> Made {
    let good = honest([1; 32], MESSAGE);
    let (key, _, signature, _) = good;
    let refused = |key, signature| (key, MESSAGE.to_vec(), signature, false);
    let with_bit = |bit: usize| {
        let mut flipped = signature;
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        refused(key, flipped)
    };
    let identity = EIGHT_TORSION[0].compress().0;
    match name {
        "as usual" => good,
        "the longest message" => honest([2; 32], &[0x5a; 213]),
        "x of the key is odd" => {
            (1..=255).map(|n| honest([n; 32], MESSAGE)).find(|made| made.0.0[31] >= 0x80).unwrap()
        }
        "x of R is even" => {
            (1..=255).map(|n| honest([n; 32], MESSAGE)).find(|made| made.2.0[31] < 0x80).unwrap()
        }
        "another message" => (key, b"headcoumt".to_vec(), signature, false),
        "another R" => with_bit(0),
        "-R" => with_bit(255),
        "another S" => with_bit(256),
        "-A" => {
            let mut negative = key;
            negative.0[31] ^= 0x80;
            refused(negative, signature)
        }
        "A is no point" => {
            let mut y = [0; 32];
            y[0] = 2;
            refused(PublicKey(y), signature)
        }
        "A of large order with a component of order 8 that cancels" => mixed(1, 0, true),
        "the same where only the cofactor cancels it" => mixed(1, 0, false),
        "R with a component of order 8 that only the cofactor cancels" => mixed(0, 1, false),
        "S plus the group order" => {
            let mut malleated = signature;
            add_order(&mut malleated.0);
            refused(key, malleated)
        }
        "A is the neutral element" => {
            let nonce = Scalar::from(5_u32);
            let r = times_base(nonce).compress().0;
            refused(PublicKey(identity), join(r, nonce.to_bytes()))
        }
        "R is the neutral element" => {
            refused(key, sign_with(secret([1; 32]), &key, Scalar::ZERO, identity, MESSAGE))
        }
        "R is the neutral element, y not reduced" => {
            let mut r = [0xff; 32];
            (r[0], r[31]) = (0xee, 0x7f);
            refused(key, sign_with(secret([1; 32]), &key, Scalar::ZERO, r, MESSAGE))
        }
        other => panic!("nobody knows how {other:?} is made"),
    }
}

#[test]
fn every_case_is_what_its_name_says() {
    for case in VERIFIER_CASES {
        let (key, message, signature, valid) = made(case.name);
        let found = (case.public_key, case.message, case.signature, case.valid);
        assert_eq!(found, (key, &*message, signature, valid), "{}", case.name);
    }
    let valid = VERIFIER_CASES.iter().filter(|case| case.valid).count();
    assert!(valid >= 5 && VERIFIER_CASES.len() - valid >= 12);
}

#[test]
fn the_default_implementation_passes() {
    assert_eq!(check_verifier::<VerifyingKey>(), Ok(()));
}

/// The library's own strict verification agrees, so what is left out of it here is not missing.
#[test]
fn the_librarys_strict_verification_agrees() {
    for case in VERIFIER_CASES {
        let accepted =
            ed25519_dalek::VerifyingKey::from_bytes(&case.public_key.0).is_ok_and(|key| {
                let signature = ed25519_dalek::Signature::from_bytes(&case.signature.0);
                key.verify_strict(case.message, &signature).is_ok()
            });
        assert_eq!(accepted, case.valid, "{}", case.name);
    }
}

/// Nothing is prepared: the key is its bytes. What is checked with the cofactor differs in two
/// cases.
#[derive(Clone, Debug)]
struct WithCofactor(PublicKey);

impl Verifier for WithCofactor {
    fn from_public_key(key: &PublicKey) -> Option<Self> {
        Some(Self(*key))
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let point = |bytes: &[u8]| CompressedEdwardsY::from_slice(bytes).unwrap().decompress();
        let (r, s) = signature.0.split_at(32);
        let (Some(a), Some(r_point)) = (point(&self.0.0), point(r)) else { return false };
        let k = ed25519::challenge(r.try_into().unwrap(), &self.0, message);
        let s = Scalar::from_bytes_mod_order(s.try_into().unwrap());
        (times_base(s) - k * a - r_point).mul_by_cofactor().is_identity()
    }
}

#[derive(Clone, Debug)]
struct Never;

impl Verifier for Never {
    fn from_public_key(_: &PublicKey) -> Option<Self> {
        Some(Self)
    }

    fn verify(&self, _: &[u8], _: &Signature) -> bool {
        false
    }
}

/// Believes everything that gets as far as to it.
#[derive(Clone, Debug)]
struct Always;

impl Verifier for Always {
    fn from_public_key(_: &PublicKey) -> Option<Self> {
        Some(Self)
    }

    fn verify(&self, _: &[u8], _: &Signature) -> bool {
        true
    }
}

#[test]
fn a_faulty_implementation_is_found_out() {
    let name = "the same where only the cofactor cancels it";
    assert_eq!(check_verifier::<WithCofactor>(), Err(Misjudged { name, accepted: true }));
    let name = "as usual";
    assert_eq!(check_verifier::<Never>(), Err(Misjudged { name, accepted: false }));
    let name = "another message";
    assert_eq!(check_verifier::<Always>(), Err(Misjudged { name, accepted: true }));
}
