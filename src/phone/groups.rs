//! Numbers as groups of decimal digits that can be read out and typed in (PROTOCOL 14).
//!
//! A group is six digits of the number and a check digit, which depends on the group's place. It
//! tells every wrong digit, every two neighbouring digits that changed places, and every group in a
//! place that is not its own, but for places ten apart.

use core::fmt;

use super::bits;

/// Digits of a group, its check digit included.
pub const GROUP_DIGITS: usize = 7;

/// What the six digits of a group count up to.
const BASE: u32 = 1_000_000;

/// H. M. Damm's quasigroup of order 10. It is totally anti-symmetric, which is what tells
/// neighbouring digits that changed places, and has zeros in the diagonal, so that the digit to be
/// appended is the state itself.
const DAMM: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

/// A group of a number, in its place. `Display` writes its seven digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Group {
    index: usize,
    value: u32,
}

/// A group that was not typed as it was read out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InvalidGroup {
    /// Which group: 1 is the first.
    pub group: usize,
    /// What is wrong with it.
    pub fault: GroupFault,
}

/// What can be wrong with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GroupFault {
    /// There are not seven digits; this many there are.
    Length(usize),
    /// Something in it is neither digit nor hyphen nor space.
    Character,
    /// The check digit does not fit: a digit is wrong, two have changed places, or the group
    /// belongs to another place.
    CheckDigit,
}

/// Reads the group with this index (the first is 0): seven digits, with hyphens and spaces skipped.
/// So each group can be checked as soon as it is typed.
pub fn check_group(index: usize, text: &str) -> Result<Group, InvalidGroup> {
    let invalid = |fault| InvalidGroup { group: index.saturating_add(1), fault };
    let mut value = 0;
    let mut state = start(index);
    let mut length: usize = 0;
    for character in text.chars().filter(|character| !is_separator(*character)) {
        let digit = character.to_digit(10).ok_or(invalid(GroupFault::Character))?;
        length = length.saturating_add(1);
        if length < GROUP_DIGITS {
            value = pushed(value, digit);
        }
        state = next(state, digit);
    }
    match (length, state) {
        (GROUP_DIGITS, 0) => Ok(Group { index, value }),
        (GROUP_DIGITS, _) => Err(invalid(GroupFault::CheckDigit)),
        (other, _) => Err(invalid(GroupFault::Length(other))),
    }
}

/// Reads a whole number of `N` groups. Hyphens and spaces are skipped; where they make `N` parts,
/// each part is taken for a group, so that a digit too few is reported where it is missing.
pub(super) fn read<const N: usize>(text: &str) -> Result<[Group; N], Unreadable> {
    let mut groups = [Group { index: 0, value: 0 }; N];
    let parts = || text.split(is_separator).filter(|part| !part.is_empty());
    if parts().count() == N {
        for (index, (group, part)) in groups.iter_mut().zip(parts()).enumerate() {
            *group = check_group(index, part)?;
        }
        return Ok(groups);
    }
    let mut rest = text;
    for (index, group) in groups.iter_mut().enumerate() {
        let (head, tail) = split_group(rest);
        match check_group(index, head) {
            // A number that ends too early is not the fault of the group where it ends.
            Err(InvalidGroup { fault: GroupFault::Length(_), .. }) => break,
            checked => *group = checked?,
        }
        rest = tail;
    }
    let found = text.chars().filter(|character| !is_separator(*character)).count();
    if found == N.saturating_mul(GROUP_DIGITS) {
        Ok(groups)
    } else {
        Err(Unreadable::Digits(found))
    }
}

/// Why a text has no groups to make a number of.
#[derive(Clone, Copy)]
pub(super) enum Unreadable {
    Group(InvalidGroup),
    /// So many digits there are.
    Digits(usize),
}

/// The number that the first bits of some bytes are, in groups.
pub(super) fn from_bits<const N: usize>(bytes: &[u8], length: usize) -> [Group; N] {
    let mut groups = [Group { index: 0, value: 0 }; N];
    for (index, group) in groups.iter_mut().enumerate() {
        group.index = index;
    }
    for bit in 0..length {
        let mut carry = u32::from(bits::get(bytes, bit));
        for group in groups.iter_mut().rev() {
            let doubled = group.value.wrapping_mul(2).wrapping_add(carry); // below 2 * BASE
            carry = doubled / BASE;
            group.value = doubled % BASE;
        }
    }
    groups
}

/// The number of so many bits that the groups are; `None` when it has more bits.
pub(super) fn to_bits<const N: usize, const B: usize>(
    groups: &[Group; N],
    length: usize,
) -> Option<[u8; B]> {
    let mut rest = groups.map(|group| group.value);
    let mut bytes = [0; B];
    for bit in (0..length).rev() {
        let mut odd: u32 = 0;
        for value in &mut rest {
            let whole = odd.wrapping_mul(BASE).wrapping_add(*value); // below 2 * BASE
            odd = whole % 2;
            *value = whole / 2;
        }
        bits::set(&mut bytes, bit, odd != 0);
    }
    (rest == [0; N]).then_some(bytes)
}

/// A text before and after the end of its first group.
fn split_group(text: &str) -> (&str, &str) {
    let digits = text.char_indices().filter(|(_, character)| !is_separator(*character));
    let end = digits.map(|(at, _)| at).nth(GROUP_DIGITS).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

const fn is_separator(character: char) -> bool {
    character == '-' || character.is_whitespace()
}

/// The check's state before a group's first digit. It makes a group of one place wrong in others.
const fn start(index: usize) -> u8 {
    (index % 10) as u8
}

fn next(state: u8, digit: u32) -> u8 {
    let row = DAMM.get(usize::from(state));
    row.and_then(|row| row.get(digit as usize)).copied().unwrap_or_default()
}

/// A value of less than six digits with one more.
const fn pushed(value: u32, digit: u32) -> u32 {
    value.wrapping_mul(10).wrapping_add(digit)
}

impl Group {
    /// The seven digits, as numbers from 0 to 9.
    #[must_use]
    pub fn digits(&self) -> [u8; GROUP_DIGITS] {
        let mut digits = [0; GROUP_DIGITS];
        let [head @ .., check] = &mut digits;
        let mut rest = self.value;
        for digit in head.iter_mut().rev() {
            *digit = (rest % 10) as u8;
            rest /= 10;
        }
        *check = head.iter().fold(start(self.index), |state, digit| next(state, (*digit).into()));
        digits
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits().iter().try_for_each(|digit| write!(f, "{digit}"))
    }
}

/// Groups identify a machine or a host: only the place is shown.
impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({})", self.index.saturating_add(1))
    }
}

impl fmt::Display for InvalidGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, fault } = self;
        match fault {
            GroupFault::Length(digits) => {
                write!(f, "group {group} has {digits} digits, it should have {GROUP_DIGITS}")
            }
            GroupFault::Character => {
                write!(f, "group {group} has a character that is no digit")
            }
            GroupFault::CheckDigit => write!(
                f,
                "group {group} is not right: a wrong digit, two that changed places, or a group \
                 that belongs elsewhere"
            ),
        }
    }
}

impl core::error::Error for InvalidGroup {}

impl From<InvalidGroup> for Unreadable {
    fn from(invalid: InvalidGroup) -> Self {
        Self::Group(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quasigroup_is_totally_anti_symmetric() {
        let of = |row: u8, digit: u8| DAMM[usize::from(row)][usize::from(digit)];
        for row in 0..10 {
            assert_eq!(of(row, row), 0);
            for a in 0..10 {
                for b in (0..10).filter(|b| *b != a) {
                    assert_ne!(of(row, a), of(row, b), "a wrong digit");
                    assert_ne!(of(a, row), of(b, row), "another start");
                    assert_ne!(of(of(row, a), b), of(of(row, b), a), "two changed places");
                }
            }
        }
    }
}
