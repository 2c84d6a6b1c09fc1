//! The records and names of a message, read one after the other: the one place here that knows nom.
//!
//! [`Records`] reads a message twice with the same code: once to see that it is in order, and then
//! as often as somebody looks for something, when nothing can be wrong any more.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) section: Section,
    pub(super) owner: WireName<'a>,
    /// In seconds.
    pub(super) ttl: u32,
    pub(super) data: Data<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Data<'a> {
    Service {
        priority: u16,
        weight: u16,
        port: u16,
        target: WireName<'a>,
    },
    Address(IpAddr),
    Alias(WireName<'a>),
    /// How long it holds, in seconds, that there is no such record (RFC 2308 5).
    Authority {
        minimum: u32,
    },
    /// The upper bits of the response code (RFC 6891 6.1.3).
    Options {
        rcode: u8,
    },
    Other,
}

impl<'a> Records<'a> {
    /// All of a message whose question ends before `at`.
    pub(super) fn of(message: &'a [u8], at: usize) -> Self {
        let mut counts = Cursor { message, at: 6 };
        // A question stands between them and the end of the message.
        let mut count = || counts.u16().unwrap_or(0);
        Self { left: [count(), count(), count()], cursor: Cursor { message, at } }
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
        let [answers, authorities, additionals] = &mut self.left;
        let (section, left) = match (*answers, *authorities) {
            (1.., _) => (Section::Answer, answers),
            (0, 1..) => (Section::Authority, authorities),
            (0, 0) => (Section::Additional, additionals),
        };
        let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
        *left = fewer;
        self.cursor.record(section).map(Some)
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

/// A place in a message.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn record(&mut self, section: Section) -> Result<Record<'a>, Malformed> {
        let owner = self.name()?;
        let kind = self.u16()?;
        let class = self.u16()?;
        let ttl = self.u32()?;
        let length = self.u16()?;
        let data_at = self.at;
        let end = data_at.saturating_add(usize::from(length));
        let data = match (kind, class) {
            (OPT, _) if section == Section::Additional => {
                Data::Options { rcode: (ttl >> 24) as u8 }
            }
            (SRV, CLASS_INTERNET) => Data::Service {
                priority: self.u16()?,
                weight: self.u16()?,
                port: self.u16()?,
                target: self.name()?,
            },
            (A, CLASS_INTERNET) => Data::Address(IpAddr::V4(Ipv4Addr::from(self.array()?))),
            (AAAA, CLASS_INTERNET) => Data::Address(IpAddr::V6(Ipv6Addr::from(self.array()?))),
            (CNAME, CLASS_INTERNET) => Data::Alias(self.name()?),
            (SOA, CLASS_INTERNET) => {
                self.name()?;
                self.name()?;
                self.skip(16)?;
                Data::Authority { minimum: seconds(self.u32()?) }
            }
            _ => Data::Other,
        };
        if matches!(data, Data::Options { .. } | Data::Other) {
            self.skip(usize::from(length))?;
        }
        if self.at != end {
            return Err(Malformed { offset: data_at as u16, fault: Fault::Data });
        }
        Ok(Record { section, owner, ttl: seconds(ttl), data })
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

    #[inline(never)]
    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline(never)]
    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let here = self.malformed(Fault::Length);
        self.skip(N)?.try_into().map_err(|_| here)
    }

    /// So many bytes.
    #[inline(never)]
    fn skip(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
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

/// A time to live or the like; with its top bit set it counts as none (RFC 2181 8).
const fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
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
    cursor: Cursor<'a>,
    /// Where the piece of the name begins that is being read. The next one must begin before it.
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
            let [first] = self.cursor.array()?;
            match first {
                0..=63 => {
                    let label = self.cursor.skip(usize::from(first))?;
                    self.length = self.length.saturating_add(label.len()).saturating_add(1);
                    if self.length > WIRE_NAME_LEN {
                        return Err(here.malformed(Fault::NameLength));
                    }
                    return Ok(label);
                }
                192.. => {
                    let [second] = self.cursor.array()?;
                    let to = usize::from(u16::from_be_bytes([first & 63, second]));
                    if !(HEADER_LEN..self.piece).contains(&to) || self.pointers == MAX_POINTERS {
                        return Err(here.malformed(Fault::Pointer));
                    }
                    self.end.get_or_insert(self.cursor.at);
                    self.pointers = self.pointers.saturating_add(1);
                    self.piece = to;
                    self.cursor.at = to;
                }
                64..=191 => return Err(here.malformed(Fault::Label)),
            }
        }
    }
}
