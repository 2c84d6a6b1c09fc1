//! Start and exit: what every image has beside its job.
#![no_std]
#![no_main]

use headcount_firmware::board;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::exit(true)
}
