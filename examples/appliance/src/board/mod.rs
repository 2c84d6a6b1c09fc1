//! The board: QEMU's `mps2-an386`, a Cortex-M4 with a LAN9118 Ethernet controller.
//!
//! All that knows the hardware is in here, and nothing that knows the protocol. To move to a board
//! of your own, replace
//!
//! | here | there |
//! | --- | --- |
//! | [`Lan9118`] | your Ethernet driver, any smoltcp `Device` |
//! | [`Clock`] | a timer that never goes back |
//! | [`read_calendar`] | your real-time clock; only the host needs one |
//! | [`entropy`] | your random number generator |
//! | [`flash`] | two erase blocks of your flash, by `embedded-storage` |
//! | [`files::read`] | fuses and protected pages that are written in the factory |
//! | [`command_line`], [`exit`] | nothing: they are there for tests |
//!
//! What stands for hardware that the emulated board does not have goes by *semihosting*: calls by
//! which a program asks its debugger, here QEMU, to read a file or to end the run.

mod clock;
pub mod files;
pub mod flash;
mod lan9118;
mod registers;
mod trouble;

pub use clock::{Clock, read_calendar};
pub use files::{ENTROPY, entropy};
pub use lan9118::{Broken, FRAME_LEN, Lan9118};
pub use trouble::exit;

use core::mem::MaybeUninit;

use semihosting::sys::arm_compat;
use static_cell::StaticCell;

// The logger, which nothing else refers to.
use defmt_semihosting as _;

use registers::Registers;

/// Longest command line that is understood.
pub const COMMAND_LINE_LEN: usize = 1_024;

/// The hardware, ready for use.
pub struct Board {
    /// Time.
    pub clock: Clock,
    /// The network.
    pub ethernet: Lan9118,
    /// What kind of processor it is: the number that it says itself.
    pub processor: u32,
}

impl Board {
    /// Starts the board's devices.
    ///
    /// # Errors
    ///
    /// The Ethernet controller is broken.
    ///
    /// # Panics
    ///
    /// At the second call: there is one board.
    pub fn start() -> Result<Self, Broken> {
        let core = cortex_m::Peripherals::take().expect("the board is started once");
        #[expect(unsafe_code, reason = "this is where the board is described")]
        // SAFETY: on this board a LAN9118 has these 256 bytes; it does no direct memory access.
        let registers = unsafe { Registers::at(lan9118::BASE) };
        // Its reset sets the counter to zero that the clock reads, so it goes first.
        let ethernet = Lan9118::start(registers)?;
        let clock = Clock::start(registers, core.SYST);
        Ok(Self { clock, ethernet, processor: core.CPUID.base.read() })
    }
}

/// The arguments that the firmware was started with, separated by spaces, the firmware's own name
/// first. Empty when they are too long, not UTF-8, or asked for a second time.
pub fn command_line() -> &'static str {
    static LINE: StaticCell<[MaybeUninit<u8>; COMMAND_LINE_LEN]> = StaticCell::new();
    let line = LINE.try_init([MaybeUninit::uninit(); COMMAND_LINE_LEN]);
    let line = line.and_then(|line| arm_compat::sys_get_cmdline_uninit(line).ok());
    line.and_then(|line| core::str::from_utf8(line).ok()).unwrap_or_default()
}
