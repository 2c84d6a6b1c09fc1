//! How a question ends.

use core::fmt;
use core::time::Duration;

use crate::discovery::message::AnswerError;
use crate::time::Instant;

/// Where a question stands after a call of `poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum DnsProgress {
    /// Nothing to report yet.
    Pending {
        /// Call again by then at the latest.
        wake_at: Instant,
    },
    /// There is an answer, for [`DnsExchange::message`](super::DnsExchange::message) to show. The exchange is over and its socket
    /// closed. Further calls answer the same.
    Answered,
    /// The exchange is over and its socket closed. Further calls answer the same.
    Failed(DnsFailure),
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DnsFailure {
    /// There is nobody to ask: the list of resolvers is empty.
    NoResolver,
    /// The stack has no socket to give.
    NoSocket,
    /// No resolver gave an answer that counts.
    NoAnswer {
        /// Datagrams that the stack took, up to twice the number of resolvers.
        sent: u8,
        /// Datagrams from somebody else, or that are not the answer to this question.
        ignored: u16,
        /// Time since the first try.
        waited: Duration,
        /// What was wrong the last time that there was more than silence.
        trouble: Option<DnsTrouble>,
    },
    /// The caller gave up.
    Abandoned,
    /// There was nothing to ask: the client has not said
    /// [`Step::Find`](crate::client::Step::Find), or wants addresses of no family.
    NoQuestion,
}

/// What was wrong with one resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DnsTrouble {
    /// The stack reported that it cannot connect: refused, unreachable, no route.
    NotConnected,
    /// It answered, but not what counts as an answer.
    Answer(AnswerError),
    /// Its answer was too long for a datagram, and by TCP there was no connection in time, or it
    /// broke, or the answer was not there in time.
    Stream {
        /// Bytes of the answer that came.
        received: u16,
    },
    /// By TCP it announced an answer that is longer than the caller's buffer.
    TooLong {
        /// Bytes of the answer.
        length: u16,
    },
}

impl fmt::Display for DnsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoResolver => f.write_str("no DNS server to ask"),
            Self::NoSocket => f.write_str("no free socket"),
            Self::Abandoned => f.write_str("given up by the caller"),
            Self::NoQuestion => f.write_str("nothing to ask"),
            Self::NoAnswer { trouble: Some(trouble), .. } => trouble.fmt(f),
            Self::NoAnswer { sent: 0, waited, .. } => {
                write!(f, "no question could be sent to a DNS server within {waited:?}")
            }
            Self::NoAnswer { sent, ignored, waited, trouble: None } => write!(
                f,
                "no DNS server answered {sent} questions within {waited:?}: {ignored} other \
                 datagrams ignored",
            ),
        }
    }
}

impl fmt::Display for DnsTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotConnected => f.write_str("the DNS server cannot be reached"),
            Self::Answer(error) => write!(f, "the DNS server gave no usable answer: {error}"),
            Self::Stream { received } => write!(
                f,
                "the DNS server's answer takes TCP, and by TCP {received} bytes of it came",
            ),
            Self::TooLong { length } => {
                write!(f, "the DNS server's answer of {length} bytes is too long for the buffer")
            }
        }
    }
}

impl core::error::Error for DnsFailure {}

impl core::error::Error for DnsTrouble {}
