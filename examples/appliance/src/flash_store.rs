//! headcount's two slots in a NOR flash: whatever your chip's flash driver is, when it speaks
//! `embedded-storage`.
//!
//! Each slot is one erase block, so writing one never touches the other: a power cut at any moment
//! leaves one of them whole. A block wears out after some ten thousand erasures. A client writes a few
//! times a month. A host writes whenever a machine asks: see `SAVE_INTERVAL` in the firmware.

use embedded_storage::nor_flash::NorFlash;
use headcount::storage::{Slot, Store};

/// The longest word that a flash may program at once.
const LONGEST_WORD: usize = 32;

/// Two erase blocks of a flash, one for each slot.
pub struct FlashStore<F> {
    flash: F,
    /// Where the first block begins; the second one follows.
    start: u32,
}

impl<F: NorFlash> FlashStore<F> {
    /// In the two erase blocks from `start` on, where an erase block must begin.
    pub const fn new(flash: F, start: u32) -> Self {
        const { assert!(F::WRITE_SIZE <= LONGEST_WORD && F::READ_SIZE == 1) };
        Self { flash, start }
    }

    const fn address(&self, slot: Slot) -> u32 {
        match slot {
            Slot::A => self.start,
            Slot::B => self.start + F::ERASE_SIZE as u32,
        }
    }
}

impl<F: NorFlash> Store for FlashStore<F> {
    type Error = F::Error;

    fn read(&mut self, slot: Slot, into: &mut [u8]) -> Result<usize, F::Error> {
        // A flash does not know where an image ends: headcount ignores what follows one.
        let length = into.len().min(F::ERASE_SIZE);
        self.flash.read(self.address(slot), &mut into[..length])?;
        Ok(length)
    }

    fn write(&mut self, slot: Slot, image: &[u8]) -> Result<(), F::Error> {
        let start = self.address(slot);
        self.flash.erase(start, start + F::ERASE_SIZE as u32)?;
        let (words, rest) = image.split_at(image.len() - image.len() % F::WRITE_SIZE);
        self.flash.write(start, words)?;
        if rest.is_empty() {
            return Ok(());
        }
        let mut last = [0xff; LONGEST_WORD];
        last[..rest.len()].copy_from_slice(rest);
        self.flash.write(start + words.len() as u32, &last[..F::WRITE_SIZE])
    }
}
