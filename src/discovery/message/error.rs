//! Why there is nothing to be had from an answer.

use core::fmt;

/// An answer that brings no records, not even the news that there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AnswerError {
    /// No response, or one to another question: other id, name, mixture of upper and lower case,
    /// type or operation. The right one may still come.
    NotOurs,
    /// It breaks the rules of DNS. The resolver, or somebody in its place, is at fault.
    Malformed(Malformed),
    /// It did not fit into a datagram. Ask again by TCP.
    Truncated,
    /// The resolver could not or would not answer.
    Failed(Rcode),
}

/// A message that breaks the rules of RFC 1035.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Malformed {
    /// The byte of the message at which what is wrong begins.
    pub offset: u16,
    /// The rule.
    pub fault: Fault,
}

/// Which rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The message ends before what it announces, or is longer than 65,535 bytes.
    Length,
    /// A compression pointer that does not lead back to what ends before the name it stands in, that
    /// leads into the header, or is one too many.
    Pointer,
    /// A label of a kind that does not exist.
    Label,
    /// A name of more than 255 bytes.
    NameLength,
    /// A record's data is longer or shorter than its type allows.
    Data,
    /// More than [`MAX_ALIASES`](super::MAX_ALIASES) from the name that was asked for, which is
    /// what a loop looks like.
    Aliases,
}

/// A response code other than success and "no such name" (RFC 6895 2.3), extended by what an OPT
/// record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rcode(pub u16);

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => f.write_str("not the answer to the question asked"),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Truncated => f.write_str("the answer is truncated"),
            Self::Failed(rcode) => write!(f, "the resolver answered {rcode}"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.fault {
            Fault::Length => "the answer ends too early, or is too long",
            Fault::Pointer => "a compression pointer leads nowhere",
            Fault::Label => "a label of an unknown kind",
            Fault::NameLength => "a name has more than 255 bytes",
            Fault::Data => "a record's data has the wrong length",
            Fault::Aliases => "the aliases have no end",
        };
        write!(f, "{text}, at byte {}", self.offset)
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self.0 {
            1 => "FORMERR: it does not understand the question",
            2 => "SERVFAIL: it cannot answer now",
            4 => "NOTIMP: it does not support this kind of question",
            5 => "REFUSED: it is not willing to answer",
            16 => "BADVERS: it does not know this version of EDNS",
            other => return write!(f, "with response code {other}"),
        })
    }
}

impl core::error::Error for AnswerError {}

impl core::error::Error for Malformed {}
