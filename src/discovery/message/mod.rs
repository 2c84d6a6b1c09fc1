//! DNS messages (RFC 1035): a question for SRV, A or AAAA records, and the judgement of an answer.
//! No state, no clock, no sockets.
//!
//! What this layer promises:
//!
//! - Any bytes may be judged. The whole message is read before anything is handed out, so what
//!   comes after cannot fail.
//! - An answer is one to *this* question: the same id, the same name in the same random mixture of
//!   upper and lower case, the same type. With the resolver's address and a random port, which are
//!   the transport's part, that is what somebody off the path has to guess.
//! - Only records of the name that was asked for count, or of what its aliases in the same answer
//!   lead to. All others are passed over.
//! - The work is bounded: a pointer leads back to what ends before the name it stands in, and at
//!   most [`MAX_POINTERS`] make a name; at most [`MAX_ALIASES`] are followed.
//!
//! Bytes after the last record are ignored, as resolvers do. So are records of other types and
//! classes, of which only the frame is read.

mod answer;
mod error;
mod parse;
mod query;

pub use answer::{Address, Answer, Service};
pub use error::{AnswerError, Fault, Malformed, Rcode};
pub use query::Query;

/// Bytes of an answer by UDP that a query asks for at most: what passes any network in one piece.
/// A longer answer comes truncated, and is to be had by TCP.
pub const UDP_PAYLOAD_LEN: usize = 1232;

/// Bytes of a query at most.
pub const QUERY_LEN: usize = HEADER_LEN + WIRE_NAME_LEN + 4 + OPTIONS_LEN;

/// Aliases (CNAME records) that are followed from one name at most.
pub const MAX_ALIASES: usize = 8;

/// Compression pointers in one name at most. A name has no more than 127 labels, and a pointer
/// that saves nothing is of no use to anybody.
pub const MAX_POINTERS: u8 = 127;

const HEADER_LEN: usize = 12;

/// Bytes of a name in a message at most, lengths and the root included.
const WIRE_NAME_LEN: usize = 255;

/// Bytes of an OPT record without options (RFC 6891).
const OPTIONS_LEN: usize = 11;

/// The class "internet", the only one there is.
const CLASS_INTERNET: u16 = 1;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum RecordType {
    /// IPv4 addresses of a name.
    A = 1,
    /// IPv6 addresses of a name (RFC 3596).
    Aaaa = 28,
    /// The hosts of a service (RFC 2782).
    Srv = 33,
}
