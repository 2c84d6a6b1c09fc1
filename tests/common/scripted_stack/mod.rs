//! Network stacks that do what a script or a seed says, in virtual time, and count their sockets.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several tests, each of which uses a part"
)]

pub mod resolver;
pub mod tcp_client;
pub mod tcp_server;
pub mod udp;

use embedded_nal::{TcpError, TcpErrorKind};

/// The only error; its kind changes from call to call, because nobody may rely on it.
#[derive(Debug)]
pub struct Fault;

impl TcpError for Fault {
    fn kind(&self) -> TcpErrorKind {
        TcpErrorKind::Other
    }
}

/// A socket of a fake. It can be neither copied nor forged, so what is not closed is missed.
#[derive(Debug)]
pub struct Socket(pub usize);

/// How a stack says that nothing is there, and that the peer has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Nothing: `WouldBlock`. Gone: `Ok(0)`.
    Std,
    /// Nothing: `Ok(0)` by TCP, an error by UDP. Gone: an error.
    Smoltcp,
}

/// `SplitMix64`: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn size(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.size(from.len())]
    }

    pub fn frame(&mut self) -> [u8; 250] {
        std::array::from_fn(|_| self.next() as u8)
    }
}
