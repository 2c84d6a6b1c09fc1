//! A device with two slots, whose power fails in the middle of a write.

use headcount::storage::{Slot, Store};

/// Two slots of a device, whose power fails after so many bytes of a write.
#[derive(Clone, Default)]
pub(crate) struct Device {
    pub(crate) slots: [Vec<u8>; 2],
    medium: Medium,
    /// Bytes that the device still writes (or erases) before the power fails.
    pub(crate) power: Option<usize>,
    /// Slots that fail to be read.
    pub(crate) unreadable: [bool; 2],
    /// Times that each slot is still read well.
    pub(crate) readings: [Option<usize>; 2],
    pub(crate) writes: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Medium {
    /// The slot is cut off at its start, then grows: a file that is written in place.
    #[default]
    File,
    /// Bytes are replaced one after the other, and what was longer stays: EEPROM.
    Eeprom,
    /// The slot of 128 bytes is erased byte by byte to 0xFF, then written.
    Flash,
}

pub(crate) const MEDIA: [Medium; 3] = [Medium::File, Medium::Eeprom, Medium::Flash];
pub(crate) const FLASH: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Failure {
    Power,
    Unreadable(Slot),
}

impl Device {
    pub(crate) fn new(medium: Medium) -> Self {
        let slot = if medium == Medium::Flash { vec![0xff; FLASH] } else { Vec::new() };
        Self { slots: [slot.clone(), slot], medium, ..Self::default() }
    }

    fn slot(&mut self, slot: Slot) -> &mut Vec<u8> {
        &mut self.slots[usize::from(slot == Slot::B)]
    }

    /// One byte's worth of work.
    fn work(&mut self) -> Result<(), Failure> {
        match &mut self.power {
            Some(0) => Err(Failure::Power),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// How many bytes' worth of work a write of so many bytes is.
    pub(crate) fn effort(&self, image: usize) -> usize {
        if self.medium == Medium::Flash { FLASH + image } else { image }
    }
}

impl Store for Device {
    type Error = Failure;

    fn read(&mut self, slot: Slot, into: &mut [u8]) -> Result<usize, Failure> {
        let index = usize::from(slot == Slot::B);
        let worn = match &mut self.readings[index] {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if self.unreadable[index] || worn {
            return Err(Failure::Unreadable(slot));
        }
        let bytes = self.slot(slot).clone();
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        Ok(if self.medium == Medium::Flash { count } else { bytes.len() })
    }

    fn write(&mut self, slot: Slot, image: &[u8]) -> Result<(), Failure> {
        self.writes.push(slot);
        match self.medium {
            Medium::File => self.slot(slot).clear(),
            Medium::Eeprom => {}
            Medium::Flash => {
                for index in 0..FLASH {
                    self.work()?;
                    self.slot(slot)[index] = 0xff;
                }
            }
        }
        for (index, byte) in image.iter().enumerate() {
            self.work()?;
            let slot = self.slot(slot);
            slot.resize(slot.len().max(index + 1), 0);
            slot[index] = *byte;
        }
        Ok(())
    }
}
