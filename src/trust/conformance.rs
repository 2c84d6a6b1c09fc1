//! What every implementation of [`Verifier`] must decide, as cases that it can be tried on.

use core::fmt;

use super::verify::{StrictKey, Verifier};
use crate::wire::{PublicKey, Signature};

/// One signature that every implementation must judge alike.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VerifierCase {
    /// What is special about it; `A` is the public key, `R` and `S` are the signature's halves.
    pub name: &'static str,
    /// The key it is said to be by.
    pub public_key: PublicKey,
    /// The message, as it is signed: without a label.
    pub message: &'static [u8],
    /// The signature.
    pub signature: Signature,
    /// Whether it must be accepted.
    pub valid: bool,
}

/// An implementation judged a case of [`VERIFIER_CASES`] wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Misjudged {
    /// The case.
    pub name: &'static str,
    /// Whether it accepted what is to be refused; else it refused what is to be accepted.
    pub accepted: bool,
}

impl fmt::Display for Misjudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.accepted { "accepts" } else { "refuses" };
        write!(f, "this implementation of Ed25519 {verdict} the case: {}", self.name)
    }
}

impl core::error::Error for Misjudged {}

/// Tries an implementation on all of [`VERIFIER_CASES`], behind the checks that this crate makes
/// for each of them. For the tests of a firmware, or its power-on self-test: it takes as long as
/// some 15 verifications.
///
/// # Errors
///
/// The first case that is judged wrongly. Such an implementation must not be used.
pub fn check_verifier<V: Verifier>() -> Result<(), Misjudged> {
    for case in VERIFIER_CASES {
        let accepted = StrictKey::<V>::new(&case.public_key)
            .is_ok_and(|key| key.verify_whole(case.message, &case.signature));
        if accepted != case.valid {
            return Err(Misjudged { name: case.name, accepted });
        }
    }
    Ok(())
}

const MESSAGE: &[u8] = b"headcount";

/// Strict verification in examples (PROTOCOL 1), for whatever verifies: also for a device that
/// does not run this code.
#[rustfmt::skip]
pub const VERIFIER_CASES: &[VerifierCase] = &[
    VerifierCase {
        name: "as usual",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")),
        message: MESSAGE,
        signature: Signature(hex(
            "22751e1764b1d1d82dbff2f3f4605fa2dfa3d05f9020b1f1a87ec11574445bb9\
             fff45e0194ad1bdb9d1f72b6ee4c9a24109340807182ed292356fe0a72a1d70f",
        )),
        valid: true,
    },
    VerifierCase {
        name: "the longest message",
        public_key: PublicKey(hex("8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394")),
        message: &[0x5a; 213],
        signature: Signature(hex(
            "22ec01dee05371c9ddaa47614d4bd25fb0cfad49f41b3dea89d0fd99c484aa14\
             f5f92868468186316e4ec2d86682531b8176436ca4f8ce399c3bf392cc7e4108",
        )),
        valid: true,
    },
    VerifierCase {
        name: "x of the key is odd",
        public_key: PublicKey(hex("8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394")),
        message: MESSAGE,
        signature: Signature(hex(
            "e843688bc2e69aeefa3ff1a208354084faa4fc9c8631e1ad7ab8740fc5678fbb\
             d2c2bd36aba9202b486c0bd799f97e329af97d4425df3f94c04c9c911c565c02",
        )),
        valid: true,
    },
    VerifierCase {
        name: "x of R is even",
        public_key: PublicKey(hex("ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c")),
        message: MESSAGE,
        signature: Signature(hex(
            "a577291773970448245d78a8f892540f1fcacdd783c6b736613ce4e7fb807722\
             e7402729cdee4d36766084be5f95df6471116cff9bef410319fc2a38f9466500",
        )),
        valid: true,
    },
    VerifierCase {
        name: "another message",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")),
        message: b"headcoumt",
        signature: Signature(hex(
            "22751e1764b1d1d82dbff2f3f4605fa2dfa3d05f9020b1f1a87ec11574445bb9\
             fff45e0194ad1bdb9d1f72b6ee4c9a24109340807182ed292356fe0a72a1d70f",
        )),
        valid: false,
    },
    VerifierCase {
        name: "another R",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")),
        message: MESSAGE,
        signature: Signature(hex(
            "23751e1764b1d1d82dbff2f3f4605fa2dfa3d05f9020b1f1a87ec11574445bb9\
             fff45e0194ad1bdb9d1f72b6ee4c9a24109340807182ed292356fe0a72a1d70f",
        )),
        valid: false,
    },
    VerifierCase {
        name: "-R",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")),
        message: MESSAGE,
        signature: Signature(hex(
            "22751e1764b1d1d82dbff2f3f4605fa2dfa3d05f9020b1f1a87ec11574445b39\
             fff45e0194ad1bdb9d1f72b6ee4c9a24109340807182ed292356fe0a72a1d70f",
        )),
        valid: false,
    },
    VerifierCase {
        name: "another S",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")),
        message: MESSAGE,
        signature: Signature(hex(
            "22751e1764b1d1d82dbff2f3f4605fa2dfa3d05f9020b1f1a87ec11574445bb9\
             fef45e0194ad1bdb9d1f72b6ee4c9a24109340807182ed292356fe0a72a1d70f",
        )),
        valid: false,
    },
    VerifierCase {
        name: "-A",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6fdc")),
        message: MESSAGE,
        signature: Signature(hex(
            "22751e1764b1d1d82dbff2f3f4605fa2dfa3d05f9020b1f1a87ec11574445bb9\
             fff45e0194ad1bdb9d1f72b6ee4c9a24109340807182ed292356fe0a72a1d70f",
        )),
        valid: false,
    },
    VerifierCase {
        name: "A is no point",
        public_key: PublicKey(hex("0200000000000000000000000000000000000000000000000000000000000000")),
        message: MESSAGE,
        signature: Signature(hex(
            "22751e1764b1d1d82dbff2f3f4605fa2dfa3d05f9020b1f1a87ec11574445bb9\
             fff45e0194ad1bdb9d1f72b6ee4c9a24109340807182ed292356fe0a72a1d70f",
        )),
        valid: false,
    },
    VerifierCase {
        name: "A of large order with a component of order 8 that cancels",
        public_key: PublicKey(hex("40a4cf5c611d737a2f1c6fcca84d9cabfed80987f186a5a6c57e629bff1af27f")),
        message: MESSAGE,
        signature: Signature(hex(
            "df5c2eadc44c6d94a19a9aa118afe5ac3193d26401f76251f522ff042dfbcb92\
             e3d7707f78332621fb0eccc04120c25d06a3e18ed37b5ae19500490495cecf05",
        )),
        valid: true,
    },
    VerifierCase {
        name: "the same where only the cofactor cancels it",
        public_key: PublicKey(hex("40a4cf5c611d737a2f1c6fcca84d9cabfed80987f186a5a6c57e629bff1af27f")),
        message: MESSAGE,
        signature: Signature(hex(
            "5866666666666666666666666666666666666666666666666666666666666666\
             773928b9f2ad8f841911c714d449c43f0e09741e00636dbd08533f303f4e0a0d",
        )),
        valid: false,
    },
    VerifierCase {
        name: "R with a component of order 8 that only the cofactor cancels",
        public_key: PublicKey(hex("ef4f62f8479733ad879cfaced3c89a9c39dd4fc795ef2efa1c3eafe4d729a081")),
        message: MESSAGE,
        signature: Signature(hex(
            "98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819\
             48c6cce542d18656db679b59e96fa3545305c58c1aadb0a63be35a009654ef0f",
        )),
        valid: false,
    },
    VerifierCase {
        name: "S plus the group order",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")),
        message: MESSAGE,
        signature: Signature(hex(
            "22751e1764b1d1d82dbff2f3f4605fa2dfa3d05f9020b1f1a87ec11574445bb9\
             ecc8545eae102e3374bc6959cd467939109340807182ed292356fe0a72a1d71f",
        )),
        valid: false,
    },
    VerifierCase {
        name: "A is the neutral element",
        public_key: PublicKey(hex("0100000000000000000000000000000000000000000000000000000000000000")),
        message: MESSAGE,
        signature: Signature(hex(
            "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df\
             0500000000000000000000000000000000000000000000000000000000000000",
        )),
        valid: false,
    },
    VerifierCase {
        name: "R is the neutral element",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")),
        message: MESSAGE,
        signature: Signature(hex(
            "0100000000000000000000000000000000000000000000000000000000000000\
             003ec8b4e904485de50e1c9f3b16f1bb693d228c65f4ef31a536b362bc3b8304",
        )),
        valid: false,
    },
    VerifierCase {
        name: "R is the neutral element, y not reduced",
        public_key: PublicKey(hex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")),
        message: MESSAGE,
        signature: Signature(hex(
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\
             3b733a2ac06eaf66fc1e686f2a482586b2470e8bc9e4a9a3f6df47ecea36fa05",
        )),
        valid: false,
    },
];

/// Bytes written in hexadecimal digits.
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let (mut digits, mut to) = (digits.as_bytes(), bytes.as_mut_slice());
    while let ([high, low, digits_left @ ..], [byte, to_left @ ..]) = (digits, to) {
        *byte = nibble(*high) << 4 | nibble(*low);
        (digits, to) = (digits_left, to_left);
    }
    bytes
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
        _ => digit.wrapping_sub(b'0'),
    }
}
