//! Keys that protect nothing: they are here for all to see.

use std::sync::LazyLock;

use headcount::time::{EpochMinute, UnixTime};
use headcount::trust::{Root, Signer, SigningKey, TagKey, TagSchedule, sign_certificate};
use headcount::wire::{Certificate, Claims, Coverage, Role};

/// When everything happens.
pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// The product that asks.
pub const PRODUCT: Coverage = Coverage { family: 7, rank: 1, generation: 3 };

static ROOT: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[1; 32]));
static HOST: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[2; 32]));
static OUTSIDER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[3; 32]));
static TAG: LazyLock<TagKey> = LazyLock::new(|| TagKey::from_bytes([4; 32]));
static SCHEDULE: LazyLock<TagSchedule> = LazyLock::new(|| TagSchedule::new(&TAG));
static ROOTS: LazyLock<[Root; 1]> =
    LazyLock::new(|| [Root::new(1, &ROOT.public_key()).expect("a usable key")]);
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let claims = Claims {
        public_key: HOST.public_key(),
        serial: 1,
        not_before: EpochMinute(0),
        not_after: EpochMinute(u32::MAX),
        root_id: 1,
        coverage: Coverage { family: 7, rank: 3, generation: 3 },
        role: Role::Host,
    };
    match sign_certificate(&claims, &*ROOT) {
        Ok(certificate) => certificate,
        Err(never) => match never {},
    }
});

/// The vendor's root key, of id 1.
pub fn root_key() -> &'static SigningKey {
    &ROOT
}

/// What a product has of [`root_key`].
pub fn roots() -> &'static [Root] {
    &*ROOTS
}

/// The key of the one honest host.
pub fn host_key() -> &'static SigningKey {
    &HOST
}

/// A key that nobody vouches for.
pub fn outsider_key() -> &'static SigningKey {
    &OUTSIDER
}

/// What the root key says of [`host_key`].
pub fn genuine_certificate() -> &'static Certificate {
    &CERTIFICATE
}

/// The tag key of everything.
pub fn tag_key() -> &'static TagKey {
    &TAG
}

/// [`tag_key`], ready for requests.
pub fn schedule() -> &'static TagSchedule {
    &SCHEDULE
}
