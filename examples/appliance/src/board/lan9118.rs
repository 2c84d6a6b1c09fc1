//! Driver of the LAN9118 Ethernet controller, polled, as a smoltcp [`Device`].
//!
//! The controller has one window of 32-bit registers. Frames go through two queues behind single
//! registers, in whole words. What is needed of the data sheet is in the constants below.

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use static_cell::ConstStaticCell;

use super::registers::Registers;

/// Where the board has it.
pub(super) const BASE: usize = 0x4020_0000;

/// Registers by their offset from [`BASE`].
mod register {
    pub(super) const RX_DATA: usize = 0x00;
    pub(super) const TX_DATA: usize = 0x20;
    pub(super) const RX_STATUS: usize = 0x40;
    pub(super) const TX_STATUS: usize = 0x48;
    pub(super) const INTERRUPT_ENABLE: usize = 0x5c;
    pub(super) const BYTE_TEST: usize = 0x64;
    pub(super) const RX_CONFIG: usize = 0x6c;
    pub(super) const TX_CONFIG: usize = 0x70;
    pub(super) const HARDWARE_CONFIG: usize = 0x74;
    pub(super) const RX_FIFO_INFORMATION: usize = 0x7c;
    pub(super) const TX_FIFO_INFORMATION: usize = 0x80;
    pub(super) const FREE_RUN: usize = 0x9c;
    pub(super) const MAC_COMMAND: usize = 0xa4;
    pub(super) const MAC_DATA: usize = 0xa8;
    pub(super) const FLOW_CONTROL: usize = 0xac;
}

/// Registers behind `MAC_COMMAND` and `MAC_DATA`, by their index.
mod mac {
    pub(super) const CONTROL: u32 = 1;
    pub(super) const ADDRESS_HIGH: u32 = 2;
    pub(super) const ADDRESS_LOW: u32 = 3;

    pub(super) const BUSY: u32 = 1 << 31;
    pub(super) const READ: u32 = 1 << 30;
}

const BYTE_TEST_VALUE: u32 = 0x8765_4321;
const SOFT_RESET: u32 = 1;
/// 5 KiB of the memory for frames to send, and a bit that must be one.
const TX_FIFO_5_KIB: u32 = 0x0015_0000;
/// The data sheet's thresholds for a full-duplex link.
const FLOW_CONTROL_DEFAULT: u32 = 0x006e_3740;
const TX_ON: u32 = 1 << 1;
/// Full duplex, sender on, receiver on; only frames to this station and to all.
const MAC_ON: u32 = 1 << 20 | 1 << 3 | 1 << 2;

/// First of the two words before a frame to send: it is whole, from its first to its last segment.
const FIRST_AND_LAST_SEGMENT: u32 = 0x3000;
const RX_ERROR: u32 = 1 << 15;
/// The checksum at the end of a frame, which the controller adds and checks.
const CHECKSUM_LEN: usize = 4;

/// The longest Ethernet frame without its checksum.
pub const FRAME_LEN: usize = 1514;
/// Up to the last whole word of the longest frame with its checksum.
const BUFFER_LEN: usize = (FRAME_LEN + CHECKSUM_LEN).next_multiple_of(4);

/// How often a flag of the controller is read before it counts as broken.
const PATIENCE: u32 = 1_000_000;

/// How fast [`counter`] counts.
pub(super) const TICKS_PER_SECOND: u32 = 25_000_000;

/// The controller's counter, which comes around every 171 s. Reading it disturbs nothing.
pub(super) fn counter(registers: Registers) -> u32 {
    registers.read(register::FREE_RUN)
}

/// The controller does not answer as it should: it is not there, or broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum Broken {
    /// The register that always reads the same reads something else.
    ByteTest,
    /// It does not come back from its reset.
    Reset,
    /// It does not take or give a value of a MAC register.
    Mac,
}

/// The controller, with memory for a frame each way.
pub struct Lan9118 {
    registers: Registers,
    mac_address: [u8; 6],
    frames: &'static mut Frames,
}

/// That memory. There is one controller, and so one of it.
struct Frames {
    received: [u8; BUFFER_LEN],
    to_send: [u8; FRAME_LEN],
}

static FRAMES: ConstStaticCell<Frames> =
    ConstStaticCell::new(Frames { received: [0; BUFFER_LEN], to_send: [0; FRAME_LEN] });

impl Lan9118 {
    /// Resets the controller and switches sender and receiver on.
    ///
    /// # Panics
    ///
    /// At the second call.
    ///
    /// A real board also waits for the link: read the PHY's status before you expect an answer.
    pub(super) fn start(registers: Registers) -> Result<Self, Broken> {
        if registers.read(register::BYTE_TEST) != BYTE_TEST_VALUE {
            return Err(Broken::ByteTest);
        }
        registers.write(register::HARDWARE_CONFIG, SOFT_RESET);
        let in_reset = || registers.read(register::HARDWARE_CONFIG) & SOFT_RESET != 0;
        wait_while(in_reset).map_err(|TimedOut| Broken::Reset)?;
        registers.write(register::HARDWARE_CONFIG, TX_FIFO_5_KIB);
        registers.write(register::FLOW_CONTROL, FLOW_CONTROL_DEFAULT);
        // Polled: the main loop looks for itself.
        registers.write(register::INTERRUPT_ENABLE, 0);
        registers.write(register::RX_CONFIG, 0);
        registers.write(register::TX_CONFIG, TX_ON);
        let mac_address = read_mac_address(registers).map_err(|TimedOut| Broken::Mac)?;
        write_mac(registers, mac::CONTROL, MAC_ON).map_err(|TimedOut| Broken::Mac)?;
        Ok(Self { registers, mac_address, frames: FRAMES.take() })
    }

    /// The address that the controller read from its EEPROM.
    pub const fn mac_address(&self) -> [u8; 6] {
        self.mac_address
    }

    /// Takes a frame out of the queue, into `received`; its length, or `None` when there is none.
    fn take_frame(&mut self) -> Option<usize> {
        loop {
            let waiting = self.registers.read(register::RX_FIFO_INFORMATION) >> 16 & 0xff;
            if waiting == 0 {
                return None;
            }
            let status = self.registers.read(register::RX_STATUS);
            let length = (status >> 16 & 0x3fff) as usize;
            let mut chunks = self.frames.received.chunks_exact_mut(4);
            for _ in 0..length.div_ceil(4) {
                let word = self.registers.read(register::RX_DATA);
                // What is longer than a frame may be is read all the same, to be rid of it.
                if let Some(chunk) = chunks.next() {
                    chunk.copy_from_slice(&word.to_le_bytes());
                }
            }
            let fits = (CHECKSUM_LEN..=BUFFER_LEN).contains(&length);
            if status & RX_ERROR == 0 && fits {
                return Some(length - CHECKSUM_LEN);
            }
        }
    }

    /// Whether the queue has room for the longest frame and the two words before it.
    fn can_send(&self) -> bool {
        let free = self.registers.read(register::TX_FIFO_INFORMATION) & 0xffff;
        free as usize >= BUFFER_LEN + 8
    }
}

impl Device for Lan9118 {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        if !self.can_send() {
            return None;
        }
        let length = self.take_frame()?;
        let Frames { received, to_send } = &mut *self.frames;
        let frame = received.get(..length)?;
        Some((RxToken { frame }, TxToken { registers: self.registers, buffer: to_send }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        let ready = self.can_send();
        ready.then_some(TxToken { registers: self.registers, buffer: &mut self.frames.to_send })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_LEN;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

/// A received frame.
pub struct RxToken<'a> {
    frame: &'a [u8],
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.frame)
    }
}

/// Leave to send one frame.
pub struct TxToken<'a> {
    registers: Registers,
    buffer: &'a mut [u8; FRAME_LEN],
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let Self { registers, buffer } = self;
        // smoltcp keeps to the capabilities, so a longer frame is a defect.
        let frame = &mut buffer[..length];
        let result = f(frame);
        send(registers, frame);
        result
    }
}

fn send(registers: Registers, frame: &[u8]) {
    // Nobody looks at what became of earlier frames: TCP sends again. But they fill a queue.
    let sent = registers.read(register::TX_FIFO_INFORMATION) >> 16 & 0xff;
    for _ in 0..sent {
        registers.read(register::TX_STATUS);
    }
    let length = frame.len() as u32;
    registers.write(register::TX_DATA, FIRST_AND_LAST_SEGMENT | length);
    registers.write(register::TX_DATA, length);
    for chunk in frame.chunks(4) {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        registers.write(register::TX_DATA, u32::from_le_bytes(word));
    }
}

fn read_mac_address(registers: Registers) -> Result<[u8; 6], TimedOut> {
    let low = read_mac(registers, mac::ADDRESS_LOW)?;
    let high = read_mac(registers, mac::ADDRESS_HIGH)?;
    let [bytes @ .., _, _] = (u64::from(high) << 32 | u64::from(low)).to_le_bytes();
    Ok(bytes)
}

fn read_mac(registers: Registers, index: u32) -> Result<u32, TimedOut> {
    registers.write(register::MAC_COMMAND, mac::BUSY | mac::READ | index);
    wait_while(|| registers.read(register::MAC_COMMAND) & mac::BUSY != 0)?;
    Ok(registers.read(register::MAC_DATA))
}

fn write_mac(registers: Registers, index: u32, value: u32) -> Result<(), TimedOut> {
    registers.write(register::MAC_DATA, value);
    registers.write(register::MAC_COMMAND, mac::BUSY | index);
    wait_while(|| registers.read(register::MAC_COMMAND) & mac::BUSY != 0)
}

struct TimedOut;

fn wait_while(condition: impl Fn() -> bool) -> Result<(), TimedOut> {
    if (0..PATIENCE).any(|_| !condition()) { Ok(()) } else { Err(TimedOut) }
}
