//! Images of client and host state that survive a power cut: versioned, checksummed, in two slots.
//!
//! What this layer promises:
//!
//! - A save writes only the slot that does not hold the newest image. A cut at any byte of it, or
//!   of an erase before it, loses what was being saved and nothing older.
//! - An image is taken as a whole or not at all. What is not whole is reported slot by slot, with
//!   the reason; an image of a newer version of this crate is told from a damaged one.
//! - Nothing here hides or authenticates: whoever can write the store can put back an older image
//!   or delete both. What an activation rests on is signed
//!   ([`trust`](crate::trust)), and copying an image to another machine activates nothing.
//!
//! An image is a payload in an envelope of [`ENVELOPE_LEN`] bytes, integers big-endian:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | magic, "HCST" |
//! | 4 | 1 | version of the payload's format, 1 |
//! | 5 | 1 | kind: 1 client state, 2 host state, 3 the host that a client asks first |
//! | 6 | 2 | reserved, zero |
//! | 8 | 8 | sequence number, from 1: the higher one of two images is the newer |
//! | 16 | 4 | length of the payload, n |
//! | 20 | n | payload |
//! | 20 + n | 4 | CRC-32 (ISO-HDLC, as in Ethernet and zip) of everything before it |
//!
//! The envelope is the same in all versions, so a checksum can be relied on before the version is
//! looked at. Bytes after the checksum are ignored: a flash page or an EEPROM has some.
//!
//! # The driver's contract
//!
//! [`Slots::open`] once at start, then [`Slots::save`] as often as there is something to save. Only
//! one `Slots` may use a store at a time. When a save fails, the newest image is still the one
//! before; saving again is safe and tries the same slot.
//!
//! ```
//! use headcount::storage::{Found, Kind, MemoryStore, Slots, image_len};
//!
//! const PAYLOAD: usize = 5;
//! let mut buffer = [0; image_len(PAYLOAD)];
//! let mut store = MemoryStore::<{ image_len(PAYLOAD) }>::new();
//!
//! let (mut slots, found) = Slots::open(&mut store, Kind::Client, &mut buffer)?;
//! assert_eq!(found, Found::Nothing);
//! slots.save(b"state", &mut buffer)?;
//!
//! let (_, found) = Slots::open(&mut store, Kind::Client, &mut buffer)?;
//! assert!(matches!(found, Found::Whole { payload: b"state", .. }));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod envelope;
#[cfg(feature = "std")]
mod file;
mod memory;
mod slots;

pub use envelope::{Damage, ENVELOPE_LEN, Image, VERSION, image_len};
#[cfg(feature = "std")]
pub use file::FileStore;
#[cfg(feature = "daemon")]
pub(crate) use file::{OWNER_ONLY, replace, replace_as};
pub use memory::{MemoryFull, MemoryStore};
pub use slots::{Found, SaveError, SlotState, Slots};

use core::fmt;

/// One of the two places that a store has for images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// The first; an empty store is filled from here.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Whose state an image holds (byte 5 of the envelope).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Kind {
    /// A client's: its activation, grace and CMID.
    Client = 1,
    /// A host's: what it counted. Its key and certificate are kept by the program.
    Host = 2,
    /// The host that a client asks first ([`Finder::remembered`](crate::discovery::Finder::remembered)),
    /// as text, `NAME:PORT`. In a store of its own: it changes at other times than the client's state,
    /// and nothing is lost with it.
    RememberedHost = 3,
}

/// Where two images are kept. Writing one slot must never touch the other: on flash, each slot has
/// erase sectors of its own.
pub trait Store {
    /// Why the medium failed.
    type Error: fmt::Debug;

    /// Reads a slot from its start into `into`, and returns how many bytes the slot holds; 0 for an
    /// empty one. When that is more than `into` has place for, `into` gets the first of them.
    ///
    /// A medium that does not know where an image ends fills `into` and returns its length: what
    /// follows an image is ignored, and nothing but `0xFF` (erased flash) counts as empty.
    ///
    /// An error is for a medium that fails. Bytes that a cut write left unreadable, as flash with
    /// error correction may, are to be given as any value instead (the checksum finds them):
    /// [`Slots::open`] does not go on past an error unless the other slot holds a whole image.
    fn read(&mut self, slot: Slot, into: &mut [u8]) -> Result<usize, Self::Error>;

    /// Replaces what a slot holds by `image`, and returns when it is safe from a power cut.
    ///
    /// It may be cut at any byte, or fail, and may leave anything in this slot; never in the other.
    fn write(&mut self, slot: Slot, image: &[u8]) -> Result<(), Self::Error>;
}

impl<S: Store + ?Sized> Store for &mut S {
    type Error = S::Error;

    fn read(&mut self, slot: Slot, into: &mut [u8]) -> Result<usize, Self::Error> {
        S::read(self, slot, into)
    }

    fn write(&mut self, slot: Slot, image: &[u8]) -> Result<(), Self::Error> {
        S::write(self, slot, image)
    }
}

/// A payload whose checksum fits but whose content breaks a rule: written by a defective program
/// or by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Corrupt {
    /// Where the field begins that breaks a rule or is not all there, counted from the start of the
    /// payload; the payload's end when bytes are left over from there.
    pub offset: usize,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stored state breaks a rule at byte {} of its payload", self.offset)
    }
}

impl core::error::Error for Corrupt {}
