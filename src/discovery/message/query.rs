//! A question, and what it takes to know its answer again.

use core::fmt;

use rand_core::CryptoRng;

use super::answer::Answer;
use super::error::AnswerError;
use super::parse::WireName;
use super::{HEADER_LEN, OPTIONS_LEN, QUERY_LEN, RecordType, UDP_PAYLOAD_LEN, WIRE_NAME_LEN};
use crate::cursor::Writer;
use crate::discovery::DomainName;

/// The type of an OPT record.
const OPT: u8 = 41;

/// A question to a resolver, as it is sent. It announces that answers by UDP may have
/// [`UDP_PAYLOAD_LEN`] bytes (RFC 6891).
///
/// A retransmission, and the same question by TCP or to another resolver, is the same message. A
/// new question takes a new id and a new mixture of upper and lower case.
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    record_type: RecordType,
    length: u16,
    message: [u8; QUERY_LEN],
}

impl Query {
    /// Asks for this name's records of one type. Takes 34 bytes of randomness: the id, and a bit for
    /// each character's case.
    #[must_use]
    pub fn new(record_type: RecordType, name: &DomainName, rng: &mut impl CryptoRng) -> Self {
        let mut random = [0; 34];
        rng.fill_bytes(&mut random);
        Self::with_randomness(record_type, name, &random)
    }

    #[inline(never)]
    fn with_randomness(record_type: RecordType, name: &DomainName, random: &[u8; 34]) -> Self {
        let ([id0, id1, ..], [_, _, cases @ ..]) = (*random, random);
        let mut message = [0; QUERY_LEN];
        // Recursion desired; one question, and one record in the additional section. Then the text of
        // the name, with a dot before its first label, too.
        let header = [id0, id1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        let dot: &[u8] = if name.is_root() { b"" } else { b"." };
        let mut writer = Writer::new(&mut message);
        writer.put(&header).slice(dot).slice(name.as_str().as_bytes());
        // The name's end, type and class; then the OPT record: no name, its type, how long datagrams
        // may be, no extended code, version 0, no flags, no options.
        let [payload0, payload1] = (UDP_PAYLOAD_LEN as u16).to_be_bytes();
        let kind = record_type as u8;
        writer.put(&[0, 0, kind, 0, 1, 0, 0, OPT, payload0, payload1, 0, 0, 0, 0, 0, 0]);
        let length = writer.written().unwrap_or(QUERY_LEN) as u16;

        let text = message.iter_mut().skip(HEADER_LEN).take(name.as_str().len().saturating_add(1));
        let mut label = 0_u8;
        for (index, byte) in text.enumerate().rev() {
            if *byte == b'.' {
                // A label's length takes the place of the dot before it.
                (*byte, label) = (label, 0);
                continue;
            }
            label = label.saturating_add(1);
            let bits = cases.get(index / 8).copied().unwrap_or(0);
            if bits >> (index % 8) & 1 == 1 {
                byte.make_ascii_uppercase();
            }
        }
        Self { record_type, length, message }
    }

    /// The message: at most [`QUERY_LEN`] bytes. By TCP its length goes before it in two bytes
    /// (RFC 1035 4.2.2).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.message.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The name that is asked for.
    #[must_use]
    pub fn name(&self) -> DomainName {
        WireName::at(&self.message, HEADER_LEN).to_domain_name().unwrap_or_default()
    }

    /// What is asked for.
    #[must_use]
    pub const fn record_type(&self) -> RecordType {
        self.record_type
    }

    /// Judges a message that came from the resolver: is it the answer, and what does it say? "There
    /// is no such name" and "it has no such records" are answers without records.
    ///
    /// The work grows with the length of the message, and of names that compression makes long.
    pub fn answer<'a>(&self, message: &'a [u8]) -> Result<Answer<'a>, AnswerError> {
        let question_end = usize::from(self.length).saturating_sub(OPTIONS_LEN);
        let asked = self.message.get(..question_end).unwrap_or_default();
        Answer::parse(asked, message)
    }
}

const _: () = assert!(QUERY_LEN == HEADER_LEN + WIRE_NAME_LEN + 4 + OPTIONS_LEN);
const _: () = assert!(QUERY_LEN <= u16::MAX as usize);

/// Without the id, which is nobody's business until the answer is there.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({:?} {:?})", self.record_type, self.name())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Query {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Query({} {})", self.record_type, self.name());
    }
}
