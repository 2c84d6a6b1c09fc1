//! Fields of any number of bits, most significant first, that stand wherever the one before ends.

use core::ops::Range;

/// The bits of a field, at the start of as many bytes as they need; the rest is zero.
pub(super) fn read<const N: usize>(from: &[u8], field: Range<usize>) -> [u8; N] {
    let mut value = [0; N];
    for (to, at) in field.enumerate() {
        set(&mut value, to, get(from, at));
    }
    value
}

/// Writes the first bits of `value` into a field that is zero.
pub(super) fn write(to: &mut [u8], field: Range<usize>, value: &[u8]) {
    for (at, index) in field.enumerate() {
        set(to, index, get(value, at));
    }
}

/// A bit; those beyond the end are zero.
pub(super) fn get(bytes: &[u8], index: usize) -> bool {
    bytes.get(index / 8).is_some_and(|byte| byte & mask(index) != 0)
}

/// Sets a bit that is zero.
pub(super) fn set(bytes: &mut [u8], index: usize, bit: bool) {
    if let Some(byte) = bytes.get_mut(index / 8)
        && bit
    {
        *byte |= mask(index);
    }
}

const fn mask(index: usize) -> u8 {
    0x80 >> (index % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_next_to_each_other() {
        let mut bytes = [0; 4];
        write(&mut bytes, 0..4, &[0x50]);
        write(&mut bytes, 4..16, &[0xab, 0xc0]);
        write(&mut bytes, 16..23, &[0xff]);
        assert_eq!(bytes, [0x5a, 0xbc, 0xfe, 0]);
        assert_eq!(read::<1>(&bytes, 0..4), [0x50]);
        assert_eq!(read::<2>(&bytes, 4..16), [0xab, 0xc0]);
        assert_eq!(read::<1>(&bytes, 16..23), [0xfe]);
        assert_eq!(read::<1>(&bytes, 23..40), [0], "nothing is beyond the end");
    }
}
