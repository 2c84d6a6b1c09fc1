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
        self.slice(bytes)
    }

    /// Not inlined, as most below: on a microcontroller a call is less than what is called.
    #[inline(never)]
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

    #[inline(never)]
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    #[inline(never)]
    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    #[inline(never)]
    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    #[inline(never)]
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

/// Takes fields from the start of stored bytes. It remembers the first field that is wrong or not all
/// there and goes on with zeros, and the end tells: so reading a field needs no error path where it
/// stands, which on a microcontroller is most of the code.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    broken: Option<Corrupt>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len(), broken: None }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// The next bytes, as many as there are places; none when fewer are left.
    #[inline(never)]
    fn fill(&mut self, into: &mut [u8]) {
        let bytes = self.take(into.len()).unwrap_or_default();
        for (to, from) in into.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    /// The next bytes where they stand; `None` when fewer are left.
    pub(crate) fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.as_array()
    }

    #[inline(never)]
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.rest.split_at_checked(length);
        match taken {
            Some((_, tail)) => self.rest = tail,
            None => self.fail(self.offset()),
        }
        taken.map(|(head, _)| head)
    }

    #[inline(never)]
    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    #[inline(never)]
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    #[inline(never)]
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    #[inline(never)]
    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// A field put to a rule: `None` is an error at the field's first byte.
    pub(crate) fn checked<T, U>(
        &mut self,
        field: impl FnOnce(&mut Self) -> T,
        rule: impl FnOnce(T) -> Option<U>,
    ) -> Option<U> {
        let start = self.offset();
        let value = rule(field(self));
        if value.is_none() {
            self.fail(start);
        }
        value
    }

    /// A byte that is 0 or 1.
    #[inline(never)]
    pub(crate) fn flag(&mut self) -> bool {
        let byte = self.checked(Self::u8, |byte| (byte <= 1).then_some(byte));
        byte == Some(1)
    }

    /// Whether all fields so far were there and right. Loops ask it, or they may be long.
    pub(crate) const fn so_far(&self) -> Result<(), Corrupt> {
        match self.broken {
            Some(corrupt) => Err(corrupt),
            None => Ok(()),
        }
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn finish(&mut self) -> Result<(), Corrupt> {
        if !self.rest.is_empty() {
            self.fail(self.offset());
        }
        self.so_far()
    }

    /// The first error stands.
    #[inline(never)]
    fn fail(&mut self, offset: usize) {
        self.rest = &[];
        self.broken.get_or_insert(Corrupt { offset });
    }

    /// Of the next byte to be read.
    const fn offset(&self) -> usize {
        self.length.saturating_sub(self.rest.len())
    }
}

/// `N` bytes of an array, from `AT` on.
pub(crate) fn part<const AT: usize, const N: usize, const L: usize>(whole: &[u8; L]) -> &[u8; N] {
    const { assert!(AT + N <= L) };
    // Always there, by the assertion above, which the compiler sees too.
    whole.get(AT..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; N])
}

/// Puts bytes into an array, from `AT` on.
pub(crate) fn place<const AT: usize, const N: usize, const L: usize>(
    whole: &mut [u8; L],
    bytes: [u8; N],
) {
    const { assert!(AT + N <= L) };
    // Always there, as above.
    if let Some(place) = whole.get_mut(AT..).and_then(<[u8]>::first_chunk_mut) {
        *place = bytes;
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
                let fields = (reader.u8(), reader.u16(), reader.u32(), reader.u64());
                let zero = |value| (value == 0).then_some(());
                reader.checked(Reader::u16, zero);
                let texts = (reader.array::<4>(), reader.array::<3>());
                reader.finish().map(|()| (fields, texts))
            };
            // Where the field begins that is cut.
            let offset = [0, 1, 3, 7, 15, 17, 21].into_iter().rfind(|at| *at <= length).unwrap();
            let whole = ((1, 2, 3, 4), (*b"head", *b"cnt"));
            assert_eq!(read(), if length == 24 { Ok(whole) } else { Err(Corrupt { offset }) });
        }
    }

    #[test]
    fn reader_names_the_first_field_that_breaks_a_rule() {
        let is_one = |value| (value == 1).then_some(());
        let mut reader = Reader::new(&[0, 1, 0, 2, 0, 3, 0, 1]);
        assert_eq!(reader.checked(Reader::u16, is_one), Some(()));
        assert_eq!(reader.so_far(), Ok(()));
        assert_eq!(reader.checked(Reader::u16, is_one), None);
        assert_eq!(reader.so_far(), Err(Corrupt { offset: 2 }));
        assert_eq!(reader.checked(Reader::u16, is_one), None);
        assert_eq!(reader.u16(), 0, "after a broken rule there is nothing");
        assert_eq!(reader.finish(), Err(Corrupt { offset: 2 }));
        let mut reader = Reader::new(&[1, 0, 2]);
        assert!(reader.flag() && !reader.flag() && !reader.flag());
        assert_eq!(reader.finish(), Err(Corrupt { offset: 2 }));
        let mut reader = Reader::new(&[0, 1, 2]);
        assert_eq!(reader.u16(), 1);
        assert_eq!(reader.finish(), Err(Corrupt { offset: 2 }));
    }
}
