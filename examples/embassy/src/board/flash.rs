//! Two pages of flash in RAM, with the rules of flash: the state lasts until the power goes.
//!
//! Every embassy HAL has a type with these traits. Give it two pages that the linker leaves free.

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use static_cell::StaticCell;

const PAGE: usize = 4096;
const PAGES: usize = 2;

/// The two pages.
pub struct Flash(&'static mut [u8; Flash::LEN]);

/// A read, write or erase beyond the end.
#[derive(Debug, defmt::Format)]
pub struct FlashError;

impl Flash {
    pub const LEN: usize = PAGES * PAGE;

    /// Erased. Call it once.
    pub fn new() -> Self {
        static BYTES: StaticCell<[u8; Flash::LEN]> = StaticCell::new();
        Self(BYTES.init_with(|| [0xff; Self::LEN]))
    }

    fn range(&mut self, from: u32, len: usize) -> Result<&mut [u8], FlashError> {
        let from = from as usize;
        let to = from.checked_add(len).ok_or(FlashError)?;
        self.0.get_mut(from..to).ok_or(FlashError)
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::OutOfBounds
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        bytes.copy_from_slice(self.range(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        Self::LEN
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.checked_sub(from).ok_or(FlashError)?;
        self.range(from, len as usize)?.fill(0xff);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        for (cell, byte) in self.range(offset, bytes.len())?.iter_mut().zip(bytes) {
            *cell &= byte; // writing clears bits, only an erase sets them
        }
        Ok(())
    }
}
