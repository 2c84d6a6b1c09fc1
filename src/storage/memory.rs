//! A store in memory: for tests, and for devices whose RAM is kept by a battery.

use core::fmt;

use heapless::Vec;

use super::{Slot, Store};

/// Two slots of `LEN` bytes each; [`image_len`](super::image_len) says how many an image takes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MemoryStore<const LEN: usize> {
    a: Vec<u8, LEN>,
    b: Vec<u8, LEN>,
}

/// An image is longer than a slot of the [`MemoryStore`]: make its `LEN` larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryFull {
    /// Bytes of the image.
    pub needed: usize,
    /// Bytes of a slot.
    pub capacity: usize,
}

impl<const LEN: usize> MemoryStore<LEN> {
    /// Two empty slots.
    #[must_use]
    pub const fn new() -> Self {
        Self { a: Vec::new(), b: Vec::new() }
    }

    /// What a slot holds; nothing when it is empty.
    #[must_use]
    pub fn image(&self, slot: Slot) -> &[u8] {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }
}

impl<const LEN: usize> Store for MemoryStore<LEN> {
    type Error = MemoryFull;

    fn read(&mut self, slot: Slot, into: &mut [u8]) -> Result<usize, MemoryFull> {
        let image = self.image(slot);
        for (to, from) in into.iter_mut().zip(image) {
            *to = *from;
        }
        Ok(image.len())
    }

    fn write(&mut self, slot: Slot, image: &[u8]) -> Result<(), MemoryFull> {
        let place = match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        };
        *place = Vec::from_slice(image)
            .map_err(|_| MemoryFull { needed: image.len(), capacity: LEN })?;
        Ok(())
    }
}

impl<const LEN: usize> fmt::Debug for MemoryStore<LEN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = [self.a.len(), self.b.len()];
        write!(f, "MemoryStore({a} and {b} of {LEN} bytes)")
    }
}

impl fmt::Display for MemoryFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an image of {} bytes, each slot holds {}", self.needed, self.capacity)
    }
}

impl core::error::Error for MemoryFull {}
