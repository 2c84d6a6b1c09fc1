//! The envelope around a payload: written and inspected here and nowhere else.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

use super::{Kind, SlotState};
use crate::cursor::{Writer, part};

/// The version of the payloads' formats that this crate writes, and the newest that it reads.
pub const VERSION: u8 = 1;

/// Bytes that an image has more than its payload.
pub const ENVELOPE_LEN: usize = HEADER_LEN + CHECKSUM_LEN;

const HEADER_LEN: usize = 4 + 1 + 1 + 2 + 8 + 4;
const CHECKSUM_LEN: usize = 4;
const MAGIC: [u8; 4] = *b"HCST";

/// Without a table: 0.5 to 1 KiB less flash, for a few hundred bytes now and then.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Bytes of the image of a payload of so many bytes: what a buffer and each slot must hold.
#[must_use]
pub const fn image_len(payload_len: usize) -> usize {
    payload_len.saturating_add(ENVELOPE_LEN)
}

/// Why the bytes of a slot are no image that can be used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Damage {
    /// They are fewer than the image has: the write was cut.
    Truncated {
        /// Bytes in the slot.
        length: usize,
        /// Bytes of the image, as far as that can be told.
        image: usize,
    },
    /// They are more than the buffer holds: state of a larger capacity, or no image.
    TooLong {
        /// Bytes in the slot, or of its image.
        length: usize,
        /// Bytes of the buffer.
        buffer: usize,
    },
    /// They do not begin with the magic.
    Magic,
    /// The checksum does not fit: the write was cut, or bytes changed afterwards.
    Checksum,
    /// A reserved byte is not zero, though the checksum fits: a defective writer.
    Reserved,
    /// A whole image, of another version of the format; when it is above [`VERSION`], a newer
    /// version of this crate has written it, which can still read it.
    Version(u8),
    /// A whole image of another kind of state, whose number this is: the wrong store.
    Kind(u8),
}

impl Damage {
    /// Whether the slot holds a whole image that a newer version of this crate has written.
    #[must_use]
    pub const fn is_newer_version(&self) -> bool {
        matches!(self, Self::Version(version) if *version > VERSION)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { length, image } => write!(f, "cut after {length} of {image} bytes"),
            Self::TooLong { length, buffer } => {
                write!(f, "{length} bytes long, there is place for {buffer}")
            }
            Self::Magic => f.write_str("no image of headcount: the magic is missing"),
            Self::Checksum => f.write_str("the checksum does not fit"),
            Self::Reserved => f.write_str("a reserved byte is not zero"),
            Self::Version(version) if self.is_newer_version() => {
                write!(f, "written by a newer version: format {version}, known is {VERSION}")
            }
            Self::Version(version) => write!(f, "format {version} does not exist"),
            Self::Kind(1) => f.write_str("the state of a client, expected was another kind"),
            Self::Kind(2) => f.write_str("the state of a host, expected was another kind"),
            Self::Kind(3) => f.write_str("the name of a host, expected was another kind"),
            Self::Kind(kind) => write!(f, "state of the unknown kind {kind}"),
        }
    }
}

/// A whole image of a version that this crate reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    /// Whose state it is.
    pub kind: Kind,
    /// Its sequence number: of two images the higher one is the newer.
    pub sequence: u64,
    /// The state itself.
    pub payload: &'a [u8],
}

impl<'a> Image<'a> {
    /// Looks at the bytes of a slot outside of any store: an image of any kind, checksum and
    /// version checked. For people who want to know what a file holds; a program uses
    /// [`Slots`](super::Slots).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let Header { version, kind, reserved, sequence, payload_len } =
            Header::of(bytes, usize::MAX)?;
        let kind = match (version, reserved, kind) {
            (VERSION, 0, 1) => Kind::Client,
            (VERSION, 0, 2) => Kind::Host,
            (VERSION, 0, 3) => Kind::RememberedHost,
            (VERSION, 0, other) => return Err(Damage::Kind(other)),
            (VERSION, ..) => return Err(Damage::Reserved),
            (other, ..) => return Err(Damage::Version(other)),
        };
        Ok(Self { kind, sequence, payload: payload(bytes, payload_len) })
    }
}

/// The payload is a secret or identifies machines: only its length is shown.
impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, sequence, payload } = self;
        write!(f, "Image({kind:?} state, number {sequence}, {} bytes)", payload.len())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Image<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { kind, sequence, payload } = self;
        defmt::write!(f, "Image({} state, number {}, {} bytes)", kind, sequence, payload.len());
    }
}

/// What a slot's bytes are.
#[derive(Clone, Copy)]
pub(super) struct Content {
    pub(super) state: SlotState,
    /// That of a whole image, of another version or kind too; otherwise 0.
    pub(super) sequence: u64,
    /// Of a whole image that can be used here; otherwise 0.
    pub(super) payload_len: usize,
}

impl Content {
    /// Looks at a slot that holds `length` bytes, the first of which are in `buffer`.
    pub(super) fn of(buffer: &[u8], length: usize, kind: Kind) -> Self {
        let unusable = |state| Self { state, sequence: 0, payload_len: 0 };
        let Some(bytes) = buffer.get(..length) else {
            let damage = Damage::TooLong { length, buffer: buffer.len() };
            return unusable(SlotState::Damaged(damage));
        };
        if bytes.iter().all(|byte| *byte == 0xff) {
            return unusable(SlotState::Empty);
        }
        let header = match Header::of(bytes, buffer.len()) {
            Ok(header) => header,
            Err(damage) => return unusable(SlotState::Damaged(damage)),
        };
        let Header { version, kind: found, reserved, sequence, payload_len } = header;
        let state = if version != VERSION {
            SlotState::Damaged(Damage::Version(version))
        } else if reserved != 0 {
            SlotState::Damaged(Damage::Reserved)
        } else if found != kind as u8 {
            SlotState::Damaged(Damage::Kind(found))
        } else {
            SlotState::Whole(sequence)
        };
        Self { state, sequence, payload_len }
    }

    /// How much is lost when the slot is written over: the first save after nothing usable was
    /// found goes where this is lower.
    pub(super) const fn worth(&self) -> u8 {
        match self.state {
            SlotState::Empty | SlotState::Unreadable => 0,
            SlotState::Damaged(Damage::Version(_) | Damage::Kind(_)) => 2,
            SlotState::Damaged(_) => 1,
            SlotState::Whole(_) => 3,
        }
    }
}

/// The fields before the payload, of an image whose checksum fits.
struct Header {
    version: u8,
    kind: u8,
    reserved: u16,
    sequence: u64,
    payload_len: usize,
}

impl Header {
    /// Looks at the bytes of a slot; an image that ends after `buffer` bytes cannot be whole.
    fn of(bytes: &[u8], buffer: usize) -> Result<Self, Damage> {
        match bytes.first_chunk() {
            Some(magic) if *magic != MAGIC => return Err(Damage::Magic),
            _ => {}
        }
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(Damage::Truncated { length: bytes.len(), image: ENVELOPE_LEN });
        };
        let [version] = *part::<4, _, _>(header);
        let [kind] = *part::<5, _, _>(header);
        let reserved = u16::from_be_bytes(*part::<6, _, _>(header));
        let sequence = u64::from_be_bytes(*part::<8, _, _>(header));
        let payload_len = u32::from_be_bytes(*part::<16, _, _>(header)) as usize;
        let image = image_len(payload_len);
        let Some((covered, end)) =
            bytes.get(..image).and_then(<[u8]>::split_last_chunk::<CHECKSUM_LEN>)
        else {
            return Err(if image > buffer {
                Damage::TooLong { length: image, buffer }
            } else {
                Damage::Truncated { length: bytes.len(), image }
            });
        };
        if checksum(covered) != u32::from_be_bytes(*end) {
            return Err(Damage::Checksum);
        }
        Ok(Self { version, kind, reserved, sequence, payload_len })
    }
}

/// Not inlined: at one place alone the compiler takes from the library only what this one needs.
#[inline(never)]
fn checksum(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

/// The payload of the whole image at the start of a buffer.
pub(super) fn payload(image: &[u8], payload_len: usize) -> &[u8] {
    image.get(HEADER_LEN..).and_then(|rest| rest.get(..payload_len)).unwrap_or_default()
}

/// Writes an image to the start of a buffer and returns it; or how many bytes it takes, when the
/// buffer has less (or the payload more than 4 GiB).
pub(super) fn seal(
    buffer: &mut [u8],
    kind: Kind,
    sequence: u64,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Result<&[u8], usize> {
    let mut payload = Writer::new(buffer.get_mut(HEADER_LEN..).unwrap_or_default());
    fill(&mut payload);
    let (Ok(payload_len) | Err(payload_len)) = payload.written();
    let needed = image_len(payload_len);
    let payload_len = u32::try_from(payload_len).map_err(|_| needed)?;
    let image = buffer.get_mut(..needed).ok_or(needed)?;
    let (covered, end) = image.split_last_chunk_mut::<CHECKSUM_LEN>().ok_or(needed)?;
    let mut header = Writer::new(covered);
    header.put(&MAGIC).u8(VERSION).u8(kind as u8).reserved::<2>().u64(sequence).u32(payload_len);
    *end = checksum(covered).to_be_bytes();
    Ok(image)
}
