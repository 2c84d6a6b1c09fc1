//! Another implementation of Ed25519 in the place of the default one: the crate `salty`, with the
//! few lines that the appliance in `examples/` brings it in with.

use headcount::trust::{
    Root, Verifier, VerifyingKey, check_enrolment_signatures, check_response_signatures,
    check_verifier,
};
use headcount::wire::{Frame, PublicKey};
use salty_backend::SaltyKey;

#[path = "strict/cases.rs"]
mod cases;
#[path = "strict/differential.rs"]
mod differential;
#[path = "strict/ed25519.rs"]
mod ed25519;
#[path = "../examples/appliance/src/salty_backend.rs"]
mod salty_backend;
#[path = "forgery/vendor.rs"]
mod vendor;

#[test]
fn it_conforms() {
    assert_eq!(check_verifier::<SaltyKey>(), Ok(()));
}

#[test]
fn it_refuses_what_lenient_verifiers_accept() {
    cases::keys_of_small_order_are_no_roots::<SaltyKey>();
    cases::only_the_canonical_encoding_of_a_key_is_a_root::<SaltyKey>();
    cases::a_certified_key_of_small_order_activates_nothing::<SaltyKey>();
    cases::a_small_order_r_is_refused::<SaltyKey>();
    cases::a_signature_with_s_plus_the_order_is_refused::<SaltyKey>();
}

#[test]
fn it_agrees_with_the_library() {
    differential::agrees_with_the_library::<SaltyKey>(600);
}

/// Every answer of the published vectors, good and bad.
#[test]
fn it_judges_the_vectors_like_the_default() {
    let file = include_str!("vectors/protocol-v1.json");
    let vectors: serde_json::Value = serde_json::from_str(file).unwrap();
    let (ours, defaults) = (roots::<SaltyKey>(&vectors), roots::<VerifyingKey>(&vectors));
    let (mut believed, mut refused) = (0, 0);
    for exchange in vectors["exchanges"].as_array().unwrap() {
        let Ok(frame) = <Frame>::try_from(bytes(&exchange["response"])) else { continue };
        let result = check_response_signatures(&frame, &ours);
        assert_eq!(result, check_response_signatures(&frame, &defaults), "{exchange}");
        *if result.is_ok() { &mut believed } else { &mut refused } += 1;
    }
    for enrolment in vectors["enrolments"].as_array().unwrap() {
        let frame = bytes(&enrolment["response"]).try_into().unwrap();
        assert_eq!(check_enrolment_signatures(&frame, &ours), Ok(()));
    }
    assert!(believed >= 12 && refused >= 8, "{believed} believed, {refused} refused");
}

fn roots<V: Verifier>(vectors: &serde_json::Value) -> Vec<Root<V>> {
    let roots = vectors["roots"].as_object().unwrap();
    let root = |(id, pair): (&String, &serde_json::Value)| {
        let key = PublicKey(bytes(&pair["public"]).try_into().unwrap());
        Root::with_verifier(id.parse().unwrap(), &key).unwrap()
    };
    roots.iter().map(root).collect()
}

fn bytes(hex: &serde_json::Value) -> Vec<u8> {
    let (digits, _) = hex.as_str().unwrap().as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.iter().map(byte).collect()
}
