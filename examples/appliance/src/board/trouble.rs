//! How a run ends. A product has no end: it resets itself where this ends the run.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m_rt::{ExceptionFrame, exception};

use crate::exit::Exit;

/// Ends the run; QEMU's exit status is the exit's number.
pub fn exit(exit: Exit) -> ! {
    semihosting::process::exit(exit as i32)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    // A panic while a line is logged finds the logger taken, which is another panic.
    if !PANICKED.swap(true, Ordering::Relaxed) {
        defmt::error!("{}", defmt::Display2Format(info));
    }
    exit(Exit::Failed)
}

#[allow(unsafe_code, reason = "the attribute asks for it; `expect` does not see through it")]
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}", frame.pc());
    exit(Exit::Failed)
}
