//! headcount on a Cortex-M0 with 16 KiB of memory and no network: what a product does that gets its
//! frames over a serial line, a radio or a smart card.
//!
//! It reads requests, checks tags, verifies responses and counts machines, all against the library's
//! test vectors, and its exit status is the verdict:
//!
//! ```sh
//! cd examples/microbit && cargo run --release
//! ```
//!
//! What needs memory for the whole run lies in static cells. This core has no compare-and-swap, which
//! static cells take to be filled once: see the features of `portable-atomic` in Cargo.toml.
#![no_std]
#![no_main]

mod checks;
mod vectors;

use core::panic::PanicInfo;

use checks::{Checked, Vendor};
// Brings the critical section.
use cortex_m as _;
use cortex_m_semihosting::{debug, hprintln};
use headcount::table::CmidTable;
use headcount::trust::{Root, TagKey, TagSchedule, WeakKey};
use headcount::wire::PublicKey;
use static_cell::{ConstStaticCell, StaticCell};

/// 2.8 KiB, made by the compiler: it is never on the stack. All its bytes are zero, so it takes no
/// flash either.
static TABLE: ConstStaticCell<CmidTable<50>> = ConstStaticCell::new(CmidTable::new([0; 16]));
/// Unpacked at start, where the keys' bytes are checked.
static VENDOR: StaticCell<Vendor> = StaticCell::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    let passed = run();
    debug::exit(if passed { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {}
}

fn run() -> bool {
    let Ok(vendor) = vendor() else {
        hprintln!("a root key is not usable");
        return false;
    };
    let vendor = VENDOR.init(vendor);
    let table = TABLE.take();
    // A real product takes the key of its table from a source of randomness.
    table.rekey([0x5a; 16]);

    let sections: [(&str, Checked); 5] = [
        ("requests", checks::requests(vendor)),
        ("malformed requests", checks::malformed()),
        ("requests with a bad tag", checks::bad_tags(vendor)),
        ("exchanges", checks::exchanges(vendor)),
        ("table traces", checks::traces(table)),
    ];
    for (name, checked) in &sections {
        match checked {
            Ok(count) => hprintln!("{}: {} as they should be", name, count),
            Err(index) => hprintln!("{}: case {} is WRONG", name, index),
        }
    }
    sections.iter().all(|(_, checked)| checked.is_ok())
}

fn vendor() -> Result<Vendor, WeakKey> {
    let [(first_id, first), (second_id, second)] = vectors::ROOTS;
    Ok(Vendor {
        schedule: TagSchedule::new(&TagKey::from_bytes(vectors::TAG_KEY)),
        roots: [Root::new(first_id, &PublicKey(first))?, Root::new(second_id, &PublicKey(second))?],
    })
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
