//! The one place that knows nom: small parsers for fields, whose errors keep the position.
//!
//! A parser that fails reports how many bytes were *left*; [`frame`] turns that into an offset.
//! Input is always complete, and everything must be consumed.

use core::num::NonZeroU32;

use nom::error::ParseError;
use nom::{IResult, Parser};

use super::error::{Fault, Malformed};
use super::{Frame, Kind, MAGIC, VERSION};

type Input<'a> = &'a [u8];
pub(super) type Parsed<'a, T> = IResult<Input<'a>, T, Failure>;

/// A broken rule, and where: as the number of bytes from there to the end of the input.
#[derive(Debug)]
pub(super) struct Failure {
    left: usize,
    fault: Fault,
}

impl Failure {
    fn new(at: Input<'_>, fault: Fault) -> nom::Err<Self> {
        nom::Err::Error(Self { left: at.len(), fault })
    }
}

impl ParseError<Input<'_>> for Failure {
    fn from_error_kind(input: Input<'_>, _: nom::error::ErrorKind) -> Self {
        // Inputs have the length of their type, so running out is the only way to come here.
        Self { left: input.len(), fault: Fault::Length(input.len()) }
    }

    fn append(_: Input<'_>, _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

/// Runs `body` over a part of a frame that begins at `start`, all of which it must consume.
pub(super) fn all<'a, T>(
    input: Input<'a>,
    start: usize,
    body: impl Parser<Input<'a>, Output = T, Error = Failure>,
) -> Result<T, Malformed> {
    let mut parser = nom::combinator::all_consuming(body);
    match parser.parse_complete(input) {
        Ok((_, value)) => Ok(value),
        Err(
            nom::Err::Error(Failure { left, fault }) | nom::Err::Failure(Failure { left, fault }),
        ) => {
            let offset = start.saturating_add(input.len().saturating_sub(left));
            Err(Malformed { offset: offset as u16, fault })
        }
        // `complete` parsers never ask for more.
        Err(nom::Err::Incomplete(_)) => {
            Err(Malformed { offset: start as u16, fault: Fault::Length(input.len()) })
        }
    }
}

/// Runs `body` over the rest of a whole frame after its header, which must be of `kind`.
pub(super) fn frame<'a, T>(
    frame: &'a Frame,
    kind: Kind,
    body: impl Parser<Input<'a>, Output = T, Error = Failure>,
) -> Result<T, Malformed> {
    all(frame, 0, nom::sequence::preceded(|input| header(input, kind), body))
}

/// The four bytes every frame starts with (PROTOCOL 2).
fn header(input: Input<'_>, kind: Kind) -> Parsed<'_, ()> {
    let (input, ()) =
        checked(array, |magic| (magic == MAGIC).then_some(()).ok_or(Fault::Magic)).parse(input)?;
    let (input, ()) =
        checked(u8, |v| (v == VERSION).then_some(()).ok_or(Fault::Version(v))).parse(input)?;
    checked(u8, |v| (v == kind as u8).then_some(()).ok_or(Fault::Kind(v))).parse(input)
}

/// A parser's value put to a rule; a broken rule is reported at the field's first byte.
pub(super) fn checked<'a, T, U>(
    mut parser: impl Parser<Input<'a>, Output = T, Error = Failure>,
    rule: impl Fn(T) -> Result<U, Fault>,
) -> impl Parser<Input<'a>, Output = U, Error = Failure> {
    move |input: Input<'a>| {
        let (rest, value) = parser.parse(input)?;
        rule(value).map(|value| (rest, value)).map_err(|fault| Failure::new(input, fault))
    }
}

pub(super) fn array<const N: usize>(input: Input<'_>) -> Parsed<'_, [u8; N]> {
    borrowed(input).map(|(rest, bytes)| (rest, *bytes))
}

pub(super) fn borrowed<const N: usize>(input: Input<'_>) -> Parsed<'_, &[u8; N]> {
    let (rest, taken) = nom::bytes::complete::take(N).parse(input)?;
    // `take` yields just N bytes, so the conversion cannot fail.
    let bytes = taken.try_into().map_err(|_| Failure::new(input, Fault::Length(input.len())))?;
    Ok((rest, bytes))
}

pub(super) fn u8(input: Input<'_>) -> Parsed<'_, u8> {
    nom::number::complete::be_u8(input)
}

pub(super) fn u16(input: Input<'_>) -> Parsed<'_, u16> {
    nom::number::complete::be_u16(input)
}

pub(super) fn u32(input: Input<'_>) -> Parsed<'_, u32> {
    nom::number::complete::be_u32(input)
}

pub(super) fn u64(input: Input<'_>) -> Parsed<'_, u64> {
    nom::number::complete::be_u64(input)
}

pub(super) fn nonzero_u32(input: Input<'_>, fault: Fault) -> Parsed<'_, NonZeroU32> {
    checked(u32, move |value| NonZeroU32::new(value).ok_or(fault)).parse(input)
}

/// `N` bytes that must be zero; the error names the first that is not.
pub(super) fn reserved<const N: usize>(input: Input<'_>) -> Parsed<'_, ()> {
    let (rest, bytes) = borrowed::<N>(input)?;
    zero_tail(input, bytes, Fault::Reserved).map(|()| (rest, ()))
}

/// Checks that `tail`, which starts `input`, is all zero.
pub(super) fn zero_tail(
    input: Input<'_>,
    tail: &[u8],
    fault: Fault,
) -> Result<(), nom::Err<Failure>> {
    match tail.iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(index) => Err(Failure::new(input.get(index..).unwrap_or_default(), fault)),
    }
}

/// A fault at `index` bytes into `input`.
pub(super) fn fault_at(input: Input<'_>, index: usize, fault: Fault) -> nom::Err<Failure> {
    Failure::new(input.get(index..).unwrap_or_default(), fault)
}
