//! What the fuzz targets share: throwaway keys, values made of fuzz bytes, and the checks that all
//! frames have in common.

mod keys;
pub mod ops;
mod replay;
mod values;

pub use keys::{
    NOW, PRODUCT, genuine_certificate, host_key, outsider_key, root_key, roots, schedule, tag_key,
};
pub use replay::Replay;
pub use values::{
    certificate, claims, coverage, enrolment_body, enrolment_request, flip, name, request,
    response_body,
};

use headcount::wire::{FRAME_LEN, Fault, Frame, Malformed, frame_from_slice};

/// The frame in these bytes, when they have a frame's length; what is said of other lengths is
/// checked here.
pub fn door(bytes: &[u8]) -> Option<&Frame> {
    match frame_from_slice(bytes) {
        Ok(frame) => {
            assert_eq!(&frame[..], bytes);
            Some(frame)
        }
        Err(malformed) => {
            assert_eq!(malformed.fault, Fault::Length(bytes.len()));
            assert_eq!(usize::from(malformed.offset), bytes.len().min(FRAME_LEN));
            assert_ne!(bytes.len(), FRAME_LEN);
            assert!(!malformed.to_string().is_empty());
            None
        }
    }
}

/// An error of a whole frame names one of its bytes and has something to say.
pub fn check_malformed(malformed: &Malformed) {
    assert!(usize::from(malformed.offset) < FRAME_LEN, "{malformed:?}");
    assert!(!matches!(malformed.fault, Fault::Length(_)), "{malformed:?}");
    assert!(malformed.to_string().ends_with(&format!(", at byte {}", malformed.offset)));
}
