//! The four numbers that are told by phone: what they have in common.

use core::fmt;

use super::groups::{GROUP_DIGITS, InvalidGroup, Unreadable};

/// Which number it is: the first four bits of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum NumberKind {
    /// [`InstallationId`](super::InstallationId).
    Installation = 1,
    /// [`HostInstallationId`](super::HostInstallationId).
    HostInstallation = 2,
    /// [`Confirmation`](super::Confirmation).
    Confirmation = 3,
    /// [`HostConfirmation`](super::HostConfirmation).
    HostConfirmation = 4,
}

impl NumberKind {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Installation, Self::HostInstallation, Self::Confirmation, Self::HostConfirmation];

    /// How many groups of seven digits it has. No two have the same number of groups.
    #[must_use]
    pub const fn groups(self) -> usize {
        match self {
            Self::Installation => 13,
            Self::HostInstallation => 17,
            Self::Confirmation => 26,
            Self::HostConfirmation => 32,
        }
    }

    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Installation => "installation id of a machine",
            Self::HostInstallation => "installation id of a host",
            Self::Confirmation => "confirmation id of a machine",
            Self::HostConfirmation => "confirmation id of a host",
        }
    }

    /// The number that has so many digits.
    fn of_digits(digits: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.groups().saturating_mul(GROUP_DIGITS) == digits)
    }
}

/// A text that is not the number that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvalidNumber {
    /// A group is not as it was read out. It is the first such one.
    Group(InvalidGroup),
    /// It has another number of digits.
    Digits {
        /// So many it has.
        found: usize,
        /// What was asked for.
        expected: NumberKind,
    },
    /// Every group is as it was read out, but together they are no such number.
    Content {
        /// What was asked for.
        expected: NumberKind,
    },
}

impl InvalidNumber {
    pub(super) fn from(unreadable: Unreadable, expected: NumberKind) -> Self {
        match unreadable {
            Unreadable::Group(invalid) => Self::Group(invalid),
            Unreadable::Digits(found) => Self::Digits { found, expected },
        }
    }
}

impl From<InvalidGroup> for InvalidNumber {
    fn from(invalid: InvalidGroup) -> Self {
        Self::Group(invalid)
    }
}

impl fmt::Display for InvalidNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Group(invalid) => invalid.fmt(f),
            Self::Digits { found, expected } => {
                let groups = expected.groups();
                write!(f, "{found} digits, the {} has {groups} groups of 7", expected.name())?;
                match NumberKind::of_digits(found) {
                    Some(kind) => write!(f, "; so many has the {}", kind.name()),
                    None => Ok(()),
                }
            }
            Self::Content { expected } => {
                write!(f, "these groups are not the {}", expected.name())
            }
        }
    }
}

impl core::error::Error for InvalidNumber {}

/// What every number has: groups, both ways, as one text and one by one.
macro_rules! number {
    ($name:ident, $kind:ident, $bits:expr, reserved $reserved:expr) => {
        impl $name {
            /// Which number it is.
            pub const KIND: NumberKind = NumberKind::$kind;

            /// Groups of seven digits.
            pub const GROUPS: usize = NumberKind::$kind.groups();

            /// The groups, to be read out one by one.
            #[must_use]
            pub fn groups(&self) -> [Group; Self::GROUPS] {
                groups::from_bits(&self.0, $bits)
            }

            /// From groups that were typed one by one ([`check_group`](super::check_group)).
            pub fn from_groups(groups: &[Group; Self::GROUPS]) -> Result<Self, InvalidNumber> {
                let content = InvalidNumber::Content { expected: Self::KIND };
                let bytes = groups::to_bits(groups, $bits).ok_or(content)?;
                let [kind] = bits::read(&bytes, 0..4);
                let reserved: [u8; 2] = bits::read(&bytes, $reserved);
                if kind >> 4 == Self::KIND as u8 && reserved == [0; 2] {
                    Ok(Self(bytes))
                } else {
                    Err(content)
                }
            }
        }

        /// Reads the groups; hyphens and spaces are skipped.
        impl core::str::FromStr for $name {
            type Err = InvalidNumber;

            fn from_str(text: &str) -> Result<Self, InvalidNumber> {
                let groups = groups::read(text)
                    .map_err(|unreadable| InvalidNumber::from(unreadable, Self::KIND))?;
                Self::from_groups(&groups)
            }
        }

        /// Writes the groups with hyphens between them.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (index, group) in self.groups().iter().enumerate() {
                    if index > 0 {
                        f.write_str("-")?;
                    }
                    group.fmt(f)?;
                }
                Ok(())
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{}", defmt::Debug2Format(self));
            }
        }
    };
}
pub(super) use number;
