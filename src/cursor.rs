//! Cursors over bytes of a fixed layout, big-endian: what frames and stored images are written
//! with, and stored images are read with. Nothing here panics or allocates.

use crate::storage::Corrupt;

/// Fills a buffer from its start. What does not fit is dropped rather than a panic; the end tells:
/// [`finish`](Self::finish) for frames, whose lengths are constants, [`written`](Self::written) for
/// everything else.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    rest: &'a mut [u8],
    asked: usize,
    overflowed: bool,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { rest: buffer, asked: 0, overflowed: false }
    }

    pub(crate) fn put<const N: usize>(&mut self, bytes: &[u8; N]) -> &mut Self {
        self.asked = self.asked.saturating_add(N);
        match core::mem::take(&mut self.rest).split_first_chunk_mut::<N>() {
            Some((head, tail)) => {
                *head = *bytes;
                self.rest = tail;
            }
            None => self.overflowed = true,
        }
        self
    }

    pub(crate) fn slice(&mut self, bytes: &[u8]) -> &mut Self {
        self.asked = self.asked.saturating_add(bytes.len());
        match core::mem::take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            Some((head, tail)) => {
                head.copy_from_slice(bytes);
                self.rest = tail;
            }
            None => self.overflowed = true,
        }
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn reserved<const N: usize>(&mut self) -> &mut Self {
        self.put(&[0; N])
    }

    /// Ends a frame, which must now be full.
    pub(crate) fn finish(&self) {
        debug_assert!(self.rest.is_empty() && !self.overflowed, "the frame's layout has a gap");
    }

    /// How many bytes were written; when they did not all fit, how many it would have taken.
    pub(crate) const fn written(&self) -> Result<usize, usize> {
        if self.overflowed { Err(self.asked) } else { Ok(self.asked) }
    }
}

/// Takes fields from the start of stored bytes. An error names the first byte of the field that is
/// wrong or not all there.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, tail) = self.rest.split_first_chunk().ok_or_else(|| self.corrupt())?;
        self.rest = tail;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Corrupt> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Corrupt> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_be_bytes)
    }

    /// A field put to a rule: `None` is an error at the field's first byte.
    pub(crate) fn checked<T, U>(
        &mut self,
        field: impl FnOnce(&mut Self) -> Result<T, Corrupt>,
        rule: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, Corrupt> {
        let here = self.corrupt();
        rule(field(self)?).ok_or(here)
    }

    /// Ends the reading: nothing may be left.
    pub(crate) const fn finish(&self) -> Result<(), Corrupt> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt()) }
    }

    /// An error at the next byte to be read.
    const fn corrupt(&self) -> Corrupt {
        Corrupt { offset: self.length.saturating_sub(self.rest.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writer_and_reader_agree_and_refuse_one_byte_less() {
        let mut buffer = [0; 24];
        for length in 0..=24 {
            let mut writer = Writer::new(&mut buffer[..length]);
            writer.u8(1).u16(2).u32(3).u64(4).reserved::<2>().put(b"head").slice(b"cnt");
            assert_eq!(writer.written(), if length == 24 { Ok(24) } else { Err(24) }, "{length}");
        }
        for length in 0..=24 {
            let mut reader = Reader::new(&buffer[..length]);
            let mut read = || {
                let fields = (reader.u8()?, reader.u16()?, reader.u32()?, reader.u64()?);
                let zero = |value| (value == 0).then_some(());
                reader.checked(Reader::u16, zero)?;
                let texts = (reader.array::<4>()?, reader.array::<3>()?);
                reader.finish().map(|()| (fields, texts))
            };
            // Where the field begins that is cut.
            let offset = [0, 1, 3, 7, 15, 17, 21].into_iter().rfind(|at| *at <= length).unwrap();
            let whole = ((1, 2, 3, 4), (*b"head", *b"cnt"));
            assert_eq!(read(), if length == 24 { Ok(whole) } else { Err(Corrupt { offset }) });
        }
    }

    #[test]
    fn reader_names_the_field_that_breaks_a_rule() {
        let mut reader = Reader::new(&[0, 1, 0, 2]);
        assert_eq!(reader.checked(Reader::u16, |value| (value == 1).then_some(())), Ok(()));
        assert_eq!(
            reader.checked(Reader::u16, |value| (value == 1).then_some(())),
            Err(Corrupt { offset: 2 })
        );
        let mut reader = Reader::new(&[0, 1, 2]);
        assert_eq!(reader.u16(), Ok(1));
        assert_eq!(reader.finish(), Err(Corrupt { offset: 2 }));
    }
}
