//! What a resolver's answer says.

use core::fmt;
use core::net::IpAddr;

use super::error::{AnswerError, Fault, Malformed, Rcode};
use super::parse::{Record, Records, Section, WireName};
use super::{HEADER_LEN, MAX_ALIASES};
use crate::discovery::DomainName;

/// "There is no such name" (NXDOMAIN).
const NO_SUCH_NAME: u16 = 3;

/// An answer to the question that was asked, read to its end. Without records, it is the news that
/// there are none.
#[derive(Clone)]
pub struct Answer<'a> {
    /// None when the name does not exist.
    records: Records<'a>,
    /// The name that was asked for, or what its aliases lead to.
    owner: WireName<'a>,
    /// The shortest of the aliases' times to live.
    alias_ttl: u32,
    nonexistent: bool,
    negative_ttl: Option<u32>,
}

/// One of the service's hosts (RFC 2782), as an SRV record says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Service {
    /// Lower values are tried first.
    pub priority: u16,
    /// The share of what hosts of one priority get; 0 is the smallest.
    pub weight: u16,
    /// The port, of TCP or UDP.
    pub port: u16,
    /// Seconds that this holds, 0 to 2^31 - 1; no longer than the aliases that led here.
    pub ttl: u32,
    /// The host's name. The root means that the service is not there.
    pub target: DomainName,
}

/// An address of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address, of an A or AAAA record.
    pub ip: IpAddr,
    /// Seconds that this holds, 0 to 2^31 - 1; no longer than the aliases that led here.
    pub ttl: u32,
}

impl<'a> Answer<'a> {
    /// Reads the whole message. `asked` is the query up to the end of its question.
    #[inline(never)]
    pub(super) fn parse(asked: &[u8], message: &'a [u8]) -> Result<Self, AnswerError> {
        let truncated = check_header(asked, message).ok_or(AnswerError::NotOurs)?;
        if truncated {
            return Err(AnswerError::Truncated);
        }
        if message.len() > usize::from(u16::MAX) {
            let malformed = Malformed { offset: u16::MAX, fault: Fault::Length };
            return Err(AnswerError::Malformed(malformed));
        }
        let records = Records::of(message, asked.len());
        let mut extended = None;
        let mut negative_ttl = None;
        let mut rest = records.clone();
        while let Some(record) = rest.read().map_err(AnswerError::Malformed)? {
            match record.section {
                Section::Answer => {}
                Section::Authority => negative_ttl = negative_ttl.or(record.negative_ttl()),
                Section::Additional => extended = extended.or(record.extended_rcode()),
            }
        }
        let basic = message.get(3).copied().unwrap_or(0) & 0x0F;
        let rcode = u16::from(extended.unwrap_or(0)) << 4 | u16::from(basic);
        if !matches!(rcode, 0 | NO_SUCH_NAME) {
            return Err(AnswerError::Failed(Rcode(rcode)));
        }
        let nonexistent = rcode == NO_SUCH_NAME;
        let records = if nonexistent { records.none() } else { records };
        let question = WireName::at(message, HEADER_LEN);
        let (owner, alias_ttl) =
            follow(&records.of_answer(), question).ok_or(AnswerError::Malformed(Malformed {
                offset: HEADER_LEN as u16,
                fault: Fault::Aliases,
            }))?;
        Ok(Self { records, owner, alias_ttl, nonexistent, negative_ttl })
    }

    /// The hosts of the service that was asked for, in the message's order: the SRV records of the
    /// answer section that belong to the name, and whose target is a [`DomainName`].
    pub fn services(&self) -> impl Iterator<Item = Service> + Clone + use<'a> {
        let ttl = self.alias_ttl;
        self.service_records().filter_map(move |record| service(&record, ttl))
    }

    /// How many SRV records [`services`](Self::services) leaves out, because their target has bytes
    /// that no host's name has.
    pub fn skipped(&self) -> usize {
        self.service_records().count().saturating_sub(self.services().count())
    }

    /// The addresses of a name, be it the one that was asked for or a service's target, in the
    /// message's order: A and AAAA records of the answer and additional sections. Aliases are
    /// followed there; more than [`MAX_ALIASES`] lead to no address.
    ///
    /// That there is none says nothing when the name was not asked for: resolvers add what they
    /// know. Each call reads the whole message again, at least twice: it is for the few hosts that
    /// are to be tried, not for all that a resolver may list.
    pub fn addresses(&self, name: &DomainName) -> impl Iterator<Item = Address> + Clone + use<'a> {
        // The name as the message has it, so that names of one kind are compared from here on.
        let start = self
            .records
            .clone()
            .map(|record| record.owner)
            .find(|owner| owner.to_domain_name().as_ref() == Some(name));
        let end = start.and_then(|start| follow(&self.records, start));
        let records = if end.is_some() { self.records.clone() } else { self.records.none() };
        records.filter_map(move |record| {
            let (owner, alias_ttl) = end?;
            let ip = record.address().filter(|_| record.owner.is(owner))?;
            Some(Address { ip, ttl: record.ttl().min(alias_ttl) })
        })
    }

    /// Whether there is no such name at all (NXDOMAIN). Then there are no records.
    #[must_use]
    pub const fn is_nonexistent(&self) -> bool {
        self.nonexistent
    }

    /// Seconds that it holds, when there are no records, that there are none (RFC 2308 5); `None`
    /// when the answer does not say.
    #[must_use]
    pub const fn negative_ttl(&self) -> Option<u32> {
        self.negative_ttl
    }

    fn service_records(&self) -> impl Iterator<Item = Record<'a>> + Clone + use<'a> {
        let owner = self.owner;
        let records = self.records.of_answer();
        records.filter(move |record| record.service().is_some() && record.owner.is(owner))
    }
}

#[inline(never)]
fn service(record: &Record<'_>, alias_ttl: u32) -> Option<Service> {
    let ([priority, weight, port], target) = record.service()?;
    let ttl = record.ttl().min(alias_ttl);
    Some(Service { priority, weight, port, ttl, target: target.to_domain_name()? })
}

/// Whether the message is the answer to this question, and then whether it is truncated.
fn check_header(asked: &[u8], message: &[u8]) -> Option<bool> {
    let (header, _) = message.split_first_chunk::<HEADER_LEN>()?;
    let [id0, id1, flags, _, questions0, questions1, ..] = *header;
    let question = message.get(HEADER_LEN..asked.len());
    let ours = asked.get(..2) == Some(&[id0, id1])
        // A response, and to a standard query.
        && flags & 0xF8 == 0x80
        && [questions0, questions1] == [0, 1]
        && question == asked.get(HEADER_LEN..);
    ours.then_some(flags & 2 != 0)
}

/// Where the aliases of a name lead to, at last, and the shortest of their times to live; nothing
/// when there are too many.
#[inline(never)]
fn follow<'a>(records: &Records<'a>, mut name: WireName<'a>) -> Option<(WireName<'a>, u32)> {
    let mut ttl = u32::MAX;
    for _ in 0..=MAX_ALIASES {
        let alias = records.clone().find_map(|record| {
            let target = record.alias().filter(|_| record.owner.is(name))?;
            Some((target, record.ttl()))
        });
        let Some((target, alias_ttl)) = alias else { return Some((name, ttl)) };
        name = target;
        ttl = ttl.min(alias_ttl);
    }
    None
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("nonexistent", &self.nonexistent)
            .field("negative_ttl", &self.negative_ttl)
            .field("services", &self.services().count())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Address {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} for {=u32} s", defmt::Debug2Format(&self.ip), self.ttl);
    }
}
