//! A resolver's answers (PROTOCOL 12), beside the `domain` crate. The bytes are taken as the answer
//! to the question that stands in them, where it can be asked.
//!
//! What is accepted must be read by `domain` as well, and the same services, addresses, aliases and
//! times come of it. What is refused must be refused by `domain` for the same reason, with these
//! exceptions, where we refuse more:
//!
//! - [`Fault::Pointer`]: a pointer into the header or to something that runs into the name from
//!   which it leads back, and more than 127 in a name; `domain` allows 255.
//! - [`Fault::Aliases`]: more than 8 of them; that there are so many is checked.
//! - A message of more than 65,535 bytes.
//!
//! Owners of records and the data of A, AAAA, CNAME, SOA and SRV records of the class IN are read by
//! either side. Other data is not.
#![no_main]

use std::net::IpAddr;

use domain::base::iana::{Class, Rtype};
use domain::base::message::RecordSection;
use domain::base::name::ParsedName;
use domain::base::wire::ParseError;
use domain::base::{Message, Name, ToName};
use domain::rdata::{A, Aaaa, Cname, Soa, Srv};
use headcount::discovery::DomainName;
use headcount::discovery::message::{
    Address, Answer, AnswerError, Fault, MAX_ALIASES, Query, Rcode, RecordType, Service,
};
use headcount_fuzz::Replay;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(query) = question_in(bytes) else {
        let name = DomainName::parse("_headcount._tcp.example.com").expect("a name");
        let query = Query::new(RecordType::Srv, &name, &mut Replay([0; 34]));
        return assert!(matches!(query.answer(bytes), Err(AnswerError::NotOurs)));
    };
    let message = Message::from_octets(bytes).expect("it has a header");
    let header = message.header();
    let answer = match query.answer(bytes) {
        Err(AnswerError::NotOurs) => {
            return assert!(!header.qr() || header.opcode().to_int() != 0);
        }
        answer => answer,
    };
    assert!(header.qr() && header.opcode().to_int() == 0);
    assert_eq!(header.id(), u16::from_be_bytes([bytes[0], bytes[1]]));
    if header.tc() {
        return assert_eq!(answer.err(), Some(AnswerError::Truncated));
    }
    let theirs = Theirs::read(&message);
    match answer {
        Ok(answer) => {
            let theirs = theirs.expect("both can read it");
            assert!(matches!(theirs.rcode, 0 | 3));
            theirs.compare(&query, &answer);
        }
        Err(AnswerError::Failed(Rcode(code))) => {
            assert_eq!(code, theirs.expect("both can read it").rcode);
            assert!(!matches!(code, 0 | 3));
        }
        Err(AnswerError::Malformed(malformed)) => {
            assert!(malformed.to_string().ends_with(&format!(", at byte {}", malformed.offset)));
            assert!(usize::from(malformed.offset) <= bytes.len());
            match (malformed.fault, theirs) {
                (Fault::Pointer, _) | (_, Err(_)) => {}
                (Fault::Aliases, Ok(theirs)) => assert!(theirs.follow_question().is_none()),
                (Fault::Length, Ok(_)) => assert!(bytes.len() > 65_535),
                (fault, Ok(_)) => panic!("only we see {fault:?} at {}", malformed.offset),
            }
        }
        Err(error) => panic!("{error:?}"),
    }
});

/// The query to which this may be an answer: the one question in it, asked in its mixture of cases.
fn question_in(bytes: &[u8]) -> Option<Query> {
    let mut random = Replay([0; 34]);
    random.0[..2].copy_from_slice(bytes.get(..2)?);
    if bytes.get(4..6)? != [0, 1] {
        return None;
    }
    let mut name = String::new();
    let mut rest = bytes.get(12..)?;
    loop {
        let (length, tail) = rest.split_first()?;
        if *length == 0 {
            rest = tail;
            break;
        }
        let (label, tail) = tail.split_at_checked(usize::from(*length))?;
        for byte in label {
            // More than a name may have is found out when it is put together.
            let bit = name.len() + 1;
            if byte.is_ascii_uppercase() && bit < 256 {
                random.0[2 + bit / 8] |= 1 << (bit % 8);
            }
            name.push(char::from(*byte));
        }
        name.push('.');
        rest = tail;
    }
    let record_type = match rest.get(..4)? {
        [0, 1, 0, 1] => RecordType::A,
        [0, 28, 0, 1] => RecordType::Aaaa,
        [0, 33, 0, 1] => RecordType::Srv,
        _ => return None,
    };
    let name = if name.is_empty() { DomainName::ROOT } else { DomainName::parse(&name).ok()? };
    let query = Query::new(record_type, &name, &mut random);
    assert_eq!((query.record_type(), query.name()), (record_type, name));
    let asked = query.as_bytes();
    let question = &asked[12..asked.len() - 11];
    // A label may have a dot in it, which is then another name.
    (bytes.get(12..12 + question.len())? == question).then_some(query)
}

/// What `domain` reads.
struct Theirs {
    question: Name<Vec<u8>>,
    rcode: u16,
    negative_ttl: Option<u32>,
    /// Of the answer section, then all but those of the authority section.
    answers: Vec<Record>,
    all: Vec<Record>,
}

#[derive(Clone)]
struct Record {
    owner: Name<Vec<u8>>,
    ttl: u32,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Service(u16, u16, u16, Name<Vec<u8>>),
    Address(IpAddr),
    Alias(Name<Vec<u8>>),
    Authority(u32),
    Options(u8),
    Other,
}

impl Theirs {
    fn read(message: &Message<&[u8]>) -> Result<Self, ParseError> {
        let question = message.sole_question()?.qname().to_name();
        let answers = records(message.answer()?)?;
        let authorities = records(message.authority()?)?;
        let additionals = records(message.additional()?)?;
        let extended = additionals.iter().find_map(|record| match record.data {
            Data::Options(rcode) => Some(rcode),
            _ => None,
        });
        let rcode =
            u16::from(extended.unwrap_or(0)) << 4 | u16::from(message.header().rcode().to_int());
        // It does not look at the code of an OPT record whose options it cannot read.
        assert!(message.opt().is_none() || message.opt_rcode().to_int() == rcode);
        let negative_ttl = authorities.iter().find_map(|record| match record.data {
            Data::Authority(minimum) => Some(record.ttl.min(minimum)),
            _ => None,
        });
        let all = answers.iter().chain(&additionals).cloned().collect();
        Ok(Self { question, rcode, negative_ttl, answers, all })
    }

    fn compare(&self, query: &Query, answer: &Answer<'_>) {
        assert_eq!(answer.is_nonexistent(), self.rcode == 3);
        assert_eq!(answer.negative_ttl(), self.negative_ttl);
        let nothing = [];
        let (answers, all) = match self.rcode {
            0 => (self.answers.as_slice(), self.all.as_slice()),
            _ => (nothing.as_slice(), nothing.as_slice()),
        };
        let (owner, alias_ttl) = follow(answers, &self.question).expect("few aliases");
        let of_owner = answers.iter().filter(|record| record.owner == owner);
        let services: Vec<_> = of_owner
            .filter_map(|record| match &record.data {
                Data::Service(priority, weight, port, target) => {
                    Some((*priority, *weight, *port, record.ttl.min(alias_ttl), target.clone()))
                }
                _ => None,
            })
            .collect();
        let expected = services.iter().filter_map(|(priority, weight, port, ttl, target)| {
            let target = domain_name(target)?;
            Some(Service { priority: *priority, weight: *weight, port: *port, ttl: *ttl, target })
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(answer.services().collect::<Vec<_>>(), expected);
        assert_eq!(answer.skipped(), services.len() - expected.len());

        // Of every name in it; a long message says the same of many.
        let owners = all.iter().filter_map(|record| domain_name(&record.owner)).take(8);
        let targets = expected.into_iter().map(|service| service.target).take(8);
        for name in owners.chain(targets).chain([query.name()]) {
            let start = to_name(&name);
            let addresses = follow(all, &start).into_iter().flat_map(|(owner, alias_ttl)| {
                let of_owner = all.iter().filter(move |record| record.owner == owner);
                of_owner.filter_map(move |record| match record.data {
                    Data::Address(ip) => Some(Address { ip, ttl: record.ttl.min(alias_ttl) }),
                    _ => None,
                })
            });
            let expected: Vec<_> = addresses.collect();
            assert_eq!(answer.addresses(&name).collect::<Vec<_>>(), expected, "{name}");
        }
    }

    fn follow_question(&self) -> Option<(Name<Vec<u8>>, u32)> {
        follow(&self.answers, &self.question)
    }
}

fn follow(records: &[Record], name: &Name<Vec<u8>>) -> Option<(Name<Vec<u8>>, u32)> {
    let (mut name, mut ttl) = (name.clone(), u32::MAX);
    for _ in 0..=MAX_ALIASES {
        let alias = records.iter().find_map(|record| match &record.data {
            Data::Alias(target) if record.owner == name => Some((target, record.ttl)),
            _ => None,
        });
        let Some((target, alias_ttl)) = alias else { return Some((name, ttl)) };
        (name, ttl) = (target.clone(), ttl.min(alias_ttl));
    }
    None
}

fn records(section: RecordSection<'_, &[u8]>) -> Result<Vec<Record>, ParseError> {
    section.map(|record| record.and_then(|record| read(&record))).collect()
}

fn read(record: &domain::base::ParsedRecord<'_, &[u8]>) -> Result<Record, ParseError> {
    type OnWire<'a> = ParsedName<&'a [u8]>;
    let seconds = |ttl: u32| if ttl >> 31 == 1 { 0 } else { ttl };
    let owner = record.owner().to_name();
    let ttl = record.ttl().as_secs();
    if record.rtype() == Rtype::OPT {
        let data = Data::Options((ttl >> 24) as u8);
        return Ok(Record { owner, ttl, data });
    }
    let mut data = Data::Other;
    if record.class() == Class::IN {
        if let Some(record) = record.to_record::<Srv<OnWire<'_>>>()? {
            let srv = record.data();
            let target = srv.target().to_name();
            data = Data::Service(srv.priority(), srv.weight(), srv.port(), target);
        } else if let Some(record) = record.to_record::<A>()? {
            data = Data::Address(record.data().addr().into());
        } else if let Some(record) = record.to_record::<Aaaa>()? {
            data = Data::Address(record.data().addr().into());
        } else if let Some(record) = record.to_record::<Cname<OnWire<'_>>>()? {
            data = Data::Alias(record.data().cname().to_name());
        } else if let Some(record) = record.to_record::<Soa<OnWire<'_>>>()? {
            data = Data::Authority(seconds(record.data().minimum().as_secs()));
        }
    }
    Ok(Record { owner, ttl: seconds(ttl), data })
}

/// The name for people, when all its characters are those of a host.
fn domain_name(name: &Name<Vec<u8>>) -> Option<DomainName> {
    let mut text = String::new();
    for label in name.iter().filter(|label| !label.is_root()) {
        if !label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return None;
        }
        text.extend(label.iter().map(char::from));
        text.push('.');
    }
    let name = if text.is_empty() { Ok(DomainName::ROOT) } else { DomainName::parse(&text) };
    Some(name.expect("a name has no more bytes than a name"))
}

fn to_name(name: &DomainName) -> Name<Vec<u8>> {
    name.to_string().parse().expect("it is a name")
}
