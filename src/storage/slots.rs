//! Two slots used in turn: which image is the newest, and where the next one goes.

use core::fmt;

use super::envelope::{self, Content, Damage};
use super::{Kind, Slot, Store};
use crate::cursor::Writer;

/// A store with what is known of it: made by looking at both slots, so that nothing can be saved
/// over an image that nobody has looked at.
pub struct Slots<S> {
    store: S,
    kind: Kind,
    /// Where the next image goes: never where the newest whole one is.
    next: Slot,
    /// The highest sequence number in use; 0 before the first save.
    sequence: u64,
}

/// What one slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SlotState {
    /// Nothing: it was never written, or it is erased flash.
    Empty,
    /// A whole image with this sequence number.
    Whole(u64),
    /// Bytes that are no image that can be used.
    Damaged(Damage),
    /// The store could not read it.
    Unreadable,
}

/// What [`Slots::open`] found. `Debug` and `defmt` show the payload's length only: it is a secret
/// or identifies machines.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "it holds the stored state, or says that it was lost"]
pub enum Found<'b> {
    /// Both slots are empty: a new machine.
    Nothing,
    /// The newest whole image.
    Whole {
        /// Its payload, in the buffer.
        payload: &'b [u8],
        /// The slot that holds it.
        slot: Slot,
        /// Its sequence number: 1 for the first image ever saved.
        sequence: u64,
        /// The other slot. After a cut save it is damaged, and so is it when this image is older
        /// than one that has been damaged since; it may also hold an image of a newer version. The
        /// next save replaces it.
        other: SlotState,
    },
    /// There is something in the slots, but no image that can be used. When the very first save was
    /// cut, one slot is damaged and the other empty; otherwise state is lost, or of a newer version
    /// ([`Damage::is_newer_version`]), which the second save would overwrite.
    Damaged {
        /// The first slot.
        a: SlotState,
        /// The second slot.
        b: SlotState,
    },
}

/// Why an image could not be saved. The newest image is still the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SaveError<E> {
    /// The caller's buffer is too short for the image.
    Buffer {
        /// Bytes of the image.
        needed: usize,
        /// Bytes of the buffer.
        available: usize,
    },
    /// The stored sequence number is the highest there is; no program has saved so often, so it was
    /// put there by hand.
    Exhausted,
    /// The medium failed.
    Store(E),
}

impl<S: Store> Slots<S> {
    /// Looks at both slots and reads the newest whole image of `kind` into `buffer`, which should
    /// hold the longest one ([`image_len`](super::image_len)).
    ///
    /// Reads each slot once, and slot A twice unless B holds the newest image; B twice only when A
    /// fails at that. A medium that fails
    /// at one slot is an error only when the other slot holds no whole image: then the failure may
    /// hide one, and may pass.
    pub fn open(
        mut store: S,
        kind: Kind,
        buffer: &mut [u8],
    ) -> Result<(Self, Found<'_>), S::Error> {
        let mut look = |slot| look(&mut store, slot, buffer, kind);
        let (mut a, mut b) = (look(Slot::A), look(Slot::B));
        // The newest must be the one read last, which stays in the buffer.
        let mut slot = Slot::B;
        if whole(&b) <= whole(&a) {
            slot = Slot::A;
            a = look(slot);
            // A medium may fail at the second reading, and the older image still stand.
            if whole(&a).is_none() && whole(&b).is_some() {
                slot = Slot::B;
                b = look(slot);
            }
        }
        let sequence = sequence(&a).max(sequence(&b));
        let (newest, other) = match slot {
            Slot::A => (&a, &b),
            Slot::B => (&b, &a),
        };
        if let Ok(Content { state: SlotState::Whole(number), payload_len, .. }) = *newest {
            let found = Found::Whole {
                payload: envelope::payload(buffer, payload_len),
                slot,
                sequence: number,
                other: other.as_ref().map_or(SlotState::Unreadable, |other| other.state),
            };
            return Ok((Self { store, kind, next: slot.other(), sequence }, found));
        }
        let (a, b) = (a?, b?);
        let next = if b.worth() < a.worth() { Slot::B } else { Slot::A };
        let found = match (a.state, b.state) {
            (SlotState::Empty, SlotState::Empty) => Found::Nothing,
            (a, b) => Found::Damaged { a, b },
        };
        Ok((Self { store, kind, next, sequence }, found))
    }

    /// Saves a payload: wraps it into an image in `buffer` and writes that to the slot that does
    /// not hold the newest image. From then on it is the newest.
    pub fn save(&mut self, payload: &[u8], buffer: &mut [u8]) -> Result<(), SaveError<S::Error>> {
        self.save_with(buffer, |writer| {
            writer.slice(payload);
        })
    }

    /// Like [`save`](Self::save), with a payload that is written where it belongs in the buffer.
    pub(crate) fn save_with(
        &mut self,
        buffer: &mut [u8],
        payload: impl FnOnce(&mut Writer<'_>),
    ) -> Result<(), SaveError<S::Error>> {
        let available = buffer.len();
        let sequence = self.sequence.checked_add(1).ok_or(SaveError::Exhausted)?;
        let image = envelope::seal(buffer, self.kind, sequence, payload)
            .map_err(|needed| SaveError::Buffer { needed, available })?;
        self.store.write(self.next, image).map_err(SaveError::Store)?;
        self.sequence = sequence;
        self.next = self.next.other();
        Ok(())
    }

    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back.
    pub fn into_store(self) -> S {
        self.store
    }
}

#[inline(never)]
fn look<S: Store>(
    store: &mut S,
    slot: Slot,
    buffer: &mut [u8],
    kind: Kind,
) -> Result<Content, S::Error> {
    let length = store.read(slot, buffer)?;
    Ok(Content::of(buffer, length, kind))
}

/// The sequence number of a slot's whole image of the right kind.
fn whole<E>(content: &Result<Content, E>) -> Option<u64> {
    match content {
        Ok(Content { state: SlotState::Whole(sequence), .. }) => Some(*sequence),
        _ => None,
    }
}

/// The sequence number of a slot, whoever can use its image; 0 without any.
fn sequence<E>(content: &Result<Content, E>) -> u64 {
    content.as_ref().map_or(0, |content| content.sequence)
}

impl<S> fmt::Debug for Slots<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store: _, kind, next, sequence } = self;
        write!(f, "Slots({kind:?} state, number {sequence}, next to slot {next:?})")
    }
}

impl fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Whole { payload, slot, sequence, other } => f
                .debug_struct("Whole")
                .field("payload_len", &payload.len())
                .field("slot", slot)
                .field("sequence", sequence)
                .field("other", other)
                .finish(),
            Self::Damaged { a, b } => {
                f.debug_struct("Damaged").field("a", a).field("b", b).finish()
            }
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Found<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Nothing => defmt::write!(f, "Nothing"),
            Self::Whole { payload, slot, sequence, other } => defmt::write!(
                f,
                "Whole({} bytes, slot {}, sequence {}, other {})",
                payload.len(),
                slot,
                sequence,
                other
            ),
            Self::Damaged { a, b } => defmt::write!(f, "Damaged({}, {})", a, b),
        }
    }
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Whole(sequence) => write!(f, "whole, number {sequence}"),
            Self::Damaged(damage) => damage.fmt(f),
            Self::Unreadable => f.write_str("unreadable"),
        }
    }
}

impl<E: fmt::Debug> fmt::Display for SaveError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer { needed, available } => {
                write!(f, "the image takes {needed} bytes, the caller's buffer has {available}")
            }
            Self::Exhausted => f.write_str("the stored sequence number is the highest there is"),
            Self::Store(error) => write!(f, "the store failed: {error:?}"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for SaveError<E> {}
