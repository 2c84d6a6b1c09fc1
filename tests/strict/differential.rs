//! Any implementation of Ed25519, as this crate uses it, against the strict verification of
//! ed25519-dalek: on honest, damaged and hostile input they must never disagree.

use curve25519_dalek::Scalar;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use headcount::time::EpochMinute;
use headcount::trust::{Root, Verifier, check_certificate};
use headcount::wire::{Certificate, Claims, Coverage, PublicKey, Role, SIGNATURE_LEN, Signature};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::ed25519::{add_order, join, sign_with, small_order_encodings, times_base};

const LABEL: &[u8] = b"headcount/1/certificate\0";
const SEED: u64 = 20;

/// Tries so many certificates, each by another root.
pub(crate) fn agrees_with_the_library<V: Verifier>(rounds: usize) {
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut accepted = 0;
    for round in 0..rounds {
        let claims = claims(rng.random(), rng.random());
        let message = [LABEL, &unsigned(claims).emit()[..56]].concat();
        let (way, key, signature) = forge(round, &message, &mut rng);
        let certificate = Certificate { claims, signature };
        let found = Root::<V>::with_verifier(1, &key)
            .is_ok_and(|root| check_certificate(&certificate, &[root]).is_ok());
        let expected = is_valid(&key, &message, &signature);
        assert_eq!(
            found, expected,
            "round {round} of seed {SEED}, {way}: {key:?} {:02x?}",
            signature.0
        );
        accepted += usize::from(found);
    }
    assert!(accepted > rounds / 20 && accepted < rounds / 2, "{accepted} of {rounds} accepted");
}

fn is_valid(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let canonical =
        CompressedEdwardsY(key.0).decompress().is_some_and(|point| point.compress().0 == key.0);
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    canonical
        && ed25519_dalek::VerifyingKey::from_bytes(&key.0)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

/// A key and what somebody says is its signature of the message.
fn forge(round: usize, message: &[u8], rng: &mut StdRng) -> (&'static str, PublicKey, Signature) {
    let small = small_order_encodings();
    let small = small[round % small.len()];
    let (torsion, other) = (EIGHT_TORSION[rng.random_range(0..8)], rng.random_range(0..8));
    let secret = Scalar::from_bytes_mod_order(rng.random());
    let nonce = Scalar::from_bytes_mod_order(rng.random());
    let key = PublicKey(times_base(secret).compress().0);
    let r = times_base(nonce).compress().0;
    let honest = sign_with(secret, &key, nonce, r, message);
    match round % 12 {
        0 => ("honest", key, honest),
        1 => ("a bit flipped", key, Signature(flip(honest.0, rng))),
        2 => ("a bit of the key flipped", PublicKey(flip(key.0, rng)), honest),
        3 => {
            let mut malleated = honest;
            add_order(&mut malleated.0);
            ("S plus the order", key, malleated)
        }
        4 => {
            let key = PublicKey((times_base(secret) + torsion).compress().0);
            ("torsion in the key", key, sign_with(secret, &key, nonce, r, message))
        }
        5 => {
            let r = (times_base(nonce) + torsion).compress().0;
            ("torsion in R", key, sign_with(secret, &key, nonce, r, message))
        }
        6 => {
            let key = PublicKey((times_base(secret) + torsion).compress().0);
            let r = (times_base(nonce) + EIGHT_TORSION[other]).compress().0;
            ("torsion in both", key, sign_with(secret, &key, nonce, r, message))
        }
        7 => ("R of small order", key, sign_with(secret, &key, Scalar::ZERO, small, message)),
        8 => ("key of small order", PublicKey(small), join(r, nonce.to_bytes())),
        9 => {
            let key = PublicKey(small);
            ("both of small order", key, join(small, [0; 32]))
        }
        10 => {
            let mut y = [0xff; 32];
            y[0] = rng.random_range(0xe0..=0xff);
            y[31] = if rng.random() { 0xff } else { 0x7f };
            let signature = sign_with(secret, &PublicKey(y), nonce, r, message);
            ("y near its end", PublicKey(y), signature)
        }
        _ => {
            let mut noise = [0; SIGNATURE_LEN];
            rng.fill(&mut noise);
            ("noise", PublicKey(rng.random()), Signature(noise))
        }
    }
}

fn flip<const N: usize>(mut bytes: [u8; N], rng: &mut StdRng) -> [u8; N] {
    bytes[rng.random_range(0..N)] ^= 1 << rng.random_range(0..8);
    bytes
}

fn claims(public_key: [u8; 32], serial: u64) -> Claims {
    Claims {
        public_key: PublicKey(public_key),
        serial,
        not_before: EpochMinute(0),
        not_after: EpochMinute(u32::MAX),
        root_id: 1,
        coverage: Coverage { family: 1, rank: 2, generation: 3 },
        role: Role::Host,
    }
}

fn unsigned(claims: Claims) -> Certificate {
    Certificate { claims, signature: Signature([0; SIGNATURE_LEN]) }
}
