//! The records and names of a message, read one after the other: the one place here that knows nom.
//!
//! [`Records`] reads a message with the same code once to see that it is in order, and then as often
//! as somebody looks for something, when nothing can be wrong any more. A record is where it stands
//! and how long it is; what it says is taken from there when it is wanted.

use core::net::IpAddr;

use nom::{IResult, Parser as _};

use super::error::{Fault, Malformed};
use super::{CLASS_INTERNET, HEADER_LEN, MAX_POINTERS, RecordType, WIRE_NAME_LEN};
use crate::discovery::DomainName;

/// Types of records that are read but never asked for.
const CNAME: u16 = 5;
const SOA: u16 = 6;
const OPT: u16 = 41;
const SRV: u16 = RecordType::Srv as u16;
const A: u16 = RecordType::A as u16;
const AAAA: u16 = RecordType::Aaaa as u16;

/// Stands for the type of a record that is passed over.
const OTHER: u16 = 0;

/// The records of a message from some byte on.
#[derive(Clone)]
pub(super) struct Records<'a> {
    cursor: Cursor<'a>,
    /// How many are left in each section.
    left: [u16; 3],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// A record of the class "internet", or an OPT record.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) section: Section,
    pub(super) owner: WireName<'a>,
    kind: u16,
    ttl: u32,
    data_at: usize,
    data: &'a [u8],
}

impl<'a> Records<'a> {
    /// All of a message whose question ends before `at`.
    pub(super) fn of(message: &'a [u8], at: usize) -> Self {
        let counts = message.get(6..HEADER_LEN).unwrap_or_default().as_chunks().0;
        let mut left = [0; 3];
        for (left, count) in left.iter_mut().zip(counts) {
            *left = u16::from_be_bytes(*count);
        }
        Self { cursor: Cursor { message, at }, left }
    }

    /// Those of the answer section alone.
    pub(super) const fn of_answer(&self) -> Self {
        let [answers, ..] = self.left;
        Self { left: [answers, 0, 0], ..*self }
    }

    /// None of them.
    pub(super) const fn none(&self) -> Self {
        Self { left: [0; 3], ..*self }
    }

    /// The next record, if there is another one.
    #[inline(never)]
    pub(super) fn read(&mut self) -> Result<Option<Record<'a>>, Malformed> {
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        for (left, section) in self.left.iter_mut().zip(sections) {
            if let Some(fewer) = left.checked_sub(1) {
                *left = fewer;
                return self.cursor.record(section).map(Some);
            }
        }
        Ok(None)
    }
}

/// For messages that have been read before. The authority section is of no more interest then.
impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            let record = self.read().ok()??;
            if record.section != Section::Authority {
                return Some(record);
            }
        }
    }
}

impl<'a> Record<'a> {
    /// Seconds that it holds.
    pub(super) const fn ttl(&self) -> u32 {
        seconds(self.ttl)
    }

    /// Of an SRV record: priority, weight and port, and the host.
    pub(super) fn service(&self) -> Option<([u16; 3], WireName<'a>)> {
        if self.kind != SRV {
            return None;
        }
        let [priority0, priority1, weight0, weight1, port0, port1] = *self.data.first_chunk()?;
        let numbers = [[priority0, priority1], [weight0, weight1], [port0, port1]];
        Some((numbers.map(u16::from_be_bytes), self.owner.elsewhere(self.data_at.checked_add(6)?)))
    }

    /// Of an A or AAAA record.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.kind {
            A => <[u8; 4]>::try_from(self.data).ok().map(IpAddr::from),
            AAAA => <[u8; 16]>::try_from(self.data).ok().map(IpAddr::from),
            _ => None,
        }
    }

    /// Of a CNAME record: the name that its owner stands for.
    pub(super) fn alias(&self) -> Option<WireName<'a>> {
        (self.kind == CNAME).then(|| self.owner.elsewhere(self.data_at))
    }

    /// Of a SOA record: how long it holds, in seconds, that there is no such record (RFC 2308 5).
    pub(super) fn negative_ttl(&self) -> Option<u32> {
        let minimum = self.data.last_chunk().filter(|_| self.kind == SOA)?;
        Some(seconds(u32::from_be_bytes(*minimum)).min(self.ttl()))
    }

    /// Of an OPT record: the upper bits of the response code (RFC 6891 6.1.3).
    pub(super) fn extended_rcode(&self) -> Option<u8> {
        (self.kind == OPT).then_some((self.ttl >> 24) as u8)
    }
}

/// A time to live or the like; with its top bit set it counts as none (RFC 2181 8).
const fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

/// A place in a message.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn record(&mut self, section: Section) -> Result<Record<'a>, Malformed> {
        let owner = self.name()?;
        let here = self.malformed(Fault::Length);
        let head: &[u8; 10] = self.take(10)?.try_into().map_err(|_| here)?;
        let [kind0, kind1, class0, class1, ttl @ .., length0, length1] = *head;
        let length = usize::from(u16::from_be_bytes([length0, length1]));
        let kind = u16::from_be_bytes([kind0, kind1]);
        let kind = match u16::from_be_bytes([class0, class1]) {
            CLASS_INTERNET => kind,
            _ if kind == OPT => kind,
            _ => OTHER,
        };
        let data_at = self.at;
        // Bytes, names, and bytes after them.
        let (before, names, after) = match kind {
            A => (4, 0, 0),
            AAAA => (16, 0, 0),
            CNAME => (0, 1, 0),
            SOA => (0, 2, 20),
            SRV => (6, 1, 0),
            _ => (length, 0, 0),
        };
        self.take(before)?;
        for _ in 0..names {
            self.name()?;
        }
        self.take(after)?;
        let data = self.message.get(data_at..self.at).unwrap_or_default();
        if data.len() != length {
            return Err(Malformed { offset: data_at as u16, fault: Fault::Data });
        }
        Ok(Record { section, owner, kind, ttl: u32::from_be_bytes(ttl), data_at, data })
    }

    /// A name, in whatever pieces, and on to what comes after its first piece.
    #[inline(never)]
    fn name(&mut self) -> Result<WireName<'a>, Malformed> {
        let name = WireName { message: self.message, at: self.at };
        let mut labels = name.labels();
        while !labels.read()?.is_empty() {}
        self.at = labels.end.unwrap_or(labels.cursor.at);
        Ok(name)
    }

    /// So many bytes.
    #[inline(never)]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let rest = self.message.get(self.at..).unwrap_or_default();
        let taken: IResult<_, _, ()> = nom::bytes::complete::take(length).parse(rest);
        let (_, bytes) = taken.map_err(|_| self.malformed(Fault::Length))?;
        self.at = self.at.saturating_add(length);
        Ok(bytes)
    }

    const fn malformed(&self, fault: Fault) -> Malformed {
        Malformed { offset: self.at as u16, fault }
    }
}

/// A name where it stands in its message, in any case and with any bytes.
#[derive(Clone, Copy)]
pub(super) struct WireName<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> WireName<'a> {
    /// The name that begins at this byte.
    pub(super) const fn at(message: &'a [u8], at: usize) -> Self {
        Self { message, at }
    }

    /// Another one in the same message.
    const fn elsewhere(self, at: usize) -> Self {
        Self { at, ..self }
    }

    /// Whether it is the same name, in whatever case.
    #[inline(never)]
    pub(super) fn is(self, other: Self) -> bool {
        let (mut ours, mut theirs) = (self.labels(), other.labels());
        while let (Ok(one), Ok(other)) = (ours.read(), theirs.read()) {
            if !one.eq_ignore_ascii_case(other) {
                return false;
            }
            if one.is_empty() {
                return true;
            }
        }
        false
    }

    /// The name for people, where it has no bytes that such a name cannot have.
    #[inline(never)]
    pub(super) fn to_domain_name(self) -> Option<DomainName> {
        let mut name = DomainName::ROOT;
        let mut labels = self.labels();
        loop {
            match labels.read() {
                Ok([]) => return Some(name),
                Ok(label) => name.push(label).ok()?,
                Err(_) => return None,
            }
        }
    }

    const fn labels(self) -> Labels<'a> {
        Labels {
            cursor: Cursor { message: self.message, at: self.at },
            piece: self.at,
            length: 0,
            pointers: 0,
            end: None,
        }
    }
}

/// The labels of a name from left to right.
struct Labels<'a> {
    /// In the part of the message that the piece being read may take.
    cursor: Cursor<'a>,
    /// Where that piece begins. The next one must end before it.
    piece: usize,
    /// Bytes so far.
    length: usize,
    /// Pointers so far.
    pointers: u8,
    /// What comes after the first piece, once that was left.
    end: Option<usize>,
}

impl<'a> Labels<'a> {
    /// The next label; the root, with which a name ends, is the empty one.
    #[inline(never)]
    fn read(&mut self) -> Result<&'a [u8], Malformed> {
        loop {
            let here = self.cursor;
            let first = self.take(1)?;
            match first {
                [length @ 0..=63] => {
                    let label = self.take(usize::from(*length))?;
                    self.length = self.length.saturating_add(label.len()).saturating_add(1);
                    if self.length > WIRE_NAME_LEN {
                        return Err(here.malformed(Fault::NameLength));
                    }
                    return Ok(label);
                }
                [high @ 192..=255] => {
                    let low = self.take(1)?.first().copied().unwrap_or(0);
                    let to = usize::from(u16::from_be_bytes([high & 63, low]));
                    if !(HEADER_LEN..self.piece).contains(&to) || self.pointers == MAX_POINTERS {
                        return Err(here.malformed(Fault::Pointer));
                    }
                    self.end.get_or_insert(self.cursor.at);
                    self.pointers = self.pointers.saturating_add(1);
                    let earlier = self.cursor.message.get(..self.piece).unwrap_or_default();
                    self.cursor = Cursor { message: earlier, at: to };
                    self.piece = to;
                }
                _ => return Err(here.malformed(Fault::Label)),
            }
        }
    }

    /// So many bytes of the piece.
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        self.cursor.take(length).map_err(|malformed| match self.pointers {
            0 => malformed,
            // It runs into the piece from which a pointer led here.
            _ => Malformed { fault: Fault::Pointer, ..malformed },
        })
    }
}
