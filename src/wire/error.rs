//! What can be wrong with bytes from outside: one flat, copyable error that names the byte.

use core::fmt;

use super::FRAME_LEN;

/// A frame that breaks the rules of PROTOCOL 1 to 6. The sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Malformed {
    /// The first byte that breaks a rule, counted from the start of the frame; for
    /// [`Fault::Length`] the first byte that is missing or too much.
    pub offset: u16,
    /// The rule.
    pub fault: Fault,
}

impl Malformed {
    pub(super) const fn at(offset: usize, fault: Fault) -> Self {
        Self { offset: offset as u16, fault }
    }

    /// The same of bytes that begin at `start`.
    pub(super) const fn within(self, start: usize) -> Self {
        Self { offset: self.offset.saturating_add(start as u16), ..self }
    }
}

/// Which rule of the wire format was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The frame is not 250 bytes long; this many it has.
    Length(usize),
    /// It does not start with `0x48 0x43`.
    Magic,
    /// A version other than 1.
    Version(u8),
    /// Not the kind of frame that belongs here.
    Kind(u8),
    /// A flag bit that version 1 does not define is set.
    Flags(u16),
    /// A licence status above 6.
    LicenceStatus(u8),
    /// A method other than 0 and 1.
    Method(u8),
    /// A required count of 0.
    RequiredCount,
    /// A client machine id of sixteen zero bytes.
    Cmid,
    /// A name that is not UTF-8.
    NameEncoding,
    /// A byte other than zero after the end of a name.
    NamePadding,
    /// A reserved byte is not zero.
    Reserved,
    /// A status code above 8.
    Status(u16),
    /// A refusal with a count or a validity other than zero.
    RefusalGrants,
    /// A certificate role other than 0 and 1.
    Role(u8),
    /// A refused enrolment with a certificate, or an accepted one without.
    CertificatePresence,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::Length(length) => {
                return write!(f, "{length} bytes long, a frame has {FRAME_LEN}");
            }
            Fault::Magic => f.write_str("the magic is not 48 43 (\"HC\")")?,
            Fault::Version(version) => write!(f, "version {version}, known is only 1")?,
            Fault::Kind(kind) => write!(f, "frame kind {kind} does not belong here")?,
            Fault::Flags(flags) => write!(f, "unknown flag bits in 0x{flags:04x}")?,
            Fault::LicenceStatus(status) => write!(f, "licence status {status} does not exist")?,
            Fault::Method(method) => write!(f, "activation method {method} does not exist")?,
            Fault::RequiredCount => f.write_str("the required count is 0")?,
            Fault::Cmid => f.write_str("the client machine id is all zero")?,
            Fault::NameEncoding => f.write_str("the name is not UTF-8")?,
            Fault::NamePadding => f.write_str("the name goes on after its end")?,
            Fault::Reserved => f.write_str("a reserved byte is not zero")?,
            Fault::Status(status) => write!(f, "status code {status} does not exist")?,
            Fault::RefusalGrants => f.write_str("a refusal with a count or a validity")?,
            Fault::Role(role) => write!(f, "certificate role {role} does not exist")?,
            Fault::CertificatePresence => {
                f.write_str("status and presence of a certificate disagree")?;
            }
        }
        write!(f, ", at byte {}", self.offset)
    }
}

impl core::error::Error for Malformed {}
