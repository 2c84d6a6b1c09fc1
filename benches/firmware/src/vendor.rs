//! A throw-away vendor with one product and one host: the same for the build script and the images.

use core::convert::Infallible;
use core::num::{NonZeroU8, NonZeroU32};

use headcount::client::{self, Limits, Machine};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host;
use headcount::time::{Instant, Now, UnixTime};
use headcount::trust::{Root, TagKey};
use headcount::wire::{ActivationId, ApplicationId, CountedId, Coverage, KeyId, Name};
use rand_core::{TryCryptoRng, TryRng};

pub const ROOT_SEED: [u8; 32] = [1; 32];
pub const HOST_SEED: [u8; 32] = [2; 32];
pub const TAG_KEY: TagKey = TagKey::from_bytes([3; 32]);
pub const HASH_KEY: [u8; 16] = [9; 16];
pub const KEY_ID: KeyId = KeyId(77);
pub const ROOT_ID: u16 = 1;
pub const COVERAGE: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
pub const APPLICATION: ApplicationId = ApplicationId([1; 16]);
pub const EDITION: ActivationId = ActivationId([2; 16]);
pub const POOL: CountedId = CountedId([3; 16]);
pub const SERVED: [host::Product; 1] =
    [host::Product { application_id: APPLICATION, activation_id: EDITION, coverage: COVERAGE }];
/// A day on which a renewal is due.
pub const RENEWAL_DAY: u64 = 8;
pub const ONE_HOST: NonZeroU8 = NonZeroU8::new(1).unwrap();

/// The product, which one machine activates.
pub fn product<V>(roots: &[Root<V>]) -> client::Product<'_, V> {
    client::Product {
        application_id: APPLICATION,
        activation_id: EDITION,
        counted_id: POOL,
        coverage: COVERAGE,
        required_count: NonZeroU32::MIN,
        matching: Matching::DEFAULT,
        key_id: KEY_ID,
        tag_key: TAG_KEY,
        roots,
        limits: Limits::DEFAULT,
    }
}

/// The only machine.
pub fn machine() -> Machine<'static> {
    Machine {
        fingerprint: Fingerprint::new([5; 8]),
        workstation_name: Name::new("appliance").unwrap_or_default(),
        virtual_machine: false,
    }
}

/// So many days after the start, early in 2027.
pub const fn now(days: u64) -> Now {
    let seconds = days * 86_400;
    Now::new(
        Instant::from_millis(seconds * 1_000),
        Some(UnixTime::from_secs(1_800_000_000 + seconds)),
    )
}

/// Counts up instead of being random, so that the images repeat what the build script did.
pub struct CountingRng(pub u32);

impl TryRng for CountingRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 = self.0.wrapping_add(0x0101_0101);
        Ok(self.0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let high = self.try_next_u32()?;
        Ok(u64::from(high) << 32 | u64::from(self.try_next_u32()?))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for byte in into {
            *byte = self.try_next_u32()? as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for CountingRng {}
