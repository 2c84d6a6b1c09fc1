//! Why a frame is not answered.

use core::fmt;

use crate::wire::{KeyId, Malformed};

/// The reason for an answer that is not given (PROTOCOL 9). The sender is told nothing: TCP is
/// closed, UDP stays silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Silence {
    /// The frame is malformed.
    Malformed(Malformed),
    /// The source is over its rate limit.
    RateLimited,
    /// The host has no certificate: it was never enrolled.
    NoCertificate,
    /// The host does not know what time it is, so its answer could not be believed.
    NoClock,
    /// The request names a product key that the host does not know.
    UnknownKey(KeyId),
    /// The tag does not verify: the sender does not hold the product's setup key.
    BadTag,
    /// The signer failed.
    Signer,
}

impl Silence {
    /// How many reasons there are.
    pub const COUNT: usize = 7;

    /// Names of the reasons, in the order of [`index`](Self::index), for logs and JSON.
    pub const NAMES: [&'static str; Self::COUNT] = [
        "malformed",
        "rate_limited",
        "no_certificate",
        "no_clock",
        "unknown_key",
        "bad_tag",
        "signer_failed",
    ];

    /// A number for each reason, 0 to 6.
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Self::Malformed(_) => 0,
            Self::RateLimited => 1,
            Self::NoCertificate => 2,
            Self::NoClock => 3,
            Self::UnknownKey(_) => 4,
            Self::BadTag => 5,
            Self::Signer => 6,
        }
    }
}

impl From<Malformed> for Silence {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "malformed frame: {malformed}"),
            Self::RateLimited => f.write_str("the sender asks too often"),
            Self::NoCertificate => f.write_str("this host is not enrolled"),
            Self::NoClock => f.write_str("this host does not know the time"),
            Self::UnknownKey(KeyId(id)) => write!(f, "unknown setup key {id}"),
            Self::BadTag => f.write_str("the sender does not hold the product's setup key"),
            Self::Signer => f.write_str("the signer failed"),
        }
    }
}

impl core::error::Error for Silence {}
