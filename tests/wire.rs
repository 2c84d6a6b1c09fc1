//! The codecs over arbitrary values and arbitrary bytes (PROTOCOL 1 to 7).

use headcount::time::Minutes;
use headcount::trust::{
    TagKey, seal_enrolment_request, sign_certificate, sign_enrolment_response, sign_response,
};
use headcount::wire::{
    CERTIFICATE_LEN, Certificate, EnrolmentRequest, EnrolmentResponse, FRAME_LEN, Fault, Frame,
    Kind, Malformed, NAME_LEN, Name, Request, Response, ResponseBody, Validity, Verdict,
    frame_from_slice,
};
use proptest::collection::vec;
use proptest::prelude::*;

use self::values::{
    certificate, enrolment_request, enrolment_response, frames, key, plain_frames, plain_response,
    request, response, schedule, text,
};

#[path = "wire/values.rs"]
mod values;

/// Writes what was read again; the ends that parsing does not keep, tag and possession, are taken
/// from the frame.
fn rewritten(frame: &Frame) -> Result<Frame, Malformed> {
    match Kind::of(frame)? {
        Kind::Request => {
            let mut again = schedule().seal(&Request::parse(frame)?);
            again[218..].copy_from_slice(&frame[218..]);
            Ok(again)
        }
        Kind::Response => Ok(Response::parse(frame)?.emit()),
        Kind::EnrolmentRequest => {
            let request = EnrolmentRequest::parse(frame)?;
            let tag_key = TagKey::from_bytes([0; 32]);
            let mut again = seal_enrolment_request(&request, key(), &tag_key).unwrap();
            again[154..].copy_from_slice(&frame[154..]);
            Ok(again)
        }
        Kind::EnrolmentResponse => Ok(EnrolmentResponse::parse(frame)?.emit()),
    }
}

proptest! {
    #[test]
    fn requests_come_back(request in request(), name in text()) {
        let request = Request { workstation_name: Name::truncated(&name), ..request };
        let frame = schedule().seal(&request);
        prop_assert_eq!(Kind::of(&frame), Ok(Kind::Request));
        let parsed = Request::parse(&frame).unwrap();
        prop_assert_eq!(parsed, request);
        prop_assert_eq!(schedule().seal(&parsed), frame);
    }

    #[test]
    fn responses_come_back(body in response()) {
        let frame = sign_response(&body, key()).unwrap();
        let parsed = Response::parse(&frame).unwrap();
        prop_assert_eq!(parsed.body, body);
        prop_assert_eq!(parsed.emit(), frame);
    }

    #[test]
    fn certificates_come_back(certificate in certificate()) {
        prop_assert_eq!(Certificate::parse(&certificate.emit()), Ok(certificate));
        let signed = sign_certificate(&certificate.claims, key()).unwrap();
        prop_assert_eq!(signed.claims, certificate.claims);
    }

    #[test]
    fn enrolment_requests_come_back(request in enrolment_request(), name in text()) {
        let request = EnrolmentRequest { host_name: Name::truncated(&name), ..request };
        let tag_key = TagKey::from_bytes([2; 32]);
        let frame = seal_enrolment_request(&request, key(), &tag_key).unwrap();
        let parsed = EnrolmentRequest::parse(&frame).unwrap();
        prop_assert_eq!(parsed, request);
        prop_assert_eq!(seal_enrolment_request(&parsed, key(), &tag_key).unwrap(), frame);
    }

    #[test]
    fn enrolment_responses_come_back(body in enrolment_response()) {
        let frame = sign_enrolment_response(&body, key()).unwrap();
        let parsed = EnrolmentResponse::parse(&frame).unwrap();
        prop_assert_eq!(parsed.body, body);
        prop_assert_eq!(parsed.emit(), frame);
    }

    #[test]
    fn what_is_accepted_is_written_again_as_it_was(
        mut frames in frames(),
        changes in vec((4..FRAME_LEN, any::<u8>()), 1..4),
    ) {
        for frame in &mut frames {
            for (at, byte) in &changes {
                frame[*at] = *byte;
            }
            match rewritten(frame) {
                Ok(again) => prop_assert_eq!(again, *frame),
                Err(malformed) => prop_assert!(usize::from(malformed.offset) < FRAME_LEN),
            }
        }
    }

    #[test]
    fn a_frame_is_of_one_kind_only(frames in frames()) {
        for (index, frame) in frames.iter().enumerate() {
            let kind = frame[3];
            let refused = |fits: usize, fault: Option<Malformed>| {
                let other = Malformed { offset: 3, fault: Fault::Kind(kind) };
                fault == (fits != index).then_some(other)
            };
            prop_assert!(refused(0, Request::parse(frame).err()));
            prop_assert!(refused(1, Response::parse(frame).err()));
            prop_assert!(refused(2, EnrolmentRequest::parse(frame).err()));
            prop_assert!(refused(3, EnrolmentResponse::parse(frame).err()));
        }
    }

    #[test]
    fn random_bytes_are_refused_at_a_byte_of_theirs(bytes in vec(any::<u8>(), 0..600)) {
        match frame_from_slice(&bytes).and_then(rewritten) {
            Ok(again) => prop_assert_eq!(&again[..], &bytes[..]),
            Err(Malformed { offset, .. }) => prop_assert!(usize::from(offset) <= bytes.len()),
        }
    }

}

#[test]
fn every_other_length_is_refused() {
    let bytes = [0x48; 1_000];
    for length in (0..=bytes.len()).filter(|length| *length != FRAME_LEN) {
        let refused = frame_from_slice(&bytes[..length]).unwrap_err();
        assert_eq!(refused.fault, Fault::Length(length));
        assert_eq!(usize::from(refused.offset), length.min(FRAME_LEN));
        assert_eq!(refused.to_string(), format!("{length} bytes long, a frame has 250"));
    }
    assert!(frame_from_slice(&bytes[..FRAME_LEN]).is_ok());
}

#[test]
fn every_reserved_bit_is_refused_where_it_stands() {
    let reserved: [&[(usize, usize)]; 4] = [
        &[(204, 218)],
        &[(64 + 55, 64 + 56), (184, 186)],
        &[(4, 6), (7, 8), (12, 16), (152, 154)],
        &[(6, 8), (56 + 55, 56 + 56), (178, 186)],
    ];
    for (frame, ranges) in plain_frames().iter().zip(reserved) {
        assert_eq!(rewritten(frame).as_ref(), Ok(frame));
        for at in ranges.iter().flat_map(|(start, end)| *start..*end) {
            for bit in 0..8 {
                let mut frame = *frame;
                frame[at] ^= 1 << bit;
                let offset = u16::try_from(at).unwrap();
                let refused = Err(Malformed { offset, fault: Fault::Reserved });
                assert_eq!(rewritten(&frame), refused, "bit {bit} of byte {at}");
            }
        }
    }
}

/// Puts `bytes` at `at` into the frame of that index and says what becomes of it.
#[track_caller]
fn refused(index: usize, at: usize, bytes: &[u8], offset: u16, fault: Fault) {
    let mut frame = plain_frames()[index];
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    let malformed = rewritten(&frame).unwrap_err();
    assert_eq!(malformed, Malformed { offset, fault });
    assert!(malformed.to_string().ends_with(&format!(", at byte {offset}")), "{malformed}");
}

#[test]
fn every_field_rule_is_enforced_where_the_field_stands() {
    for index in 0..4 {
        refused(index, 0, b"XC", 0, Fault::Magic);
        refused(index, 0, b"Hc", 0, Fault::Magic);
        for version in [0, 2, 255] {
            refused(index, 2, &[version], 2, Fault::Version(version));
        }
        for kind in [0, 5, 255] {
            refused(index, 3, &[kind], 3, Fault::Kind(kind));
        }
    }
    for bit in 2..16 {
        let flags: u16 = 1 << bit;
        refused(0, 4, &flags.to_be_bytes(), 4, Fault::Flags(flags));
    }
    for status in 7..=255 {
        refused(0, 6, &[status], 6, Fault::LicenceStatus(status));
    }
    for method in 2..=255 {
        refused(0, 7, &[method], 7, Fault::Method(method));
    }
    refused(0, 8, &[0; 4], 8, Fault::RequiredCount);
    refused(0, 64, &[0; 16], 64, Fault::Cmid);

    for code in 9..=0xffff_u16 {
        if code % 251 == 0 || code < 20 {
            refused(1, 4, &code.to_be_bytes(), 4, Fault::Status(code));
            refused(3, 4, &code.to_be_bytes(), 4, Fault::Status(code));
        }
    }
    for bit in 1..16 {
        let flags: u16 = 1 << bit;
        refused(1, 6, &flags.to_be_bytes(), 6, Fault::Flags(flags));
    }
    for role in 2..=255 {
        refused(1, 64 + 54, &[role], 64 + 54, Fault::Role(role));
        refused(3, 56 + 54, &[role], 56 + 54, Fault::Role(role));
    }
    for code in 1..=8 {
        refused(1, 4, &[0, code], 8, Fault::RefusalGrants);
        refused(1, 4, &[0, code, 0, 0, 0, 0, 0, 0], 20, Fault::RefusalGrants);
        refused(3, 4, &[0, code], 56, Fault::CertificatePresence);
    }
    refused(3, 56, &[0; CERTIFICATE_LEN], 56, Fault::CertificatePresence);
}

#[test]
fn names_are_utf8_padded_with_zeros() {
    for (index, start) in [(0, 136), (2, 88)] {
        let offset = u16::try_from(start).unwrap();
        let write = |name: &[u8]| {
            let mut field = [0; NAME_LEN];
            field[..name.len()].copy_from_slice(name);
            field
        };
        let broken = |name: &[u8], at: u16, fault| refused(index, start, &write(name), at, fault);
        broken(b"a\0b", offset + 2, Fault::NamePadding);
        broken(b"\0\0\0\0\x01", offset + 4, Fault::NamePadding);
        broken(b"ab\xff", offset + 2, Fault::NameEncoding);
        broken(b"\xc3", offset, Fault::NameEncoding);
        broken(b"ok\xed\xa0\x80", offset + 2, Fault::NameEncoding);
        broken(b"\xc0\x80", offset, Fault::NameEncoding);

        let mut last = write(b"");
        last[NAME_LEN - 1] = 1;
        refused(index, start, &last, offset + 63, Fault::NamePadding);
        let mut cut = [b'x'; NAME_LEN];
        cut[NAME_LEN - 1] = 0xc3;
        refused(index, start, &cut, offset + 63, Fault::NameEncoding);
    }
}

#[test]
fn a_long_validity_is_not_written_as_a_perpetual_one() {
    let longest = Verdict::Granted { count: 1, validity: Validity::For(Minutes(u32::MAX)) };
    let body = ResponseBody { verdict: longest, ..plain_response() };
    let parsed = Response::parse(&sign_response(&body, key()).unwrap()).unwrap();
    let written = Verdict::Granted { count: 1, validity: Validity::For(Minutes(u32::MAX - 1)) };
    assert_eq!(parsed.body.verdict, written);
}
