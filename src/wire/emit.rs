//! Writing frames: a cursor over a buffer whose length the type fixes.

/// Fills a buffer from its start. The frames' lengths are constants, so nothing can overflow; what
/// would is dropped rather than a panic, and `finish` finds it in debug builds and tests.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    rest: &'a mut [u8],
    overflowed: bool,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { rest: buffer, overflowed: false }
    }

    pub(super) fn put<const N: usize>(&mut self, bytes: &[u8; N]) -> &mut Self {
        match core::mem::take(&mut self.rest).split_first_chunk_mut::<N>() {
            Some((head, tail)) => {
                *head = *bytes;
                self.rest = tail;
            }
            None => self.overflowed = true,
        }
        self
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(super) fn reserved<const N: usize>(&mut self) -> &mut Self {
        self.put(&[0; N])
    }

    /// Ends the frame, which must now be full.
    pub(super) fn finish(&self) {
        debug_assert!(self.rest.is_empty() && !self.overflowed, "the frame's layout has a gap");
    }
}
