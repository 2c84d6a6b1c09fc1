//! Random numbers.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// **Not random.** It makes this example link, and each unit that runs it the same machine: put your
/// chip's generator here. On a chip without one, a ChaCha generator from a seed that the factory
/// writes into each unit and that the firmware replaces at each start does as well.
///
/// The client takes from it its machine id, which must be unique, its nonces, which must not be
/// foreseen, and the spread of its waits.
pub struct Entropy(u64);

impl Entropy {
    pub const fn new() -> Self {
        Self(0)
    }

    /// For the network's port numbers.
    pub fn seed(&mut self) -> u64 {
        self.next()
    }

    /// `SplitMix64`.
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for chunk in into.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Entropy {}
