//! What the images need of QEMU's `mps2-an386`: output, an end with a verdict, an exact clock, and a
//! look at the stack. The only file with `unsafe` in it.

use core::hint::black_box;
use core::panic::PanicInfo;
use core::ptr;

use cortex_m_semihosting::{debug, hio};

/// Ends the run; QEMU's exit status is 0 for success and 1 otherwise.
pub fn exit(success: bool) -> ! {
    debug::exit(if success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {}
}

/// Prints a line of a name and a number. Without `core::fmt`, which is large and can panic.
pub fn report(name: &str, value: u32) {
    let mut line = [0; 64];
    let digits = decimal(value);
    let mut length = 0;
    for part in [name.as_bytes(), b" ", digits.as_slice(), b"\n"] {
        for (to, from) in line.iter_mut().skip(length).zip(part) {
            *to = *from;
        }
        length += part.len();
    }
    if let (Ok(mut out), Some(line)) = (hio::hstdout(), line.get(..length)) {
        let _ = out.write_all(line);
    }
}

/// Ten digits, the leading ones blank.
fn decimal(mut value: u32) -> [u8; 10] {
    let mut digits = [b' '; 10];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    digits
}

/// What one call took.
pub struct Cost {
    /// Exact, under QEMU's `-icount shift=10`.
    pub instructions: u32,
    /// Bytes of stack below the caller's own.
    pub stack: u32,
}

/// Runs `job` on painted stack and counts its instructions.
pub fn measure<T>(job: impl FnOnce() -> T) -> Cost {
    let cost = measure_once(job);
    // What the counting itself takes.
    let empty = measure_once(|| ());
    Cost { instructions: cost.instructions - empty.instructions, ..cost }
}

#[inline(never)]
fn measure_once<T>(job: impl FnOnce() -> T) -> Cost {
    let top = cortex_m::register::msp::read();
    paint();
    let before = ticks();
    black_box(call(job));
    let after = ticks();
    Cost { instructions: instructions(after.wrapping_sub(before)), stack: top - lowest_touched() }
}

/// A frame of its own for the job, so that the stack it needs lies in the painted part.
#[inline(never)]
fn call<T>(job: impl FnOnce() -> T) -> T {
    job()
}

/// With `-icount shift=10` an instruction takes 1,024 ns of QEMU's time, and a tick is 40 ns.
fn instructions(ticks: u32) -> u32 {
    ((u64::from(ticks) * 40 + 512) / 1_024) as u32
}

/// The LAN9118's FREE_RUN counter, at 25 MHz: the board's only fine clock in QEMU.
fn ticks() -> u32 {
    const FREE_RUN: *const u32 = (0x4020_0000 + 0x9c) as *const u32;
    // SAFETY: a readable register of a device that every mps2-an386 has; reading it changes nothing.
    unsafe { FREE_RUN.read_volatile() }
}

const PAINT: u32 = 0xa5c3_5aa5;
/// More than any job here needs. The stack grows down from the end of 4 MiB of memory, of which
/// the images use a few KiB at the start.
const PAINTED_WORDS: u32 = 16 * 1_024;
/// Words below the stack pointer that the painter itself may use.
const SPARED_WORDS: u32 = 16;

#[inline(never)]
fn paint() {
    let top = cortex_m::register::msp::read();
    for word in SPARED_WORDS..PAINTED_WORDS {
        // SAFETY: aligned, within memory, and below everything that is on the stack.
        unsafe {
            ptr::without_provenance_mut::<u32>((top - 4 * word) as usize).write_volatile(PAINT)
        };
    }
}

/// The lowest address of the stack that no longer has the paint on it.
#[inline(never)]
fn lowest_touched() -> u32 {
    let top = cortex_m::register::msp::read();
    let bottom = top - 4 * (PAINTED_WORDS - 64);
    let mut address = bottom;
    // SAFETY: aligned and within memory.
    while address < top
        && unsafe { ptr::without_provenance::<u32>(address as usize).read_volatile() } == PAINT
    {
        address += 4;
    }
    address
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "no-panic")]
    {
        unsafe extern "C" {
            /// Nowhere defined: an image that can panic does not link.
            fn this_image_can_panic();
        }
        // SAFETY: no image in which this is called exists.
        unsafe { this_image_can_panic() };
    }
    exit(false)
}
