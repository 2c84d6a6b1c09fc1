//! The authority beside a model of it, over scripts of any operations: see `authority/model.rs`.

use proptest::prelude::*;

#[path = "authority/model.rs"]
mod model;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_key_grants_too_much_and_nothing_granted_is_lost(
        script in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        model::run(&script);
    }
}
