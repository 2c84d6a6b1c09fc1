//! Memory-mapped registers: the place where the firmware touches hardware, and says why it may.

/// A window of 64 registers of 32 bits.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    base: usize,
}

impl Registers {
    const OFFSETS: usize = 0xfc;

    /// The window at an address.
    ///
    /// # Safety
    ///
    /// There is a device whose registers take up 256 bytes from `base` on, and no reading or
    /// writing of them makes it touch memory that the program uses.
    #[expect(unsafe_code, reason = "only the board knows its addresses")]
    pub(super) const unsafe fn at(base: usize) -> Self {
        Self { base }
    }

    pub(super) fn read(self, offset: usize) -> u32 {
        let register = core::ptr::with_exposed_provenance::<u32>(self.address(offset));
        #[expect(unsafe_code, reason = "registers have no other access")]
        // SAFETY: inside the window, aligned, and `at` was promised that it is safe to read.
        unsafe {
            register.read_volatile()
        }
    }

    pub(super) fn write(self, offset: usize, value: u32) {
        let register = core::ptr::with_exposed_provenance_mut::<u32>(self.address(offset));
        #[expect(unsafe_code, reason = "registers have no other access")]
        // SAFETY: inside the window, aligned, and `at` was promised that it is safe to write.
        unsafe {
            register.write_volatile(value);
        }
    }

    const fn address(self, offset: usize) -> usize {
        self.base + (offset & Self::OFFSETS)
    }
}
