//! Time: a monotonic clock, the calendar of the host, and sleep.

use core::cell::Cell;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use headcount::time::{Instant, UnixTime};

use super::lan9118::{self, TICKS_PER_SECOND};
use super::registers::Registers;

/// How often the processor wakes up to look for something new, in a second.
const WAKE_UPS_PER_SECOND: u32 = 1_000;

/// Milliseconds since power-on, from a counter of 32 bits that comes around every 171 s.
///
/// It must be read more often than that. A main loop does.
pub struct Clock {
    registers: Registers,
    counter: Cell<u32>,
    ticks: Cell<u64>,
}

impl Clock {
    pub(super) fn start(registers: Registers, mut wake_up: SYST) -> Self {
        wake_up.set_clock_source(SystClkSource::Core);
        wake_up.set_reload(TICKS_PER_SECOND / WAKE_UPS_PER_SECOND - 1);
        wake_up.clear_current();
        wake_up.enable_interrupt();
        wake_up.enable_counter();
        let counter = Cell::new(lan9118::counter(registers));
        Self { registers, counter, ticks: Cell::new(0) }
    }

    /// The monotonic clock.
    pub fn now(&self) -> Instant {
        let counter = lan9118::counter(self.registers);
        let passed = counter.wrapping_sub(self.counter.replace(counter));
        let ticks = self.ticks.get() + u64::from(passed);
        self.ticks.set(ticks);
        Instant::from_millis(ticks / u64::from(TICKS_PER_SECOND / 1_000))
    }

    /// Stops the processor until something may have happened: a millisecond at most.
    pub fn sleep(&self) {
        cortex_m::asm::wfi();
    }
}

/// What the clock of the room says, read once at start: stands for a real-time clock with a
/// battery. `None` when there is nobody to ask.
pub fn read_calendar() -> Option<UnixTime> {
    let seconds = semihosting::sys::arm_compat::sys_time().ok()?;
    Some(UnixTime::from_secs(seconds as u64))
}

/// Wakes the processor from [`Clock::sleep`] by being called.
#[cortex_m_rt::exception]
fn SysTick() {}
