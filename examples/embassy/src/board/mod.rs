//! The hardware, and the only directory to change for yours.
//!
//! It stands for any Cortex-M4, so it uses nothing but the core itself. What a chip adds is put in
//! here: each file says what takes its place.

mod clock;
mod entropy;
mod flash;
mod network;

pub use clock::{BoardClock, start_clock};
pub use entropy::Entropy;
pub use flash::{Flash, FlashError};
pub use network::{Device, MAC, Wire, open_network, run_wire};

/// What the factory wrote into this unit. Most chips have a unique number in a register.
pub const fn serial_number() -> [u8; 8] {
    *b"00000001"
}
