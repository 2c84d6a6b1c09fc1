//! The encodings of points and scalars that strict verification refuses, told by their bytes alone.
//! All of it is public data, so nothing here needs constant time.

/// `y` of the points whose order divides 8, in canonical encodings without the sign of `x`: two of
/// order 8 (with either sign), order 4 (likewise), order 1, order 2.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    [0; 32],
    with_ends(0x01, 0x00, 0x00),
    with_ends(0xec, 0xff, 0x7f),
];

/// The group order 2^252 + 27742317777372353535851937790883648493, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    let [start, .., end] = &mut bytes;
    (*start, *end) = (first, last);
    bytes
}

/// Whether the bytes can be the canonical encoding of a point that is not of small order. Whether
/// there is such a point they do not tell.
///
/// The other non-canonical form, a sign on `x = 0`, is one of small order, and refused with it.
pub(super) fn is_strict_point(bytes: &[u8; 32]) -> bool {
    let mut y = *bytes;
    let [.., last] = &mut y;
    *last &= 0x7f;
    is_canonical_field_element(&y) && !SMALL_ORDER.contains(&y)
}

/// Whether a number below 2^255 is below 2^255 - 19. Libraries reduce it silently, so two
/// encodings of one point would pass.
fn is_canonical_field_element(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    let largest = *last == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    !(largest && *first >= 0xed)
}

/// Whether a scalar is below the group order.
pub(super) fn is_canonical_scalar(bytes: &[u8; 32]) -> bool {
    bytes.iter().rev().lt(ORDER.iter().rev())
}
