//! What lenient verifiers accept and this one must not (PROTOCOL 1), with the default implementation
//! of Ed25519.

use headcount::trust::VerifyingKey;

#[path = "strict/cases.rs"]
mod cases;
#[path = "strict/differential.rs"]
mod differential;
#[path = "strict/ed25519.rs"]
mod ed25519;
#[path = "forgery/vendor.rs"]
mod vendor;

#[test]
fn keys_of_small_order_are_no_roots() {
    cases::keys_of_small_order_are_no_roots::<VerifyingKey>();
}

#[test]
fn only_the_canonical_encoding_of_a_key_is_a_root() {
    cases::only_the_canonical_encoding_of_a_key_is_a_root::<VerifyingKey>();
}

#[test]
fn a_certified_key_of_small_order_activates_nothing() {
    cases::a_certified_key_of_small_order_activates_nothing::<VerifyingKey>();
}

#[test]
fn a_small_order_r_is_refused() {
    cases::a_small_order_r_is_refused::<VerifyingKey>();
}

#[test]
fn a_signature_with_s_plus_the_order_is_refused() {
    cases::a_signature_with_s_plus_the_order_is_refused::<VerifyingKey>();
}

#[test]
fn it_agrees_with_the_library() {
    differential::agrees_with_the_library::<VerifyingKey>(3_000);
}
