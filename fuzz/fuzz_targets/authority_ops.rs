//! Operations in any order on an authority: requests by key and their repetitions, forgeries,
//! enrolments, calls by phone, blocks, limits, crashes, a failing ledger, new keys. Beside it is a
//! model that says what each is answered: the one of the tests.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/authority/world.rs"]
mod world;

fuzz_target!(|script: &[u8]| world::run(script));
