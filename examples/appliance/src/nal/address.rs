//! Addresses and ephemeral ports.

use core::net::SocketAddr;

use smoltcp::wire::IpEndpoint;

use super::Error;

/// As smoltcp has it. An IPv4 address in an IPv6 one counts as IPv4.
pub(super) fn endpoint(address: SocketAddr) -> Result<IpEndpoint, Error> {
    match SocketAddr::new(address.ip().to_canonical(), address.port()) {
        SocketAddr::V4(address) => Ok(address.into()),
        SocketAddr::V6(_) => Err(Error::Unaddressable),
    }
}

/// Chooses ephemeral ports, in an order that an outsider who does not know the seed cannot foretell
/// (RFC 6056, 3.3.1).
#[derive(Default)]
pub(super) struct Ports {
    state: u64,
}

/// The first of the dynamic ports (RFC 6335), which go on to 65,535.
const FIRST: u16 = 49_152;
const COUNT: u16 = u16::MAX - FIRST + 1;

impl Ports {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A port that is not in use.
    pub(super) fn choose(&mut self, in_use: impl Fn(u16) -> bool) -> Result<u16, Error> {
        let [low, high, ..] = self.random().to_le_bytes();
        let start = u16::from_le_bytes([low, high]) % COUNT;
        (0..COUNT)
            .map(|step| FIRST + (start + step) % COUNT)
            .find(|port| !in_use(*port))
            .ok_or(Error::PortTaken)
    }

    /// `SplitMix64`.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
