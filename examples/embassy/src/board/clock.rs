//! Embassy's time, from the core's own timer, and headcount's clock, from Embassy's time.
//!
//! An embassy HAL brings a time driver: then only [`BoardClock`] remains of this file.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::{CriticalSection, Mutex};
use embassy_time::Timer;
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;
use headcount::time::Instant;
use headcount::transport::asynchronous::Clock;

/// Hz, of the core.
const CORE_CLOCK: u32 = 25_000_000;

/// A tick a millisecond, each of them an interrupt: simple, and it wakes the core more often than a
/// product on a battery likes.
struct Ticks {
    now: Mutex<Cell<u64>>,
    sleepers: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static TICKS: Ticks = Ticks {
    now: Mutex::new(Cell::new(0)),
    sleepers: Mutex::new(RefCell::new(Queue::new())),
});

impl Driver for Ticks {
    fn now(&self) -> u64 {
        critical_section::with(|section| self.now.borrow(section).get())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            // Each tick looks at the queue, so there is no alarm to set.
            self.sleepers.borrow_ref_mut(section).schedule_wake(at, waker);
        });
    }
}

impl Ticks {
    fn tick(&self, section: CriticalSection<'_>) {
        let now = self.now.borrow(section);
        now.set(now.get() + 1);
        // Wakes those whose time has come.
        self.sleepers.borrow_ref_mut(section).next_expiration(now.get());
    }
}

#[exception]
fn SysTick() {
    critical_section::with(|section| TICKS.tick(section));
}

/// Starts time. Before that it stands still.
pub fn start_clock() {
    let peripherals = cortex_m::Peripherals::take().expect("nobody else takes them");
    let mut timer: SYST = peripherals.SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(CORE_CLOCK / TICK_HZ as u32 - 1);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

/// Both clocks of headcount. There is no calendar here: the client then goes by running time, and
/// by the host's signed answers.
///
/// A device with a calendar adds `calendar`, and answers `None` until it has been set.
#[derive(Clone, Copy)]
pub struct BoardClock;

impl Clock for BoardClock {
    fn now(&self) -> Instant {
        Instant::from_millis(embassy_time::Instant::now().as_millis())
    }

    async fn sleep_until(&self, until: Instant) {
        Timer::at(embassy_time::Instant::from_millis(until.as_millis())).await;
    }
}
