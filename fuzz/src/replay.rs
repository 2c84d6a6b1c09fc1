use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// Randomness that is given: what a question to a resolver takes, from the start with each call.
#[derive(Debug)]
pub struct Replay(pub [u8; 34]);

impl TryRng for Replay {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("a question fills bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("a question fills bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0[..bytes.len()]);
        Ok(())
    }
}

impl TryCryptoRng for Replay {}
