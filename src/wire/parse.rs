//! The one place that knows nom: the fields of a frame, read one after the other into a value. That is
//! how enrolments are read, which happen once. Activations are read where they stand
//! ([`RequestView`](super::RequestView), [`ResponseView`](super::ResponseView)).
//!
//! [`Fields`] remembers the first broken rule and goes on with zeros, and the end of the frame tells.
//! So reading a field needs no error path where it stands, which on a microcontroller is a third of the
//! code. For the same reason most methods are not inlined. Input is always complete, and everything
//! must be consumed.

use nom::{IResult, Parser as _};

use super::error::{Fault, Malformed};
use super::{Frame, Kind};

/// Reads the rest of a whole frame after its header, which must be of `kind`. `body` must consume all
/// of it, and answers with nothing only where a rule is broken.
pub(super) fn frame<'a, T>(
    frame: &'a Frame,
    kind: Kind,
    body: impl FnOnce(&mut Fields<'a>) -> Option<T>,
) -> Result<T, Malformed> {
    let mut fields = Fields { rest: frame, length: frame.len(), broken: None };
    fields.header(kind);
    let value = body(&mut fields);
    fields.finish()?;
    // Where there is no value a rule was broken, so this error is never seen.
    value.ok_or(Malformed::at(0, Fault::Length(frame.len())))
}

/// Fields that are still to be read.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    length: usize,
    /// The first broken rule.
    broken: Option<Malformed>,
}

impl<'a> Fields<'a> {
    /// The four bytes every frame starts with (PROTOCOL 2).
    fn header(&mut self, kind: Kind) {
        self.chunk(|header| kind.check(*header));
    }

    /// A field put to a rule; a broken one is reported at the field's first byte.
    pub(super) fn checked<T, U>(
        &mut self,
        field: impl FnOnce(&mut Self) -> T,
        rule: impl FnOnce(T) -> Result<U, Fault>,
    ) -> Option<U> {
        let start = self.rest;
        match rule(field(self)) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fail(start, fault);
                None
            }
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    #[inline(never)]
    fn fill(&mut self, into: &mut [u8]) {
        let bytes = self.take(into.len()).unwrap_or_default();
        for (to, from) in into.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    #[inline(never)]
    pub(super) fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    #[inline(never)]
    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    #[inline(never)]
    pub(super) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    #[inline(never)]
    pub(super) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// Bytes where they stand, put to rules of their own; a broken one is reported where it is broken.
    pub(super) fn chunk<const N: usize, T>(
        &mut self,
        parse: impl FnOnce(&'a [u8; N]) -> Result<T, Malformed>,
    ) -> Option<T> {
        let start = self.rest;
        match parse(self.take(N)?.as_array()?) {
            Ok(value) => Some(value),
            Err(Malformed { offset, fault }) => {
                self.fail(start.get(usize::from(offset)..).unwrap_or_default(), fault);
                None
            }
        }
    }

    /// So many bytes that must be zero; the error names the first that is not.
    pub(super) fn reserved(&mut self, length: usize) {
        self.zeros(length, Fault::Reserved);
    }

    /// The same with another fault.
    pub(super) fn zeros(&mut self, length: usize, fault: Fault) {
        let start = self.rest;
        let bytes = self.take(length).unwrap_or_default();
        if let Some(index) = bytes.iter().position(|byte| *byte != 0) {
            self.fail(start.get(index..).unwrap_or_default(), fault);
        }
    }

    /// What comes next, without reading it.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reports a fault at the first byte of `at`, a part of the input up to its end. Only the first
    /// one is kept.
    #[inline(never)]
    pub(super) fn fail(&mut self, at: &[u8], fault: Fault) {
        if self.broken.is_none() {
            let offset = self.length.saturating_sub(at.len());
            self.broken = Some(Malformed { offset: offset as u16, fault });
        }
    }

    /// So many bytes where they stand; `None` when the input has ended.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken: IResult<_, _, ()> = nom::bytes::complete::take(length).parse(self.rest);
        if let Ok((rest, bytes)) = taken {
            self.rest = rest;
            return Some(bytes);
        }
        // Inputs have the length of their type: this is only possible when a layout is wrong.
        self.fail(self.rest, Fault::Length(self.length));
        None
    }

    fn finish(&mut self) -> Result<(), Malformed> {
        let all: IResult<_, _, ()> = nom::combinator::eof(self.rest);
        if all.is_err() {
            self.fail(self.rest, Fault::Length(self.length));
        }
        self.broken.map_or(Ok(()), Err)
    }
}
