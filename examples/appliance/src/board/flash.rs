//! A NOR flash of four erase blocks, kept in a file so that it survives the end of QEMU.
//!
//! It behaves as the real thing does where that matters: erasing sets a block to `0xFF`, programming
//! only clears bits, and both go step by step, so that a power cut (here: QEMU is killed) leaves the
//! work half done. `headcount inspect` reads such a file.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};
use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom, Write};

use super::files::{FileError, with_c_path};

/// Bytes that are erased together.
pub const BLOCK_LEN: usize = 4_096;
/// Bytes that are programmed together.
pub const WORD_LEN: usize = 8;
/// All of it: a block for each slot of two images.
pub const CAPACITY: usize = 4 * BLOCK_LEN;

/// What one step programs or erases: what a real flash does at once, more or less.
const STEP_LEN: usize = 64;

/// The flash. Only one program may use a file at a time; it may open it several times, as parts of
/// a firmware share a flash.
pub struct FileFlash {
    file: File,
    /// How long a step takes, in cycles of the processor.
    step_cycles: u32,
}

/// The flash failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum FlashError {
    /// The file behind it.
    File,
    /// An address outside, or one that is not the first of a word or block.
    Address(Misuse),
}

/// How the flash was used wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum Misuse {
    /// Not the first byte of a word or block.
    NotAligned,
    /// Outside of the flash.
    OutOfBounds,
}

impl FileFlash {
    /// The flash in a file. Without such a file, a new and erased one. It is as slow as
    /// `step_cycles` say for each 64 bytes that it erases or programs: a real one takes 100,000 and
    /// more, and the longer it takes, the likelier is a power cut in the middle.
    ///
    /// # Errors
    ///
    /// The file cannot be used, or is too long to be one of these.
    pub fn open(path: &str, step_cycles: u32) -> Result<Self, FileError> {
        let mut file = with_c_path(path, |path| {
            let mut options = File::options();
            let options = options.read(true).write(true);
            let existing = options.open(path);
            existing
                .or_else(|_| options.create(true).truncate(true).open(path))
                .map_err(|_| FileError::Open)
        })?;
        let length = file.seek(SeekFrom::End(0)).map_err(|_| FileError::Transfer)?;
        if length > CAPACITY as u64 {
            return Err(FileError::TooLong);
        }
        // A new one; or the run was ended while it was made.
        let mut missing = CAPACITY - length as usize;
        while missing > 0 {
            let erased = &[0xff; STEP_LEN][..missing.min(STEP_LEN)];
            file.write_all(erased).map_err(|_| FileError::Transfer)?;
            missing -= erased.len();
        }
        Ok(Self { file, step_cycles })
    }

    fn seek(&mut self, address: u32) -> Result<(), FlashError> {
        let seek = self.file.seek(SeekFrom::Start(address.into()));
        seek.map(|_| ()).map_err(|_| FlashError::File)
    }

    fn store(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        cortex_m::asm::delay(self.step_cycles);
        self.seek(address)?;
        self.file.write_all(bytes).map_err(|_| FlashError::File)
    }
}

impl ErrorType for FileFlash {
    type Error = FlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, address, bytes.len())?;
        self.seek(address)?;
        self.file.read_exact(bytes).map_err(|_| FlashError::File)
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = WORD_LEN;
    const ERASE_SIZE: usize = BLOCK_LEN;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to)?;
        for address in (from..to).step_by(STEP_LEN) {
            self.store(address, &[0xff; STEP_LEN])?;
        }
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, address, bytes.len())?;
        for (step, chunk) in (address..).step_by(STEP_LEN).zip(bytes.chunks(STEP_LEN)) {
            let mut cells = [0; STEP_LEN];
            let cells = &mut cells[..chunk.len()];
            self.read(step, cells)?;
            for (cell, byte) in cells.iter_mut().zip(chunk) {
                *cell &= byte;
            }
            self.store(step, cells)?;
        }
        Ok(())
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::File => NorFlashErrorKind::Other,
            Self::Address(Misuse::NotAligned) => NorFlashErrorKind::NotAligned,
            Self::Address(Misuse::OutOfBounds) => NorFlashErrorKind::OutOfBounds,
        }
    }
}

impl From<NorFlashErrorKind> for FlashError {
    fn from(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::NotAligned => Self::Address(Misuse::NotAligned),
            NorFlashErrorKind::OutOfBounds => Self::Address(Misuse::OutOfBounds),
            _ => Self::File,
        }
    }
}
