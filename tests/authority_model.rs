//! The authority beside a model of it, over scripts of any operations: see `authority/world.rs`.

use proptest::prelude::*;

#[path = "authority/world.rs"]
mod world;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_key_grants_too_much_and_nothing_granted_is_lost(
        script in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        world::run(&script);
    }
}
