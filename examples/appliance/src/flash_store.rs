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

    /// The flash again.
    pub fn into_flash(self) -> F {
        self.flash
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

#[cfg(test)]
pub(crate) mod tests {
    use embedded_storage::nor_flash::{
        ErrorType, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
        check_write,
    };
    use headcount::storage::{Found, Kind, Slots, image_len};

    use super::*;

    const BLOCK: usize = 512;
    const WORD: usize = 8;
    const STATE: usize = 101;

    /// A flash whose power is cut after so many words.
    #[derive(Clone)]
    pub(crate) struct CutFlash {
        pub(crate) cells: [u8; 2 * BLOCK],
        pub(crate) words_left: usize,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Cut;

    impl CutFlash {
        /// Erased.
        pub(crate) const fn new(words_left: usize) -> Self {
            Self { cells: [0xff; 2 * BLOCK], words_left }
        }

        fn change(&mut self, word: usize, change: impl Fn(usize, &mut u8)) -> Result<(), Cut> {
            self.words_left = self.words_left.checked_sub(1).ok_or(Cut)?;
            let cells = &mut self.cells[word..word + WORD];
            cells.iter_mut().enumerate().for_each(|(index, cell)| change(index, cell));
            Ok(())
        }
    }

    impl NorFlashError for Cut {
        fn kind(&self) -> NorFlashErrorKind {
            NorFlashErrorKind::Other
        }
    }

    impl ErrorType for CutFlash {
        type Error = Cut;
    }

    impl ReadNorFlash for CutFlash {
        const READ_SIZE: usize = 1;

        fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), Cut> {
            check_read(self, address, bytes.len()).expect("inside");
            bytes.copy_from_slice(&self.cells[address as usize..][..bytes.len()]);
            Ok(())
        }

        fn capacity(&self) -> usize {
            self.cells.len()
        }
    }

    impl NorFlash for CutFlash {
        const WRITE_SIZE: usize = WORD;
        const ERASE_SIZE: usize = BLOCK;

        fn erase(&mut self, from: u32, to: u32) -> Result<(), Cut> {
            check_erase(self, from, to).expect("inside, whole blocks");
            (from as usize..to as usize)
                .step_by(WORD)
                .try_for_each(|word| self.change(word, |_, cell| *cell = 0xff))
        }

        fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Cut> {
            check_write(self, address, bytes.len()).expect("inside, whole words");
            bytes.chunks(WORD).enumerate().try_for_each(|(index, chunk)| {
                self.change(address as usize + index * WORD, |byte, cell| *cell &= chunk[byte])
            })
        }
    }

    /// What a start finds in the flash: the first byte of the state.
    fn found(flash: &CutFlash) -> Option<u8> {
        let mut buffer = [0; image_len(STATE)];
        let flash = CutFlash { words_left: usize::MAX, ..flash.clone() };
        let (_, found) =
            Slots::open(FlashStore::new(flash, 0), Kind::Host, &mut buffer).expect("readable");
        match found {
            Found::Whole { payload, .. } => payload.first().copied(),
            Found::Nothing | Found::Damaged { .. } => None,
        }
    }

    #[test]
    fn a_cut_at_any_word_loses_the_newest_state_at_most() {
        let mut buffer = [0; image_len(STATE)];
        let words_of_a_save = BLOCK / WORD + image_len(STATE).div_ceil(WORD);
        let mut cuts = 0;
        for words in 0..4 * words_of_a_save {
            let erased = CutFlash::new(words);
            let opened = Slots::open(FlashStore::new(erased, 0), Kind::Host, &mut buffer);
            let (mut slots, _) = opened.expect("readable");
            let mut newest = None;
            let cut = (1..=4_u8).find(|state| {
                let saved = slots.save(&[*state; STATE], &mut buffer).is_ok();
                newest = if saved { Some(*state) } else { newest };
                !saved
            });
            cuts += usize::from(cut.is_some());
            let after = found(&slots.into_store().into_flash());
            assert!(after == newest || after == cut, "after {words} words: {after:?}");
        }
        assert_eq!(cuts, 4 * words_of_a_save);
    }
}
