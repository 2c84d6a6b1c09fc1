//! Activation requests (PROTOCOL 3). 250 bytes are taken as a frame, any other number as the
//! material of a value.
#![no_main]

use arbitrary::Unstructured;
use headcount::trust::ParsedRequest;
use headcount::wire::{Frame, Kind, Request};
use headcount_fuzz::{check_malformed, door, flip, request, schedule};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match door(bytes) {
        Some(frame) => check_frame(frame),
        None => check_value(&mut Unstructured::new(bytes)).unwrap_or_default(),
    }
});

fn check_frame(frame: &Frame) {
    let request = match Request::parse(frame) {
        Ok(request) => request,
        Err(malformed) => return check_malformed(&malformed),
    };
    assert_eq!(Kind::of(frame), Ok(Kind::Request));
    let again = schedule().seal(&request);
    assert_eq!(again[..218], frame[..218], "all but the tag is written as it was");
    assert_eq!(Request::parse(&again), Ok(request));

    // Only the tag that we make ourselves is believed.
    let verified = ParsedRequest::parse(frame).map(|parsed| parsed.verify(schedule()));
    let verified = verified.expect("it was parsed before");
    assert_eq!(verified.is_ok(), again == *frame);
    let ours = ParsedRequest::parse(&again).map(|parsed| parsed.verify(schedule()));
    assert_eq!(*ours.expect("we wrote it").expect("we tagged it"), request);
}

fn check_value(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let request = request(u)?;
    let frame = schedule().seal(&request);
    assert_eq!(Request::parse(&frame), Ok(request));
    check_frame(&frame);

    let forged = flip(u, &frame)?;
    let verified = ParsedRequest::parse(&forged).map(|parsed| parsed.verify(schedule()));
    assert!(!matches!(verified, Ok(Ok(_))), "a request that nobody sealed is believed");
    Ok(())
}
